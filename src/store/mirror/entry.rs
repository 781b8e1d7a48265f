//! Entries: which name leads to whom, and what happens when a name changes hands.

use rusqlite::{OptionalExtension, params};

use super::{Absorption, Mark, StoreError};
use crate::directory::{Dn, EntryKind, MemberName, StableId, Version};
use crate::plan::desired::EntryId;

/// Names kept at hand during a read; beyond that the database is asked each time.
const MOST_NAMES: usize = 500_000;

/// An entry as the mirror knows it.
pub(super) struct Known {
    pub(super) id: EntryId,
    name: String,
    stable_id: Option<String>,
    kind: String,
    pub(super) version: Option<String>,
}

/// An entry that has its place in the mirror now.
pub(super) struct Placed {
    pub(super) id: EntryId,
    /// Whether groups may have mentioned its name before it was read.
    pub(super) was_mentioned: bool,
    /// Whether there was nothing at all of this name or stable id.
    pub(super) is_new: bool,
}

/// The name that stands for a login. No distinguished name is like it: that has a `=` before any `:`.
pub(super) fn login_name(login: &str) -> String {
    format!(":login:{login}")
}

impl Absorption<'_> {
    /// Finds an entry by its stable id.
    pub(super) fn entry_of(&self, id: &StableId) -> Result<Option<Known>, StoreError> {
        self.known("stable_id", id.as_str())
    }

    fn known(&self, column: &str, value: &str) -> Result<Option<Known>, StoreError> {
        let sql = match column {
            "name" => {
                "SELECT id, name, stable_id, kind, version FROM entry WHERE directory = ?1 AND name = ?2"
            }
            _ => {
                "SELECT id, name, stable_id, kind, version FROM entry WHERE directory = ?1 AND stable_id = ?2"
            }
        };
        Ok(self
            .transaction
            .prepare_cached(sql)?
            .query_row(params![self.directory, value], |row| {
                Ok(Known {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    stable_id: row.get(2)?,
                    kind: row.get(3)?,
                    version: row.get(4)?,
                })
            })
            .optional()?)
    }

    /// Finds the entry that has a name.
    pub(super) fn named(&mut self, name: &str) -> Result<Option<EntryId>, StoreError> {
        if let Some(id) = self.names.get(name) {
            return Ok(Some(*id));
        }
        if self.knows_all_names() {
            return Ok(None);
        }
        let id = self
            .transaction
            .prepare_cached("SELECT id FROM entry WHERE directory = ?1 AND name = ?2")?
            .query_row(params![self.directory, name], |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            self.remember(name, id);
        }
        Ok(id)
    }

    /// Finds the entry that had a name which no entry has now.
    fn formerly_named(&self, name: &str) -> Result<Option<EntryId>, StoreError> {
        if self.bulk {
            return Ok(None);
        }
        Ok(self
            .transaction
            .prepare_cached("SELECT id FROM former_name WHERE directory = ?1 AND name = ?2")?
            .query_row(params![self.directory, name], |row| row.get(0))
            .optional()?)
    }

    /// Whether a name that is not at hand is not in the mirror either.
    fn knows_all_names(&self) -> bool {
        self.all_names
    }

    fn remember(&mut self, name: &str, id: EntryId) {
        if self.names.len() < MOST_NAMES {
            self.names.insert(name.into(), id);
        } else {
            self.all_names = false;
        }
    }

    /// Finds the entry that a group's member value leads to, or makes one that has only this name so far.
    /// A former name leads to the entry that had it, and is noted.
    pub(super) fn resolve(
        &mut self,
        group: EntryId,
        member: &MemberName,
    ) -> Result<EntryId, StoreError> {
        if let MemberName::Login(login) = member {
            let person = self
                .transaction
                .prepare_cached(
                    "SELECT person.id FROM person JOIN entry USING (id)
                     WHERE login = ?1 AND entry.directory = ?2",
                )?
                .query_row(params![login, self.directory], |row| row.get(0))
                .optional()?;
            if let Some(id) = person {
                return Ok(id);
            }
        }
        match member {
            MemberName::Dn(dn) => self.resolve_name(group, dn.as_str()),
            MemberName::Login(login) => self.resolve_name(group, &login_name(login)),
        }
    }

    fn resolve_name(&mut self, group: EntryId, name: &str) -> Result<EntryId, StoreError> {
        if let Some(id) = self.named(name)? {
            return Ok(id);
        }
        let Some(id) = self.formerly_named(name)? else {
            return self.insert_entry(name, None, "name", None);
        };
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO stale_name VALUES (?1, ?2)")?
            .execute(params![group, name])?;
        Ok(id)
    }

    /// Remembers a name that an entry had. It goes on leading there until another entry has it.
    pub(super) fn remember_name(&self, name: &str, id: EntryId) -> Result<(), StoreError> {
        if !name.starts_with(":was:") {
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO former_name VALUES (?1, ?2, ?3)")?
                .execute(params![self.directory, name, id])?;
        }
        Ok(())
    }

    fn insert_entry(
        &mut self,
        name: &str,
        id: Option<&StableId>,
        kind: &str,
        version: Option<&Version>,
    ) -> Result<EntryId, StoreError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO entry (directory, name, stable_id, kind, version, look, since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.directory,
                name,
                id.map(StableId::as_str),
                kind,
                version.map(|version| &version.0),
                self.look,
                id.is_none().then(|| self.now.as_second())
            ])?;
        let entry = self.transaction.last_insert_rowid();
        self.remember(name, entry);
        Ok(entry)
    }

    /// Makes an entry of which nothing is known; `None` where its stable id is known under another name.
    fn insert_new_entry(
        &mut self,
        name: &str,
        id: &StableId,
        kind: EntryKind,
        version: Option<&Version>,
    ) -> Result<Option<EntryId>, StoreError> {
        let inserted = self
            .transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO entry (directory, name, stable_id, kind, version, look)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.directory,
                name,
                id.as_str(),
                kind.as_str(),
                version.map(|version| &version.0),
                self.look
            ])?;
        if inserted == 0 {
            return Ok(None);
        }
        let entry = self.transaction.last_insert_rowid();
        self.remember(name, entry);
        Ok(Some(entry))
    }

    /// Gives an entry that was read its place: by its stable id, else by its name.
    pub(super) fn place(
        &mut self,
        id: &StableId,
        dn: &Dn,
        kind: EntryKind,
        version: Option<&Version>,
    ) -> Result<Placed, StoreError> {
        let name = dn.as_str();
        if self.knows_all_names()
            && !self.names.contains_key(name)
            && let Some(id) = self.insert_new_entry(name, id, kind, version)?
        {
            self.seen.insert(id);
            return Ok(Placed {
                id,
                was_mentioned: false,
                is_new: true,
            });
        }
        let placed = match self.entry_of(id)? {
            Some(known) => self.place_known(&known, name, kind, version)?,
            None => self.place_new(id, name, kind, version)?,
        };
        self.seen.insert(placed.id);
        Ok(placed)
    }

    fn place_known(
        &mut self,
        known: &Known,
        name: &str,
        kind: EntryKind,
        version: Option<&Version>,
    ) -> Result<Placed, StoreError> {
        let renamed = known.name != name;
        if renamed {
            self.look_again_at_groups_of(known.id)?;
            let former = self.free_name(name, Some(known.id))?;
            self.list_instead(former, known.id, kind)?;
            self.look_again_at_stale(name)?;
            self.names.remove(known.name.as_str());
            self.remember(name, known.id);
            self.remember_name(&known.name, known.id)?;
        }
        let version = version.map(|version| version.0.as_str());
        if renamed || known.version.as_deref() != version || known.kind != kind.as_str() {
            self.transaction
                .prepare_cached(
                    "UPDATE entry SET name = ?2, version = ?3, kind = ?4, look = ?5 WHERE id = ?1",
                )?
                .execute(params![known.id, name, version, kind.as_str(), self.look])?;
        }
        Ok(Placed {
            id: known.id,
            was_mentioned: true,
            is_new: false,
        })
    }

    fn place_new(
        &mut self,
        id: &StableId,
        name: &str,
        kind: EntryKind,
        version: Option<&Version>,
    ) -> Result<Placed, StoreError> {
        let holder = self.known("name", name)?;
        if let Some(holder) = holder.filter(|holder| holder.stable_id.is_none()) {
            self.transaction
                .prepare_cached(
                    "UPDATE entry SET stable_id = ?2, kind = ?3, version = ?4, look = ?5 WHERE id = ?1",
                )?
                .execute(params![
                    holder.id,
                    id.as_str(),
                    kind.as_str(),
                    version.map(|version| &version.0),
                    self.look
                ])?;
            return Ok(Placed {
                id: holder.id,
                was_mentioned: true,
                is_new: false,
            });
        }
        let former = self.free_name(name, None)?;
        self.look_again_at_stale(name)?;
        let id = self.insert_entry(name, Some(id), kind.as_str(), version)?;
        self.list_instead(former, id, kind)?;
        Ok(Placed {
            id,
            was_mentioned: false,
            is_new: false,
        })
    }

    /// Takes a name from whoever has it, for `heir`. A mere name is merged into the heir, with the
    /// memberships that mention it. An entry of its own keeps its memberships and loses the name: it
    /// will be read under another one, or be found gone. The groups that mention the name are looked
    /// at again when they are next read, whatever their digest says. Answers the entry that has lost it.
    fn free_name(
        &mut self,
        name: &str,
        heir: Option<EntryId>,
    ) -> Result<Option<EntryId>, StoreError> {
        let Some(holder) = self
            .known("name", name)?
            .filter(|holder| Some(holder.id) != heir)
        else {
            return Ok(None);
        };
        self.names.remove(name);
        self.look_again_at_groups_of(holder.id)?;
        if let (None, Some(heir)) = (&holder.stable_id, heir) {
            self.transaction
                .prepare_cached(
                    "UPDATE OR IGNORE membership SET member_id = ?2 WHERE member_id = ?1",
                )?
                .execute([holder.id, heir])?;
            self.transaction
                .prepare_cached(
                    "UPDATE OR IGNORE departure SET member_id = ?2 WHERE member_id = ?1",
                )?
                .execute([holder.id, heir])?;
            for sql in [
                "DELETE FROM membership WHERE member_id = ?1",
                "DELETE FROM departure WHERE member_id = ?1",
                "DELETE FROM entry WHERE id = ?1",
            ] {
                self.transaction.prepare_cached(sql)?.execute([holder.id])?;
            }
            self.is_listed_again(heir)?;
            self.mark_groups_with(heir)?;
        } else {
            // Groups that list the name may mean whoever had it.
            self.remember_name(name, holder.id)?;
            self.transaction
                .prepare_cached(
                    "UPDATE entry SET name = ':was:' || id || ':' || name WHERE id = ?1",
                )?
                .execute([holder.id])?;
            return Ok(Some(holder.id));
        }
        Ok(None)
    }

    /// Lists a group that took over the name of another entry in the groups that this read has met before, which
    /// mention the name: they are not read again. Whether the other entry leaves them is seen when they are.
    fn list_instead(
        &mut self,
        former: Option<EntryId>,
        heir: EntryId,
        kind: EntryKind,
    ) -> Result<(), StoreError> {
        let Some(former) = former.filter(|_| kind == EntryKind::Group) else {
            return Ok(());
        };
        let listed: Vec<(EntryId, i64)> = self
            .transaction
            .prepare_cached("SELECT group_id, role FROM membership WHERE member_id = ?1")?
            .query_map([former], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (group, role) in listed {
            if self.seen.contains(&group) {
                self.transaction
                    .prepare_cached("INSERT OR IGNORE INTO membership VALUES (?1, ?2, ?3)")?
                    .execute([group, role, heir])?;
            }
        }
        self.is_listed_again(heir)?;
        self.mark_groups_with(heir)
    }

    /// Drops the departures of a member whom the groups list after all, by another name.
    pub(super) fn is_listed_again(&self, member: EntryId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached(
                "DELETE FROM departure WHERE member_id = ?1 AND EXISTS
                     (SELECT 1 FROM membership WHERE membership.group_id = departure.group_id
                      AND membership.role = departure.role AND membership.member_id = ?1)",
            )?
            .execute([member])?;
        Ok(())
    }

    /// Has the groups resolved again that list this as a former name: it is the present one of another entry.
    pub(super) fn look_again_at_stale(&self, name: &str) -> Result<(), StoreError> {
        if !self.bulk {
            self.transaction
                .prepare_cached(
                    "UPDATE grp SET digest = NULL WHERE id IN
                         (SELECT group_id FROM stale_name CROSS JOIN entry ON entry.id = group_id
                          WHERE stale_name.name = ?1 AND directory = ?2)",
                )?
                .execute(params![name, self.directory])?;
        }
        Ok(())
    }

    /// Has the groups that mention an entry resolved again when they are next read.
    pub(super) fn look_again_at_groups_of(&self, member: EntryId) -> Result<(), StoreError> {
        if !self.bulk {
            self.transaction
                .prepare_cached(
                    "UPDATE grp SET digest = NULL WHERE id IN
                         (SELECT group_id FROM membership WHERE member_id = ?1
                          UNION ALL SELECT group_id FROM departure WHERE member_id = ?1)",
                )?
                .execute([member])?;
        }
        Ok(())
    }

    /// Notes that an entry of this name is there, and is neither a person nor a group of ours: a group
    /// that lists it lists nobody.
    pub(super) fn other(&mut self, dn: &Dn) -> Result<(), StoreError> {
        let changed = self
            .transaction
            .prepare_cached(
                "UPDATE entry SET kind = 'other'
                 WHERE directory = ?1 AND name = ?2 AND kind = 'name'",
            )?
            .execute(params![self.directory, dn.as_str()])?;
        match self.named(dn.as_str())? {
            Some(id) if changed > 0 => self.mark_groups_with(id),
            _ => Ok(()),
        }
    }

    /// Marks the groups that list an entry: what is known of it has changed.
    pub(super) fn mark_groups_with(&mut self, member: EntryId) -> Result<(), StoreError> {
        if !self.first {
            for group in self.groups_with(member)? {
                self.mark(&Mark::Group(group))?;
            }
        }
        Ok(())
    }

    /// Forgets the entries that are neither a person nor a group, and that no group mentions.
    pub(super) fn forget_loose_names(&mut self) -> Result<(), StoreError> {
        let absorbed = &self.absorbed;
        if !self.first && absorbed.new + absorbed.changed + absorbed.gone > 0 {
            self.transaction.execute(
                "DELETE FROM entry WHERE directory = ?1
                 AND NOT EXISTS (SELECT 1 FROM person WHERE person.id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM grp WHERE grp.id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM membership WHERE member_id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM departure WHERE member_id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM unusable_group WHERE unusable_group.id = entry.id)
                 AND NOT EXISTS (SELECT 1 FROM former_person JOIN ledger USING (user_key)
                     WHERE former_person.id = entry.id AND ledger.state <> 'removed')",
                [self.directory],
            )?;
            for table in ["former_name", "former_user", "former_person"] {
                let orphans = format!(
                    "DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.id = {table}.id)"
                );
                self.transaction.execute(&orphans, [])?;
            }
            self.names.clear();
        }
        Ok(())
    }
}
