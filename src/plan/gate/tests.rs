use super::*;
use crate::category::{CategoryId, Entitlement, PermissionLevel, Status, UpdateMethod, UserId};
use crate::plan::category::{Action, Named};
use crate::plan::membership::Decision;

/// A category with so many members, of whom some are removed and some come.
fn part(id: i64, members: u64, leave: usize, come: usize) -> Arc<CategoryPlan> {
    let action = |number: usize, decision| Action {
        user: UserId::new(format!("user{number}")),
        decision,
        via: None,
        cause: crate::plan::category::Cause::default(),
        before: None,
        extra_permissions: Vec::new(),
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
        owned: false,
        managers: None,
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
        left_empty: 0,
        ..Safety::default()
    }
}

/// Nothing special.
fn ordinary() -> Circumstances {
    Circumstances {
        safety: safety(),
        ..Circumstances::default()
    }
}

fn reviewed(parts: &[Arc<CategoryPlan>], circumstances: &Circumstances) -> Review {
    review(Plan::new(parts.to_vec()), circumstances)
}

/// An approval of which nothing is done yet.
fn approval_of(part: &CategoryPlan) -> BTreeMap<CategoryId, Vec<Approval>> {
    let approval = Approval {
        by: "ada".into(),
        at: 5,
        what: approval::Covered::Changes {
            part: part.clone(),
            done: BTreeSet::new(),
        },
    };
    BTreeMap::from([(part.category.id, vec![approval])])
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
    let review = reviewed(&parts, &ordinary());
    let why = "4 of 8 is below the floor, 25 of 100 is not above a quarter";
    assert_eq!(ids(review.approved.plan()), [1, 2, 3], "{why}");
    assert_eq!(review.trips, []);
}

#[test]
fn a_category_that_loses_too_much_is_held_and_the_others_go_on() {
    let review = reviewed(&[part(1, 100, 26, 9), part(2, 1000, 1, 0)], &ordinary());
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
    let review = reviewed(&[part(1, 5, 5, 0)], &ordinary());
    assert_eq!(ids(&review.held), [1]);
}

#[test]
fn small_losses_everywhere_are_held_together() {
    let parts: Vec<_> = (0..10).map(|id| part(id, 10, 2, 0)).collect();
    let review = reviewed(&parts, &ordinary());
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
    let review = reviewed(
        &parts,
        &Circumstances {
            memberships: 200,
            ..ordinary()
        },
    );
    assert!(review.held.is_empty(), "20 of 200 is not above a tenth");
}

#[test]
fn the_first_plan_is_held_even_if_it_only_adds() {
    let review = reviewed(
        &[part(1, 0, 0, 3), part(2, 5, 0, 0)],
        &Circumstances {
            first: Some(First::Configuration),
            ..ordinary()
        },
    );
    assert_eq!(ids(&review.held), [1]);
    assert_eq!(
        review.trips,
        [Trip::FirstRun {
            because: First::Configuration
        }]
    );
}

#[test]
fn a_first_plan_with_nothing_to_do_is_not_held() {
    let review = reviewed(
        &[part(1, 5, 0, 0)],
        &Circumstances {
            first: Some(First::Configuration),
            ..ordinary()
        },
    );
    assert_eq!(review.trips, []);
}

#[test]
fn what_was_approved_passes_and_only_that() {
    let approved = Circumstances {
        approvals: approval_of(&part(1, 5, 5, 0)),
        ..ordinary()
    };
    let same = reviewed(&[part(1, 5, 5, 0)], &approved);
    assert_eq!(ids(same.approved.plan()), [1]);
    let more = reviewed(&[part(1, 6, 6, 0)], &approved);
    assert_eq!(
        ids(&more.held),
        [1],
        "one more would leave than was approved"
    );
}

