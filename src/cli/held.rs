//! `rollbook held`: what waits for a person.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::answer::open;
use crate::clock;
use crate::plan::show::many;
use crate::store::held::Held;
use crate::terminal;

/// Lists the plans that the gate holds, oldest first, with what tripped and what to run.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (_, store) = open(config)?;
    let held = store.held(clock::now())?;
    let out = &mut terminal::stdout();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &held)?;
        writeln!(out)?;
    } else if held.is_empty() {
        writeln!(out, "Nothing is held.")?;
    }
    for plan in held.iter().filter(|_| !arguments.json) {
        write(plan, out)?;
    }
    let is_open = held.iter().any(|plan| plan.open > 0);
    Ok(if is_open { Exit::Held } else { Exit::Done })
}

/// One held plan, for people: what it would do, why it waits, what may be said to it.
pub(super) fn write(plan: &Held, out: &mut impl Write) -> std::io::Result<()> {
    let digest = plan.digest.short();
    writeln!(
        out,
        "  {digest}  {}, since {}, because {}",
        plan.counts, plan.held_at, plan.reason
    )?;
    let by = plan.answered_by.as_deref().unwrap_or("somebody");
    if plan.approved > 0 {
        let until = plan.expires_at.map(|until| format!(" until {until}"));
        writeln!(
            out,
            "    {} approved by {by}{}; done by: rollbook {}",
            many(plan.approved, "channel"),
            until.unwrap_or_default(),
            plan.command
        )?;
    }
    if plan.rejected > 0 {
        let channels = many(plan.rejected, "channel");
        writeln!(out, "    {channels} rejected by {by}, and left as they are")?;
    }
    if plan.open > 0 {
        writeln!(
            out,
            "    look at it: rollbook show {digest}    release it: rollbook approve {digest}    leave it: rollbook reject {digest}"
        )?;
    }
    Ok(())
}
