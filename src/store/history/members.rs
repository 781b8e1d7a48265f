//! Who was in a channel at a time, told from the lines up to then.
//!
//! *Its one idea: a line says what was there, or what there was afterwards.* What people did by hand is
//! known as far as a run has come across it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Line;
use crate::category::{CategoryId, Entitlement, PermissionLevel, Status, UserId};
use crate::plan::{Decision, Grant, Objection};
use crate::store::journal::Outcome;

/// Somebody who was in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// At what level.
    pub level: PermissionLevel,
    /// Since when, as far as the lines go back.
    pub since: Timestamp,
    /// The run that made, changed or found it so.
    pub run: i64,
    /// What granted it.
    #[serde(flatten)]
    pub why: Option<Grant>,
    /// What it was left alone for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<Objection>,
}

/// The members of channels, line by line.
#[derive(Debug, Clone, Default)]
pub struct Members(BTreeMap<(CategoryId, String), Member>);

impl Members {
    /// Takes in one more line; lines come in their order.
    pub fn after(&mut self, line: &Line) {
        let key = (line.category, line.user.key());
        let there = |level, left_alone| Member {
            user: line.user.clone(),
            level,
            since: line.at,
            run: line.run,
            why: line.why.clone(),
            left_alone,
        };
        let before = line.before.as_ref();
        let before = before.filter(|before| before.status == Status::Active);
        let member = match (line.outcome, line.decision) {
            (Outcome::Done, Decision::Add { level } | Decision::Adopt { level }) => {
                Some(there(level, None))
            }
            (
                Outcome::Done,
                Decision::Restore {
                    level,
                    status: Status::Active,
                    ..
                },
            ) => Some(there(level, None)),
            (
                Outcome::Done,
                Decision::SetLevel { to, .. }
                | Decision::Replace { to, .. }
                | Decision::Activate { to, .. }
                | Decision::Merge { to, .. },
            ) => Some(there(to, None)),
            (
                Outcome::Done,
                Decision::Remove { .. }
                | Decision::TakeBack
                | Decision::Deactivate
                | Decision::Forget
                | Decision::Restore { .. },
            ) => None,
            // An undo that left it alone says that it is there, and nothing of how it came to be.
            (_, Decision::Skip(Objection::ChangedSince | Objection::NoWayBack))
                if self.is_known(&key, before) =>
            {
                return;
            }
            (_, Decision::Skip(objection)) => {
                before.map(|before| there(before.level, Some(objection)))
            }
            // What was sent and not done left things as they were, as far as anybody knows.
            _ => return,
        };
        match member {
            Some(member) => _ = self.0.insert(key, member),
            None => _ = self.0.remove(&key),
        }
    }

    /// Whether somebody is known to be there as this row has them.
    fn is_known(&self, key: &(CategoryId, String), row: Option<&Entitlement>) -> bool {
        let known = self.0.get(key).map(|member| member.level);
        known.is_some() && known == row.map(|row| row.level)
    }

    /// Who is there now, by channel and ID.
    pub fn into_list(self) -> Vec<(CategoryId, Member)> {
        let members = self.0.into_iter();
        members
            .map(|((category, _), member)| (category, member))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::UpdateMethod;
    use crate::directory::GroupId;

    fn line(hour: i64, user: &str, decision: Decision, outcome: Outcome) -> Line {
        Line {
            number: hour,
            run: hour,
            at: Timestamp::from_second(hour * 3600).unwrap(),
            category: CategoryId(1),
            channel: None,
            user: UserId::new(user),
            decision,
            before: None,
            why: Some(Grant::direct(GroupId::new("bio"))),
            outcome,
            answer: None,
            approved_by: None,
        }
    }

    fn told(lines: &[Line]) -> Vec<String> {
        let mut members = Members::default();
        for line in lines {
            members.after(line);
        }
        let list = members.into_list().into_iter();
        list.map(|(_, member)| format!("{} {} since {}", member.user, member.level, member.run))
            .collect()
    }

    const MEMBER: PermissionLevel = PermissionLevel::Member;
    const MANAGER: PermissionLevel = PermissionLevel::Manager;

    #[test]
    fn the_last_thing_done_counts() {
        let (add, up) = (
            Decision::Add { level: MEMBER },
            Decision::SetLevel {
                from: MEMBER,
                to: MANAGER,
            },
        );
        let lines = [
            line(1, "ada", add, Outcome::Done),
            line(2, "bob", add, Outcome::Done),
            line(3, "ADA", up, Outcome::Done),
            line(4, "bob", Decision::Remove { copies: 1 }, Outcome::Done),
        ];
        assert_eq!(told(&lines), ["ADA manager since 3"]);
        assert_eq!(
            told(&lines[..2]),
            ["ada member since 1", "bob member since 2"]
        );
    }

    #[test]
    fn what_was_refused_changes_nothing() {
        let lines = [
            line(1, "ada", Decision::Add { level: MEMBER }, Outcome::Done),
            line(2, "ada", Decision::Remove { copies: 1 }, Outcome::Refused),
            line(3, "bob", Decision::Add { level: MEMBER }, Outcome::Unknown),
        ];
        assert_eq!(told(&lines), ["ada member since 1"]);
    }

    #[test]
    fn a_membership_left_alone_is_one() {
        let mut by_hand = line(
            1,
            "ada",
            Decision::Skip(Objection::ManualOverride),
            Outcome::Left,
        );
        by_hand.before = Some(row(MANAGER));
        assert_eq!(told(&[by_hand]), ["ada manager since 1"]);
    }

    fn row(level: PermissionLevel) -> Entitlement {
        Entitlement {
            user: UserId::new("ada"),
            level,
            method: UpdateMethod::Manual,
            status: Status::Active,
            extra_permissions: Vec::new(),
        }
    }

    #[test]
    fn an_undo_that_left_somebody_alone_says_what_is_there_and_not_since_when() {
        let add = line(1, "ada", Decision::Add { level: MEMBER }, Outcome::Done);
        let left_alone = |before| Line {
            before,
            ..line(
                2,
                "ada",
                Decision::Skip(Objection::ChangedSince),
                Outcome::Left,
            )
        };
        let told = |before| told(&[add.clone(), left_alone(before)]);
        assert_eq!(told(Some(row(MEMBER))), ["ada member since 1"]);
        assert_eq!(told(Some(row(MANAGER))), ["ada manager since 2"]);
        assert_eq!(told(None), [""; 0]);
    }
}
