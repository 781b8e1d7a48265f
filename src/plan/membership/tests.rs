//! The planning table, walked in every combination, against a second telling of it: a list of rows in
//! the order in which they apply.

use std::collections::BTreeMap;

use super::*;
use crate::category::UserId;
use crate::config::Period;
use crate::directory::Evidence;

const LEVELS: [PermissionLevel; 5] = [
    PermissionLevel::None,
    PermissionLevel::Member,
    PermissionLevel::Contributor,
    PermissionLevel::Moderator,
    PermissionLevel::Manager,
];

/// One combination, in words.
#[derive(Debug, Clone)]
struct Case {
    want: Option<PermissionLevel>,
    have: Option<Entitlement>,
    copies: usize,
    last: Option<Last>,
    person: Standing,
    rules: Rules,
    is_over: bool,
    known: Result<Known, Reason>,
}

const UNPROVEN: Objection = Objection::Unproven {
    reason: Reason::StillListed,
};

impl Case {
    fn row(&self) -> Row<'_> {
        Row {
            want: self.want,
            have: self.have.as_ref(),
            copies: self.copies,
            last: self.last,
            person: self.person,
            is_over: self.is_over,
            known: self.known,
        }
    }

    fn level(&self) -> PermissionLevel {
        self.have.as_ref().unwrap().level
    }

    fn is(&self, status: Status) -> bool {
        self.have.as_ref().is_some_and(|have| have.status == status)
    }

    fn is_manual(&self) -> bool {
        self.have
            .as_ref()
            .is_some_and(|have| have.method == UpdateMethod::Manual)
    }

    fn to(&self) -> PermissionLevel {
        self.want.unwrap()
    }
}

type Applies = fn(&Case) -> bool;
type Expected = fn(&Case) -> Decision;

/// Deactivated, and not by us.
fn deactivated_by_hand(case: &Case) -> bool {
    case.is(Status::NotActive) && case.last != Some(Last::Deactivated)
}

/// The policy keeps those who leave, without access, for a time or for good.
fn keeps_deactivated(case: &Case) -> bool {
    case.rules.departure != Departure::Delete
}

/// Deactivated by us for as long as the policy says.
fn has_waited_out(case: &Case) -> bool {
    let counts = matches!(case.rules.departure, Departure::Grace(_));
    counts && case.is_over && case.last == Some(Last::Deactivated)
}

/// Nothing there, and nothing to do: nobody is asked.
fn nothing_to_ask(case: &Case) -> bool {
    case.have.is_none() && case.want.is_none()
}

/// The table. The first row that applies decides.
const TABLE: &[(&str, Applies, Expected)] = &[
    (
        "not wanted, not there, known: forgotten",
        |c| nothing_to_ask(c) && matches!(c.last, Some(Last::Active(_) | Last::Deactivated)),
        |_| Decision::Forget,
    ),
    ("not wanted, not there", nothing_to_ask, |_| Decision::Keep),
    (
        "protected",
        |c| c.person == Standing::Protected,
        |_| Decision::Skip(Objection::Protected),
    ),
    (
        "owner",
        |c| c.person == Standing::Owner,
        |_| Decision::Skip(Objection::OwnerProtected),
    ),
    (
        "a user ID that Kaltura would refuse",
        |c| matches!(c.person, Standing::Invalid(_)),
        |_| {
            Decision::Skip(Objection::InvalidUserId {
                problem: UserIdProblem::Empty,
            })
        },
    ),
    (
        "a user ID of two people",
        |c| c.person == Standing::Shared,
        |_| Decision::Skip(Objection::SharedUserId),
    ),
    (
        "removed by hand, and respected",
        |c| {
            c.have.is_none()
                && matches!(c.last, Some(Last::Active(_)))
                && c.rules.removed_by_hand == RemovedByHand::Skip
        },
        |_| Decision::Skip(Objection::RemovedByHand),
    ),
    (
        "wanted, not there",
        |c| c.have.is_none(),
        |c| Decision::Add { level: c.to() },
    ),
    (
        "wanted, deactivated by hand",
        |c| c.want.is_some() && deactivated_by_hand(c),
        |_| Decision::Skip(Objection::DeactivatedByHand),
    ),
    (
        "manual, and respected; a request to join that a group grants is no membership yet",
        |c| {
            c.is_manual()
                && c.rules.manual == ManualPolicy::Respect
                && !(c.is(Status::Pending) && c.want.is_some())
        },
        |_| Decision::Skip(Objection::ManualOverride),
    ),
    (
        "several rows, wanted, which would be less, and that is not proven",
        |c| c.copies > 1 && c.want.is_some_and(|to| to < c.level()) && c.known.is_err(),
        |_| Decision::Skip(UNPROVEN),
    ),
    (
        "several rows, wanted",
        |c| c.want.is_some() && c.copies > 1,
        |c| Decision::Merge {
            surplus: c.copies - 1,
            to: c.to(),
        },
    ),
    (
        "wanted, level none",
        |c| {
            c.want.is_some_and(|to| to != PermissionLevel::None)
                && c.level() == PermissionLevel::None
                && !c.is(Status::Pending)
        },
        |c| Decision::Replace {
            from: c.level(),
            to: c.to(),
        },
    ),
    (
        "wanted, a request to join, or deactivated by us",
        |c| c.want.is_some() && !c.is(Status::Active),
        |c| Decision::Activate {
            from: c.level(),
            to: c.to(),
        },
    ),
    (
        "wanted, other level, which would be less, and that is not proven",
        |c| c.want.is_some_and(|to| to < c.level()) && c.known.is_err(),
        |_| Decision::Skip(UNPROVEN),
    ),
    (
        "wanted, other level",
        |c| c.want.is_some_and(|to| to != c.level()),
        |c| Decision::SetLevel {
            from: c.level(),
            to: c.to(),
        },
    ),
    (
        "wanted, and so it is, by us",
        |c| c.want.is_some_and(|to| c.last == Some(Last::Active(to))),
        |_| Decision::Keep,
    ),
    (
        "wanted, and so it is",
        |c| c.want.is_some(),
        |c| Decision::Adopt { level: c.to() },
    ),
    (
        "not wanted, not ours",
        |c| c.last.is_none() && c.rules.ownership == Ownership::Ledger,
        |_| Decision::Skip(Objection::NotOurs),
    ),
    (
        "not wanted, deactivated already, and the time is not over or nobody counts it",
        |c| keeps_deactivated(c) && c.is(Status::NotActive) && !has_waited_out(c),
        |_| Decision::Keep,
    ),
    (
        "not wanted, and that is not proven",
        |c| c.known.is_err(),
        |_| Decision::Skip(UNPROVEN),
    ),
    (
        "not wanted: deactivated, where there is one row",
        |c| {
            let is_over = c.is(Status::NotActive) && has_waited_out(c);
            keeps_deactivated(c) && !is_over && c.copies < 2
        },
        |_| Decision::Deactivate,
    ),
    (
        "not wanted: removed",
        |_| true,
        |c| Decision::Remove { copies: c.copies },
    ),
];

