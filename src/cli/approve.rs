//! `rollbook approve`: release a held plan.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use jiff::SignedDuration;

use super::Exit;
use super::answer::{answerer, channels, find, meant, open};
use crate::clock;
use crate::plan::show::{Counts, many};
use crate::store::held::Answer;
use crate::terminal;

/// Releases exactly the plan that was shown, once. Where it is no longer the same, a channel is held
/// anew. The next run applies what is released: `rollbook sync`, or the service within minutes. An
/// approval that is not used lapses after a week (`safety.approval_expires`).
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plan's digest, as `sync`, `held` and `status` show it; its first digits are enough.
    digest: String,
    /// Only this channel of the plan, by reference ID, name or number; may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// Who approves, for the record, which believes it. Default: the user who runs the command, or who ran sudo.
    #[arg(long)]
    by: Option<String>,
}

pub(super) fn run(path: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (config, store) = open(path)?;
    let now = clock::now();
    let life = SignedDuration::try_from(config.safety.approval_expires.0)?;
    let until = now.checked_add(life)?;
    let (digest, plan) = find(&store, &arguments.digest)?;
    let channels = channels(&plan, &arguments.category)?;
    let mut held = store.held(now)?.into_iter();
    let held = held.find(|held| held.digest == digest);
    if held.is_some_and(|held| !held.is_of(&config.fingerprint())) {
        bail!(
            "plan {} was made by another configuration than {}, and an approval is for that one only. Approve it with that configuration (--config FILE); or run `rollbook sync`, which makes the plan of this one",
            digest.short(),
            path.display()
        );
    }
    let answer = Answer::Approved { until };
    let by = answerer(arguments.by.as_deref());
    let answered = store.answer(&digest.0, &channels, answer, &by, now)?;
    let (digest, plan) = meant(answered, &arguments.digest)?;
    let held = store
        .held(now)?
        .into_iter()
        .find(|held| held.digest == digest);
    writeln!(
        terminal::stdout(),
        "Approved plan {}: {}, in {}.",
        digest.short(),
        Counts::of(&plan),
        many(plan.categories.len(), "channel")
    )?;
    writeln!(
        terminal::stdout(),
        "The next run applies it: rollbook {}",
        held.map_or_else(|| "sync".to_owned(), |held| held.command)
    )?;
    Ok(Exit::Done)
}
