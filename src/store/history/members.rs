//! Who was in a channel at a time.
//!
//! *Its one idea: a line says what was there, and what there is afterwards.* So the lines up to that time
//! tell of everybody they are about, the first line after it of whoever had none before, and the ledger of
//! those whom no line names any more, or ever did. What people did by hand is known as far as a run has
//! come across it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Asked, Line};
use crate::category::{CategoryId, Entitlement, PermissionLevel, Status, UserId};
use crate::plan::membership::Last;
use crate::plan::{Decision, Grant, Objection};
use crate::store::journal::Outcome;
use crate::store::ledger::Known;
use crate::store::{Store, StoreError};

/// Somebody who was in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// At what level.
    pub level: PermissionLevel,
    /// Since when and by which run, as far as is known.
    #[serde(flatten)]
    pub since: Option<Since>,
    /// What granted it.
    #[serde(flatten)]
    pub why: Option<Grant>,
    /// What it was left alone for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<Objection>,
}

/// When a membership came to be as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Since {
    /// When.
    pub since: Timestamp,
    /// The run that made, changed or found it so.
    pub run: i64,
}

/// Who was in some channels at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// Everybody who is known to have been there, by channel and ID.
    pub members: BTreeMap<CategoryId, Vec<Member>>,
    /// From when on everybody is known whom a run has made a member, or found to be one; nothing where
    /// there is no history.
    pub complete_since: Option<Timestamp>,
}

impl Store {
    /// Who was in these channels at this time; of all that is asked for, only person and channels count.
    pub fn members_at(&self, asked: &Asked, at: Timestamp) -> Result<There, StoreError> {
        let asked = Asked {
            user: asked.user.clone(),
            categories: asked.categories.clone(),
            ..Asked::default()
        };
        let mut members = Members::at(at);
        self.history(&asked, |line| {
            members.line(&line);
            Ok::<_, StoreError>(())
        })?;
        for category in &asked.categories {
            for known in self.known_members(*category)? {
                if asked.user.as_ref().is_none_or(|user| *user == known.user) {
                    members.ledger(*category, known);
                }
            }
        }
        Ok(There {
            members: members.into_lists(&asked.categories),
            complete_since: self.history_begins()?,
        })
    }
}

/// The members of channels at a time; `None` of whom is known not to have been one.
#[derive(Debug, Clone)]
struct Members {
    at: Timestamp,
    known: BTreeMap<(CategoryId, String), Option<Member>>,
}

impl Members {
    fn at(at: Timestamp) -> Self {
        Self {
            at,
            known: BTreeMap::new(),
        }
    }

    /// Takes in one more line; lines come in their order.
    fn line(&mut self, line: &Line) {
        let key = (line.category, line.user.key());
        if line.at <= self.at {
            self.until(key, line);
        } else {
            // What came later only tells what was there before.
            self.known
                .entry(key)
                .or_insert_with(|| before(line).map(|row| member(line, row.level, None, None)));
        }
    }

    fn until(&mut self, key: (CategoryId, String), line: &Line) {
        let since = Some(Since {
            since: line.at,
            run: line.run,
        });
        let there = |level, left_alone| Some(member(line, level, since, left_alone));
        let now = match (line.outcome, line.decision) {
            (
                Outcome::Done | Outcome::Already,
                Decision::Add { level }
                | Decision::Adopt { level }
                | Decision::Restore {
                    level,
                    status: Status::Active,
                    ..
                },
            ) => there(level, None),
            (
                Outcome::Done | Outcome::Already,
                Decision::SetLevel { to, .. }
                | Decision::Replace { to, .. }
                | Decision::Activate { to, .. }
                | Decision::Merge { to, .. },
            ) => there(to, None),
            (
                Outcome::Done | Outcome::Already,
                Decision::Remove { .. }
                | Decision::TakeBack
                | Decision::Deactivate
                | Decision::Forget
                | Decision::Restore { .. },
            ) => None,
            // An undo that left it alone says that it is there, and nothing of how it came to be.
            (
                _,
                Decision::Skip(
                    Objection::ChangedSince | Objection::OutsideRoot | Objection::NoWayBack,
                ),
            ) if self.is_known(&key, before(line)) => {
                return;
            }
            (_, Decision::Skip(objection)) => {
                before(line).and_then(|row| there(row.level, Some(objection)))
            }
            // What was sent and not done left things as they were, as far as anybody knows.
            _ => {
                self.known
                    .entry(key)
                    .or_insert_with(|| before(line).map(|row| member(line, row.level, None, None)));
                return;
            }
        };
        self.known.insert(key, now);
    }

