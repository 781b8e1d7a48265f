//! `rollbook export`: what the groups want, as CSV files for Kaltura.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};

use super::{Exit, engine};
use crate::category::UserId;
use crate::clock;
use crate::kaltura::csv::Sheet;
use crate::kaltura::csv::channel::{self, ChannelRow, Making};
use crate::plan::show::many;
use crate::reconcile::export::submit::{self, Fate, HandedIn};
use crate::reconcile::export::{Left, Paper, channels, entitlements, people};
use crate::reconcile::{Engine, RunError};
use crate::shown::Shown;
use crate::terminal;

pub(super) const EXAMPLES: &str = "\
Examples:
  # Which channels are missing? Write them down, have a look, then make them and fill them:
  rollbook sync --dry-run
  rollbook export categories --owner rector --out channels.csv
  rollbook export categories --owner rector --submit
  rollbook sync

  # Names and addresses of everybody who is in a channel:
  rollbook export users --submit";

/// Writes what the groups want as CSV files, as Kaltura's guides describe them, or hands them in.
///
/// Nothing here removes anything, and handing in twice does no harm. What does not fit into a file is
/// named, with its reason. A file that would have more rows or bytes than apply.csv.rows and apply.csv.bytes
/// allow is divided.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Channels for groups that have none (Categories CSV): named like the group, with the reference ID that the
    /// bindings ask for. The next run fills them.
    Categories(Categories),
    /// Everybody who is wanted in a channel (End-Users CSV): added or updated, with first and last name, both
    /// together as screen name, and mail address. Nobody is deleted.
    Users(Target),
    /// Every membership that the groups grant (End-User Entitlements CSV), for a first set-up: added or updated,
    /// without owners and protected people, from what the last run has read. Nobody is removed.
    Entitlements(Target),
}

/// Where it goes.
#[derive(Debug, clap::Args)]
struct Target {
    /// Write it to this file instead of standard output; several files get numbers: FILE-1.csv, FILE-2.csv.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Hand it in, wait until Kaltura has worked on it, and say what became of each row.
    #[arg(long)]
    submit: bool,
}

