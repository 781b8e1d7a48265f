//! The laws of the planner, over whole plans made up at random.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::category::{CategoryPlan, Grant, Knowledge, People, Want, plan};
use super::membership::{Decision, Last, Rules, Standing};
use super::{Action, Plan};
use crate::category::{
    Category, CategoryId, Entitlement, PermissionLevel, Status, UpdateMethod, UserId,
};
use crate::config::policy::{Departure, ManualPolicy};
use crate::directory::GroupId;

/// A channel, who is wanted there, and who is there.
#[derive(Debug, Clone)]
struct World {
    category: Category,
    desired: BTreeMap<UserId, Want>,
    actual: Vec<Entitlement>,
    ledger: BTreeMap<UserId, Last>,
    standing: BTreeMap<UserId, Standing>,
    rules: Rules,
    room: u64,
}

impl World {
    fn plan(&self) -> CategoryPlan {
        plan(&Knowledge {
            category: &self.category,
            people: People::All,
            desired: &self.desired,
            actual: &self.actual,
            ledger: &self.ledger,
            over: &BTreeSet::new(),
            block: None,
            kept: &BTreeMap::new(),
            causes: &BTreeMap::new(),
            standing: &self.standing,
            rules: self.rules,
            room: self.room,
        })
    }

    /// Does what a plan says, as Kaltura would.
    fn apply(&mut self, plan: &CategoryPlan) {
        for Action { user, decision, .. } in &plan.actions {
            let rows = &mut self.actual;
            match *decision {
                Decision::Add { level } => rows.push(active(user, level)),
                Decision::SetLevel { to, .. } => change(rows, user, |row| {
                    row.level = to;
                    row.method = UpdateMethod::Automatic;
                }),
                Decision::Replace { to, .. } | Decision::Merge { to, .. } => {
                    rows.retain(|row| row.user != *user);
                    rows.push(active(user, to));
                }
                Decision::Activate { to, .. } => change(rows, user, |row| {
                    row.status = Status::Active;
                    if row.level != to {
                        row.level = to;
                        row.method = UpdateMethod::Automatic;
                    }
                }),
                Decision::Deactivate => change(rows, user, |row| row.status = Status::NotActive),
                Decision::Remove { .. } => rows.retain(|row| row.user != *user),
                Decision::Keep
                | Decision::Adopt { .. }
                | Decision::Forget
                | Decision::Restore { .. }
                | Decision::TakeBack
                | Decision::Skip(_) => {}
            }
            let last = match *decision {
                Decision::Add { level } | Decision::Adopt { level } => Last::Active(level),
                Decision::SetLevel { to, .. }
                | Decision::Replace { to, .. }
                | Decision::Merge { to, .. }
                | Decision::Activate { to, .. } => Last::Active(to),
                Decision::Deactivate => Last::Deactivated,
                Decision::Remove { .. } => Last::Removed,
                Decision::Forget => {
                    self.ledger.remove(user);
                    continue;
                }
                Decision::Restore { .. }
                | Decision::TakeBack
                | Decision::Keep
                | Decision::Skip(_) => continue,
            };
            self.ledger.insert(user.clone(), last);
        }
    }
}

fn active(user: &UserId, level: PermissionLevel) -> Entitlement {
    Entitlement {
        user: user.clone(),
        level,
        method: UpdateMethod::Automatic,
        status: Status::Active,
        extra_permissions: Vec::new(),
    }
}

fn change(rows: &mut [Entitlement], user: &UserId, change: impl Fn(&mut Entitlement)) {
    rows.iter_mut()
        .filter(|row| row.user == *user)
        .for_each(change);
}

fn user() -> impl Strategy<Value = UserId> {
    (0..12u8).prop_map(|number| UserId::new(format!("user{number}")))
}

fn granted() -> impl Strategy<Value = PermissionLevel> {
    prop_oneof![
        Just(PermissionLevel::Member),
        Just(PermissionLevel::Contributor),
        Just(PermissionLevel::Moderator),
        Just(PermissionLevel::Manager),
    ]
}

fn level() -> impl Strategy<Value = PermissionLevel> {
    prop_oneof![4 => granted(), 1 => Just(PermissionLevel::None)]
}