#[test]
fn an_approval_for_one_category_is_none_for_another() {
    let approved = Circumstances {
        approvals: approval_of(&part(1, 5, 5, 0)),
        ..ordinary()
    };
    assert_eq!(ids(&reviewed(&[part(2, 5, 5, 0)], &approved).held), [2]);
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
            cause: crate::plan::category::Cause::default(),
            before: None,
            extra_permissions: Vec::new(),
        })
        .collect();
    assert_eq!(ids(&reviewed(&[Arc::new(demoted)], &ordinary()).held), [1]);
}

/// Reviews parts under limits of the test's own.
fn reviewed_with(parts: &[Arc<CategoryPlan>], change: impl FnOnce(&mut Safety)) -> Review {
    let mut limits = safety();
    change(&mut limits);
    reviewed(
        parts,
        &Circumstances {
            safety: limits,
            ..ordinary()
        },
    )
}

fn reviewed_under(parts: &[Arc<CategoryPlan>], change: impl FnOnce(&mut Circumstances)) -> Review {
    let mut circumstances = ordinary();
    change(&mut circumstances);
    reviewed(parts, &circumstances)
}

/// A category whose so many active members do this.
fn acting(
    members: u64,
    owned: bool,
    managers: u64,
    deeds: &[(PermissionLevel, Decision)],
) -> Arc<CategoryPlan> {
    let mut plan = CategoryPlan::clone(&part(1, members, 0, 0));
    plan.owned = owned;
    plan.managers = Some(managers);
    let deeds = deeds.iter().enumerate();
    plan.actions = deeds
        .map(|(number, (level, decision))| Action {
            user: UserId::new(format!("user{number}")),
            decision: *decision,
            via: None,
            cause: crate::plan::category::Cause::default(),
            before: Some(Entitlement {
                user: UserId::new(format!("user{number}")),
                level: *level,
                method: UpdateMethod::Automatic,
                status: Status::Active,
                extra_permissions: Vec::new(),
            }),
            extra_permissions: Vec::new(),
        })
        .collect();
    Arc::new(plan)
}

const LEAVE: Decision = Decision::Remove { copies: 1 };
const LOWER: Decision = Decision::SetLevel {
    from: PermissionLevel::Manager,
    to: PermissionLevel::Member,
};

#[test]
fn losses_of_the_window_before_count_with_those_of_the_plan() {
    let with_recent = |recent: u64| {
        reviewed(
            &[part(1, 20, 2, 0)],
            &Circumstances {
                memberships: 1000,
                recent: BTreeMap::from([(CategoryId(1), recent)]),
                ..ordinary()
            },
        )
    };
    assert!(
        with_recent(2).held.is_empty(),
        "4 of 22 are below the floor"
    );
    let trips = with_recent(5).trips;
    let expected = Trip::Category {
        name: "Channel 1".to_owned(),
        losses: 7,
        of: 25,
    };
    assert_eq!(trips, [expected], "7 of 25 are more than a quarter");
}

#[test]
fn losses_before_hold_no_plan_that_takes_nothing() {
    let review = reviewed(
        &[part(1, 20, 0, 3)],
        &Circumstances {
            recent: BTreeMap::from([(CategoryId(1), 500)]),
            ..ordinary()
        },
    );
    assert_eq!(review.trips, []);
}

#[test]
fn a_channel_left_with_its_owner_only_is_held() {
    let member = PermissionLevel::Member;
    let emptied = acting(3, true, 1, &[(member, LEAVE), (member, LEAVE)]);
    let watched = |safety: &mut Safety| safety.left_empty = 2;
    let review = reviewed_with(std::slice::from_ref(&emptied), watched);
    assert!(matches!(review.trips[..], [Trip::LeftEmpty { of: 3, .. }]));
    let never = reviewed_with(&[emptied], |safety| safety.left_empty = 0);
    assert_eq!(never.trips, []);
    let small = acting(2, true, 1, &[(member, LEAVE)]);
    assert_eq!(
        reviewed_with(&[small], watched).trips,
        [],
        "one is below the floor"
    );
}

