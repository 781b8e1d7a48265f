//! `rollbook show`: a held plan, whole.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use super::Exit;
use super::answer::{channels, find, open};
use super::sync::Format;
use crate::apply::files::preview;
use crate::clock;
use crate::plan::{Plan, show};
use crate::terminal;

/// Prints a held plan as `sync --dry-run` prints one: who would come, change and leave, by channel.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plan's digest, as `sync`, `held` and `status` show it; its first digits are enough.
    digest: String,
    /// Only this channel of the plan, by reference ID, name or number; may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// How the plan is written.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (config, store) = open(config)?;
    let (digest, plan) = find(&store, &arguments.digest)?;
    let wanted = channels(&plan, &arguments.category)?;
    let parts = plan.categories.into_iter();
    let plan =
        Plan::new(parts.filter(|part| wanted.is_empty() || wanted.contains(&part.category.id)));
    let out = &mut terminal::stdout();
    match arguments.format {
        Format::Text => {
            show::text(&plan, out)?;
            let reasons = store
                .held(clock::now())?
                .into_iter()
                .find(|held| held.digest == digest);
            if let Some(held) = reasons {
                writeln!(out, "It is held because {}.", held.reason)?;
            }
        }
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &plan)?;
            writeln!(out)?;
        }
        Format::Csv => {
            let run = store
                .held(clock::now())?
                .into_iter()
                .find(|held| held.digest == digest);
            let run = run.map_or(0, |held| held.run);
            // Which reference IDs Kaltura's search confuses only Kaltura can tell.
            let confusable = BTreeSet::new();
            let unfit = preview(&plan, &config.apply.csv, &confusable, run, out)?;
            super::sync::tell_unfit(&unfit)?;
        }
    }
    Ok(Exit::Done)
}
