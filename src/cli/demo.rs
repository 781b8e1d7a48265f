//! `rollbook demo`: all of it, on this machine, in seconds.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Exit, engine, sync};
use crate::clock;
use crate::config::Config;
use crate::demo::University;
use crate::progress::Progress;
use crate::reconcile::{Engine, Report, Request, reconcile};
use crate::store::held::Answer;
use crate::terminal;

/// Starts a made-up university directory and a sandbox Kaltura account, synchronises them, changes the
/// directory, and synchronises again. Nothing outside this machine is reached, and nothing is left.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Keep the files (configuration, state, directory) in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use an LDIF file even where slapd is installed.
    #[arg(long)]
    ldif: bool,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let scratch = tempfile::tempdir()?;
    let folder = match &arguments.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            folder.canonicalize()?
        }
        None => scratch.path().to_owned(),
    };
    let university = University::open(&folder, !arguments.ldif).await?;
    let result = show(&university, &mut terminal::stdout()).await;
    university.close().await;
    result?;
    if arguments.keep.is_some() {
        let out = &mut terminal::stdout();
        writeln!(out)?;
        writeln!(out, "The files are in {}.", folder.display())?;
    }
    Ok(Exit::Done)
}

/// Tells the story.
async fn show(university: &University, out: &mut impl Write) -> anyhow::Result<()> {
    let engine = engine(&university.configuration())?;
    writeln!(out, "The directory: {}", university.directory())?;
    writeln!(
        out,
        "The account:   a sandbox that answers like Kaltura, at {}",
        university.kaltura()
    )?;

    heading(
        out,
        "The first plan of a new configuration waits for a person",
        "rollbook sync",
    )?;
    let first = sync(&engine, out).await?;
    if let Some(held) = &first.held {
        let digest = held.digest.short();
        heading(
            out,
            "Somebody has looked at it, and releases it",
            &format!("rollbook approve {digest}"),
        )?;
        let answer = Answer::Approved {
            until: clock::now().checked_add(jiff::SignedDuration::from_hours(1))?,
        };
        let now = clock::now();
        engine.store.answer(digest, &[], answer, "the demo", now)?;
        heading(out, "It is applied", "rollbook sync")?;
        sync::outcome(&reconcile(&engine, &request("sync")).await?, out)?;
    }

    university.change()?;
    university.act_by_hand();
    writeln!(
        out,
        "\n── Now the university changes
   Hedy joins Chemistry 110, and Otto leaves it. Grace becomes a teacher of Biology 101 and one of the
   staff. Ada marries and has another name. Linus leaves Biology 101, but somebody has made him a
   moderator there, by hand, in the console."
    )?;
    heading(
        out,
        "Only what changed is read, and the plan is small",
        "rollbook sync",
    )?;
    sync(&engine, out).await?;

    heading(
        out,
        "The third finds nothing to do, and does not even ask Kaltura",
        "rollbook sync",
    )?;
    let third = sync(&engine, out).await?;
    writeln!(
        out,
        "Requests to Kaltura in this run: {}",
        third.traffic.requests
    )?;

    heading(
        out,
        "Nor does a full comparison of everything",
        "rollbook sync --full",
    )?;
    run_once(
        &engine,
        Request {
            full: true,
            ..request("sync --full")
        },
        out,
    )
    .await?;
    Ok(())
}

/// Opens the configuration as every command does; progress would only be in the way.
fn engine(configuration: &Path) -> anyhow::Result<Engine> {
    let mut engine = engine::assemble(Config::load(configuration)?.config)?;
    engine.progress = Progress::default();
    Ok(engine)
}

fn heading(out: &mut impl Write, what: &str, command: &str) -> std::io::Result<()> {
    writeln!(out)?;
    writeln!(out, "── {what}")?;
    writeln!(out, "$ {command}")
}

fn request(command: &str) -> Request {
    Request {
        command: command.to_owned(),
        ..Request::default()
    }
}

async fn sync(engine: &Engine, out: &mut impl Write) -> anyhow::Result<Report> {
    run_once(engine, request("sync"), out).await
}

async fn run_once(
    engine: &Engine,
    request: Request,
    out: &mut impl Write,
) -> anyhow::Result<Report> {
    let report = reconcile(engine, &request).await?;
    sync::text(&report, out)?;
    Ok(report)
}
