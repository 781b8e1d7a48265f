//! One category: what is to be done about all its people, and what stands against it as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Digest;
use super::membership::{Decision, Last, Objection, Row, Rules, Standing, decide};
use crate::category::{
    Category, CategoryId, Entitlement, Names, PermissionLevel, ReferenceId, Status, UpdateMethod,
    UserId,
};
use crate::directory::{Evidence, GroupId, Reason};

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
    /// Whom this program deactivated so long ago that their time is over.
    pub over: &'a BTreeSet<UserId>,
    /// What stands against the category as a whole.
    pub block: Option<Block>,
    /// People of whom it is not known that no group grants them more, and why.
    pub kept: &'a BTreeMap<UserId, Reason>,
    /// Why people are no longer wanted; who is not here is listed by no group.
    pub causes: &'a BTreeMap<UserId, Cause>,
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
    Only(&'a BTreeSet<UserId>),
}

/// Why somebody is wanted in a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The highest level that any group grants.
    pub level: PermissionLevel,
    /// What grants it.
    pub via: Grant,
}

/// What grants somebody a category: a binding, a group, and the groups on the way to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The group that the binding leads from.
    #[serde(rename = "via")]
    pub group: GroupId,
    /// The groups inside it that lead to the person, the outermost first; none for a direct member.
    #[serde(default, skip_serializing_if = "no_groups")]
    pub through: Arc<[GroupId]>,
    /// Which binding, from 1, as they stand in the configuration; 0 where none is written there.
    pub binding: usize,
}

impl Grant {
    /// A direct membership in a group, by the first binding.
    pub fn direct(group: GroupId) -> Self {
        Self {
            group,
            through: Arc::default(),
            binding: 1,
        }
    }
}

fn no_groups(groups: &Arc<[GroupId]>) -> bool {
    groups.is_empty()
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
    /// Not all members of a group are known.
    UnprovenGroup {
        /// The group.
        group: GroupId,
        /// Why.
        #[serde(default)]
        reasons: BTreeSet<Reason>,
    },
    /// A directory that feeds it, or may feed it, is not known in full.
    UnprovenRead {
        /// The directory.
        #[serde(default)]
        directory: String,
        /// Why.
        #[serde(default)]
        reasons: BTreeSet<Reason>,
    },
}

/// Why somebody is no longer wanted in a category.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// All groups of the category were read in full, and none lists them.
    #[default]
    NotListed,
    /// A group lists them, and their account is disabled.
    Disabled,
    /// A group lists them, and their entry does not match the people's filter any more.
    LeftFilter,
    /// A group lists them, and their entry is gone or hidden.
    PersonGone,
    /// A group lists them, by another user ID.
    OtherId,
}

impl Block {
    /// Whether members may still be added: where it is known who is wanted, and only not who is not.
    pub fn allows_additions(&self) -> bool {
        match self {
            Self::NoSuchGroup { .. } | Self::UnprovenGroup { .. } | Self::UnprovenRead { .. } => {
                true
            }
            Self::AmbiguousReference { .. }
            | Self::InheritsFrom { .. }
            | Self::AmbiguousGroup { .. } => false,
        }
    }

