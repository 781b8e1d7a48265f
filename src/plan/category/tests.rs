use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;

fn category() -> Category {
    Category {
        id: CategoryId(7),
        reference_id: Some(ReferenceId::new("bio")),
        full_name: "MediaSpace>site>channels>Biology".to_owned(),
        owner: Some(UserId::new("owner")),
        inherits_from: None,
        members_count: 3,
        created_at: 0,
    }
}

fn row(user: &str, method: UpdateMethod) -> Entitlement {
    Entitlement {
        user: UserId::new(user),
        level: PermissionLevel::Member,
        method,
        status: Status::Active,
        extra_permissions: Vec::new(),
    }
}

fn automatic(user: &str) -> Entitlement {
    row(user, UpdateMethod::Automatic)
}

fn wants(users: &[&str]) -> BTreeMap<UserId, Want> {
    let want = Want {
        level: PermissionLevel::Member,
        via: Grant::direct(GroupId::new("bio")),
    };
    users
        .iter()
        .map(|user| (UserId::new(*user), want.clone()))
        .collect()
}

/// Plans with the knowledge that a test changes.
fn planned(
    desired: &BTreeMap<UserId, Want>,
    actual: &[Entitlement],
    with: impl FnOnce(&mut Knowledge<'_>),
) -> CategoryPlan {
    let category = category();
    let (ledger, standing) = (BTreeMap::new(), BTreeMap::new());
    let mut knowledge = Knowledge {
        category: &category,
        people: People::All,
        desired,
        actual,
        ledger: &ledger,
        over: &BTreeSet::new(),
        block: None,
        kept: &BTreeMap::new(),
        causes: &BTreeMap::new(),
        standing: &standing,
        rules: Rules::default(),
        room: 5000,
    };
    with(&mut knowledge);
    plan(&knowledge)
}

fn decisions(plan: &CategoryPlan) -> Vec<(&str, Decision)> {
    plan.actions
        .iter()
        .map(|action| (action.user.as_str(), action.decision))
        .collect()
}

const ADD: Decision = Decision::Add {
    level: PermissionLevel::Member,
};
const REMOVE: Decision = Decision::Remove { copies: 1 };

#[test]
fn departures_come_before_arrivals() {
    let plan = planned(&wants(&["ada"]), &[automatic("zoe")], |_| {});
    assert_eq!(decisions(&plan), [("zoe", REMOVE), ("ada", ADD)]);
}

#[test]
fn a_stored_spelling_is_kept_and_is_the_same_person() {
    let plan = planned(&wants(&["Ada"]), &[automatic("ADA")], |_| {});
    assert_eq!(
        decisions(&plan),
        [(
            "ADA",
            Decision::Adopt {
                level: PermissionLevel::Member
            }
        )]
    );
}

#[test]
fn a_full_category_takes_as_many_as_leave_in_the_order_of_their_ids() {
    let full = Decision::Skip(Objection::CategoryFull);
    let plan = planned(
        &wants(&["a", "b", "c"]),
        &[automatic("x"), automatic("y")],
        |knowledge| knowledge.room = 2,
    );
    assert_eq!(
        decisions(&plan),
        [
            ("x", REMOVE),
            ("y", REMOVE),
            ("a", ADD),
            ("b", ADD),
            ("c", full)
        ]
    );
}

#[test]
fn only_those_asked_about_are_touched() {
    static ONLY: LazyLock<BTreeSet<UserId>> = LazyLock::new(|| [UserId::new("ada")].into());
    let plan = planned(&wants(&["ada", "alan"]), &[automatic("zoe")], |knowledge| {
        knowledge.people = People::Only(&ONLY);
    });
    assert_eq!(decisions(&plan), [("ada", ADD)]);
}

#[test]
fn a_vanished_group_lets_people_come_and_nobody_go() {
    let plan = planned(&wants(&["ada"]), &[automatic("zoe")], |knowledge| {
        knowledge.block = Some(Block::NoSuchGroup {
            group: GroupId::new("bio"),
        });
    });
    assert_eq!(
        decisions(&plan),
        [
            ("ada", ADD),
            (
                "zoe",
                Decision::Skip(Objection::Unproven {
                    reason: crate::directory::Reason::GroupMissing
                })
            )
        ]
    );
}

#[test]
fn an_ambiguous_category_is_not_touched_at_all() {
    let plan = planned(&wants(&["ada"]), &[automatic("zoe")], |knowledge| {
        knowledge.block = Some(Block::AmbiguousReference {
            ids: vec![CategoryId(7), CategoryId(8)],
        });
    });
    assert_eq!(decisions(&plan), []);
    assert!(plan.block.is_some(), "and says why");
}

#[test]
fn somebody_added_by_hand_is_counted_and_not_reported() {
    let manual = row("guest", UpdateMethod::Manual);
    let plan = planned(&wants(&[]), std::slice::from_ref(&manual), |_| {});
    assert_eq!((decisions(&plan), plan.manual), (vec![], 1));
}

#[test]
fn a_manual_membership_in_the_way_of_a_group_is_reported() {
    let manual = row("ada", UpdateMethod::Manual);
    let mut desired = wants(&["ada"]);
    for want in desired.values_mut() {
        want.level = PermissionLevel::Manager;
    }
    let plan = planned(&desired, std::slice::from_ref(&manual), |_| {});
    assert_eq!(
        decisions(&plan),
        [("ada", Decision::Skip(Objection::ManualOverride))]
    );
}

#[test]
fn of_two_rows_the_manual_one_counts() {
    let rows = [automatic("ada"), row("ada", UpdateMethod::Manual)];
    let mut desired = wants(&["ada"]);
    for want in desired.values_mut() {
        want.level = PermissionLevel::Manager;
    }
    let plan = planned(&desired, &rows, |_| {});
    assert_eq!(
        decisions(&plan),
        [("ada", Decision::Skip(Objection::ManualOverride))]
    );
}

#[test]
fn an_id_that_kaltura_would_refuse_is_named_and_stops_nobody_else() {
    let plan = planned(&wants(&["ada", "no good"]), &[], |_| {});
    let problem = UserId::new("no good").problem().unwrap();
    let refused = Decision::Skip(Objection::InvalidUserId { problem });
    assert_eq!(decisions(&plan), [("ada", ADD), ("no good", refused)]);
}
