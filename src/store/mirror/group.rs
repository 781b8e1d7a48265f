//! Groups in the mirror, and who is in them.

use std::borrow::Cow;
use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest as _, Sha256};

use super::collapse::Emptied;
use super::person::is_lost;
use super::{Absorption, Mark, StoreError};
use crate::category::UserId;
use crate::directory::{
    EntryKind, Evidence, Group, GroupId, Member, MemberName, Reason, Role, Version,
};
use crate::plan::desired::EntryId;

/// More changed members than this in one group are one mark: the group.
const MOST_MEMBER_MARKS: usize = 500;

/// A group's row.
struct Stored {
    group_id: GroupId,
    name: Option<String>,
    digest: Option<Vec<u8>>,
    evidence: Evidence,
    primary_key: Option<String>,
}

impl Absorption<'_> {
    pub(super) fn group(
        &mut self,
        group: &Group,
        version: Option<&Version>,
    ) -> Result<(), StoreError> {
        let digest = group.evidence.is_known().then(|| digest(&group.members));
        if let Some(id) = self.unchanged_group(group, version, digest.as_deref())? {
            self.is_as_before(&group.id);
            self.seen.insert(id);
            return Ok(());
        }
        if self.is_older(&group.id, version)? {
            return Ok(());
        }
        let met = self.seen.len();
        let placed = self.place(&group.id, &group.dn, EntryKind::Group, version)?;
        let is_twice = !placed.is_new && self.seen.len() == met;
        let before = self.stored_group(placed.id)?;
        let mut group = Cow::Borrowed(group);
        if let Some(before) = &before
            && before.primary_key.is_some()
            && is_lost(before.primary_key.as_deref(), group.primary_key.as_deref())
        {
            // A group does not lose its number: it cannot be read any more.
            group.to_mut().primary_key.clone_from(&before.primary_key);
        }
        let group = &*group;
        let same_members = before
            .as_ref()
            .is_some_and(|before| before.digest.is_some() && before.digest == digest);
        let same_names = before.as_ref().is_some_and(|before| {
            before.group_id == group.group_id
                && before.name == group.name
                && before.primary_key == group.primary_key
        });
        if same_members {
            self.lost_nobody(&group.id);
        }
        if same_members && same_names {
            return Ok(());
        }
        let same_group = before
            .as_ref()
            .is_some_and(|before| before.group_id == group.group_id);
        if is_twice && !same_group {
            // Two groups with one ID: the second is none that could be told from the first.
            self.twice(group.dn.as_str(), EntryKind::Group)?;
            self.unidentified.insert(EntryKind::Group);
            return Ok(());
        }
        let mut evidence = group.evidence.clone();
        if is_twice && !same_members {
            self.twice(group.dn.as_str(), EntryKind::Group)?;
            evidence.lacks(Reason::EntryTwice);
            self.emptied.retain(|emptied| emptied.group != placed.id);
        }
        let digest = digest.filter(|_| evidence.is_known());
        self.note_primary_key(placed.id, before.as_ref(), group)?;
        self.write_group(placed.id, group, digest.as_deref(), &evidence)?;
        self.note_group_id(before.as_ref(), group)?;
        let changed = if same_members {
            false
        } else {
            self.members(placed.id, group, &evidence, before.as_ref())?
        };
        match before {
            None => {
                self.absorbed.new += 1;
                self.mark_outer_groups(placed.id)?;
            }
            Some(_) => self.absorbed.changed += u64::from(changed || !same_names),
        }
        Ok(())
    }

    /// Notes that an entry was read twice, with different content.
    pub(super) fn twice(&mut self, dn: &str, kind: EntryKind) -> Result<(), StoreError> {
        self.problem(&crate::directory::Unusable {
            kind,
            id: None,
            dn: dn.to_owned(),
            problem: crate::directory::EntryProblem::Twice,
            group_ids: Vec::new(),
        })
    }

    /// Finds a group that is, to the last column, as before: the usual case, told in one look.
    fn unchanged_group(
        &self,
        group: &Group,
        version: Option<&Version>,
        digest: Option<&[u8]>,
    ) -> Result<Option<EntryId>, StoreError> {
        if self.bulk || digest.is_none() {
            return Ok(None);
        }
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT entry.id FROM entry JOIN grp USING (id)
                 WHERE directory = ?1 AND stable_id = ?2 AND entry.name = ?3 AND kind = 'group'
                   AND version IS ?4 AND group_id = ?5 AND grp.name IS ?6 AND digest = ?7
                   AND primary_key IS ?8",
            )?
            .query_row(
                params![
                    self.directory,
                    group.id.as_str(),
                    group.dn.as_str(),
                    version.map(|version| &version.0),
                    group.group_id.as_str(),
                    group.name,
                    digest,
                    group.primary_key,
                ],
                |row| row.get(0),
            )
            .optional()?)
    }

    fn stored_group(&self, id: EntryId) -> Result<Option<Stored>, StoreError> {
        let Some((group_id, name, digest, evidence, primary_key)) = self
            .transaction
            .prepare_cached(
                "SELECT group_id, name, digest, evidence, primary_key FROM grp WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get::<_, Option<String>>(3)?,
                    row.get(4)?,
                ))
            })
            .optional()?
        else {
            return Ok(None);
        };
        Ok(Some(Stored {
            group_id: GroupId::new(group_id),
            name,
            digest,
            evidence: read_evidence(evidence.as_deref())?,
            primary_key,
        }))
    }

    fn write_group(
        &self,
        id: EntryId,
        group: &Group,
        digest: Option<&[u8]>,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO grp (id, group_id, name, digest, evidence, primary_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                id,
                group.group_id.as_str(),
                group.name,
                digest,
                write_evidence(evidence)?,
                group.primary_key,
            ])?;
        self.transaction
            .prepare_cached("DELETE FROM stale_name WHERE group_id = ?1")?
            .execute([id])?;
        if !self.bulk {
            self.transaction
                .prepare_cached("DELETE FROM unusable_group WHERE id = ?1")?
                .execute([id])?;
        }
        Ok(())
    }

    /// Sets how much is known of a group's members, and has them resolved again when it is next read.
    pub(super) fn set_evidence(
        &mut self,
        id: EntryId,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE grp SET evidence = ?2, digest = NULL WHERE id = ?1")?
            .execute(params![id, write_evidence(evidence)?])?;
        Ok(())
    }

    /// Notes of a group whose entry cannot be used that not all of its members are known, and which
    /// group IDs it may have.
    pub(super) fn unusable_group(
        &mut self,
        id: EntryId,
        group_ids: &[GroupId],
    ) -> Result<(), StoreError> {
        match self.stored_group(id)? {
            Some(group) if group.evidence.is_known() => {
                self.mark(&Mark::Group(group.group_id))?;
                self.set_evidence(id, &Evidence::partial(Reason::EntryUnusable))
            }
            Some(_) => Ok(()),
            None => {
                for group_id in group_ids {
                    self.transaction
                        .prepare_cached("INSERT OR IGNORE INTO unusable_group VALUES (?1, ?2, ?3)")?
                        .execute(params![self.directory, id, group_id.as_str()])?;
                }
                self.mark_outer_groups(id)
            }
        }
    }

    /// Forgets the unusable groups that a complete read has not met.
    pub(super) fn forget_usable_groups(&mut self) -> Result<(), StoreError> {
        let known: Vec<(EntryId, String)> = self
            .transaction
            .prepare_cached("SELECT id, group_id FROM unusable_group WHERE directory = ?1")?
            .query_map([self.directory], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let gone: Vec<_> = known
            .into_iter()
            .filter(|(id, _)| !self.seen.contains(id))
            .collect();
        for (id, group_id) in gone {
            self.transaction
                .prepare_cached("DELETE FROM unusable_group WHERE directory = ?1 AND id = ?2")?
                .execute([self.directory, id])?;
            self.mark(&Mark::Group(GroupId::new(group_id)))?;
        }
        Ok(())
    }

    /// Notes who leaves a group and marks who comes to it when its primary key changes, before that is written.
    fn note_primary_key(
        &mut self,
        id: EntryId,
        before: Option<&Stored>,
        group: &Group,
    ) -> Result<(), StoreError> {
        let before = before.and_then(|before| before.primary_key.as_ref());
        if before == group.primary_key.as_ref() {
            return Ok(());
        }
        self.leaves_primary_group(id)?;
        self.mark(&Mark::Group(group.group_id.clone()))
    }

    /// The groups that people with this value have as their primary group.
    pub(super) fn groups_with_primary_key(&self, key: &str) -> Result<Vec<GroupId>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT group_id FROM grp JOIN entry USING (id)
                 WHERE primary_key = ?1 AND directory = ?2",
            )?
            .query_map(params![key, self.directory], |row| {
                row.get::<_, String>(0).map(GroupId::new)
            })?
            .collect::<Result<_, _>>()?)
    }

    /// Keeps book of group IDs that come and go.
    fn note_group_id(&mut self, before: Option<&Stored>, group: &Group) -> Result<(), StoreError> {
        let before = before.map(|before| &before.group_id);
        if before == Some(&group.group_id) {
            return Ok(());
        }
        if let Some(before) = before {
            self.vanished(before)?;
        }
        self.mark(&Mark::Group(group.group_id.clone()))?;
        self.transaction
            .prepare_cached("DELETE FROM vanished_group WHERE directory = ?1 AND group_id = ?2")?
            .execute(params![self.directory, group.group_id.as_str()])?;
        Ok(())
    }

    /// Notes that a group ID is not there any more, unless another group has it.
    fn vanished(&mut self, group: &GroupId) -> Result<(), StoreError> {
        self.mark(&Mark::Group(group.clone()))?;
        self.transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO vanished_group SELECT ?1, ?2, ?3 WHERE NOT EXISTS
                     (SELECT 1 FROM grp JOIN entry USING (id) WHERE directory = ?1 AND group_id = ?2)",
            )?
            .execute(params![self.directory, group.as_str(), self.now.as_second()])?;
        Ok(())
    }

    /// Brings a group's members up to date; returns whether anything changed. Who is not listed any more
    /// is kept as a departure, until that is proven.
    fn members(
        &mut self,
        id: EntryId,
        group: &Group,
        evidence: &Evidence,
        before: Option<&Stored>,
    ) -> Result<bool, StoreError> {
        let now = self.resolve_members(id, group)?;
        let there = match before {
            Some(_) => self.members_there(id)?,
            None => Vec::new(),
        };
        let came = missing_in(&there, &now);
        let mut gone = if evidence.is_known() {
            missing_in(&now, &there)
        } else {
            Vec::new()
        };
        let was_unreadable = before.is_some_and(|before| {
            before
                .evidence
                .reasons()
                .contains(&Reason::AttributeCollapsed)
        });
        let emptied = self.emptied.len();
        self.set_aside_emptied((id, group, was_unreadable), &now, &there, &mut gone);
        let is_emptied = self.emptied.len() > emptied;
        self.add_members(id, &came)?;
        if !self.bulk {
            self.departed(id, &came, &gone)?;
        }
        let is_whole_again =
            before.is_some_and(|before| !before.evidence.is_known()) && evidence.is_known();
        let is_less_known =
            before.is_some_and(|before| before.evidence.is_known()) && !evidence.is_known();
        let many = came.len() + gone.len() > MOST_MEMBER_MARKS;
        if before.is_none() || is_whole_again || is_less_known || many {
            self.mark(&Mark::Group(group.group_id.clone()))?;
        } else {
            for (_, member) in came.iter().chain(&gone) {
                self.mark_member(&group.group_id, *member)?;
            }
        }
        if evidence.is_known() && gone.is_empty() && !is_emptied {
            self.lost_nobody(&group.id);
        }
        Ok(!came.is_empty() || !gone.is_empty())
    }

    /// The members that a group lists, in order.
    fn resolve_members(
        &mut self,
        id: EntryId,
        group: &Group,
    ) -> Result<Vec<(i64, EntryId)>, StoreError> {
        let mut now = Vec::with_capacity(group.members.len());
        let mut role: Option<(&Role, i64)> = None;
        for member in &group.members {
            // The values of one attribute come together: one role after the other.
            let known = role.filter(|(name, _)| *name == &member.role);
            let role_id = known.map_or_else(|| self.role(&member.role), |(_, id)| Ok(id))?;
            role = Some((&member.role, role_id));
            now.push((role_id, self.resolve(id, &member.name)?));
        }
        now.sort_unstable();
        now.dedup();
        Ok(now)
    }

    fn add_members(&self, id: EntryId, came: &[(i64, EntryId)]) -> Result<(), StoreError> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO membership (group_id, role, member_id) SELECT ?1, ?2, value FROM rarray(?3)",
        )?;
        for same_role in came.chunk_by(|one, other| one.0 == other.0) {
            let members = same_role.iter().map(|(_, member)| Value::from(*member));
            insert.execute(params![
                id,
                same_role[0].0,
                Rc::new(members.collect::<Vec<_>>())
            ])?;
        }
        Ok(())
    }

    /// Sets the departures aside of roles that a group has nobody in any more: whether the group is empty,
    /// or the attribute cannot be read any more, shows when all groups have been read.
    fn set_aside_emptied(
        &mut self,
        (id, group, was_unreadable): (EntryId, &Group, bool),
        now: &[(i64, EntryId)],
        there: &[(i64, EntryId)],
        gone: &mut Vec<(i64, EntryId)>,
    ) {
        for same_role in there.chunk_by(|one, other| one.0 == other.0) {
            let role = same_role[0].0;
            *self.filled.entry(role).or_default() += 1;
            let is_emptied = !now.iter().any(|(listed, _)| *listed == role);
            let before = gone.len();
            if is_emptied {
                gone.retain(|(gone, _)| *gone != role);
            }
            if gone.len() < before {
                self.emptied.push(Emptied {
                    group: id,
                    group_id: group.group_id.clone(),
                    role,
                    was_unreadable,
                });
            }
        }
    }

    /// The members as the mirror has them, in order.
    pub(super) fn members_there(&self, id: EntryId) -> Result<Vec<(i64, EntryId)>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached("SELECT role, member_id FROM membership WHERE group_id = ?1 ORDER BY role, member_id")?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?)
    }

    /// Marks one member who came or went: a person alone, or, where it is a group, everybody.
    fn mark_member(&mut self, group: &GroupId, member: EntryId) -> Result<(), StoreError> {
        if self.first {
            return Ok(());
        }
        let user: Option<String> = self
            .transaction
            .prepare_cached("SELECT user_id FROM person WHERE id = ?1")?
            .query_row([member], |row| row.get(0))
            .optional()?;
        if let Some(user) = user {
            return self.mark(&Mark::Membership(group.clone(), UserId::new(user)));
        }
        // A group, or a name that may have been anybody's.
        self.mark(&Mark::Group(group.clone()))
    }

    fn mark_outer_groups(&mut self, id: EntryId) -> Result<(), StoreError> {
        if self.first {
            return Ok(());
        }
        for outer in self.groups_with(id)? {
            self.mark(&Mark::Group(outer))?;
        }
        Ok(())
    }

    /// Drops a group; answers whether there was one. Other groups may go on mentioning its name.
    pub(super) fn group_left(&mut self, id: EntryId) -> Result<bool, StoreError> {
        let Some(group) = self.stored_group(id)? else {
            return Ok(false);
        };
        self.mark_outer_groups(id)?;
        self.hand_over_departures(id, &group.group_id)?;
        for sql in [
            "DELETE FROM membership WHERE group_id = ?1",
            "DELETE FROM departure WHERE group_id = ?1",
            "DELETE FROM stale_name WHERE group_id = ?1",
            "DELETE FROM grp WHERE id = ?1",
            "UPDATE entry SET version = NULL WHERE id = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([id])?;
        }
        self.vanished(&group.group_id)?;
        Ok(true)
    }

    pub(super) fn read_roles(&mut self) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare("SELECT name, id FROM role")?;
        let rows = statement.query_map([], |row| {
            Ok((Role::new(row.get::<_, String>(0)?), row.get(1)?))
        })?;
        self.roles = rows.collect::<Result<_, _>>()?;
        Ok(())
    }

    pub(super) fn role(&mut self, role: &Role) -> Result<i64, StoreError> {
        if let Some(id) = self.roles.get(role) {
            return Ok(*id);
        }
        self.transaction
            .execute("INSERT INTO role (name) VALUES (?1)", [role.as_str()])?;
        let id = self.transaction.last_insert_rowid();
        self.roles.insert(role.clone(), id);
        Ok(id)
    }
}