    /// How much is known, while this stands against the category, of who is wanted there.
    pub fn evidence(&self) -> Evidence {
        match self {
            Self::UnprovenGroup { reasons, .. } | Self::UnprovenRead { reasons, .. }
                if !reasons.is_empty() =>
            {
                Evidence::Partial(reasons.clone())
            }
            Self::UnprovenGroup { .. } | Self::UnprovenRead { .. } => {
                Evidence::partial(Reason::ReadIncomplete)
            }
            Self::NoSuchGroup { .. }
            | Self::AmbiguousReference { .. }
            | Self::InheritsFrom { .. }
            | Self::AmbiguousGroup { .. } => Evidence::unknown(Reason::GroupMissing),
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
    /// Whether it has an owner, who is one of its members.
    #[serde(default)]
    pub owned: bool,
    /// Managers in force there before; not known where only some people were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managers: Option<u64>,
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

impl Named {
    /// As Kaltura has it.
    pub fn of(category: &Category) -> Self {
        Self {
            id: category.id,
            reference_id: category.reference_id.clone(),
            name: category.name().to_owned(),
        }
    }

    /// What it can be named by.
    pub fn names(&self) -> Names<'_> {
        Names {
            id: self.id,
            reference: self.reference_id.as_ref(),
            name: &self.name,
        }
    }
}

/// What is to be done about one person in a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The person, spelt as Kaltura stores it where it knows them.
    pub user: UserId,
    /// What is to be done.
    #[serde(flatten)]
    pub decision: Decision,
    /// What grants it.
    #[serde(flatten)]
    pub via: Option<Grant>,
    /// What is there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Entitlement>,
    /// Why they are no longer wanted, where access goes for another reason than that no group lists them.
    #[serde(default, skip_serializing_if = "is_not_listed")]
    pub cause: Cause,
    /// Where it is put back as it was: the permission names it had beyond those of its level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_permissions: Vec<String>,
}

/// A decision with its cause, as journal and history store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
    /// Why access goes, where it goes.
    #[serde(default, skip_serializing_if = "is_not_listed")]
    pub cause: Cause,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_not_listed(cause: &Cause) -> bool {
    *cause == Cause::NotListed
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
            .filter(|action| action.is_loss())
            .count() as u64
    }

    /// How many end with less because their entry is gone or hidden, while a group still lists them.
    pub fn vanished(&self) -> u64 {
        let is = |action: &&Action| action.is_loss() && action.cause == Cause::PersonGone;
        self.actions.iter().filter(is).count() as u64
    }

    /// How many get a lower level, and stay.
    pub fn demotions(&self) -> u64 {
        let lowered = |action: &&Action| action.is_loss() && !action.decision.is_departure();
        self.actions.iter().filter(lowered).count() as u64
    }

    /// How many come: there is one active member more for each.
    pub fn arrivals(&self) -> u64 {
        let comes = |action: &&Action| !action.is_active_before() && action.is_active_after();
        self.actions.iter().filter(comes).count() as u64
    }

    /// Memberships in force there afterwards.
    pub fn members_after(&self) -> u64 {
        let goes = |action: &&Action| action.is_active_before() && !action.is_active_after();
        let leaving = self.actions.iter().filter(goes).count() as u64;
        (self.members + self.arrivals()).saturating_sub(leaving)
    }

    /// Members who are owners: one, or none.
    pub fn owners(&self) -> u64 {
        u64::from(self.owned)
    }

    /// Whether somebody who manages it now would not any more.
    pub fn takes_a_manager(&self) -> bool {
        self.actions
            .iter()
            .any(|action| action.is_manager_before() && !action.is_manager_after())
    }

    /// Whether it has managers now, and would have none. Not asked where they are not known.
    pub fn loses_last_manager(&self) -> bool {
        let Some(before) = self.managers else {
            return false;
        };
        let count = |is: fn(&Action) -> bool| {
            self.actions.iter().filter(|action| is(action)).count() as u64
        };
        let (gone, left) = (
            count(Action::is_manager_before),
            count(Action::is_manager_after),
        );
        self.takes_a_manager() && (before + left).saturating_sub(gone) == 0
    }

    /// The fingerprint of what would be done here.
    pub fn digest(&self) -> Digest {
        let id = std::iter::once(self.category.id.to_string());
        Digest::of(id.chain(self.changes().map(Action::identity)))
    }
}

impl CategoryPlan {
    /// Counts who is there, by a list of all members.
    pub fn count(&mut self, members: &[Entitlement]) {
        let active = members.iter().filter(|row| row.status == Status::Active);
        self.members = active.clone().count() as u64;
        let managers = active.filter(|row| row.level == PermissionLevel::Manager);
        self.managers = Some(managers.count() as u64);
    }

