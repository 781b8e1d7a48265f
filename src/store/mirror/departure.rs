//! Members that a group does not list any more, until it is proven that they have left.
//!
//! A departure depends on the group and on the person, the person read no earlier than the group, and on a
//! second look at both, `confirm_after` later at least. Until then the membership is kept here: the planner
//! neither grants it nor takes it away.
//!
//! | the group does not list | and | so |
//! |---|---|---|
//! | a person | whose entry is there, and was read after the group | they have left |
//! | a person | whose entry is there, in a file with a new name in the group that no entry has | the next export tells |
//! | a person | whose entry left the people's filter | they have left |
//! | a person | whose entry is gone or hidden, and the group lists no name that came since and that no entry has | they have left |
//! | a person | whose entry is gone or hidden, and the group lists such a name | it may be theirs: `policy.vanished_person` |
//! | a person's present name or login | but a former one, which another entry has now | they may be meant, until the group does not list it |
//! | a member | which the server says the group has, or does not tell | a right covers some values only |
//! | an inner group | which is there | it has left |
//! | a name that no entry has | | it was perhaps somebody's: the second look decides |
//! | a person | who had it as their primary group, and has another | as above |
//! | a person | who had it as their primary group, and whose entry is gone or hidden | as if it listed them: `policy.vanished_person` |
//! | a member of another entry with the same group ID, which is gone | | as if that entry had been this one |
//! | an inner group | which is gone, and the group lists a name that came at the same time and that no entry has | it may be that one |

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::group::read_evidence;
use super::{Absorption, MOST_MARKS, Mark, StoreError};
use crate::category::UserId;
use crate::directory::{Dn, EntryKind, GroupId, MemberName, Reason, Role, StableId};
use crate::plan::desired::EntryId;
use crate::source::{Membership, Moved};
use crate::store::{Store, dirty};

/// What decides whether a departure is proven.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation {
    /// Departures seen after this are too new.
    pub seen_until: Timestamp,
    /// Departures of people whose entries are gone or hidden are over when they were seen until then,
    /// whatever the group lists; `None`: never.
    pub vanished_until: Option<Timestamp>,
    /// Departures first seen in this read or a later one have not been seen twice.
    pub before_look: i64,
    /// Whether a departure must have been seen in another state of the source, too, such as another
    /// export.
    pub other_source: bool,
    /// Whether people have been read again after the groups. Of a file nobody knows whether people are
    /// newer than groups: who was renamed in between looks like a leaver and a stranger.
    pub read_again: bool,
}

/// Which departure is meant: the mirror's numbers of the group, the role and the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(EntryId, i64, EntryId);

/// What has become of departures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Departures that are proven.
    pub proven: u64,
    /// Departures that have been seen once only, in the last look.
    pub new: u64,
}

