//! Groups in the mirror, and who is in them.

use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use super::{Absorption, Mark, StoreError};
use crate::category::UserId;
use crate::directory::{EntryKind, Group, GroupId, Member, MemberName, Role, Version};
use crate::plan::desired::EntryId;

/// More changed members than this in one group are one mark: the group.
const MOST_MEMBER_MARKS: usize = 500;

/// A group's row.
struct Stored {
    group_id: GroupId,
    name: Option<String>,
    digest: Option<Vec<u8>>,
    complete: bool,
}

impl Absorption<'_> {
    pub(super) fn group(
        &mut self,
        group: &Group,
        version: Option<&Version>,
    ) -> Result<(), StoreError> {
        let digest = group.members_complete.then(|| digest(&group.members));
        if let Some(id) = self.unchanged_group(group, version, digest.as_deref())? {
            self.seen.insert(id);
            return Ok(());
        }
        if self.is_older(&group.id, version)? {
            return Ok(());
        }
        let placed = self.place(&group.id, &group.dn, EntryKind::Group, version)?;
        let before = self.stored_group(placed.id)?;
        let same_members = before
            .as_ref()
            .is_some_and(|before| before.digest.is_some() && before.digest == digest);
        let same_names = before
            .as_ref()
            .is_some_and(|before| before.group_id == group.group_id && before.name == group.name);
        if same_members && same_names {
            return Ok(());
        }
        self.write_group(placed.id, group, digest.as_deref())?;
        self.note_group_id(before.as_ref(), group)?;
        let changed = if same_members {
            false
        } else {
            self.members(placed.id, group, before.as_ref())?
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
                   AND version IS ?4 AND group_id = ?5 AND grp.name IS ?6 AND digest = ?7",
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
                ],
                |row| row.get(0),
            )
            .optional()?)
    }

    fn stored_group(&self, id: EntryId) -> Result<Option<Stored>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached("SELECT group_id, name, digest, complete FROM grp WHERE id = ?1")?
            .query_row([id], |row| {
                Ok(Stored {
                    group_id: GroupId::new(row.get::<_, String>(0)?),
                    name: row.get(1)?,
                    digest: row.get(2)?,
                    complete: row.get(3)?,
                })
            })
            .optional()?)
    }

    fn write_group(
        &self,
        id: EntryId,
        group: &Group,
        digest: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO grp VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                id,
                group.group_id.as_str(),
                group.name,
                digest,
                group.members_complete
            ])?;
        Ok(())
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

    /// Brings a group's members up to date; answers whether anything changed.
    fn members(
        &mut self,
        id: EntryId,
        group: &Group,
        before: Option<&Stored>,
    ) -> Result<bool, StoreError> {
        let mut now = Vec::with_capacity(group.members.len());
        let mut role: Option<(&Role, i64)> = None;
        for member in &group.members {
            // The values of one attribute come together: one role after the other.
            let known = role.filter(|(name, _)| *name == &member.role);
            let id = known.map_or_else(|| self.role(&member.role), |(_, id)| Ok(id))?;
            role = Some((&member.role, id));
            now.push((id, self.resolve(&member.name)?));
        }
        now.sort_unstable();
        now.dedup();
        let there = match before {
            Some(_) => self.members_there(id)?,
            None => Vec::new(),
        };
        let came = missing_in(&there, &now);
        let mut gone = if group.members_complete {
            missing_in(&now, &there)
        } else {
            Vec::new()
        };
        if self.may_be_a_rename(&came, &gone)? {
            self.doubt(id)?;
            gone.clear();
        }
        {
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
            let mut delete = self.transaction.prepare_cached(
                "DELETE FROM membership WHERE group_id = ?1 AND role = ?2 AND member_id = ?3",
            )?;
            for (role, member) in &gone {
                delete.execute([id, *role, *member])?;
            }
        }
        let is_whole_again =
            before.is_some_and(|before| !before.complete) && group.members_complete;
        let many = came.len() + gone.len() > MOST_MEMBER_MARKS;
        if before.is_none() || is_whole_again || many {
            self.mark(&Mark::Group(group.group_id.clone()))?;
        } else {
            for (_, member) in came.iter().chain(&gone) {
                self.mark_member(&group.group_id, *member)?;
            }
        }
        Ok(!came.is_empty() || !gone.is_empty())
    }

    /// Whether the group has a name that nobody has in place of somebody who is known: people are read
    /// before groups, so somebody who was renamed in between looks like a leaver and a stranger.
    fn may_be_a_rename(
        &self,
        came: &[(i64, EntryId)],
        gone: &[(i64, EntryId)],
    ) -> Result<bool, StoreError> {
        let any = |members: &[(i64, EntryId)], sql: &str| -> Result<bool, StoreError> {
            let ids = members.iter().map(|(_, member)| Value::from(*member));
            let ids = Rc::new(ids.collect::<Vec<_>>());
            let mut statement = self.transaction.prepare_cached(sql)?;
            Ok(!members.is_empty() && statement.exists([ids])?)
        };
        Ok(!gone.is_empty()
            && any(
                came,
                "SELECT 1 FROM entry WHERE kind = 'name' AND id IN rarray(?1)",
            )?
            && any(gone, "SELECT 1 FROM person WHERE id IN rarray(?1)")?)
    }

    /// Lets a group lose nobody for now; the next read of it decides.
    fn doubt(&self, id: EntryId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("UPDATE grp SET digest = x'', complete = 0 WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// The members as the mirror has them, in order.
    fn members_there(&self, id: EntryId) -> Result<Vec<(i64, EntryId)>, StoreError> {
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
        let is_group: bool = self
            .transaction
            .prepare_cached("SELECT kind = 'group' FROM entry WHERE id = ?1")?
            .query_row([member], |row| row.get(0))
            .optional()?
            .unwrap_or(false);
        if is_group {
            self.mark(&Mark::Group(group.clone()))
        } else {
            Ok(())
        }
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
        for sql in [
            "DELETE FROM membership WHERE group_id = ?1",
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

    fn role(&mut self, role: &Role) -> Result<i64, StoreError> {
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
