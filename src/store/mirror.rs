//! The mirror: people, groups, and who is in which; always a whole directory, even when only a few
//! entries were read.
//!
//! Merging is one transaction with the checkpoint, and compares: an entry read twice changes nothing. What
//! did change leaves [marks](super::dirty) in the same transaction, so nothing that was read is forgotten
//! until a run has planned it.
//!
//! | module | what |
//! |---|---|
//! | [`entry`] | which name leads to which entry, former names included |
//! | [`person`] | people, and what is remembered of those who are gone |
//! | [`group`] | groups, their members, and how much is known of them |
//! | [`departure`] | members that a group does not list any more, until that is proven |
//! | [`unannounced`] | entries that came, went or were renamed without a word |
//! | [`behind`] | entries that are older than when they were last read |
//!
//! People and groups are known by their stable id; a name (a DN, a login) leads to an *entry*, and
//! memberships refer to entries. So a person who is renamed keeps their memberships, a group may
//! mention somebody who has not been read yet, and a person who leaves the filter and comes back is
//! where they were, although no group was touched.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::dirty::{self, Mark};
use super::{Store, StoreError};
use crate::directory::{EntryKind, Left, Observation, StableId, Unusable, Version};
use crate::killpoint;
use crate::plan::desired::EntryId;
use crate::source::{Checkpoint, Moved, Proof, Read, Seen};

mod behind;
mod collapse;
pub mod departure;
mod entry;
mod group;
mod person;
mod unannounced;

pub(super) use group::group_evidence;

/// More marks than this in one read are one mark: everything.
const MOST_MARKS: u64 = 20_000;

/// What a read has changed in the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Absorbed {
    /// Entries that were looked at.
    pub seen: u64,
    /// People and groups that are new.
    pub new: u64,
    /// People and groups that are otherwise than before.
    pub changed: u64,
    /// People and groups that are gone.
    pub gone: u64,
    /// Entries that cannot be used.
    pub unusable: u64,
    /// Entries that are older than when they were last read: the server is behind, or went back. Then
    /// nothing of the read is merged.
    pub older: u64,
    /// Entries that were older before, and have been changed since: the change in between may be lost.
    /// Then nothing of the read is merged.
    pub rewritten: u64,
    /// Groups that lost all members of a role, together with most others: the attribute cannot be read
    /// any more.
    pub collapsed: u64,
    /// People who would be disabled, together with most others, and stay as they were: the attribute behind
    /// `people.enabled` cannot be read any more.
    pub kept_enabled: u64,
}

impl Absorbed {
    /// Adds what a further read has changed.
    #[must_use]
    pub fn and(self, further: Self) -> Self {
        Self {
            seen: self.seen + further.seen,
            new: self.new + further.new,
            changed: self.changed + further.changed,
            gone: self.gone + further.gone,
            unusable: self.unusable + further.unusable,
            older: self.older + further.older,
            rewritten: self.rewritten + further.rewritten,
            collapsed: self.collapsed + further.collapsed,
            kept_enabled: self.kept_enabled + further.kept_enabled,
        }
    }
}

