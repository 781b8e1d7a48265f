//! The plan as a whole: what may be applied, and what a person must see first.
//!
//! *Its one idea: only the gate can make an [`Approved`], and only an `Approved` can be applied.* The
//! gate is the same for every way in which a plan came about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, CategoryPlan, Plan};
use crate::category::{CategoryId, UserId};
use crate::config::safety::{OnTrip, Safety, Threshold};

pub mod approval;
pub mod warrant;

pub use approval::Approval;
pub use warrant::{Fence, Grounds, Warrant};

/// A plan that may be applied, and by what right. There is no way to have one but [`review`].
#[derive(Debug, Clone)]
pub struct Approved {
    plan: Plan,
    by: BTreeMap<CategoryId, Arc<str>>,
    warrant: Warrant,
}

impl Approved {
    /// What may be applied.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Who released what had been held, by category; what no limit held needed nobody.
    pub fn by(&self) -> &BTreeMap<CategoryId, Arc<str>> {
        &self.by
    }

    /// By what right it is applied.
    pub fn warrant(&self) -> &Warrant {
        &self.warrant
    }

    /// What may be applied, to be taken apart.
    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

/// What the gate says to a plan.
#[derive(Debug, Clone)]
pub struct Review {
    /// What may be applied now.
    pub approved: Approved,
    /// What waits for a person: the same categories, untouched.
    pub held: Plan,
    /// What a person has rejected, and is still the same: nobody is asked again.
    pub rejected: Plan,
    /// What tripped.
    pub trips: Vec<Trip>,
}

/// A limit that a plan goes beyond.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "trip", rename_all = "snake_case")]
pub enum Trip {
    /// It is a first plan.
    FirstRun {
        /// Of what.
        because: First,
    },
    /// All categories together lose too much.
    Total {
        /// Memberships taken away or lowered, those of the window before included.
        losses: u64,
        /// Memberships there are, or were.
        of: u64,
    },
    /// Too many categories lose a great share of their members.
    Channels {
        /// Categories that lose more than the share that one may lose.
        channels: u64,
        /// Categories there are.
        of: u64,
    },
    /// Too many people lose access whose entries are gone or hidden while groups still list them.
    VanishedPeople {
        /// Memberships taken away for that.
        losses: u64,
        /// Memberships there are.
        of: u64,
    },
    /// All categories together lower too many levels.
    Demotions {
        /// Lowered levels.
        demotions: u64,
        /// Memberships there are.
        of: u64,
    },
    /// All categories together gain too many.
    TotalAdditions {
        /// Memberships that come.
        additions: u64,
        /// Memberships there are.
        of: u64,
    },
    /// One category loses too much.
    Category {
        /// Its path's last part.
        name: String,
        /// Memberships taken away or lowered, those of the window before included.
        losses: u64,
        /// Memberships there are, or were.
        of: u64,
    },
    /// One category gains too many.
    CategoryAdditions {
        /// Its path's last part.
        name: String,
        /// Memberships that come.
        additions: u64,
        /// Memberships there are.
        of: u64,
    },
    /// All members of a category leave at once, and others come.
    Exchanged {
        /// Its path's last part.
        name: String,
        /// Members there are.
        of: u64,
    },
    /// A category that was not there when the configuration was accepted loses members whom nobody of us made.
    FirstOfChannel {
        /// Its path's last part.
        name: String,
        /// Memberships taken away or lowered.
        losses: u64,
        /// Members there are.
        of: u64,
    },
    /// A category is left with nobody but its owner.
    LeftEmpty {
        /// Its path's last part.
        name: String,
        /// Members there are.
        of: u64,
    },
    /// A category is left without a manager.
    LastManager {
        /// Its path's last part.
        name: String,
    },
    /// It would do what is held already, and nobody has answered.
    StillHeld {
        /// Its path's last part.
        name: String,
        /// How many people it is about.
        people: u64,
    },
    /// It would do again what a person has undone.
    Undone {
        /// Its path's last part.
        name: String,
        /// How many people it is about.
        people: u64,
    },
}

/// What makes a plan a first one: then all that it would change is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// The configuration is new.
    Configuration,
    /// The state file was copied or restored.
    Copied,
    /// The state file was made anew.
    Rebuilt,
}

