//! `rollbook state`: look after the state file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{Exit, engine, sync};
use crate::clock;
use crate::config::Config;
use crate::plan::show::many;
use crate::reconcile::{REBUILT, Request, RunError, reconcile};
use crate::store::Store;
use crate::store::history::Chain;
use crate::store::lease::Claim;
use crate::store::take_over::TakenOver;
use crate::terminal;

/// Looks after the file in which Rollbook keeps what it knows.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write a copy of it, consistent although a run may be going on.
    Backup {
        /// The copy; it must not be there yet.
        file: PathBuf,
    },
    /// Look through all of it: is every page sound, is every line of the history as it was written?
    Verify,
    /// Begin anew, where the file is damaged or lost: the old one is kept beside it, the directory is
    /// read in full, memberships that are as they should be are adopted from Kaltura, and everything
    /// else is held until somebody approves it. What was undone or rejected is taken over, as far as the
    /// old file can be read.
    Rebuild,
    /// Take what a directory says now for right, although it is older than what was already read (a server
    /// restored from a backup), or most groups are empty or most of an attribute is gone at once. The next
    /// run reads the directory in full; what it would take away passes the limits of [safety] as ever.
    Accept {
        /// The directory's name in the configuration.
        directory: String,
    },
}

pub(super) async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.task {
        Task::Backup { file } => backup(config, file),
        Task::Verify => verify(config),
        Task::Rebuild => rebuild(config).await,
        Task::Accept { directory } => accept(config, directory),
    }
}

fn accept(config: &Path, directory: &str) -> anyhow::Result<Exit> {
    let config = Config::load(config)?.config;
    let names = config.directory.iter().map(crate::config::Directory::name);
    let names: Vec<&str> = names.collect();
    let store = Store::open(&config.state.path)?;
    if !names.contains(&directory) || !store.accept_directory(directory)? {
        bail!(
            "there is no directory {directory:?} that has been read. The configuration names: {}",
            names.join(", ")
        );
    }
    writeln!(
        terminal::stdout(),
        "The next run reads directory {directory} in full and takes what it says for right."
    )?;
    Ok(Exit::Done)
}

fn backup(config: &Path, file: &Path) -> anyhow::Result<Exit> {
    let store = Store::open(&Config::load(config)?.config.state.path)?;
    if file.exists() {
        bail!("{} is there already: take another name", file.display());
    }
    let copied = store.backup(file);
    copied.with_context(|| format!("the copy {} could not be written", file.display()))?;
    writeln!(
        terminal::stdout(),
        "The state file is copied to {}.",
        file.display()
    )?;
    Ok(Exit::Done)
}

fn verify(config: &Path) -> anyhow::Result<Exit> {
    let path = Config::load(config)?.config.state.path;
    let out = &mut terminal::stdout();
    let store = Store::open(&path)?;
    let wrong = store.check()?;
    if !wrong.is_empty() {
        writeln!(out, "{} is damaged:", path.display())?;
        for line in wrong {
            writeln!(out, "  {line}")?;
        }
        writeln!(
            out,
            "Put a backup in its place, or begin anew: rollbook state rebuild"
        )?;
        return Ok(Exit::Failed);
    }
    let history = store.verify_history(None)?;
    let Chain::Whole { lines } = history else {
        writeln!(
            out,
            "{} is sound, but its history is not as it was written: rollbook history --verify",
            path.display()
        )?;
        return Ok(Exit::Failed);
    };
    writeln!(
        out,
        "{} is sound; the history has {}, each as it was written.",
        path.display(),
        many(lines, "line")
    )?;
    Ok(Exit::Done)
}

async fn rebuild(config: &Path) -> anyhow::Result<Exit> {
    let path = Config::load(config)?.config.state.path;
    let out = &mut terminal::stdout();
    // A run that is going on would go on with the old file. A damaged one cannot be asked.
    if path.exists()
        && let Ok(old) = Store::open(&path)
        && let Ok(Claim::Refused { holder, seen_at }) = old.claim("state rebuild", clock::now())
    {
        return Err(RunError::Leased { holder, seen_at }.into());
    }
    // The new file takes the place of the old one when it knows all that it is to know, and not before.
    let made = beside(&path, ".new");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(&made, end));
    }
    let new = Store::open(&made)?;
    new.set_setting(REBUILT, "yes")?;
    let is_there = path.exists();
    if is_there {
        say_what_is_known(new.take_over(&path, clock::now())?, out)?;
    }
    new.flush()?;
    drop(new);
    let kept = if is_there { Some(keep(&path)?) } else { None };
    std::fs::rename(&made, &path)
        .with_context(|| format!("the new state file cannot become {}", path.display()))?;
    for end in ["-wal", "-shm", "-generation"] {
        let _ = std::fs::remove_file(beside(&made, end));
    }
    if let Some(kept) = kept {
        writeln!(out, "The old state file is kept as {}.", kept.display())?;
    }
    let engine = engine::open(config)?;
    let request = Request {
        command: "state rebuild".to_owned(),
        full: true,
        ..Request::default()
    };
    let report = reconcile(&engine, &request).await?;
    sync::text(&report, out)?;
    Ok(sync::exit(&report, false))
}

fn say_what_is_known(taken: TakenOver, out: &mut impl Write) -> std::io::Result<()> {
    if taken.memberships > 0 {
        writeln!(
            out,
            "Taken over from it: what somebody has undone or rejected, of {}.",
            many(taken.memberships, "membership")
        )?;
    }
    if !taken.is_all {
        writeln!(
            out,
            "What had been undone or rejected could not all be read: look for it in the plan that is held."
        )?;
    }
    Ok(())
}

/// Keeps the file under another name, too, and what SQLite keeps beside it under that name only.
fn keep(path: &Path) -> anyhow::Result<PathBuf> {
    let name = format!(".old-{}", clock::now().strftime("%Y%m%dT%H%M%SZ"));
    let names = (1..).map(|number| match number {
        1 => beside(path, &name),
        _ => beside(path, &format!("{name}-{number}")),
    });
    let mut free = names.filter(|kept| !kept.exists());
    let kept = free.next().unwrap_or_else(|| beside(path, &name));
    std::fs::hard_link(path, &kept)
        .with_context(|| format!("the old state file {} cannot be kept", path.display()))?;
    for end in ["-wal", "-shm"] {
        if beside(path, end).exists() {
            std::fs::rename(beside(path, end), beside(&kept, end))?;
        }
    }
    Ok(kept)
}

/// A file beside another one.
fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}
