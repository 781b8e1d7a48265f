//! `rollbook reject`: leave things as they are.

use std::io::Write;
use std::path::Path;

use super::Exit;
use super::answer::{answerer, channels, find, meant, open};
use crate::clock;
use crate::plan::show::{Counts, many};
use crate::store::held::Answer;
use crate::terminal;

/// Rejects a held plan: its channels stay as they are, and nobody is asked again until the directory
/// says something else about them. What is rejected can still be approved, channel by channel (--category).
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plan's digest, as `sync`, `held` and `status` show it; its first digits are enough.
    digest: String,
    /// Only this channel of the plan, by reference ID, name or number; may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// Who rejects, for the record, which believes it. Default: the user who runs the command, or who ran sudo.
    #[arg(long)]
    by: Option<String>,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (_, store) = open(config)?;
    let (digest, plan) = find(&store, &arguments.digest)?;
    let channels = channels(&plan, &arguments.category)?;
    let answered = store.answer(
        &digest.0,
        &channels,
        Answer::Rejected,
        &answerer(arguments.by.as_deref()),
        clock::now(),
    )?;
    let (digest, plan) = meant(answered, &arguments.digest)?;
    writeln!(
        terminal::stdout(),
        "Rejected plan {}: {}, in {}. They stay as they are.",
        digest.short(),
        Counts::of(&plan),
        many(plan.categories.len(), "channel")
    )?;
    Ok(Exit::Done)
}