#[test]
fn a_channel_whose_members_are_exchanged_is_held_for_that() {
    let member = PermissionLevel::Member;
    let add = Decision::Add { level: member };
    let mut exchanged =
        CategoryPlan::clone(&acting(2, false, 1, &[(member, LEAVE), (member, LEAVE)]));
    exchanged.actions.push(Action {
        user: UserId::new("new"),
        decision: add,
        via: None,
        cause: crate::plan::category::Cause::default(),
        before: None,
        extra_permissions: Vec::new(),
    });
    let review = reviewed_with(&[Arc::new(exchanged)], |safety| safety.left_empty = 2);
    let name = "Channel 1".to_owned();
    assert_eq!(review.trips, [Trip::Exchanged { name, of: 2 }]);
}

#[test]
fn the_last_manager_is_held_and_the_last_but_one_is_not() {
    let manager = PermissionLevel::Manager;
    let hold = |_: &mut Safety| {};
    for deed in [LEAVE, Decision::Deactivate, LOWER] {
        let last = acting(50, false, 1, &[(manager, deed)]);
        let review = reviewed_with(std::slice::from_ref(&last), hold);
        assert!(
            matches!(review.trips[..], [Trip::LastManager { .. }]),
            "{deed:?}"
        );
        let allowed = reviewed_with(&[last], |safety| safety.last_manager = OnTrip::Allow);
        assert_eq!(allowed.trips, []);
        let other = acting(50, false, 2, &[(manager, deed)]);
        assert_eq!(reviewed_with(&[other], hold).trips, []);
    }
}

#[test]
fn many_lowered_levels_are_held_though_nobody_leaves() {
    let parts: Vec<_> = (0..6)
        .map(|_| acting(100, false, 50, &[(PermissionLevel::Manager, LOWER); 4]))
        .collect();
    let limit = |safety: &mut Safety| {
        safety.demotions = Threshold {
            percent: 3,
            at_least: 10,
        };
    };
    let review = reviewed_with(&parts, limit);
    let expected = Trip::Demotions {
        demotions: 24,
        of: 600,
    };
    assert_eq!(review.trips, [expected]);
    assert_eq!(review.held.categories.len(), 6);
}

#[test]
fn a_flood_into_one_channel_is_held_and_its_first_filling_is_not() {
    let flood = reviewed_with(&[part(1, 30, 0, 100)], |_| {});
    assert!(matches!(
        flood.trips[..],
        [Trip::CategoryAdditions {
            additions: 100,
            of: 30,
            ..
        }]
    ));
    assert_eq!(reviewed_with(&[part(1, 0, 0, 400)], |_| {}).trips, []);
    assert_eq!(reviewed_with(&[part(1, 60, 0, 100)], |_| {}).trips, []);
}

#[test]
fn a_flood_everywhere_is_held() {
    let parts: Vec<_> = (0..20).map(|id| part(id, 60, 0, 60)).collect();
    let review = reviewed_with(&parts, |_| {});
    let expected = Trip::TotalAdditions {
        additions: 1200,
        of: 1200,
    };
    assert_eq!(review.trips, [expected]);
}

/// A person's no to all changes of a part.
fn rejection_of(part: &CategoryPlan) -> BTreeMap<CategoryId, BTreeMap<String, i64>> {
    let changes = part.changes().map(|action| (action.identity(), 7));
    BTreeMap::from([(part.category.id, changes.collect())])
}

#[test]
fn a_part_of_what_was_rejected_is_rejected_and_more_than_that_is_not() {
    let circumstances = Circumstances {
        rejections: rejection_of(&part(1, 20, 5, 0)),
        ..ordinary()
    };
    assert_eq!(
        ids(&reviewed(&[part(1, 20, 2, 0)], &circumstances).rejected),
        [1]
    );
    assert_eq!(
        ids(&reviewed(&[part(1, 20, 6, 0)], &circumstances).rejected),
        [0; 0]
    );
}