fn entitlement() -> impl Strategy<Value = Entitlement> {
    let method = prop_oneof![Just(UpdateMethod::Manual), Just(UpdateMethod::Automatic)];
    let status = prop_oneof![3 => Just(Status::Active), 1 => Just(Status::Pending), 1 => Just(Status::NotActive)];
    (user(), level(), method, status).prop_map(|(user, level, method, status)| Entitlement {
        user,
        level,
        method,
        status,
        extra_permissions: Vec::new(),
    })
}

fn last() -> impl Strategy<Value = Last> {
    prop_oneof![
        level().prop_map(Last::Active),
        Just(Last::Deactivated),
        Just(Last::Removed)
    ]
}

prop_compose! {
    fn rules()(manual: bool, deactivate: bool) -> Rules {
        Rules {
            manual: if manual { ManualPolicy::Respect } else { ManualPolicy::Override },
            departure: if deactivate { Departure::Deactivate } else { Departure::Delete },
            ..Rules::default()
        }
    }
}

prop_compose! {
    fn world()(
        desired in btree_map(user(), granted(), 0..10),
        actual in vec(entitlement(), 0..14),
        ledger in btree_map(user(), last(), 0..8),
        protected in btree_set(user(), 0..3),
        owner in user(),
        rules in rules(),
        room in 3..40u64,
    ) -> World {
        World {
            category: Category {
                id: CategoryId(7),
                reference_id: None,
                full_name: "MediaSpace>site>channels>Physics".to_owned(),
                owner: Some(owner),
                inherits_from: None,
                members_count: actual.len() as u64,
                created_at: 0,
            },
            desired: desired
                .into_iter()
                .map(|(user, level)| (user, Want { level, via: Grant::direct(GroupId::new("physics")) }))
                .collect(),
            actual,
            ledger,
            standing: protected.into_iter().map(|user| (user, Standing::Protected)).collect(),
            rules,
            room,
        }
    }
}

fn rows_of(world: &World, users: &BTreeSet<UserId>) -> Vec<Entitlement> {
    world
        .actual
        .iter()
        .filter(|row| users.contains(&row.user))
        .cloned()
        .collect()
}

proptest! {
    #[test]
    fn applying_a_plan_and_planning_again_gives_nothing(mut world in world()) {
        let first = world.plan();
        world.apply(&first);
        let second = world.plan();
        prop_assert_eq!(second.changes().count(), 0, "{:?} after {:?}", second, first);
    }

    #[test]
    fn manual_owned_and_protected_memberships_stay_as_they_are(mut world in world()) {
        let mut untouchable: BTreeSet<UserId> = world.standing.keys().cloned().collect();
        untouchable.extend(world.category.owner.clone());
        if world.rules.manual == ManualPolicy::Respect {
            let is_manual = |row: &&Entitlement| row.method == UpdateMethod::Manual && row.status != Status::Pending;
            untouchable.extend(world.actual.iter().filter(is_manual).map(|row| row.user.clone()));
        }
        let before = rows_of(&world, &untouchable);
        let plan = world.plan();
        world.apply(&plan);
        prop_assert_eq!(rows_of(&world, &untouchable), before);
    }

    #[test]
    fn the_order_in_which_kaltura_lists_does_not_matter(world in world(), seed: u64) {
        let mut shuffled = world.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled.actual);
        let (one, other) = (Plan::new([world.plan()]), Plan::new([shuffled.plan()]));
        prop_assert_eq!(one.digest(), other.digest());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_category_never_gets_fuller_than_it_may(mut world in world()) {
        let count = |world: &World| world.actual.iter().filter(|row| row.status == Status::Active).count() as u64;
        let before = count(&world);
        let plan = world.plan();
        world.apply(&plan);
        prop_assert!(count(&world) <= world.room.max(before), "{:?}", plan);
    }

    #[test]
    fn departures_come_first(world in world()) {
        let departures: Vec<bool> = world.plan().actions.iter().map(|action| action.decision.is_departure()).collect();
        prop_assert!(departures.is_sorted_by(|one, other| one >= other), "{departures:?}");
    }

    #[test]
    fn a_plan_survives_being_written_down(world in world()) {
        let plan = Plan::new([world.plan()]);
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
