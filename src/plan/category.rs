//! One category: what is to be done about all its people, and what stands against it as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Digest;
use super::membership::{Decision, Last, Losses, Objection, Row, Rules, Standing, decide};
use crate::category::{
    Category, CategoryId, Entitlement, PermissionLevel, ReferenceId, Status, UpdateMethod, UserId,
};
use crate::directory::GroupId;

/// What is known about one category.
#[derive(Debug, Clone)]
pub struct Knowledge<'a> {
    /// The category as Kaltura has it.
    pub category: &'a Category,
    /// Who is looked at: everybody, or just those whom a change concerns.
    pub people: People<'a>,
    /// Who is wanted there.
    pub desired: &'a BTreeMap<UserId, Want>,
    /// Who is there; a person may be there more than once.
    pub actual: &'a [Entitlement],
    /// What this program last did there.
    pub ledger: &'a BTreeMap<UserId, Last>,
    /// What stands against the category as a whole.
    pub block: Option<Block>,
    /// User IDs that nobody may touch, and those that two people share.
    pub standing: &'a BTreeMap<UserId, Standing>,
    /// The choices of the configuration.
    pub rules: Rules,
    /// Active members that Kaltura allows.
    pub room: u64,
}

/// Which people of a category are looked at.
#[derive(Debug, Clone, Copy)]
pub enum People<'a> {
    /// Everybody.
    All,
    /// These only. What is there of others was not asked.
    Only(&'a std::collections::BTreeSet<UserId>),
}

/// Why somebody is wanted in a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The highest level that any group grants.
    pub level: PermissionLevel,
    /// The group that grants it.
    pub via: GroupId,
}

/// What stands against a category as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "blocked", rename_all = "snake_case")]
pub enum Block {
    /// Several categories have this reference ID, and nobody knows which is meant.
    AmbiguousReference {
        /// Which.
        ids: Vec<CategoryId>,
    },
    /// It shows the members of another category and has none of its own.
    InheritsFrom {
        /// That category.
        id: CategoryId,
    },
    /// A group that fed it is not in the directory any more. A missing group is not an empty group.
    NoSuchGroup {
        /// The group.
        group: GroupId,
    },
    /// Two groups have one group ID, and nobody knows which is meant.
    AmbiguousGroup {
        /// The group ID.
        group: GroupId,
    },
    /// Some of a group's members could not be read.
    UnprovenGroup {
        /// The group.
        group: GroupId,
    },
    /// The read of the directory ended early.
    UnprovenRead,
}

impl Block {
    /// Whether members may still be added: where it is known who is wanted, and only not who is not.
    pub fn allows_additions(&self) -> bool {
        match self {
            Self::NoSuchGroup { .. } | Self::UnprovenGroup { .. } | Self::UnprovenRead => true,
            Self::AmbiguousReference { .. }
            | Self::InheritsFrom { .. }
            | Self::AmbiguousGroup { .. } => false,
        }
    }
}

/// What is to be done about one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryPlan {
    /// Which.
    pub category: Named,
    /// What stands against it as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// What is to be done, or is refused, by person: departures first. What needs nothing is not here.
    pub actions: Vec<Action>,
    /// Memberships that are in force there before.
    pub members: u64,
    /// Whether what is there was read from the database, not from the index, which lags behind.
    #[serde(default)]
    pub fresh: bool,
    /// Memberships left alone because a person keeps them, where nobody would change them either.
    pub manual: u64,
}

/// A category as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Kaltura's number.
    pub id: CategoryId,
    /// The reference ID.
    pub reference_id: Option<ReferenceId>,
    /// The last part of its path.
    pub name: String,
}

/// What is to be done about one person in a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The person, spelt as Kaltura stores it where it knows them.
    pub user: UserId,
    /// What is to be done.
    #[serde(flatten)]
    pub decision: Decision,
    /// The group that grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<GroupId>,
    /// What is there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Entitlement>,
}

impl CategoryPlan {
    /// The actions that call Kaltura.
    pub fn changes(&self) -> impl Iterator<Item = &Action> {
        self.actions
            .iter()
            .filter(|action| action.decision.is_change())
    }

    /// How many end with less than they had.
    pub fn losses(&self) -> u64 {
        self.actions
            .iter()
            .map(|action| u64::from(action.decision.is_loss_of(action.before.as_ref())))
            .sum()
    }

    /// The fingerprint of what would be done here.
    pub fn digest(&self) -> Digest {
        let id = std::iter::once(self.category.id.to_string());
        Digest::of(
            id.chain(
                self.changes()
                    .map(|action| format!("{} {:?}", action.user.key(), action.decision)),
            ),
        )
    }
}

/// Plans one category. Pure: the same knowledge, the same plan.
pub fn plan(knowledge: &Knowledge<'_>) -> CategoryPlan {
    let mut actions = match &knowledge.block {
        Some(block) if !block.allows_additions() => Vec::new(),
        _ => actions(knowledge),
    };
    keep_to_the_room(knowledge, &mut actions);
    let manual = actions
        .iter()
        .filter(|action| is_quiet(action, knowledge))
        .count() as u64;
    actions.retain(|action| action.decision != Decision::Keep && !is_quiet(action, knowledge));
    actions.sort_by_key(|action| !action.decision.is_departure());
    CategoryPlan {
        category: Named {
            id: knowledge.category.id,
            reference_id: knowledge.category.reference_id.clone(),
            name: knowledge.category.name().to_owned(),
        },
        block: knowledge.block.clone(),
        actions,
        members: members_there(knowledge),
        fresh: matches!(knowledge.people, People::Only(_)),
        manual,
    }
}

