//! `rollbook settle`: what became of files that a person has uploaded.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, engine};
use crate::plan::show::many;
use crate::reconcile::uploaded::{Settled, Settling, settle};

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
    };
    let engine = engine::open(config)?;
    let settled = settle(&engine, &settling).await?;
    text(&settled, arguments, &mut std::io::stdout().lock())?;
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
    for name in &settled.under_way {
        writeln!(out, "Kaltura is still working on {name}.")?;
    }
    if settled.waiting > 0 {
        writeln!(
            out,
            "Waiting: {}. Settle again once the files are uploaded and finished.",
            many(settled.waiting, "change")
        )?;
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
