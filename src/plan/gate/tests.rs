use super::*;
use crate::category::{CategoryId, PermissionLevel, UserId};
use crate::config::safety::FirstRun;
use crate::plan::category::{Action, Named};
use crate::plan::membership::Decision;

/// A category with so many members, of whom some are removed and some come.
fn part(id: i64, members: u64, leave: usize, come: usize) -> Arc<CategoryPlan> {
    let action = |number: usize, decision| Action {
        user: UserId::new(format!("user{number}")),
        decision,
        via: None,
        before: None,
    };
    let leaving = (0..leave).map(|number| action(number, Decision::Remove { copies: 1 }));
    let coming = (0..come).map(|number| {
        action(
            1000 + number,
            Decision::Add {
                level: PermissionLevel::Member,
            },
        )
    });
    Arc::new(CategoryPlan {
        category: Named {
            id: CategoryId(id),
            reference_id: None,
            name: format!("Channel {id}"),
        },
        block: None,
        actions: leaving.chain(coming).collect(),
        members,
        fresh: false,
        manual: 0,
    })
}

fn safety() -> Safety {
    Safety {
        category: Threshold {
            percent: 25,
            at_least: 5,
        },
        total: Threshold {
            percent: 10,
            at_least: 20,
        },
        first_run: FirstRun::Hold,
    }
}

fn reviewed(parts: &[Arc<CategoryPlan>], approvals: &BTreeSet<Digest>, first_run: bool) -> Review {
    review(
        Plan::new(parts.to_vec()),
        &Circumstances {
            safety: &safety(),
            first_run,
            memberships: 0,
            approvals,
        },
    )
}

fn ids(plan: &Plan) -> Vec<i64> {
    plan.categories
        .iter()
        .map(|part| part.category.id.0)
        .collect()
}

#[test]
fn few_losses_pass() {
    let parts = [part(1, 8, 4, 0), part(2, 100, 25, 3), part(3, 1000, 0, 0)];
    let review = reviewed(&parts, &BTreeSet::new(), false);
    let why = "4 of 8 is below the floor, 25 of 100 is not above a quarter";
    assert_eq!(ids(review.approved.plan()), [1, 2, 3], "{why}");
    assert_eq!(review.trips, []);
}

#[test]
fn a_category_that_loses_too_much_is_held_and_the_others_go_on() {
    let review = reviewed(
        &[part(1, 100, 26, 9), part(2, 1000, 1, 0)],
        &BTreeSet::new(),
        false,
    );
    assert_eq!(ids(&review.held), [1]);
    assert_eq!(ids(review.approved.plan()), [2]);
    let trip = Trip::Category {
        name: "Channel 1".to_owned(),
        losses: 26,
        of: 100,
    };
    assert_eq!(review.trips, [trip]);
}

#[test]
fn an_emptied_group_is_held() {
    let review = reviewed(&[part(1, 5, 5, 0)], &BTreeSet::new(), false);
    assert_eq!(ids(&review.held), [1]);
}

#[test]
fn small_losses_everywhere_are_held_together() {
    let parts: Vec<_> = (0..10).map(|id| part(id, 10, 2, 0)).collect();
    let review = reviewed(&parts, &BTreeSet::new(), false);
    assert_eq!(review.held.categories.len(), 10);
    assert_eq!(
        review.trips,
        [Trip::Total {
            losses: 20,
            of: 100
        }]
    );
}

#[test]
fn the_total_is_measured_against_all_memberships_not_only_those_of_the_plan() {
    let parts: Vec<_> = (0..10).map(|id| part(id, 10, 2, 0)).collect();
    let review = review(
        Plan::new(parts),
        &Circumstances {
            safety: &safety(),
            first_run: false,
            memberships: 200,
            approvals: &BTreeSet::new(),
        },
    );
    assert!(review.held.is_empty(), "20 of 200 is not above a tenth");
}

#[test]
fn the_first_plan_is_held_even_if_it_only_adds() {
    let review = reviewed(
        &[part(1, 0, 0, 3), part(2, 5, 0, 0)],
        &BTreeSet::new(),
        true,
    );
    assert_eq!(ids(&review.held), [1]);
    assert_eq!(review.trips, [Trip::FirstRun]);
}

#[test]
fn a_first_plan_with_nothing_to_do_is_not_held() {
    let review = reviewed(&[part(1, 5, 0, 0)], &BTreeSet::new(), true);
    assert_eq!(review.trips, []);
}

#[test]
fn what_was_approved_passes_and_only_that() {
    let approved = BTreeSet::from([part(1, 5, 5, 0).digest()]);
    let same = reviewed(&[part(1, 5, 5, 0)], &approved, false);
    assert_eq!(ids(same.approved.plan()), [1]);
    let more = reviewed(&[part(1, 6, 6, 0)], &approved, false);
    assert_eq!(
        ids(&more.held),
        [1],
        "one more would leave than was approved"
    );
}

#[test]
fn an_approval_for_one_category_is_none_for_another() {
    let approved = BTreeSet::from([part(1, 5, 5, 0).digest()]);
    assert_eq!(
        ids(&reviewed(&[part(2, 5, 5, 0)], &approved, false).held),
        [2]
    );
}

#[test]
fn a_lower_level_is_a_loss_too() {
    let mut demoted = CategoryPlan::clone(&part(1, 6, 0, 0));
    demoted.actions = (0..6)
        .map(|number| Action {
            user: UserId::new(format!("user{number}")),
            decision: Decision::SetLevel {
                from: PermissionLevel::Manager,
                to: PermissionLevel::Member,
            },
            via: None,
            before: None,
        })
        .collect();
    assert_eq!(
        ids(&reviewed(&[Arc::new(demoted)], &BTreeSet::new(), false).held),
        [1]
    );
}