    /// Counts what may yet happen by other ways as done already: who goes is no member any more, and who
    /// is lowered no manager.
    pub fn count_as_done<'a>(&mut self, pending: impl Iterator<Item = &'a Action>) {
        for action in pending {
            if action.is_active_before() && !action.is_active_after() {
                self.members = self.members.saturating_sub(1);
            }
            if action.is_manager_before() && !action.is_manager_after() {
                self.managers = self.managers.map(|managers| managers.saturating_sub(1));
            }
        }
    }
}

impl Action {
    /// What makes two actions in one category the same: user, decision, and what is there before.
    pub fn identity(&self) -> String {
        let before = self.before.as_ref();
        let before = before.map(|row| (row.level, row.method, row.status));
        format!("{} {:?} {before:?}", self.user.key(), self.decision)
    }

    /// Whether somebody ends with less than they had. Who had no access any more loses none.
    pub fn is_loss(&self) -> bool {
        self.decision.takes_access(self.before.as_ref())
    }

    /// Why access is kept, where it would go and it is not known that no group grants it.
    pub fn lacks_evidence(&self) -> Option<Reason> {
        match self.decision {
            Decision::Skip(Objection::Unproven { reason }) => Some(reason),
            _ => None,
        }
    }

    fn is_active_before(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| before.status == Status::Active)
    }

    fn is_active_after(&self) -> bool {
        match self.decision {
            Decision::Add { .. }
            | Decision::Activate { .. }
            | Decision::Replace { .. }
            | Decision::Merge { .. } => true,
            Decision::Remove { .. } | Decision::Deactivate | Decision::TakeBack => false,
            Decision::Restore { status, .. } => status == Status::Active,
            _ => self.is_active_before(),
        }
    }

    fn is_manager_before(&self) -> bool {
        let before = self.before.as_ref();
        self.is_active_before()
            && before.is_some_and(|before| before.level == PermissionLevel::Manager)
    }

    fn is_manager_after(&self) -> bool {
        match self.decision {
            Decision::Add { level } => level == PermissionLevel::Manager,
            Decision::Restore { level, status, .. } => {
                level == PermissionLevel::Manager && status == Status::Active
            }
            Decision::SetLevel { to, .. }
            | Decision::Replace { to, .. }
            | Decision::Activate { to, .. }
            | Decision::Merge { to, .. } => {
                to == PermissionLevel::Manager && self.is_active_after()
            }
            Decision::Remove { .. } | Decision::Deactivate | Decision::TakeBack => false,
            _ => self.is_manager_before(),
        }
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
        category: Named::of(knowledge.category),
        block: knowledge.block.clone(),
        actions,
        members: members_there(knowledge),
        fresh: matches!(knowledge.people, People::Only(_)),
        manual,
        owned: knowledge.category.owner.is_some(),
        managers: managers_there(knowledge),
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
    let block = knowledge.block.as_ref();
    let evidence = block.map_or(Evidence::Known, Block::evidence);
    let known = match knowledge.kept.get(user) {
        Some(reason) => Err(*reason),
        None => evidence.known(),
    };
    let row = Row {
        want: want.map(|want| want.level),
        have,
        copies: copies.len(),
        last: knowledge.ledger.get(user).copied(),
        person: standing(knowledge, user),
        is_over: knowledge.over.contains(user),
        known,
    };
    let cause = knowledge.causes.get(user).filter(|_| want.is_none());
    Action {
        user: have.map_or(user, |have| &have.user).clone(),
        decision: decide(&row, knowledge.rules),
        via: want.map(|want| want.via.clone()),
        before: have.cloned(),
        cause: cause.copied().unwrap_or_default(),
        extra_permissions: Vec::new(),
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

/// Managers in force. When only some people were asked for, nobody knows.
fn managers_there(knowledge: &Knowledge<'_>) -> Option<u64> {
    let manages =
        |row: &&Entitlement| row.status == Status::Active && row.level == PermissionLevel::Manager;
    match knowledge.people {
        People::All => Some(knowledge.actual.iter().filter(manages).count() as u64),
        People::Only(_) => None,
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