impl Absorption<'_> {
    /// Notes who came to a group and who is not listed any more.
    pub(super) fn departed(
        &mut self,
        group: EntryId,
        came: &[(i64, EntryId)],
        gone: &[(i64, EntryId)],
    ) -> Result<(), StoreError> {
        for (role, member) in came {
            self.transaction
                .prepare_cached(
                    "DELETE FROM departure WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
                )?
                .execute([group, *role, *member])?;
        }
        for (role, member) in gone {
            self.transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO departure
                         (group_id, role, member_id, since, look, reason)
                     SELECT ?1, ?2, id, ?4, ?5, ?6 FROM entry
                     WHERE id = ?3 AND kind IN ('person', 'group', 'name')",
                )?
                .execute(params![
                    group,
                    role,
                    member,
                    self.now.as_second(),
                    self.look,
                    Reason::Unconfirmed.code()
                ])?;
            self.transaction
                .prepare_cached(
                    "DELETE FROM membership WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
                )?
                .execute([group, *role, *member])?;
        }
        Ok(())
    }

    /// Notes that a person leaves their primary group, or a group all who have it as theirs, before that is
    /// written: no group lists them for it.
    pub(super) fn leaves_primary_group(&mut self, id: EntryId) -> Result<(), StoreError> {
        let role = self.role(&Role::member())?;
        for theirs in ["person.id", "grp.id"] {
            self.transaction
                .prepare_cached(&format!(
                    "INSERT OR REPLACE INTO departure
                         (group_id, role, member_id, since, look, reason, own)
                     SELECT grp.id, ?2, person.id, ?3, ?4, ?5, 1
                     FROM person JOIN grp ON primary_key = primary_group
                     JOIN entry AS mine ON mine.id = grp.id JOIN entry AS named ON named.id = person.id
                     WHERE {theirs} = ?1 AND mine.directory = named.directory
                     AND NOT EXISTS (SELECT 1 FROM membership
                         WHERE group_id = grp.id AND role = ?2 AND member_id = person.id)"
                ))?
                .execute(params![
                    id,
                    role,
                    self.now.as_second(),
                    self.look,
                    Reason::Unconfirmed.code()
                ])?;
        }
        Ok(())
    }

    /// Where another entry has the group ID of a group that is gone, whoever is not in that one has left it:
    /// a departure like any other. Those that were open stay open.
    pub(super) fn hand_over_departures(
        &self,
        gone: EntryId,
        group_id: &GroupId,
    ) -> Result<(), StoreError> {
        let heirs: Vec<EntryId> = self
            .transaction
            .prepare_cached(
                "SELECT grp.id FROM grp JOIN entry USING (id)
                 WHERE group_id = ?1 AND directory = ?2 AND grp.id <> ?3",
            )?
            .query_map(params![group_id.as_str(), self.directory, gone], |row| {
                row.get(0)
            })?
            .collect::<Result<_, _>>()?;
        for heir in heirs {
            self.transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO departure
                     SELECT ?1, role, member_id, since, look, reason, source, hidden, own FROM departure
                     WHERE group_id = ?2
                     UNION ALL
                     SELECT ?1, role, member_id, ?3, ?4, ?5, NULL, 0, 0
                     FROM membership JOIN entry ON entry.id = member_id
                     WHERE group_id = ?2 AND entry.kind IN ('person', 'group', 'name')",
                )?
                .execute(params![
                    heir,
                    gone,
                    self.now.as_second(),
                    self.look,
                    Reason::Unconfirmed.code()
                ])?;
            self.transaction
                .prepare_cached(
                    "DELETE FROM departure WHERE group_id = ?1 AND EXISTS
                         (SELECT 1 FROM membership WHERE membership.group_id = departure.group_id
                          AND membership.role = departure.role
                          AND membership.member_id = departure.member_id)",
                )?
                .execute([heir])?;
        }
        Ok(())
    }

    /// Notes of the departures that this read has found in which state of the source they were found.
    pub(super) fn name_source(&self, source: &str) -> Result<(), StoreError> {
        self.transaction.execute(
            "UPDATE departure SET source = ?3 WHERE (look = ?2 OR source IS NULL)
             AND EXISTS (SELECT 1 FROM entry WHERE entry.id = group_id AND directory = ?1)",
            params![self.directory, self.look, source],
        )?;
        Ok(())
    }
}

impl Store {
    /// The number of the last read of a directory.
    pub fn last_look(&self, directory: &str) -> Result<i64, StoreError> {
        Ok(self.of_directory(directory, "looks")?.unwrap_or(0))
    }

