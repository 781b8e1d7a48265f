//! The plan as a whole: what may be applied, and what a person must see first.
//!
//! *Its one idea: only the gate can make an [`Approved`], and only an `Approved` can be applied.* The
//! gate is the same for every way in which a plan came about.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CategoryPlan, Digest, Plan};
use crate::config::safety::{Safety, Threshold};

/// A plan that may be applied. There is no way to have one but [`review`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved(Plan);

impl Approved {
    /// What may be applied.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// What may be applied, to be taken apart.
    pub fn into_plan(self) -> Plan {
        self.0
    }
}

/// What the gate says to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// What may be applied now.
    pub approved: Approved,
    /// What waits for a person: the same categories, untouched.
    pub held: Plan,
    /// What tripped.
    pub trips: Vec<Trip>,
}

/// A limit that a plan goes beyond.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "trip", rename_all = "snake_case")]
pub enum Trip {
    /// The first plan of a new configuration.
    FirstRun,
    /// All categories together lose too much.
    Total {
        /// Memberships taken away or lowered.
        losses: u64,
        /// Memberships there are.
        of: u64,
    },
    /// One category loses too much.
    Category {
        /// Its path's last part.
        name: String,
        /// Memberships taken away or lowered.
        losses: u64,
        /// Memberships there are.
        of: u64,
    },
}

/// What the gate needs to know beside the plan.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// The limits.
    pub safety: &'a Safety,
    /// Whether this configuration is new: hold what its first plan would change.
    pub first_run: bool,
    /// Memberships that there are in all bound categories together, also those outside the plan.
    pub memberships: u64,
    /// Digests of the parts (one a category) that a person has approved.
    pub approvals: &'a BTreeSet<Digest>,
}

/// Divides a plan into what may be applied and what is held.
pub fn review(plan: Plan, circumstances: &Circumstances<'_>) -> Review {
    let approvals = circumstances.approvals;
    let is_approved =
        |part: &Arc<CategoryPlan>| !approvals.is_empty() && approvals.contains(&part.digest());
    let (approved, open): (Vec<_>, Vec<_>) = plan.categories.into_iter().partition(is_approved);

    let mut trips = trips_of_the_whole(&open, circumstances);
    let hold_all = !trips.is_empty();
    let (held, free): (Vec<_>, Vec<_>) = open.into_iter().partition(|part| {
        let trip = trip_of_category(part, circumstances.safety.category);
        let holds = part.changes().next().is_some() && (hold_all || trip.is_some());
        trips.extend(trip);
        holds
    });
    Review {
        approved: Approved(Plan::new(approved.into_iter().chain(free))),
        held: Plan::new(held),
        trips,
    }
}

fn trips_of_the_whole(parts: &[Arc<CategoryPlan>], circumstances: &Circumstances<'_>) -> Vec<Trip> {
    let changes = parts.iter().any(|part| part.changes().next().is_some());
    let losses = parts.iter().map(|part| part.losses()).sum();
    let there: u64 = parts.iter().map(|part| part.members).sum();
    let of = there.max(circumstances.memberships);
    let first = (circumstances.first_run && changes).then_some(Trip::FirstRun);
    let total =
        exceeds(circumstances.safety.total, losses, of).then_some(Trip::Total { losses, of });
    first.into_iter().chain(total).collect()
}

fn trip_of_category(part: &CategoryPlan, limit: Threshold) -> Option<Trip> {
    let (losses, of) = (part.losses(), part.members);
    exceeds(limit, losses, of).then(|| Trip::Category {
        name: part.category.name.clone(),
        losses,
        of,
    })
}

fn exceeds(limit: Threshold, losses: u64, of: u64) -> bool {
    let share_allowed = u128::from(limit.percent) * u128::from(of);
    losses > 0 && losses >= limit.at_least && u128::from(losses) * 100 > share_allowed
}

#[cfg(test)]
mod tests;