impl Store {
    /// The groups whose members must be resolved again, although the groups themselves may not have
    /// changed: a name that they list has changed hands, or they were read twice with different content.
    pub fn groups_to_resolve(&self, directory: &str) -> Result<Vec<Moved>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT stable_id FROM grp JOIN entry USING (id)
             WHERE digest IS NULL AND (evidence IS NULL OR evidence LIKE '%entry_twice%')
             AND stable_id IS NOT NULL AND directory = (SELECT id FROM directory WHERE name = ?1)",
        )?;
        let groups = statement.query_map([directory], |row| {
            Ok(Moved {
                kind: EntryKind::Group,
                id: StableId::new(row.get::<_, String>(0)?),
                version: None,
            })
        })?;
        Ok(groups.collect::<Result<_, _>>()?)
    }

    /// From where to look for changes in a directory; `None`: it has never been read in full.
    pub fn checkpoint(&self, directory: &str) -> Result<Option<Checkpoint>, StoreError> {
        let checkpoint = self.of_directory(
            directory,
            "CASE WHEN full_read_at IS NOT NULL THEN checkpoint END",
        )?;
        Ok(checkpoint.map(Checkpoint))
    }

    /// Of entries that may have moved, those whose present version is not the one in the mirror.
    pub fn unknown_of(&self, directory: &str, moved: Vec<Moved>) -> Result<Vec<Moved>, StoreError> {
        let connection = self.lock();
        let mut known = connection.prepare_cached(
            "SELECT version FROM entry WHERE stable_id = ?2
             AND directory = (SELECT id FROM directory WHERE name = ?1)",
        )?;
        let mut unknown = Vec::new();
        for item in moved {
            let version: Option<Option<String>> = known
                .query_row([directory, item.id.as_str()], |row| row.get(0))
                .optional()?;
            let is_known = item.version.is_some() && version.flatten().map(Version) == item.version;
            if !is_known {
                unknown.push(item);
            }
        }
        Ok(unknown)
    }

    /// Moves the checkpoint alone: a look for changes found none.
    pub fn set_checkpoint(
        &self,
        directory: &str,
        checkpoint: &Checkpoint,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute(
            "UPDATE directory SET checkpoint = ?2, read_at = ?3 WHERE name = ?1",
            params![directory, checkpoint.0, now.as_second()],
        )?;
        Ok(transaction.commit()?)
    }

    /// Has the next read of a directory be a full one.
    pub fn forget_checkpoint(&self, directory: &str) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute(
            "UPDATE directory SET checkpoint = NULL WHERE name = ?1",
            [directory],
        )?;
        Ok(transaction.commit()?)
    }

    /// Forgets the directories that are not among these: the configuration does not name them any more,
    /// so what they said grants nothing, and stands in nobody's way.
    pub fn keep_directories(&self, names: &[&str]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let known: Vec<(i64, String)> = connection
            .prepare_cached("SELECT id, name FROM directory")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let transaction = self.begin(&mut connection)?;
        for (id, _) in known
            .iter()
            .filter(|(_, name)| !names.contains(&name.as_str()))
        {
            for sql in [
                "DELETE FROM membership WHERE group_id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM departure WHERE group_id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM stale_name WHERE group_id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM former_user WHERE id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM former_person WHERE id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM former_name WHERE directory = ?1",
                "DELETE FROM unusable_group WHERE directory = ?1",
                "DELETE FROM grp WHERE id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM person WHERE id IN (SELECT id FROM entry WHERE directory = ?1)",
                "DELETE FROM entry WHERE directory = ?1",
                "DELETE FROM vanished_group WHERE directory = ?1",
                "DELETE FROM problem WHERE directory = ?1",
                "DELETE FROM directory WHERE id = ?1",
            ] {
                transaction.execute(sql, [id])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Makes the index of memberships by member, where a first read has gone without. It is for speed
    /// alone, so it need not be there.
    pub fn index_memberships(&self) -> Result<(), StoreError> {
        Ok(self.lock().execute_batch(
            "CREATE INDEX IF NOT EXISTS membership_by_member ON membership (member_id)",
        )?)
    }

    /// Absorbs what a source sends, until it has sent everything; then, by what the read proves,
    /// drops what was not seen and moves the checkpoint. All or nothing: without an end (the source
    /// failed), and where the server is behind what was read before, the mirror stays as it was. Blocks;
    /// call it with [`Store::run`].
    pub fn absorb(
        &self,
        directory: &str,
        observations: mpsc::Receiver<Vec<Observation>>,
        end: oneshot::Receiver<Read>,
        now: Timestamp,
    ) -> Result<Option<Absorbed>, StoreError> {
        self.merge(directory, observations, end, now, true)
    }

    /// Compares what a source sends, of which it is known that it is behind, with what was read before,
    /// and remembers which entries are older. Nothing is merged. Blocks; call it with [`Store::run`].
    pub fn compare_behind(
        &self,
        directory: &str,
        observations: mpsc::Receiver<Vec<Observation>>,
        end: oneshot::Receiver<Read>,
        now: Timestamp,
    ) -> Result<Option<Absorbed>, StoreError> {
        self.merge(directory, observations, end, now, false)
    }

    fn merge(
        &self,
        directory: &str,
        mut observations: mpsc::Receiver<Vec<Observation>>,
        end: oneshot::Receiver<Read>,
        now: Timestamp,
        is_merged: bool,
    ) -> Result<Option<Absorbed>, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let mut absorption = Absorption::begin(&transaction, directory, now)?;
        while let Some(batch) = observations.blocking_recv() {
            for observation in batch {
                absorption.absorb(observation)?;
            }
        }
        let Ok(read) = end.blocking_recv() else {
            return Ok(None);
        };
        let absorbed = absorption.absorbed;
        if !is_merged || absorbed.older > 0 || absorption.is_rewritten() {
            let older = absorption.into_older();
            let rewritten = if absorbed.older > 0 {
                0
            } else {
                absorbed.rewritten
            };
            transaction.rollback()?;
            self.note_behind(&mut connection, directory, older, now)?;
            return Ok(Some(Absorbed {
                older: absorbed.older,
                rewritten,
                ..Absorbed::default()
            }));
        }
        let absorbed = absorption.finish(&read)?;
        killpoint::here("before-absorbing");
        transaction.commit()?;
        Ok(Some(absorbed))
    }

    /// What an expression is for the row of a directory; `None`: null, or there is no such row.
    fn of_directory<T: FromSql>(
        &self,
        directory: &str,
        expression: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let found = self
            .lock()
            .prepare_cached(&format!(
                "SELECT {expression} FROM directory WHERE name = ?1"
            ))?
            .query_row([directory], |row| row.get(0))
            .optional()?;
        Ok(found.flatten())
    }

    /// The newest state of each server that was seen, in the source's own words.
    pub fn seen(&self, directory: &str) -> Result<Option<Seen>, StoreError> {
        Ok(self.of_directory(directory, "seen")?.map(Seen))
    }

    /// How many groups of a directory could not be read in full, though their entries are sound.
    pub fn unreadable_groups(&self, directory: &str) -> Result<u64, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT evidence FROM grp JOIN entry USING (id)
             WHERE evidence IS NOT NULL AND directory = (SELECT id FROM directory WHERE name = ?1)",
        )?;
        let groups = statement.query_map([directory], |row| group_evidence(row, 0))?;
        let mut unreadable = 0;
        for evidence in groups {
            let is_of_the_read = evidence?
                .reasons()
                .iter()
                .any(|reason| reason.is_of_the_read());
            unreadable += u64::from(is_of_the_read);
        }
        Ok(unreadable)
    }

    /// When a directory was last read in full; `None`: never.
    pub fn full_read_at(&self, directory: &str) -> Result<Option<Timestamp>, StoreError> {
        let at = self.of_directory(directory, "full_read_at")?;
        Ok(at.and_then(|at| Timestamp::from_second(at).ok()))
    }

    /// Takes what a directory says now for right, although it is older than what was read before, or
    /// most of an attribute is gone. The next read is a full one. `false`: there is no such directory.
    pub fn accept_directory(&self, directory: &str) -> Result<bool, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let known = transaction.execute(
            "UPDATE directory SET seen = NULL, behind = NULL, checkpoint = NULL, accepted = 1
             WHERE name = ?1",
            [directory],
        )?;
        transaction.execute(
            "UPDATE entry SET version = NULL
             WHERE directory = (SELECT id FROM directory WHERE name = ?1)",
            [directory],
        )?;
        transaction.commit()?;
        Ok(known > 0)
    }
}

