use super::*;
use crate::category::{CategoryId, PermissionLevel, ReferenceId, UserId, UserIdProblem};
use crate::directory::GroupId;
use crate::plan::category::Named;

fn action(user: &str, via: Option<&str>, decision: Decision) -> Action {
    Action {
        user: UserId::new(user),
        decision,
        via: via.map(|group| Grant::direct(GroupId::new(group))),
        cause: crate::plan::category::Cause::default(),
        before: None,
        extra_permissions: Vec::new(),
    }
}

fn part(id: i64, name: &str, block: Option<Block>, actions: Vec<Action>) -> CategoryPlan {
    CategoryPlan {
        category: Named {
            id: CategoryId(id),
            reference_id: Some(ReferenceId::new(name)),
            name: format!("Channel {name}"),
        },
        block,
        actions,
        members: 12,
        fresh: false,
        manual: 0,
        owned: false,
        managers: None,
    }
}

fn plan() -> Plan {
    use PermissionLevel::{Manager, Member};
    let problem = UserIdProblem::Forbidden { character: ' ' };
    Plan::new([
        part(
            8,
            "CHE",
            Some(Block::NoSuchGroup {
                group: GroupId::new("CHE"),
            }),
            vec![action(
                "otto",
                None,
                Decision::Skip(Objection::Unproven {
                    reason: crate::directory::Reason::StillListed,
                }),
            )],
        ),
        part(
            7,
            "BIO",
            None,
            vec![
                action("linus", None, Decision::Remove { copies: 1 }),
                action("hild", None, Decision::Deactivate),
                action("ada", Some("BIO"), Decision::Add { level: Member }),
                action(
                    "grace",
                    Some("BIO"),
                    Decision::SetLevel {
                        from: Member,
                        to: Manager,
                    },
                ),
                action(
                    "hedy",
                    Some("BIO"),
                    Decision::Activate {
                        from: Member,
                        to: Member,
                    },
                ),
                action("marie", Some("BIO"), Decision::Adopt { level: Member }),
                action(
                    "max planck",
                    Some("BIO"),
                    Decision::Skip(Objection::InvalidUserId { problem }),
                ),
            ],
        ),
        part(
            9,
            "PHY",
            None,
            vec![action(
                "marie",
                Some("PHY"),
                Decision::Adopt { level: Member },
            )],
        ),
    ])
}

#[test]
fn a_plan_as_text() {
    let mut out = Vec::new();
    text(&plan(), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn nothing_to_do_is_said_so() {
    let mut out = Vec::new();
    text(&Plan::default(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "Nothing to do.\n");
}