    /// What must be read a second time: the groups and the members of departures seen until then, and
    /// people who are gone and have not been looked for by themselves since then, with the groups that list
    /// them.
    pub fn to_confirm(
        &self,
        directory: &str,
        seen_until: Timestamp,
        looked_up_since: Timestamp,
    ) -> Result<Vec<Moved>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "WITH this (id) AS (SELECT id FROM directory WHERE name = ?1),
             due AS (
                 SELECT group_id, member_id FROM departure JOIN entry ON entry.id = group_id
                 WHERE departure.since <= ?2 AND directory = (SELECT id FROM this)
             ), gone AS (
                 SELECT former_person.id FROM former_person JOIN entry USING (id)
                 WHERE how = 'gone' AND directory = (SELECT id FROM this)
                     AND (former_person.looked_up_at IS NULL OR former_person.looked_up_at < ?3)
                     AND EXISTS (SELECT 1 FROM membership WHERE member_id = former_person.id)
             ), wanted AS (
                 SELECT group_id AS id FROM due UNION SELECT member_id FROM due
                 UNION SELECT id FROM gone
                 UNION SELECT group_id FROM membership WHERE member_id IN (SELECT id FROM gone)
             )
             SELECT kind, stable_id FROM entry JOIN wanted USING (id)
             WHERE stable_id IS NOT NULL AND kind IN ('person', 'group') ORDER BY id",
        )?;
        let times = params![
            directory,
            seen_until.as_second(),
            looked_up_since.as_second()
        ];
        let rows = statement.query_map(times, |row| {
            let kind = match row.get_ref(0)?.as_str()? {
                "person" => EntryKind::Person,
                _ => EntryKind::Group,
            };
            Ok(Moved {
                kind,
                id: StableId::new(row.get::<_, String>(1)?),
                version: None,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Departures seen until then, as questions to the server: whether the group has the member after all.
    pub fn departures_to_ask(
        &self,
        directory: &str,
        seen_until: Timestamp,
    ) -> Result<Vec<(Key, Membership)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT departure.group_id, role, member_id, mine.name, role.name, theirs.name, login
             FROM departure JOIN entry AS mine ON mine.id = departure.group_id
             JOIN entry AS theirs ON theirs.id = member_id JOIN role ON role.id = departure.role
             LEFT JOIN person ON person.id = member_id
             WHERE departure.since <= ?2
             AND mine.directory = (SELECT id FROM directory WHERE name = ?1)",
        )?;
        let mut rows = statement.query(params![directory, seen_until.as_second()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key = Key(row.get(0)?, row.get(1)?, row.get(2)?);
            let Ok(group) = Dn::parse(&row.get::<_, String>(3)?) else {
                continue;
            };
            let role = Role::new(row.get::<_, String>(4)?);
            let names = [
                Dn::parse(&row.get::<_, String>(5)?)
                    .ok()
                    .map(MemberName::Dn),
                row.get::<_, Option<String>>(6)?.map(MemberName::Login),
            ];
            for member in names.into_iter().flatten() {
                let (group, role) = (group.clone(), role.clone());
                found.push((
                    key,
                    Membership {
                        group,
                        role,
                        member,
                    },
                ));
            }
        }
        Ok(found)
    }

    /// Notes which departures the server says are none.
    pub fn note_hidden(&self, directory: &str, hidden: &[Key]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute(
            "UPDATE departure SET hidden = 0 WHERE hidden AND EXISTS
                 (SELECT 1 FROM entry WHERE entry.id = group_id
                  AND directory = (SELECT id FROM directory WHERE name = ?1))",
            [directory],
        )?;
        for Key(group, role, member) in hidden {
            transaction
                .prepare_cached(
                    "UPDATE departure SET hidden = 1
                     WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
                )?
                .execute([group, role, member])?;
        }
        Ok(transaction.commit()?)
    }

    /// Drops the departures that are proven, and marks whom they concern. The others keep the reason for
    /// which they are not proven.
    pub fn settle_departures(
        &self,
        directory: &str,
        confirmation: &Confirmation,
    ) -> Result<Settled, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let mut judge = Judge {
            transaction: &transaction,
            confirmation,
            groups: HashMap::new(),
        };
        let mut settled = Settled::default();
        let (names, members): (Vec<_>, Vec<_>) =
            judge.all(directory)?.into_iter().partition(|d| d.is_name);
        // Whether a name may be theirs is asked of members who are gone, so names are decided first.
        for departure in names.iter().chain(&members) {
            settled.new += u64::from(departure.look >= confirmation.before_look);
            match judge.doubt(departure)? {
                None => {
                    judge.settle(departure)?;
                    if departure.is_name {
                        judge.groups.remove(&departure.group);
                    }
                    settled.proven += 1;
                }
                Some(reason) if reason.code() != departure.reason => {
                    transaction.execute(
                        "UPDATE departure SET reason = ?4
                         WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
                        params![
                            departure.group,
                            departure.role,
                            departure.member,
                            reason.code()
                        ],
                    )?;
                }
                Some(_) => {}
            }
        }
        if settled.proven > MOST_MARKS {
            transaction.execute("DELETE FROM dirty", [])?;
            dirty::mark(&transaction, &Mark::Everything)?;
        }
        transaction.commit()?;
        Ok(settled)
    }
}

/// A member that a group does not list any more.
#[expect(clippy::struct_excessive_bools, reason = "each is a column")]
struct Departure {
    group: EntryId,
    role: i64,
    member: EntryId,
    since: i64,
    look: i64,
    reason: String,
    /// Whether the source has another state now than when it was first seen.
    is_other_source: bool,
    /// Whether the server says that the group has the member.
    is_hidden: bool,
    /// Whether the member is a name only, which no entry has.
    is_name: bool,
    /// Whether the member's own entry had said it: nothing else tells.
    is_own: bool,
}

/// What is known of a group that somebody may have left.
#[derive(Clone)]
struct Left {
    group_id: GroupId,
    /// Why not all of its members are known.
    lacks: Option<Reason>,
    /// The newest read in which a name was first seen that the group lists and no entry has; 0: none.
    newest_name: i64,
}

struct Judge<'t> {
    transaction: &'t Transaction<'t>,
    confirmation: &'t Confirmation,
    groups: HashMap<EntryId, Option<Left>>,
}