/// An entry's name, its kind, and why it cannot be used.
type Problem = (String, String, String);

/// One read on its way into the mirror.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not depend on each other"
)]
struct Absorption<'t> {
    transaction: &'t Transaction<'t>,
    directory: i64,
    now: Timestamp,
    /// Names and the entries they lead to, as far as this read has met them.
    names: HashMap<Box<str>, EntryId>,
    /// Whether each name in the mirror is among `names`.
    all_names: bool,
    roles: HashMap<crate::directory::Role, i64>,
    seen: HashSet<EntryId>,
    problems: HashSet<Problem>,
    /// Kinds of which an entry was met that may be any of those known.
    unidentified: HashSet<EntryKind>,
    /// The number of this read, and of the last complete one.
    look: i64,
    full_look: i64,
    /// Whether a person has said that what the directory says now is right.
    accepted: bool,
    behind: behind::Behind,
    /// Groups that have no member of a role any more: decided together, at the end.
    emptied: Vec<collapse::Emptied>,
    /// People who are disabled since the last read: decided together, at the end.
    disabled: Vec<EntryId>,
    /// Entries that have left, and how: decided together, at the end.
    left: Vec<(EntryKind, EntryId, Left)>,
    /// People whom other groups mean since this read, as they were before it.
    known_before: HashMap<EntryId, person::Stored>,
    /// Groups read that had members of a role before, by role.
    filled: HashMap<i64, u64>,
    /// Before the first full read one mark says it all.
    first: bool,
    /// Into an empty mirror memberships go without their index: a million random insertions into it
    /// would cost more than all the rest. [`Store::index_memberships`] makes it afterwards.
    bulk: bool,
    marks: u64,
    absorbed: Absorbed,
}