    /// Whether somebody is known to be there as this row has them.
    fn is_known(&self, key: &(CategoryId, String), row: Option<&Entitlement>) -> bool {
        let known = self.known.get(key).and_then(Option::as_ref);
        known.is_some() && known.map(|member| member.level) == row.map(|row| row.level)
    }

    /// Takes in what the ledger knows of somebody whom no line names.
    fn ledger(&mut self, category: CategoryId, known: Known) {
        let Last::Active(level) = known.last else {
            return;
        };
        if known.since > self.at {
            return;
        }
        let key = (category, known.user.key());
        self.known.entry(key).or_insert_with(|| {
            Some(Member {
                user: known.user,
                level,
                since: Some(Since {
                    since: known.since,
                    run: known.run,
                }),
                why: known.via,
                left_alone: None,
            })
        });
    }

    /// Who was there, channel by channel, by ID; of each of these channels at least that nobody was.
    fn into_lists(self, categories: &[CategoryId]) -> BTreeMap<CategoryId, Vec<Member>> {
        let mut lists: BTreeMap<CategoryId, Vec<Member>> =
            categories.iter().map(|id| (*id, Vec::new())).collect();
        for ((category, _), member) in self.known {
            lists.entry(category).or_default().extend(member);
        }
        lists
    }
}

/// The membership in force that a line found.
fn before(line: &Line) -> Option<&Entitlement> {
    let before = line.before.as_ref();
    before.filter(|before| before.status == Status::Active)
}

fn member(
    line: &Line,
    level: PermissionLevel,
    since: Option<Since>,
    left_alone: Option<Objection>,
) -> Member {
    Member {
        user: line.user.clone(),
        level,
        since,
        why: line.why.clone(),
        left_alone,
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
            at: self::hour(hour),
            category: CategoryId(1),
            channel: None,
            user: UserId::new(user),
            decision,
            cause: crate::plan::category::Cause::default(),
            before: None,
            why: Some(Grant::direct(GroupId::new("bio"))),
            outcome,
            answer: None,
            approved_by: None,
        }
    }

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn read(at: i64, lines: &[Line]) -> Members {
        let mut members = Members::at(hour(at));
        for line in lines {
            members.line(line);
        }
        members
    }

    fn shown(members: Members) -> Vec<String> {
        let list = members.into_lists(&[]).into_values().flatten();
        list.map(|member| {
            let since = member.since.map_or(0, |since| since.run);
            format!("{} {} since {since}", member.user, member.level)
        })
        .collect()
    }

    fn told(lines: &[Line]) -> Vec<String> {
        shown(read(99, lines))
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

    #[test]
    fn what_came_later_tells_who_was_there_before() {
        let raise = Decision::SetLevel {
            from: MEMBER,
            to: MANAGER,
        };
        let removed = Line {
            before: Some(row(MEMBER)),
            ..line(5, "ada", Decision::Remove { copies: 1 }, Outcome::Done)
        };
        let raised = Line {
            before: Some(row(MEMBER)),
            ..line(6, "bob", raise, Outcome::Done)
        };
        let added = line(7, "cy", Decision::Add { level: MEMBER }, Outcome::Done);
        let lines = [removed, raised, added];
        assert_eq!(
            shown(read(4, &lines)),
            ["ada member since 0", "bob member since 0"]
        );
        assert_eq!(shown(read(5, &lines)), ["bob member since 0"]);
    }

    #[test]
    fn whom_no_line_names_the_ledger_may_know() {
        let known = |user: &str, last, since| Known {
            user: UserId::new(user),
            last,
            via: None,
            run: 3,
            since: hour(since),
        };
        let add = Decision::Add { level: MEMBER };
        let remove = Decision::Remove { copies: 1 };
        let mut members = read(
            4,
            &[
                line(1, "ada", add, Outcome::Done),
                line(2, "ada", remove, Outcome::Done),
            ],
        );
        for (user, last, since) in [
            ("Ada", Last::Active(MEMBER), 3),
            ("bob", Last::Active(MANAGER), 3),
            ("cy", Last::Active(MEMBER), 5),
            ("dora", Last::Removed, 3),
        ] {
            members.ledger(CategoryId(1), known(user, last, since));
        }
        assert_eq!(shown(members), ["bob manager since 3"]);
    }
}