/// Decides about each person, in the order of their IDs.
fn actions(knowledge: &Knowledge<'_>) -> Vec<Action> {
    let mut rows: BTreeMap<&UserId, Vec<&Entitlement>> = BTreeMap::new();
    let looked_at = |user: &UserId| match knowledge.people {
        People::All => true,
        People::Only(users) => users.contains(user),
    };
    for entitlement in knowledge.actual.iter().filter(|row| looked_at(&row.user)) {
        rows.entry(&entitlement.user).or_default().push(entitlement);
    }
    for user in knowledge
        .desired
        .keys()
        .chain(knowledge.ledger.keys())
        .filter(|user| looked_at(user))
    {
        rows.entry(user).or_default();
    }
    rows.into_iter()
        .map(|(user, copies)| action(knowledge, user, &copies))
        .collect()
}

fn action(knowledge: &Knowledge<'_>, user: &UserId, copies: &[&Entitlement]) -> Action {
    let want = knowledge.desired.get(user);
    let have = strictest(copies);
    let losses = if knowledge.block.is_some() {
        Losses::Unproven
    } else {
        knowledge.rules.losses
    };
    let row = Row {
        want: want.map(|want| want.level),
        have,
        copies: copies.len(),
        last: knowledge.ledger.get(user).copied(),
        person: standing(knowledge, user),
    };
    Action {
        user: have.map_or(user, |have| &have.user).clone(),
        decision: decide(
            &row,
            Rules {
                losses,
                ..knowledge.rules
            },
        ),
        via: want.map(|want| want.via.clone()),
        before: have.cloned(),
    }
}

/// Of several rows for one person, the one that binds us most: a manual one, and that rather a membership
/// than a request; then an active one, then the strongest level. Kaltura's order does not matter.
fn strictest<'a>(copies: &[&'a Entitlement]) -> Option<&'a Entitlement> {
    copies.iter().copied().max_by_key(|row| {
        (
            row.method == UpdateMethod::Manual,
            row.status != Status::Pending,
            row.status == Status::Active,
            row.level,
            &row.extra_permissions,
        )
    })
}

fn standing(knowledge: &Knowledge<'_>, user: &UserId) -> Standing {
    if let Some(standing) = knowledge.standing.get(user) {
        return *standing;
    }
    if knowledge.category.owner.as_ref() == Some(user) {
        return Standing::Owner;
    }
    user.problem().map_or(Standing::Ordinary, Standing::Invalid)
}

/// Refuses the additions for which there is no room, in the order of the user IDs.
fn keep_to_the_room(knowledge: &Knowledge<'_>, actions: &mut [Action]) {
    let there = members_there(knowledge);
    if there + actions.len() as u64 <= knowledge.room {
        return;
    }
    let mut active: BTreeMap<&UserId, u64> = BTreeMap::new();
    for row in knowledge
        .actual
        .iter()
        .filter(|row| row.status == Status::Active)
    {
        *active.entry(&row.user).or_default() += 1;
    }
    let rows_before = |action: &Action| active.get(&action.user).copied().unwrap_or(0);
    let rows_after = |action: &Action| match action.decision {
        decision if decision.is_departure() => 0,
        decision if decision.is_arrival() => 1,
        Decision::Merge { .. } | Decision::Replace { .. } => 1,
        _ => rows_before(action),
    };
    let freed: u64 = actions
        .iter()
        .map(|action| rows_before(action).saturating_sub(rows_after(action)))
        .sum();
    let mut members = there.saturating_sub(freed);
    for action in actions {
        if rows_after(action) > rows_before(action) {
            if members < knowledge.room {
                members += 1;
            } else {
                action.decision = Decision::Skip(Objection::CategoryFull);
            }
        }
    }
}

/// Active members. When only some people were asked for, Kaltura's own count has to do.
fn members_there(knowledge: &Knowledge<'_>) -> u64 {
    match knowledge.people {
        People::All => knowledge
            .actual
            .iter()
            .filter(|row| row.status == Status::Active)
            .count() as u64,
        People::Only(_) => knowledge.category.members_count,
    }
}

/// Whether a refusal is nothing to report: a manual membership, or the owner's, that was never ours
/// and that nobody wants otherwise.
fn is_quiet(action: &Action, knowledge: &Knowledge<'_>) -> bool {
    let by_a_person = matches!(
        action.decision,
        Decision::Skip(Objection::ManualOverride | Objection::OwnerProtected)
    );
    let as_wanted = match (knowledge.desired.get(&action.user), &action.before) {
        (Some(want), Some(before)) => before.level >= want.level && before.status == Status::Active,
        (Some(_), None) => false,
        (None, _) => !knowledge.ledger.contains_key(&action.user),
    };
    by_a_person && as_wanted
}

#[cfg(test)]
mod tests;
