//! What approve, reject and show have in common: one held plan, named by its first digits, and some of
//! its channels.

use std::path::Path;

use anyhow::bail;

use crate::category::{self, CategoryId};
use crate::config::{Config, Loaded};
use crate::plan::show::many;
use crate::plan::{Digest, Plan};
use crate::shown::Shown;
use crate::store::Store;
use crate::store::held::Answered;

/// Fewer digits than this are too easily mistyped.
const FEWEST_DIGITS: usize = 6;

/// Opens the state file that a configuration names.
pub(super) fn open(config: &Path) -> anyhow::Result<(Config, Store)> {
    let Loaded { config, .. } = Config::load(config)?;
    let store = Store::open(&config.state.path)?;
    Ok((config, store))
}

/// The plan that was meant, or a sentence that says what to do.
pub(super) fn meant(answered: Answered, digest: &str) -> anyhow::Result<(Digest, Plan)> {
    match answered {
        Answered::Given(digest, plan) => Ok((digest, plan)),
        Answered::Already(held) => bail!(
            "all of plan {} has an answer: {} approved, {} rejected, the last one by {}. To answer a channel again, name it: --category CHANNEL",
            held.digest.short(),
            many(held.approved, "channel"),
            many(held.rejected, "channel"),
            held.answered_by
                .as_deref()
                .map_or("somebody".to_owned(), |by| Shown(by).to_string())
        ),
        Answered::NoSuchPlan => {
            bail!("no plan that begins with {digest} is held. `rollbook held` lists what is held")
        }
        Answered::Ambiguous => bail!(
            "several held plans begin with {digest}: give more digits (`rollbook held` lists them)"
        ),
    }
}

/// A held plan.
pub(super) fn find(store: &Store, digest: &str) -> anyhow::Result<(Digest, Plan)> {
    if digest.len() < FEWEST_DIGITS {
        bail!("give at least {FEWEST_DIGITS} digits of the digest");
    }
    meant(store.held_plan(digest)?, digest)
}

/// The channels of a plan that are named by reference ID, name or number. Every one must be there.
pub(super) fn channels(plan: &Plan, named: &[String]) -> anyhow::Result<Vec<CategoryId>> {
    let mut found = Vec::new();
    for name in named {
        let known = plan.categories.iter().map(|part| part.category.names());
        let meant = category::meant(name, known);
        if meant.is_empty() {
            let channels: Vec<String> = plan
                .categories
                .iter()
                .take(10)
                .map(|part| match &part.category.reference_id {
                    Some(reference) => reference.to_string(),
                    None => Shown(&part.category.name).to_string(),
                })
                .collect();
            bail!(
                "the plan holds no channel {name}; it is about {}",
                channels.join(", ")
            );
        }
        found.extend(meant);
    }
    Ok(found)
}

/// Who answers, for the record: as given, else the user who runs the command; behind `sudo` the one who ran that.
/// Nobody proves who they are.
pub(super) fn answerer(given: Option<&str>) -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let by_sudo = variable("SUDO_USER").filter(|user| user != "root");
    given
        .map(str::to_owned)
        .or_else(|| by_sudo.map(|user| format!("{user} (by sudo)")))
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}
