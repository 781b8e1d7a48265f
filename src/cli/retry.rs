//! `rollbook retry`: try again now what was set aside.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::answer::open;
use crate::category::UserId;
use crate::clock;
use crate::plan::show::many;
use crate::terminal;

/// Lets the next run try what was set aside, instead of waiting for its time.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only what waits for this person.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (_, store) = open(config)?;
    let user = arguments.user.as_deref().map(UserId::new);
    let due = store.retry(user.as_ref(), clock::now())?;
    let out = &mut terminal::stdout();
    if due == 0 {
        writeln!(out, "Nothing is set aside.")?;
    } else {
        let changes = many(due, "change");
        writeln!(out, "The next run tries {changes} again: rollbook sync")?;
    }
    Ok(Exit::Done)
}
