//! What a run that was cut off has left in doubt: its calls went out, or did not.
//!
//! *Its one idea: the ledger learns what was done before anybody decides by it.* Otherwise what this
//! program did itself, and never noted, would be taken for the act of a person: a membership that it
//! removed for one that somebody removed by hand, and one that it made for none of ours.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{self, Stands};
use super::{Action, ApplyError};
use crate::category::CategoryId;
use crate::clock;
use crate::kaltura::{Found, Kaltura};
use crate::killpoint;
use crate::plan::membership::Last;
use crate::store::Store;
use crate::store::dirty::Mark;
use crate::store::journal::{Doubt, Outcome, Verdict};
use crate::store::ledger::Entry;

/// Looks at what is in doubt, and closes it: as done where that turns out, else as unknown, and it is planned again.
/// What cannot be looked at stays open, and what runs `elsewhere` have done, in other accounts. Answers how many
/// actions there were.
pub async fn resolve(
    kaltura: &Kaltura,
    store: &Store,
    elsewhere: &BTreeSet<i64>,
) -> Result<usize, ApplyError> {
    // A run has no more under way at once than a few requests hold.
    let mut doubts = store.run(Store::in_doubt).await?;
    doubts.retain(|doubt| !elsewhere.contains(&doubt.run));
    if doubts.is_empty() {
        return Ok(0);
    }
    let pairs: Vec<_> = doubts
        .iter()
        .map(|doubt| (doubt.category, doubt.action.user.clone()))
        .collect();
    let found = kaltura.memberships(&pairs).await?;
    let mut by_run: BTreeMap<i64, Vec<Verdict>> = BTreeMap::new();
    let mut left = Vec::new();
    for (doubt, found) in doubts.iter().zip(found) {
        if matches!(found, Found::Failed(_)) {
            continue;
        }
        match verdict(doubt, &found) {
            Some(verdict) => by_run.entry(doubt.run).or_default().push(verdict),
            None => left.push(doubt.journal),
        }
    }
    let marks: Vec<_> = pairs
        .into_iter()
        .map(|(category, user)| Mark::Entitlement(category, user))
        .collect();
    let close = move |store: &Store| {
        store.mark(&marks)?;
        by_run
            .iter()
            .try_for_each(|(run, verdicts)| store.close_journal(*run, verdicts, clock::now()))?;
        killpoint::here("while-recovering");
        store.recover_journal(&left, clock::now())
    };
    store.run(close).await?;
    Ok(doubts.len())
}

fn verdict(doubt: &Doubt, found: &Found) -> Option<Verdict> {
    let (outcome, ledger) = match steps::compare(&doubt.action, found) {
        Stands::AsWanted => (Outcome::Done, done(doubt.category, &doubt.action)),
        Stands::AsBefore => return None,
        Stands::Otherwise => (Outcome::Unknown, half_done(doubt.category, &doubt.action)?),
    };
    Some(Verdict {
        journal: doubt.journal,
        outcome,
        answer: None,
        ledger: Some(ledger),
        set_aside: None,
    })
}

/// What the ledger learns of an action that is done.
pub(super) fn done(category: CategoryId, action: &Action) -> Entry {
    entry(category, action, steps::last(action))
}

/// What the ledger learns of an action that may have been done by half: that whoever is gone was taken
/// away by us.
pub(super) fn half_done(category: CategoryId, action: &Action) -> Option<Entry> {
    steps::last_by_half(action).map(|last| entry(category, action, Some(last)))
}

fn entry(category: CategoryId, action: &Action, last: Option<Last>) -> Entry {
    Entry {
        category,
        user: action.user.clone(),
        last,
        via: action.via.as_ref().map(|grant| grant.group.clone()),
    }
}
