//! `rollbook settle`: what became of files that a person has uploaded.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, engine};
use crate::plan::show::many;
use crate::reconcile::uploaded::{Settled, Settling, settle};
use crate::terminal;

/// Finds out what became of the files that `rollbook sync --via csv-file DIR` has written and somebody has
/// uploaded, and closes the journal: until then nothing more is done about the people in them.
///
/// The jobs are found in Kaltura by the names of the files. Where Rollbook may not read them, give their
/// logs along; without either, each membership is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder with the files and their manifest (rollbook-run*.json).
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A result log, as downloaded from the Bulk Upload Log; may be given several times.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// The files will not be uploaded any more: take them away, and plan anew what is not done.
    #[arg(long)]
    discard: bool,
    /// With --discard: also where Rollbook cannot make sure that nobody has uploaded them.
    #[arg(long, requires = "discard")]
    sure: bool,
}

pub(super) async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let logs = arguments.log.iter().map(|path| {
        let mut log = std::fs::read(path)
            .with_context(|| format!("the log {} cannot be read", path.display()))?;
        log.push(b'\n');
        Ok(log)
    });
    let settling = Settling {
        folder: arguments.folder.clone(),
        logs: logs.collect::<anyhow::Result<_>>()?,
        discard: arguments.discard,
        sure: arguments.sure,
    };
    let engine = engine::open(config)?;
    let settled = settle(&engine, &settling).await?;
    text(&settled, arguments, &mut terminal::stdout())?;
    Ok(if settled.waiting + settled.applied.failed() > 0 {
        Exit::Partly
    } else {
        Exit::Done
    })
}

fn text(settled: &Settled, arguments: &Arguments, out: &mut impl Write) -> std::io::Result<()> {
    for name in &settled.edited {
        writeln!(
            out,
            "  ! {name} is not as it was written: somebody has edited it."
        )?;
    }
    let applied = settled.applied;
    if applied.already > 0 {
        writeln!(
            out,
            "Needed no doing, because somebody else had done it: {}.",
            many(applied.already, "change")
        )?;
    }
    if applied.done > 0 {
        writeln!(out, "Done: {}.", many(applied.done, "change"))?;
    }
    if applied.failed() > 0 {
        writeln!(
            out,
            "Not done: {}; planned again by a later run (rollbook status).",
            many(applied.failed(), "change")
        )?;
    }
    if !arguments.log.is_empty() && !settled.is_log_of_these {
        writeln!(
            out,
            "  ! The log says nothing of these files: is it theirs?"
        )?;
    }
    if !settled.suspects.is_empty() {
        let jobs: Vec<String> = settled.suspects.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "Kaltura has not begun these jobs, and does not say yet whose they are: {}.",
            jobs.join(", ")
        )?;
    }
    if settled.waiting > 0 {
        let waiting = many(settled.waiting, "change");
        writeln!(out, "Waiting: {waiting}, in")?;
        for (name, changes) in &settled.files {
            let changes = many(*changes, "change");
            let why = if settled.under_way.contains(name) {
                "Kaltura is still working on it"
            } else {
                "no job of this name has ended, and no log says all of it"
            };
            writeln!(out, "  {name} ({changes}): {why}")?;
        }
        writeln!(out, "Settle again once they are uploaded and finished.")?;
        if settled.under_way.is_empty() {
            writeln!(
                out,
                "If they will not be uploaded: rollbook settle {} --discard",
                arguments.folder.display()
            )?;
        }
    }
    Ok(())
}