#[test]
fn of_two_answers_the_last_one_counts() {
    let part = part(1, 5, 5, 0);
    let review = |rejected_at| {
        reviewed_under(std::slice::from_ref(&part), |circumstances| {
            circumstances.approvals = approval_of(&part);
            let changes = part.changes();
            let rejected = changes.map(|action| (action.identity(), rejected_at));
            circumstances.rejections = BTreeMap::from([(CategoryId(1), rejected.collect())]);
        })
    };
    assert_eq!(ids(review(4).approved.plan()), [1]);
    assert_eq!(ids(&review(5).rejected), [1]);
    assert_eq!(ids(&review(6).rejected), [1]);
}

#[test]
fn a_channel_that_is_emptied_one_by_one_is_held_before_it_is_empty() {
    let watched = |recent: u64| {
        let last = acting(1, false, 0, &[(PermissionLevel::Member, LEAVE)]);
        let review = reviewed_under(&[last], |circumstances| {
            circumstances.safety.left_empty = 3;
            circumstances.recent = BTreeMap::from([(CategoryId(1), recent)]);
        });
        review.trips.len()
    };
    assert_eq!((watched(1), watched(2)), (0, 1));
}

#[test]
fn an_exchange_of_all_members_is_held() {
    let review = |leave| {
        reviewed_under(&[part(1, 3, leave, 3)], |circumstances| {
            circumstances.safety.left_empty = 3;
        })
    };
    let name = "Channel 1".to_owned();
    assert_eq!(review(3).trips, [Trip::Exchanged { name, of: 3 }]);
    assert_eq!(review(2).trips, []);
}

#[test]
fn a_new_channel_that_would_lose_members_is_held() {
    let review = |leave| {
        reviewed_under(&[part(1, 50, leave, 3)], |circumstances| {
            circumstances.new = BTreeSet::from([CategoryId(1)]);
        })
    };
    assert_eq!(ids(&review(1).held), [1]);
    assert_eq!(ids(&review(0).held), [0; 0]);
}

#[test]
fn what_was_rejected_is_neither_done_nor_asked_again() {
    let whole = part(1, 5, 5, 0);
    let review = reviewed(
        &[whole.clone(), part(2, 9, 1, 0)],
        &Circumstances {
            rejections: rejection_of(&whole),
            ..ordinary()
        },
    );
    assert_eq!(ids(&review.rejected), [1]);
    assert_eq!(ids(review.approved.plan()), [2]);
    assert_eq!(
        (review.held.categories.len(), &review.trips[..]),
        (0, &[][..])
    );
}

#[test]
fn what_a_person_has_undone_is_not_done_again_unasked() {
    let parts = [part(1, 50, 1, 0), part(2, 50, 1, 0)];
    let review = reviewed(
        &parts,
        &Circumstances {
            undone: BTreeSet::from([(CategoryId(2), UserId::new("USER0"))]),
            ..ordinary()
        },
    );
    assert_eq!(ids(&review.held), [2]);
    assert_eq!(ids(review.approved.plan()), [1]);
}

#[test]
fn who_has_no_access_any_more_loses_none_by_being_removed() {
    let mut plan =
        CategoryPlan::clone(&acting(6, false, 0, &[(PermissionLevel::Member, LEAVE); 6]));
    for action in &mut plan.actions {
        action.before.as_mut().unwrap().status = Status::NotActive;
    }
    assert_eq!(plan.losses(), 0);
    assert_eq!(plan.members_after(), 6);
}

#[test]
fn what_is_held_stays_held_when_the_rest_of_its_plan_is_answered() {
    let review = reviewed(
        &[part(1, 50, 1, 0), part(2, 50, 1, 0)],
        &Circumstances {
            waiting: BTreeSet::from([(CategoryId(2), UserId::new("user0"))]),
            ..ordinary()
        },
    );
    assert_eq!(ids(&review.held), [2]);
    assert_eq!(ids(review.approved.plan()), [1]);
}
