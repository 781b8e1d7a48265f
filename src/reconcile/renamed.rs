//! Members who may have been renamed in Kaltura.
//!
//! *Its one idea: who is gone and who is new may be one person.* When a user's ID is changed in Kaltura, all memberships
//! follow to the new ID, and Kaltura knows the old one no more. Adding the old ID would make a second user, and the new
//! one is in no directory. Where that may be so, neither is touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::category::{PermissionLevel, UserId};
use crate::plan::membership::{Last, Objection};
use crate::plan::{CategoryPlan, Decision};
use crate::store::roster::Whereabouts;
use crate::store::{Store, StoreError};

type AtLevel = (UserId, PermissionLevel);

/// Members of a channel who may be one person, by a former and by a new ID.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Wanted, made members by this program, and not there any more; with the level that they had.
    pub(super) missing: Vec<AtLevel>,
    /// There and not wanted, known to no directory, and never written by this program.
    strangers: Vec<AtLevel>,
}

impl Suspects {
    pub(super) fn of(
        store: &Store,
        plan: &CategoryPlan,
        ledger: &BTreeMap<UserId, Last>,
    ) -> Result<Self, StoreError> {
        let mut suspects = Self::default();
        for action in &plan.actions {
            let (user, decision) = (&action.user, action.decision);
            let is_missing = matches!(
                decision,
                Decision::Add { .. } | Decision::Skip(Objection::RemovedByHand)
            );
            let is_unwanted = decision.is_departure() || action.lacks_evidence().is_some();
            let is_stranger =
                || Ok::<_, StoreError>(store.whereabouts(user)? == [Whereabouts::Unknown]);
            match (ledger.get(user), &action.before) {
                (Some(Last::Active(level)), None) if is_missing => {
                    suspects.missing.push((user.clone(), *level));
                }
                (None, Some(before)) if is_unwanted && is_stranger()? => {
                    suspects.strangers.push((user.clone(), before.level));
                }
                _ => {}
            }
        }
        Ok(suspects)
    }

    /// Whether Kaltura does not know one of those who are missing.
    pub(super) fn concern(&self, unknown: &BTreeSet<UserId>) -> bool {
        self.missing.iter().any(|(user, _)| unknown.contains(user))
    }

    /// Leaves alone who may be one person, given whom Kaltura does not know.
    pub(super) fn leave_alone(&self, plan: &mut CategoryPlan, unknown: &BTreeSet<UserId>) {
        let missing = self
            .missing
            .iter()
            .filter(|(user, _)| unknown.contains(user));
        let missing: Vec<&AtLevel> = missing.collect();
        let strangers: Vec<&AtLevel> = self.strangers.iter().collect();
        let users = like(&missing, &strangers).chain(like(&strangers, &missing));
        let users: BTreeSet<&UserId> = users.collect();
        for action in &mut plan.actions {
            if users.contains(&action.user) {
                action.decision = Decision::Skip(Objection::PerhapsRenamed);
            }
        }
    }
}

/// Who of some is at the level of one of the others.
fn like<'a>(some: &[&'a AtLevel], others: &[&'a AtLevel]) -> impl Iterator<Item = &'a UserId> {
    let levels: BTreeSet<PermissionLevel> = others.iter().map(|(_, level)| *level).collect();
    let alike = some.iter().filter(move |(_, level)| levels.contains(level));
    alike.map(|(user, _)| user)
}
