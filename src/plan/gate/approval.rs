//! What a person has approved of one category, and what it covers.
//!
//! An approval covers a part of a plan if every change in it is one of those approved, and not done yet:
//! the rest of a run that was killed. A part that holds any other change is not covered at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leaves_empty;
use crate::category::UserId;
use crate::config::safety::Safety;
use crate::plan::{Action, CategoryPlan, Digest};

/// An approved part of a held plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who approved it.
    pub by: Arc<str>,
    /// When, in Unix seconds.
    pub at: i64,
    /// What.
    pub what: Covered,
}

/// What was approved, and has not been done by that approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covered {
    /// A part that takes nothing away, of which nothing is done, by its digest: a first plan for a million people is
    /// not kept in memory twice.
    Whole(Digest),
    /// A part of which something is done, or of which not all is planned any more.
    Changes {
        /// What was shown and approved.
        part: CategoryPlan,
        /// Whose changes have been made by this approval. Each is made once.
        done: BTreeSet<UserId>,
    },
}

impl Approval {
    /// Whether every change of a part was approved and is still to be made. A part that leaves nobody, or no
    /// manager, is only covered if what was approved does that, too: a change that would have prevented it
    /// may be missing now.
    pub fn covers(&self, part: &CategoryPlan, safety: &Safety) -> bool {
        let (shown, done) = match &self.what {
            Covered::Whole(digest) => return part.digest() == *digest,
            Covered::Changes { part, done } => (part, done),
        };
        let open = shown.changes();
        let open = open.filter(|action| !done.contains(&action.user));
        let approved: BTreeSet<String> = open.map(Action::identity).collect();
        let is_new = |happens: fn(&CategoryPlan, &Safety) -> bool| {
            happens(part, safety) && !happens(shown, safety)
        };
        let leaves_empty = |part: &CategoryPlan, safety: &Safety| leaves_empty(part, safety, 0);
        shown.category.id == part.category.id
            && part
                .changes()
                .all(|action| approved.contains(&action.identity()))
            && !is_new(leaves_empty)
            && !is_new(|part, _| part.loses_last_manager())
    }
}

#[cfg(test)]
mod tests;