/// What the gate needs to know beside the plan.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// What the plan rests on.
    pub grounds: Grounds,
    /// The limits.
    pub safety: Safety,
    /// What makes the plan a first one, if anything.
    pub first: Option<First>,
    /// Memberships that there are in all bound categories together, also those outside the plan.
    pub memberships: u64,
    /// Bound categories there are, also those outside the plan.
    pub channels: u64,
    /// Losses of the window before that nobody approved, by category.
    pub recent: BTreeMap<CategoryId, u64>,
    /// What a person has undone: changes there are not made again unasked.
    pub undone: BTreeSet<(CategoryId, UserId)>,
    /// What is held and has no answer yet: it stays so, however little is left of the plan it was in.
    pub waiting: BTreeSet<(CategoryId, UserId)>,
    /// Categories that have come since the configuration was accepted, and have not been planned yet.
    pub new: BTreeSet<CategoryId>,
    /// What a person has approved, by category.
    pub approvals: BTreeMap<CategoryId, Vec<Approval>>,
    /// The changes that a person has rejected, and when (in Unix seconds), by category.
    pub rejections: BTreeMap<CategoryId, BTreeMap<String, i64>>,
}

/// Divides a plan into what may be applied and what is held.
pub fn review(plan: Plan, circumstances: &Circumstances) -> Review {
    let (approvals, rejections) = (&circumstances.approvals, &circumstances.rejections);
    let (mut approved, mut rejected, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut by = BTreeMap::new();
    for part in plan.categories {
        let (id, has_changes) = (part.category.id, part.changes().next().is_some());
        let covers = |approval: &&Approval| approval.covers(&part, &circumstances.safety);
        let approvals = approvals.get(&id).into_iter().flatten();
        let approval = approvals.filter(covers).max_by_key(|approval| approval.at);
        let approval = approval.filter(|_| has_changes);
        // When the first of these changes was rejected; none, where one of them was not.
        let no = rejections.get(&id).filter(|_| has_changes);
        let no = no.and_then(|rejected| {
            let times = part
                .changes()
                .map(|action| rejected.get(&action.identity()));
            times.collect::<Option<Vec<_>>>()?.into_iter().max()
        });
        // The last word counts.
        let is_newer = |at: &i64| approval.is_none_or(|approval| approval.at <= *at);
        if no.is_some_and(is_newer) {
            rejected.push(part);
        } else if let Some(approval) = approval {
            by.insert(id, Arc::clone(&approval.by));
            approved.push(part);
        } else {
            open.push(part);
        }
    }

    let mut trips = trips_of_the_whole(&open, circumstances);
    let hold_all = !trips.is_empty();
    let (held, free): (Vec<_>, Vec<_>) = open.into_iter().partition(|part| {
        let own = trips_of_category(part, circumstances);
        let holds = part.changes().next().is_some() && (hold_all || !own.is_empty());
        trips.extend(own);
        holds
    });
    Review {
        approved: Approved {
            plan: Plan::new(approved.into_iter().chain(free)),
            by,
            warrant: Warrant::new(circumstances.grounds.clone()),
        },
        held: Plan::new(held),
        rejected: Plan::new(rejected),
        trips,
    }
}

/// The right to hand in an export: it makes channels and people, or sets the names of people, and neither gives nor takes
/// a membership, so that no limit is about it.
pub fn release_export(grounds: Grounds) -> Warrant {
    Warrant::new(grounds)
}

fn trips_of_the_whole(parts: &[Arc<CategoryPlan>], circumstances: &Circumstances) -> Vec<Trip> {
    let sum = |count: fn(&CategoryPlan) -> u64| parts.iter().map(|part| count(part)).sum::<u64>();
    let safety = &circumstances.safety;
    let changes = parts.iter().any(|part| part.changes().next().is_some());
    let there = sum(|part| part.members).max(circumstances.memberships);
    let mut trips = Vec::new();
    if changes {
        trips.extend(
            circumstances
                .first
                .map(|because| Trip::FirstRun { because }),
        );
    }
    let lost = sum(CategoryPlan::losses);
    let before: u64 = circumstances.recent.values().sum();
    let (losses, of) = (lost + before, there + before);
    if lost > 0 && exceeds(safety.total, losses, of) {
        trips.push(Trip::Total { losses, of });
    }
    let shrinks = |part: &&Arc<CategoryPlan>| {
        let before = circumstances.recent.get(&part.category.id);
        let before = before.copied().unwrap_or(0);
        let (losses, of) = (part.losses() + before, part.members + before);
        part.losses() > 0 && is_share(losses, of, safety.category.percent)
    };
    let channels = parts.iter().filter(shrinks).count() as u64;
    let of = circumstances.channels.max(parts.len() as u64);
    if exceeds(safety.channels, channels, of) {
        trips.push(Trip::Channels { channels, of });
    }
    let (losses, of) = (sum(CategoryPlan::vanished), there);
    if exceeds(safety.vanished_people, losses, of) {
        trips.push(Trip::VanishedPeople { losses, of });
    }
    let (demotions, of) = (sum(CategoryPlan::demotions), there);
    if exceeds(safety.demotions, demotions, of) {
        trips.push(Trip::Demotions { demotions, of });
    }
    let additions = sum(CategoryPlan::arrivals);
    if exceeds(safety.total_additions, additions, of) {
        trips.push(Trip::TotalAdditions { additions, of });
    }
    trips
}

fn trips_of_category(part: &CategoryPlan, circumstances: &Circumstances) -> Vec<Trip> {
    let safety = &circumstances.safety;
    let name = || part.category.name.clone();
    let mut trips = Vec::new();
    let lost = part.losses();
    let before = circumstances.recent.get(&part.category.id);
    let before = before.copied().unwrap_or(0);
    let (losses, of) = (lost + before, part.members + before);
    if lost > 0 && exceeds(safety.category, losses, of) {
        let name = name();
        trips.push(Trip::Category { name, losses, of });
    }
    let (additions, of) = (part.arrivals(), part.members);
    // The first filling of a channel is no flood.
    if of > part.owners() && exceeds(safety.category_additions, additions, of) {
        let name = name();
        let trip = Trip::CategoryAdditions {
            name,
            additions,
            of,
        };
        trips.push(trip);
    }
    if lost > 0 && circumstances.new.contains(&part.category.id) {
        trips.push(Trip::FirstOfChannel {
            name: name(),
            losses: lost,
            of,
        });
    }
    if leaves_empty(part, safety, before) {
        trips.push(Trip::LeftEmpty { name: name(), of });
    } else if exchanges_all(part, safety) {
        trips.push(Trip::Exchanged { name: name(), of });
    }
    if safety.last_manager == OnTrip::Hold && part.loses_last_manager() {
        trips.push(Trip::LastManager { name: name() });
    }
    let among = |pairs: &BTreeSet<(CategoryId, UserId)>| {
        let is_among = |action: &&Action| pairs.contains(&(part.category.id, action.user.clone()));
        part.changes().filter(is_among).count() as u64
    };
    let people = among(&circumstances.undone);
    if people > 0 {
        trips.push(Trip::Undone {
            name: name(),
            people,
        });
    }
    let people = among(&circumstances.waiting);
    if people > 0 {
        trips.push(Trip::StillHeld {
            name: name(),
            people,
        });
    }
    trips
}

/// Whether nobody is left but the owner, of so many as there are or were in the window before.
fn leaves_empty(part: &CategoryPlan, safety: &Safety, before: u64) -> bool {
    let others = part.members.saturating_sub(part.owners()) + before;
    let is_watched = safety.left_empty > 0 && others >= safety.left_empty;
    part.losses() > 0 && is_watched && part.members_after() <= part.owners()
}

/// Whether nobody stays of the members there are, whoever comes.
fn exchanges_all(part: &CategoryPlan, safety: &Safety) -> bool {
    let others = part.members.saturating_sub(part.owners());
    let leaves = |action: &&Action| action.is_loss() && action.decision.is_departure();
    let leaving = part.changes().filter(leaves).count() as u64;
    let is_watched = safety.left_empty > 0 && others >= safety.left_empty;
    is_watched && leaving >= others
}

fn exceeds(limit: Threshold, number: u64, of: u64) -> bool {
    number > 0 && number >= limit.at_least && is_share(number, of, limit.percent)
}

/// Whether a number is more than so many percent.
fn is_share(number: u64, of: u64, percent: u32) -> bool {
    u128::from(number) * 100 > u128::from(percent) * u128::from(of)
}

#[cfg(test)]
mod tests;