impl<'t> Absorption<'t> {
    fn begin(
        transaction: &'t Transaction<'t>,
        directory: &str,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        transaction.execute(
            "INSERT OR IGNORE INTO directory (name) VALUES (?1)",
            [directory],
        )?;
        let (directory, first, look, full_look, accepted, behind) = transaction.query_row(
            "UPDATE directory SET looks = looks + 1 WHERE name = ?1
             RETURNING id, full_read_at IS NULL, looks, full_look, accepted, behind",
            [directory],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get::<_, Option<String>>(5)?,
                ))
            },
        )?;
        let bulk = first && is_empty(transaction, directory)?;
        if bulk {
            transaction.execute_batch("DROP INDEX IF EXISTS membership_by_member")?;
        }
        let mut absorption = Self {
            transaction,
            directory,
            now,
            names: HashMap::new(),
            all_names: bulk,
            roles: HashMap::new(),
            seen: HashSet::new(),
            problems: HashSet::new(),
            unidentified: HashSet::new(),
            look,
            full_look,
            accepted,
            behind: behind::Behind::read(behind.as_deref())?,
            emptied: Vec::new(),
            left: Vec::new(),
            known_before: HashMap::new(),
            filled: HashMap::new(),
            disabled: Vec::new(),
            first,
            bulk,
            marks: 0,
            absorbed: Absorbed::default(),
        };
        if first {
            dirty::mark(transaction, &Mark::Everything)?;
        }
        absorption.read_roles()?;
        Ok(absorption)
    }

    fn absorb(&mut self, observation: Observation) -> Result<(), StoreError> {
        self.absorbed.seen += 1;
        match observation {
            Observation::Person(person, version) => self.person(&person, version.as_ref()),
            Observation::Group(group, version) => self.group(&group, version.as_ref()),
            Observation::Unusable(unusable) => self.unusable(&unusable),
            Observation::Flawed(flawed) => self.problem(&flawed),
            Observation::Left(kind, id, how) => self.left(kind, &id, how),
            Observation::Other(dn) => self.other(&dn),
        }
    }

    /// Keeps what was known of an entry that cannot be used, and notes why it cannot. One that was not
    /// known gets its place all the same: a group that lists it lists somebody.
    fn unusable(&mut self, unusable: &Unusable) -> Result<(), StoreError> {
        self.absorbed.unusable += 1;
        let dn = crate::directory::Dn::parse(&unusable.dn).ok();
        let known = match (&unusable.id, &dn) {
            (Some(id), Some(dn)) => Some(self.place(id, dn, unusable.kind, None)?.id),
            (Some(id), None) => self.entry_of(id)?.map(|entry| entry.id),
            (None, Some(dn)) => self.named(dn.as_str())?,
            (None, None) => None,
        };
        if unusable.id.is_none() && known.is_none() {
            self.unidentified.insert(unusable.kind);
        }
        self.seen.extend(known);
        if let (EntryKind::Group, Some(id)) = (unusable.kind, known) {
            self.unusable_group(id, &unusable.group_ids)?;
        }
        self.problem(unusable)
    }

    /// Notes what is wrong with an entry.
    fn problem(&mut self, unusable: &Unusable) -> Result<(), StoreError> {
        let problem = (
            unusable.dn.clone(),
            unusable.kind.to_string(),
            unusable.problem.to_string(),
        );
        self.transaction
            .prepare_cached(
                "INSERT INTO problem VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.directory,
                problem.0,
                problem.1,
                problem.2,
                self.now.as_second()
            ])?;
        self.problems.insert(problem);
        Ok(())
    }

    /// Drops an entry that is no longer one of ours. Its name stays where groups mention it.
    fn left(&mut self, kind: EntryKind, id: &StableId, how: Left) -> Result<(), StoreError> {
        let Some(entry) = self.entry_of(id)? else {
            return Ok(());
        };
        // What is told of one entry more than once depends on no order.
        self.left.push((kind, entry.id, how));
        Ok(())
    }

    /// Drops those who have left. Where another copy of an entry was read, it is there.
    fn decide_left(&mut self) -> Result<(), StoreError> {
        for (kind, id, how) in std::mem::take(&mut self.left) {
            if !self.seen.contains(&id) {
                self.leave(kind, id, how)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, kind: EntryKind, id: EntryId, how: Left) -> Result<(), StoreError> {
        let left = match kind {
            EntryKind::Person => self.person_left(id, how)?,
            EntryKind::Group => self.group_left(id)?,
        };
        self.absorbed.gone += u64::from(left);
        Ok(())
    }

    fn finish(mut self, read: &Read) -> Result<Absorbed, StoreError> {
        let second = self.now.as_second();
        // The server has caught up.
        self.absorbed.rewritten = 0;
        self.decide_left()?;
        self.decide_emptied(read.proof == Proof::Complete)?;
        self.decide_disabled(&read.proof)?;
        if read.proof == Proof::Complete {
            self.sweep()?;
            self.transaction.execute(
                "UPDATE directory SET full_read_at = ?2, listed_at = ?2, full_look = looks, behind = NULL,
                     accepted = 0
                 WHERE id = ?1",
                [self.directory, second],
            )?;
        }
        if let Some(Seen(seen)) = &read.seen {
            self.name_source(seen)?;
            self.transaction.execute(
                "UPDATE directory SET seen = ?2 WHERE id = ?1",
                params![self.directory, seen],
            )?;
        }
        if let Some(checkpoint) = &read.checkpoint {
            self.transaction.execute(
                "UPDATE directory SET checkpoint = ?2 WHERE id = ?1",
                params![self.directory, checkpoint.0],
            )?;
        }
        self.transaction.execute(
            "UPDATE directory SET read_at = ?2 WHERE id = ?1",
            [self.directory, second],
        )?;
        if self.marks > MOST_MARKS {
            self.transaction.execute("DELETE FROM dirty", [])?;
            dirty::mark(self.transaction, &Mark::Everything)?;
        }
        Ok(self.absorbed)
    }

    /// Drops whatever a complete read has not shown.
    fn sweep(&mut self) -> Result<(), StoreError> {
        for (kind, table) in [(EntryKind::Group, "grp"), (EntryKind::Person, "person")] {
            if self.unidentified.contains(&kind) {
                continue;
            }
            let there: Vec<(EntryId, bool)> = self
                .transaction
                .prepare(&format!(
                    "SELECT id, entry.kind = ?2 FROM {table} JOIN entry USING (id)
                     WHERE entry.directory = ?1"
                ))?
                .query_map(params![self.directory, kind.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            // An entry that has turned into one of the other kind is none of this any more.
            let unseen = there
                .into_iter()
                .filter(|(id, is_still)| !(*is_still && self.seen.contains(id)))
                .map(|(id, _)| id);
            let unseen: Vec<EntryId> = unseen.collect();
            for id in unseen {
                self.leave(kind, id, Left::Gone)?;
            }
        }
        self.forget_usable_groups()?;
        self.forget_unusable_people()?;
        self.forget_loose_names()?;
        self.forget_solved_problems()
    }

    /// Of entries of people that could never be used, and that a complete read has not met, only the names
    /// are left.
    fn forget_unusable_people(&mut self) -> Result<(), StoreError> {
        let unusable: Vec<EntryId> = self
            .transaction
            .prepare(
                "SELECT id FROM entry WHERE directory = ?1 AND kind = 'person'
                 AND NOT EXISTS (SELECT 1 FROM person WHERE person.id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM former_person WHERE former_person.id = entry.id)",
            )?
            .query_map([self.directory], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in unusable.into_iter().filter(|id| !self.seen.contains(id)) {
            self.transaction
                .prepare_cached(
                    "UPDATE entry SET kind = 'name', stable_id = NULL, version = NULL, since = ?2,
                         look = ?3, looked_up_at = NULL WHERE id = ?1",
                )?
                .execute(params![id, self.now.as_second(), self.look])?;
        }
        Ok(())
    }

    /// Forgets the problems that a complete read has not met again.
    fn forget_solved_problems(&mut self) -> Result<(), StoreError> {
        let known: Vec<Problem> = self
            .transaction
            .prepare("SELECT subject, kind, text FROM problem WHERE directory = ?1")?
            .query_map([self.directory], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        for problem in known
            .iter()
            .filter(|problem| !self.problems.contains(*problem))
        {
            self.transaction
                .prepare_cached(
                    "DELETE FROM problem WHERE directory = ?1 AND subject = ?2 AND kind = ?3 AND text = ?4",
                )?
                .execute(params![self.directory, problem.0, problem.1, problem.2])?;
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), StoreError> {
        if self.first {
            return Ok(());
        }
        self.marks += 1;
        if self.marks <= MOST_MARKS {
            dirty::mark(self.transaction, mark)?;
        }
        Ok(())
    }
}

/// Whether nothing is known of a directory, nor of anybody's memberships.
fn is_empty(transaction: &Transaction<'_>, directory: i64) -> rusqlite::Result<bool> {
    transaction.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM membership)
            AND NOT EXISTS (SELECT 1 FROM entry WHERE directory = ?1)",
        [directory],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests;
