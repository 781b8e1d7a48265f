use proptest::prelude::*;

use super::*;
use crate::category::{CategoryId, Entitlement, PermissionLevel, Status, UpdateMethod};
use crate::plan::category::Named;
use crate::plan::membership::Decision;

fn row(user: &str, level: PermissionLevel) -> Entitlement {
    Entitlement {
        user: UserId::new(user),
        level,
        method: UpdateMethod::Automatic,
        status: Status::Active,
        extra_permissions: Vec::new(),
    }
}

fn action(user: &str, decision: Decision, before: Option<PermissionLevel>) -> Action {
    Action {
        user: UserId::new(user),
        decision,
        via: None,
        cause: crate::plan::category::Cause::default(),
        before: before.map(|level| row(user, level)),
        extra_permissions: Vec::new(),
    }
}

fn add(user: &str, level: PermissionLevel) -> Action {
    action(user, Decision::Add { level }, None)
}

fn remove(user: &str, level: PermissionLevel) -> Action {
    action(user, Decision::Remove { copies: 1 }, Some(level))
}

use PermissionLevel::{Manager, Member};

fn part(members: u64, actions: Vec<Action>) -> CategoryPlan {
    CategoryPlan {
        category: Named {
            id: CategoryId(1),
            reference_id: None,
            name: "Biology".to_owned(),
        },
        block: None,
        actions,
        members,
        fresh: true,
        manual: 0,
        owned: false,
        managers: Some(1),
    }
}

fn approval(part: CategoryPlan) -> Approval {
    approval_after(part, BTreeSet::new())
}

/// An approval by which the changes of some people have been made.
fn approval_after(part: CategoryPlan, done: BTreeSet<UserId>) -> Approval {
    Approval {
        by: "ruth".into(),
        at: 0,
        what: Covered::Changes { part, done },
    }
}

fn covers(approval: &Approval, part: &CategoryPlan) -> bool {
    approval.covers(part, &Safety::default())
}

#[test]
fn the_rest_of_what_was_approved_is_covered() {
    let whole = part(9, vec![add("ada", Member), add("bob", Member)]);
    let approval = approval(whole.clone());
    assert!(covers(&approval, &whole));
    let by_digest = Approval {
        what: Covered::Whole(whole.digest()),
        ..approval.clone()
    };
    assert!(covers(&by_digest, &whole));
    assert!(!covers(&by_digest, &part(9, vec![add("eve", Member)])));
    let rest = part(10, vec![add("Bob", Member)]);
    assert!(covers(&approval, &rest));
}

#[test]
fn another_person_decision_state_or_category_is_not_covered() {
    let approved = vec![add("ada", Member), remove("bob", Member)];
    let approved = part(9, approved);
    let approval = approval(approved.clone());
    for other in [
        add("eve", Member),
        add("ada", Manager),
        remove("bob", Manager),
        action("bob", Decision::Deactivate, Some(Member)),
    ] {
        assert!(
            !covers(&approval, &part(9, vec![other.clone()])),
            "{other:?}"
        );
        let with_approved = part(9, vec![add("ada", Member), other]);
        assert!(!covers(&approval, &with_approved));
    }
    let mut elsewhere = approved;
    elsewhere.category.id = CategoryId(2);
    assert!(!covers(&approval, &elsewhere));
}

#[test]
fn what_the_approval_has_done_is_not_covered_again() {
    let whole = part(9, vec![add("ada", Member), add("bob", Member)]);
    let approval = approval_after(whole.clone(), BTreeSet::from([UserId::new("ADA")]));
    assert!(!covers(&approval, &whole));
    let rest = part(10, vec![add("bob", Member)]);
    assert!(covers(&approval, &rest));
}

#[test]
fn a_rest_that_leaves_no_manager_is_not_covered_where_the_whole_left_one() {
    let whole = part(9, vec![remove("ada", Manager), add("bob", Manager)]);
    let approval = approval(whole.clone());
    assert!(covers(&approval, &whole));
    assert!(!covers(&approval, &part(9, vec![remove("ada", Manager)])));
    // Bob is there by now.
    let mut rest = part(10, vec![remove("ada", Manager)]);
    rest.managers = Some(2);
    assert!(covers(&approval, &rest));
}

#[test]
fn a_rest_that_leaves_nobody_is_not_covered_where_the_whole_left_somebody() {
    let leaving = |number| remove(&format!("user{number}"), Member);
    let all: Vec<Action> = (0..50).map(leaving).collect();
    let coming = (50..90).map(|number| add(&format!("user{number}"), Member));
    let whole = part(50, all.iter().cloned().chain(coming).collect());
    let exchanged = approval(whole.clone());
    assert!(covers(&exchanged, &whole));
    assert!(!covers(&exchanged, &part(50, all.clone())));
    let emptied = approval(part(50, all.clone()));
    assert!(covers(&emptied, &part(20, all[30..].to_vec())));
}

proptest! {
    /// However a run is cut off, what is left is covered, and with anything else beside it is not.
    #[test]
    fn what_is_left_is_covered_and_nothing_else(
        done in prop::collection::btree_set(0..30_usize, 0..30),
        other in any::<bool>(),
    ) {
        let all: Vec<Action> = (0..30).map(|n| add(&format!("user{n}"), Member)).collect();
        let users = done.iter().map(|n| all[*n].user.clone()).collect();
        let approval = approval_after(part(100, all.clone()), users);
        let left = all.iter().enumerate().filter(|(n, _)| !done.contains(n));
        let mut left: Vec<Action> = left.map(|(_, action)| action.clone()).collect();
        if other {
            left.push(add("eve", Member));
        }
        prop_assert_eq!(covers(&approval, &part(100, left)), !other);
    }
}