impl Judge<'_> {
    fn all(&self, directory: &str) -> Result<Vec<Departure>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT group_id, role, member_id, departure.since, departure.look, reason,
                 source IS NOT NULL AND source IS NOT directory.seen, hidden, theirs.kind = 'name', own
             FROM departure JOIN entry ON entry.id = group_id
             JOIN entry AS theirs ON theirs.id = member_id
             JOIN directory ON directory.id = entry.directory WHERE directory.name = ?1",
        )?;
        let rows = statement.query_map([directory], |row| {
            Ok(Departure {
                group: row.get(0)?,
                role: row.get(1)?,
                member: row.get(2)?,
                since: row.get(3)?,
                look: row.get(4)?,
                reason: row.get(5)?,
                is_other_source: row.get(6)?,
                is_hidden: row.get(7)?,
                is_name: row.get(8)?,
                is_own: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Why a departure is not proven; `None`: it is.
    fn doubt(&mut self, departure: &Departure) -> Result<Option<Reason>, StoreError> {
        let confirmation = self.confirmation;
        let is_new = departure.since > confirmation.seen_until.as_second()
            || departure.look >= confirmation.before_look
            || (confirmation.other_source && !departure.is_other_source);
        let Some(group) = self.group(departure.group)? else {
            return Ok(None);
        };
        if let Some(reason) = group.lacks {
            return Ok(Some(reason));
        }
        if is_new {
            return Ok(Some(Reason::Unconfirmed));
        }
        if departure.is_hidden {
            return Ok(Some(Reason::AttributeUnreadable));
        }
        if self.is_listed_by_a_former_name(departure)? {
            return Ok(Some(Reason::FormerName));
        }
        if departure.is_name || self.is_there(departure.member)? {
            let may_be_renamed = !confirmation.read_again
                && !departure.is_other_source
                && group.newest_name >= departure.look;
            return Ok(may_be_renamed.then_some(Reason::Unconfirmed));
        }
        if departure.is_own {
            return Ok(Some(Reason::StillListed));
        }
        let last_seen = self.last_seen(departure)?;
        let came_since = group.newest_name > last_seen || group.newest_name >= departure.look;
        let is_over = confirmation
            .vanished_until
            .is_some_and(|until| departure.since <= until.as_second());
        Ok((came_since && !is_over).then_some(Reason::PerhapsListed))
    }

    fn group(&mut self, id: EntryId) -> Result<Option<Left>, StoreError> {
        if let Some(known) = self.groups.get(&id) {
            return Ok(known.clone());
        }
        let row: Option<(String, Option<String>, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT group_id, evidence,
                     (SELECT coalesce(max(look), 0) FROM entry WHERE kind = 'name' AND id IN
                         (SELECT member_id FROM membership WHERE membership.group_id = grp.id
                          UNION ALL SELECT member_id FROM departure WHERE departure.group_id = grp.id))
                 FROM grp WHERE id = ?1",
            )?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let found = match row {
            None => None,
            Some((group_id, evidence, newest_name)) => Some(Left {
                group_id: GroupId::new(group_id),
                lacks: read_evidence(evidence.as_deref())?
                    .reasons()
                    .first()
                    .copied(),
                newest_name,
            }),
        };
        self.groups.insert(id, found.clone());
        Ok(found)
    }

    /// Whether the group lists a former name of the member, which another entry has now. One with the same
    /// user ID is the same person, with a new account.
    fn is_listed_by_a_former_name(&self, departure: &Departure) -> Result<bool, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM former_name
                 JOIN entry ON entry.id IN (
                     SELECT id FROM entry AS named
                     WHERE named.directory = former_name.directory AND named.name = former_name.name
                     UNION ALL SELECT id FROM person
                     WHERE former_name.name LIKE ':login:%' AND login = substr(former_name.name, 8))
                     AND entry.directory = former_name.directory
                 JOIN membership ON membership.member_id = entry.id
                 WHERE former_name.id = ?1 AND membership.group_id = ?2
                 AND NOT EXISTS (SELECT 1 FROM person
                     WHERE person.id = entry.id AND person.user_key IN
                         (SELECT user_key FROM former_person WHERE former_person.id = ?1
                          UNION ALL SELECT user_key FROM person WHERE person.id = ?1))",
            )?
            .exists([departure.member, departure.group])?)
    }

    /// Whether the member is a person or a group that is there, or is known not to be one of ours.
    fn is_there(&self, member: EntryId) -> Result<bool, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM person WHERE id = ?1 UNION ALL SELECT 1 FROM grp WHERE id = ?1
                 UNION ALL SELECT 1 FROM former_person WHERE id = ?1 AND how = 'filter'",
            )?
            .exists([member])?)
    }

    /// The last read in which a member who is gone was there, as far as it is known.
    fn last_seen(&self, departure: &Departure) -> Result<i64, StoreError> {
        let look = self
            .transaction
            .prepare_cached("SELECT look FROM former_person WHERE id = ?1")?
            .query_row([departure.member], |row| row.get(0))
            .optional()?;
        Ok(look.unwrap_or(departure.look - 1))
    }

    fn settle(&self, departure: &Departure) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "DELETE FROM departure WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
            )?
            .execute([departure.group, departure.role, departure.member])?;
        let Some(Some(group)) = self.groups.get(&departure.group) else {
            return Ok(());
        };
        let user: Option<String> = self
            .transaction
            .prepare_cached(
                "SELECT user_id FROM person WHERE id = ?1
                 UNION ALL SELECT user_id FROM former_person WHERE id = ?1",
            )?
            .query_row([departure.member], |row| row.get(0))
            .optional()?;
        let group = group.group_id.clone();
        let mark = match user {
            Some(user) => Mark::Membership(group, UserId::new(user)),
            None => Mark::Group(group),
        };
        Ok(dirty::mark(self.transaction, &mark)?)
    }
}