fn entitlements() -> Vec<(Option<Entitlement>, usize)> {
    let mut found = vec![(None, 0)];
    for level in LEVELS {
        for method in [UpdateMethod::Manual, UpdateMethod::Automatic] {
            for status in [Status::Active, Status::Pending, Status::NotActive] {
                let entitlement = Entitlement {
                    user: UserId::new("ada"),
                    level,
                    method,
                    status,
                    extra_permissions: Vec::new(),
                };
                found.extend([1, 3].map(|copies| (Some(entitlement.clone()), copies)));
            }
        }
    }
    found
}

fn all_rules() -> Vec<Rules> {
    let mut found = Vec::new();
    for manual in [ManualPolicy::Respect, ManualPolicy::Override] {
        let grace = Departure::Grace(Period::seconds(60));
        for departure in [Departure::Delete, Departure::Deactivate, grace] {
            for ownership in [Ownership::Automatic, Ownership::Ledger] {
                for removed_by_hand in [RemovedByHand::Add, RemovedByHand::Skip] {
                    found.push(Rules {
                        manual,
                        departure,
                        ownership,
                        removed_by_hand,
                    });
                }
            }
        }
    }
    found
}

fn every_case(mut look: impl FnMut(&Case)) {
    let lasts: Vec<Option<Last>> = [None, Some(Last::Removed), Some(Last::Deactivated)]
        .into_iter()
        .chain(LEVELS.map(|level| Some(Last::Active(level))))
        .collect();
    let wants: Vec<Option<PermissionLevel>> = std::iter::once(None)
        .chain(LEVELS[1..].iter().copied().map(Some))
        .collect();
    let people = [
        Standing::Ordinary,
        Standing::Protected,
        Standing::Owner,
        Standing::Invalid(UserIdProblem::Empty),
        Standing::Shared,
    ];
    let (entitlements, rules) = (entitlements(), all_rules());
    for want in wants {
        for (have, copies) in &entitlements {
            for last in &lasts {
                for person in people {
                    for rules in &rules {
                        let known = [Evidence::Known.known(), Err(Reason::StillListed)];
                        for (is_over, known) in [false, true]
                            .into_iter()
                            .flat_map(|is_over| known.map(|known| (is_over, known)))
                        {
                            look(&Case {
                                want,
                                have: have.clone(),
                                copies: *copies,
                                last: *last,
                                person,
                                rules: *rules,
                                is_over,
                                known,
                            });
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_table_in_every_combination() {
    let mut hits: BTreeMap<&str, u64> = TABLE.iter().map(|(name, ..)| (*name, 0)).collect();
    every_case(|case| {
        let (name, _, expected) = TABLE.iter().find(|(_, applies, _)| applies(case)).unwrap();
        *hits.get_mut(name).unwrap() += 1;
        assert_eq!(
            decide(&case.row(), case.rules),
            expected(case),
            "{name}: {case:?}"
        );
    });
    let idle: Vec<_> = hits.iter().filter(|(_, hits)| **hits == 0).collect();
    assert!(idle.is_empty(), "rows that no case reaches: {idle:?}");
}

#[test]
fn a_manual_membership_and_an_owner_never_lose_anything() {
    every_case(|case| {
        let respected = case.is_manual() && case.rules.manual == ManualPolicy::Respect;
        if respected || case.person == Standing::Owner || case.person == Standing::Protected {
            let decision = decide(&case.row(), case.rules);
            assert!(!decision.is_loss(), "{decision:?}: {case:?}");
        }
    });
}

#[test]
fn nothing_is_lost_on_evidence_that_is_not_complete() {
    every_case(|case| {
        if case.known.is_err() {
            let decision = decide(&case.row(), case.rules);
            assert!(!decision.is_loss(), "{decision:?}: {case:?}");
        }
    });
}
