//! `rollbook status`: what happened, what is held, what waits.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::Exit;
use crate::clock;
use crate::config::Config;
use crate::directory::Reason;
use crate::plan::desired::Finding;
use crate::plan::show::many;
use crate::shown::Shown;
use crate::store::Store;
use crate::store::files;
use crate::store::held::Held;
use crate::store::roster::{Shared, SharedLogin};
use crate::store::runs::{DirectoryState, Run};
use crate::store::set_aside::Waiting;
use crate::terminal;

/// Shows what is known of the directories, the last runs, the plans that are held, and the changes
/// that were set aside, oldest first.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many runs.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    directories: Vec<DirectoryState>,
    shared_user_ids: Vec<Shared>,
    shared_logins: Vec<SharedLogin>,
    runs: Vec<Run>,
    held: Vec<Held>,
    files: Vec<files::Waiting>,
    set_aside: Vec<Waiting>,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let config = Config::load(config)?.config;
    let store = Store::open(&config.state.path)?;
    let mut directories = Vec::new();
    for directory in &config.directory {
        directories.extend(store.directory_state(directory.name())?);
    }
    let status = Status {
        directories,
        shared_user_ids: store.shared_user_ids()?,
        shared_logins: store.shared_logins()?,
        runs: store.runs(arguments.runs)?,
        held: store.held(clock::now())?,
        files: store.waiting_files()?,
        set_aside: store.waiting()?,
    };
    let out = &mut terminal::stdout();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        writeln!(out)?;
    } else {
        text(&status, out)?;
    }
    Ok(Exit::Done)
}

fn text(status: &Status, out: &mut impl Write) -> std::io::Result<()> {
    for directory in &status.directories {
        writeln!(
            out,
            "Directory {}: {}, {}; last read {}, in full {}",
            directory.name,
            if directory.people == 1 {
                "1 person".to_owned()
            } else {
                format!("{} people", directory.people)
            },
            many(directory.groups, "group"),
            when(directory.read_at),
            when(directory.full_read_at),
        )?;
        for (subject, problem) in &directory.problems {
            writeln!(out, "  ! {}: {problem}", Shown(subject))?;
        }
        for group in &directory.vanished {
            writeln!(
                out,
                "  ! group {} is not in the directory any more",
                Shown(group)
            )?;
        }
        evidence(directory, out)?;
    }
    for shared in status.shared_user_ids.iter().take(MOST_SHOWN) {
        let finding = Finding::SharedUserId {
            user: shared.user.clone(),
            entries: shared.entries.clone(),
        };
        writeln!(out, "  ! {finding}")?;
    }
    more(status.shared_user_ids.len(), "user ID", out)?;
    for shared in status.shared_logins.iter().take(MOST_SHOWN) {
        let finding = Finding::SharedLogin {
            login: shared.login.clone(),
            entries: shared.entries.clone(),
        };
        writeln!(out, "  ! {finding}")?;
    }
    more(status.shared_logins.len(), "login", out)?;
    if status.runs.is_empty() {
        writeln!(
            out,
            "There has been no run yet. Look at the first plan: rollbook sync --dry-run"
        )?;
    } else {
        writeln!(out, "\nRuns, newest first")?;
    }
    for run in &status.runs {
        let outcome = run.outcome.as_deref().unwrap_or("did not end");
        writeln!(
            out,
            "  {:>5}  {}  {}: {outcome}",
            run.id,
            when(Some(run.started_at)),
            run.command
        )?;
    }
    if !status.held.is_empty() {
        writeln!(out, "\nHeld until somebody approves")?;
    }
    for held in &status.held {
        super::held::write(held, out)?;
    }
    if !status.files.is_empty() {
        writeln!(out, "\nIn files that wait")?;
    }
    for files in &status.files {
        writeln!(out, "  {files}")?;
    }
    if !status.set_aside.is_empty() {
        writeln!(out, "\nSet aside, oldest first")?;
    }
    for item in &status.set_aside {
        writeln!(
            out,
            "  channel {}, {}: {} ({}), next try {}",
            item.category,
            item.user,
            Shown(&item.reason),
            if item.tries == 1 {
                "1 try".to_owned()
            } else {
                format!("{} tries", item.tries)
            },
            when(Some(item.retry_at)),
        )?;
    }
    Ok(())
}

/// Of one kind of thing, so many are named.
const MOST_SHOWN: usize = 20;

/// Writes what is not known of a directory, and what would resolve it.
fn evidence(directory: &DirectoryState, out: &mut impl Write) -> std::io::Result<()> {
    if let Some(since) = directory.behind_since {
        writeln!(
            out,
            "  ! since {since} the server is behind what was already read: nothing is believed. If it is right: rollbook state accept {}",
            directory.name
        )?;
    }
    for (group, evidence) in directory.unproven.iter().take(MOST_SHOWN) {
        for reason in evidence.reasons() {
            writeln!(
                out,
                "  ! group {} is not known in full: {reason}; {}",
                Shown(group),
                reason.remedy()
            )?;
        }
    }
    more(directory.unproven.len(), "group", out)?;
    for (group, names) in directory.stale.iter().take(MOST_SHOWN) {
        writeln!(
            out,
            "  ! group {} lists {names} of its members by former names",
            Shown(group)
        )?;
    }
    more(directory.stale.len(), "group", out)?;
    for (group, user, reason) in directory.departures.iter().take(MOST_SHOWN) {
        let who = user.as_deref().unwrap_or("a group");
        writeln!(
            out,
            "  ! {} is not listed in group {} any more, and keeps access: {reason}; {}",
            Shown(who),
            Shown(group),
            reason.remedy()
        )?;
    }
    more(directory.departures.len(), "departure", out)?;
    for (user, group, since) in directory.gone.iter().take(MOST_SHOWN) {
        writeln!(
            out,
            "  ! {} is in group {}, and has no entry that can be seen since {since}: {} (policy.vanished_person)",
            Shown(user),
            Shown(group),
            Reason::StillListed.remedy()
        )?;
    }
    more(directory.gone.len(), "membership", out)
}

/// Says how many there are beyond those that are named.
fn more(number: usize, noun: &str, out: &mut impl Write) -> std::io::Result<()> {
    if number > MOST_SHOWN {
        writeln!(out, "  ! and {} more", many(number - MOST_SHOWN, noun))?;
    }
    Ok(())
}

fn when(time: Option<jiff::Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}
