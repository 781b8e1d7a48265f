//! What must be done, and whether it may be: pure functions from what is known to a [`Plan`].
//!
//! *Its one idea: the planner only thinks.* Sorted maps in, sorted maps out; no I/O, no async, no
//! clock, no log. The same knowledge in any order gives the same plan, text and digest.
//!
//! | module | decides about |
//! |---|---|
//! | [`membership`] | one person in one category: the planning table |
//! | [`category`] | one category: blocks, room, order |
//! | [`gate`] | the plan as a whole: what a person must approve |
//! | [`decision`] | what a person has decided, and what follows |
//! | [`binding`] | which group goes to which category |
//! | [`desired`] | who is wanted where |
//! | [`undo`] | the way back from what a run did |
//! | [`saved`] | whether a saved plan still is what would be done |
//! | [`show`] | how a plan reads |

pub mod binding;
pub mod category;
pub mod decision;
pub mod desired;
pub mod gate;
pub mod membership;
pub mod saved;
pub mod show;
pub mod undo;

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use category::{Action, Block, CategoryPlan, Grant};
pub use membership::{Decision, Objection};

/// What must be done, category by category.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The categories about which there is something to say, by number. Shared: a plan for a million
    /// memberships is not copied when it is divided.
    pub categories: Vec<Arc<CategoryPlan>>,
}

impl Plan {
    /// Puts the categories in order. One plan, whatever the order in which they were planned.
    pub fn new(categories: impl IntoIterator<Item = impl Into<Arc<CategoryPlan>>>) -> Self {
        let mut categories: Vec<_> = categories.into_iter().map(Into::into).collect();
        categories.sort_by_key(|plan| plan.category.id);
        Self { categories }
    }

    /// Whether Kaltura would be called at all.
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    /// The actions that call Kaltura, with their categories.
    pub fn changes(&self) -> impl Iterator<Item = (&CategoryPlan, &Action)> {
        let parts = self.categories.iter().map(AsRef::as_ref);
        parts.flat_map(|part: &CategoryPlan| part.changes().map(move |action| (part, action)))
    }

    /// What is in this plan and not in another one, channel by channel.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let others = |part: &&Arc<CategoryPlan>| !other.categories.contains(part);
        Self::new(self.categories.iter().filter(others).cloned())
    }

    /// The name by which a person approves this plan: equal plans, equal digests.
    pub fn digest(&self) -> Digest {
        Digest::of(
            self.categories
                .iter()
                .filter(|plan| plan.changes().next().is_some())
                .map(|plan| plan.digest().0),
        )
    }
}

/// A plan's fingerprint: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// Digits that people are shown and may type.
    pub const SHORT: usize = 12;

    /// Computes the digest of a sequence of texts, as a sequence.
    pub fn of(parts: impl IntoIterator<Item = String>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Self(HEXLOWER.encode(&hash.finalize()))
    }

    /// The first digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..Self::SHORT).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod laws;