#[derive(Debug, clap::Args)]
struct Categories {
    /// Who is to own the channels: a user ID. Without one they would be the session's own.
    #[arg(long, value_name = "ID")]
    owner: String,
    /// Below which category, if not kaltura.root: a path, names joined with >.
    #[arg(long, value_name = "PATH")]
    parent: Option<String>,
    /// Who may see what is in them.
    #[arg(long, value_name = "WHO", default_value = "members")]
    privacy: Privacy,
    /// Who may add content: all who may see it, or members whose level allows it.
    #[arg(long, value_name = "WHO", default_value = "members")]
    contribution: Contribution,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Privacy {
    /// Members only; the channel does not show in lists either.
    Members,
    /// Whoever has logged in.
    Authenticated,
    /// Everybody.
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Contribution {
    All,
    Members,
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> anyhow::Result<Exit> {
    match arguments.what {
        What::Entitlements(target) if target.submit => Err(RunError::Usage(
            "memberships go to Kaltura by a run, which plans them, may hold them and keeps what it did: rollbook sync --full --via csv",
        )
        .into()),
        What::Entitlements(target) => {
            let engine = engine::open(config)?;
            let (papers, left) = entitlements(&engine, clock::now()).await?;
            put(&papers, &target, "membership")?;
            say(&left);
            Ok(Exit::Done)
        }
        What::Users(target) => users(&engine::open(config)?, &target).await,
        What::Categories(arguments) => categories(&engine::open(config)?, arguments).await,
    }
}

async fn users(engine: &Engine, target: &Target) -> anyhow::Result<Exit> {
    let export = people::people(engine).await?;
    if target.is_written() {
        let papers = export.papers("people who are wanted in channels", clock::now())?;
        put(&papers, target, "person")?;
    }
    say(&export.left);
    if !target.submit {
        return Ok(Exit::Done);
    }
    let fates = submit::people(engine, export, tell).await?;
    Ok(outcome(&fates, "person")?)
}

async fn categories(engine: &Engine, arguments: Categories) -> anyhow::Result<Exit> {
    let root = engine.config.kaltura.root.as_deref();
    let Some(parent) = arguments.parent.as_deref().or(root) else {
        return Err(RunError::Usage(
            "--parent PATH says below which category channels are to be made, since kaltura.root is not set",
        )
        .into());
    };
    let owner = UserId::new(arguments.owner.as_str());
    let (privacy, contribution) = (arguments.privacy.into(), arguments.contribution.into());
    let making = Making::new(parent, owner, privacy, contribution).map_err(|why| {
        RunError::NotFound(format!(
            "no channel can be made for this --owner and --parent: {why}"
        ))
    })?;
    let export = channels::channels(engine, &Arc::new(making)).await?;
    let target = &arguments.target;
    if target.is_written() {
        let papers = export.papers("channels for groups that have none", clock::now())?;
        put(&papers, target, "channel")?;
    }
    say(&export.left);
    if !target.submit {
        return Ok(Exit::Done);
    }
    let fates: Vec<(ChannelRow, Fate)> = submit::channels(engine, export, tell).await?;
    let exit = outcome(&fates, "channel")?;
    if fates.iter().any(|(_, fate)| *fate == Fate::Done) {
        writeln!(
            terminal::stdout(),
            "To fill the new channels: rollbook sync"
        )?;
    }
    Ok(exit)
}

impl From<Privacy> for channel::Privacy {
    fn from(privacy: Privacy) -> Self {
        match privacy {
            Privacy::Members => Self::Members,
            Privacy::Authenticated => Self::Authenticated,
            Privacy::All => Self::All,
        }
    }
}

impl From<Contribution> for channel::Contribution {
    fn from(contribution: Contribution) -> Self {
        match contribution {
            Contribution::All => Self::All,
            Contribution::Members => Self::Members,
        }
    }
}

impl Target {
    /// Whether a file is asked for, or nothing else is.
    fn is_written(&self) -> bool {
        self.out.is_some() || !self.submit
    }
}

/// Writes files where they are to go, and says on standard error what that was.
fn put(papers: &[Paper], target: &Target, noun: &'static str) -> anyhow::Result<()> {
    let rows: usize = papers.iter().map(|paper| paper.rows).sum();
    let err = &mut terminal::stderr();
    let out = target.out.as_deref();
    if let Some(out) = out.filter(|out| *out != Path::new("-")) {
        for (number, paper) in papers.iter().enumerate() {
            let path = numbered(out, number, papers.len());
            let written = write_whole(&path, &paper.content);
            written.with_context(|| format!("{} could not be written", path.display()))?;
            writeln!(err, "{}: {}.", path.display(), count(paper.rows, noun))?;
        }
    } else {
        print(papers)?;
        if papers.len() > 1 {
            writeln!(
                err,
                "These are {} files, one after the other, each with its own heading: --out FILE keeps them apart.",
                papers.len()
            )?;
        }
    }
    if papers.len() != 1 {
        let rows = count(rows, noun);
        writeln!(
            err,
            "{rows} in all, by what the last run has read of the directory."
        )?;
    }
    Ok(())
}

fn print(papers: &[Paper]) -> anyhow::Result<()> {
    let out = &mut terminal::stdout();
    for paper in papers {
        match out.write_all(&paper.content) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("the file could not be written")?,
        }
    }
    Ok(())
}

/// The name of one of several files; the name as it is, where there is one only.
fn numbered(out: &Path, number: usize, of: usize) -> PathBuf {
    if of == 1 {
        return out.to_owned();
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let end = out
        .extension()
        .map(|end| format!(".{}", end.to_string_lossy()));
    out.with_file_name(format!("{stem}-{}{}", number + 1, end.unwrap_or_default()))
}

/// Writes a file to the side, and puts it in its place in one step.
fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| anyhow!(error.error))?;
    Ok(())
}

/// Says what is in no file, and why.
fn say(left: &[Left]) {
    let err = &mut terminal::stderr();
    for left in left {
        let _ = writeln!(err, "  ! {}: {}", Shown(&left.what), left.why);
    }
    if !left.is_empty() {
        let _ = writeln!(err, "{} not in the file.", left.len());
    }
}

/// Says that Kaltura has a file: whoever cuts this command off knows then what goes on without it.
fn tell(file: &HandedIn<'_>) {
    let _ = writeln!(
        terminal::stdout(),
        "Job {}: {} with {}. Kaltura works on it also if this command is cut off; it may be given again then.",
        file.job,
        file.name,
        many(file.rows as u64, "row")
    );
}

/// Says what became of each row.
fn outcome<S: Sheet>(fates: &[(S, Fate)], noun: &'static str) -> std::io::Result<Exit> {
    let out = &mut terminal::stdout();
    let mut failed = 0;
    for (row, fate) in fates {
        let subject = Shown(row.subject());
        match fate {
            Fate::Done => writeln!(out, "  + {subject}")?,
            Fate::DoneBut(text) => writeln!(out, "  + {subject}, but: {text}")?,
            Fate::There => writeln!(out, "  = {subject} is there by now")?,
            Fate::Refused(text) => writeln!(out, "  ! {subject}: {text}")?,
            Fate::NotTaken => writeln!(out, "  ! {subject}: Kaltura did not take the file")?,
            Fate::Unknown => {
                writeln!(out, "  ! {subject}: Kaltura does not say what became of it")?;
            }
        }
        let is_done = matches!(fate, Fate::Done | Fate::DoneBut(_) | Fate::There);
        failed += usize::from(!is_done);
    }
    writeln!(out, "Done: {}.", count(fates.len() - failed, noun))?;
    if failed > 0 {
        writeln!(
            out,
            "Not done: {}. The command may be given again: nothing is done twice.",
            count(failed, noun)
        )?;
    }
    Ok(if failed > 0 { Exit::Partly } else { Exit::Done })
}

fn count(number: usize, noun: &'static str) -> String {
    match (number, noun) {
        (1, "person") => "1 person".to_owned(),
        (_, "person") => format!("{number} people"),
        _ => many(number as u64, noun),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_files_get_numbers_and_one_keeps_its_name() {
        let names = |out: &str, of| -> Vec<String> {
            let names = (0..of).map(|number| numbered(Path::new(out), number, of));
            names.map(|name| name.display().to_string()).collect()
        };
        assert_eq!(names("a/b.csv", 1), ["a/b.csv"]);
        assert_eq!(names("a/b.c.csv", 2), ["a/b.c-1.csv", "a/b.c-2.csv"]);
        assert_eq!(names("b", 2), ["b-1", "b-2"]);
    }
}