/// Reads how much is known of a group's members, as it is stored.
pub(in crate::store) fn read_evidence(stored: Option<&str>) -> Result<Evidence, StoreError> {
    Ok(stored
        .map(serde_json::from_str)
        .transpose()?
        .unwrap_or_default())
}

/// The same, from a row.
pub(in crate::store) fn group_evidence(row: &Row<'_>, column: usize) -> rusqlite::Result<Evidence> {
    let stored: Option<&str> = row.get_ref(column)?.as_str_or_null()?;
    read_evidence(stored).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn write_evidence(evidence: &Evidence) -> Result<Option<String>, StoreError> {
    let stored = (!evidence.is_known()).then(|| serde_json::to_string(evidence));
    Ok(stored.transpose()?)
}

/// What one sorted list has and the other has not.
fn missing_in<T: Ord + Copy>(list: &[T], other: &[T]) -> Vec<T> {
    other
        .iter()
        .filter(|item| list.binary_search(item).is_err())
        .copied()
        .collect()
}

/// The fingerprint of a group's members in the order in which the directory gives them. Another order
/// is another digest: then the members are compared one by one, and found to be the same.
fn digest(members: &[Member]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for member in members {
        let name = match &member.name {
            MemberName::Dn(dn) => dn.as_str(),
            MemberName::Login(login) => login,
        };
        for part in [member.role.as_str(), name] {
            hash.update(part);
            hash.update([0]);
        }
    }
    hash.finalize()[..16].to_vec()
}
