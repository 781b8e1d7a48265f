//! What approve, reject and show have in common: one held plan, named by its first digits, and some of
//! its channels.

use std::path::Path;

use anyhow::bail;

use crate::category::{CategoryId, ReferenceId};
use crate::config::{Config, Loaded};
use crate::plan::{Digest, Plan};
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
        let is_meant = |id: &CategoryId, reference: Option<&str>, channel: &str| {
            reference == Some(name) || channel == name || id.0.to_string() == *name
        };
        let before = found.len();
        found.extend(plan.categories.iter().filter_map(|part| {
            let category = &part.category;
            let reference = category.reference_id.as_ref().map(ReferenceId::as_str);
            is_meant(&category.id, reference, &category.name).then_some(category.id)
        }));
        if found.len() == before {
            let channels: Vec<String> = plan
                .categories
                .iter()
                .take(10)
                .map(|part| match &part.category.reference_id {
                    Some(reference) => reference.to_string(),
                    None => part.category.name.clone(),
                })
                .collect();
            bail!(
                "the plan holds no channel {name}; it is about {}",
                channels.join(", ")
            );
        }
    }
    Ok(found)
}
