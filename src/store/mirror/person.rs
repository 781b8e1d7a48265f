//! People in the mirror.

use rusqlite::{OptionalExtension, Row, params};

use super::entry::login_name;
use super::{Absorption, Mark, StoreError};
use crate::category::UserId;
use crate::directory::{EntryKind, GroupId, Left, Person, Version};
use crate::plan::desired::EntryId;

/// A person's row.
#[derive(Clone, PartialEq)]
pub(super) struct Stored {
    user_id: String,
    login: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    mail: Option<String>,
    enabled: bool,
    primary_group: Option<String>,
    join_key: Option<String>,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user_id: row.get(0)?,
            login: row.get(1)?,
            first_name: row.get(2)?,
            last_name: row.get(3)?,
            mail: row.get(4)?,
            enabled: row.get(5)?,
            primary_group: row.get(6)?,
            join_key: row.get(7)?,
        })
    }

    /// Whether somebody with this row is wanted in the same places as with the other.
    fn is_wanted_like(&self, other: &Self) -> bool {
        self.user_id.eq_ignore_ascii_case(&other.user_id)
            && self.enabled == other.enabled
            && self.primary_group == other.primary_group
            && self.join_key == other.join_key
    }

    fn user(&self) -> UserId {
        UserId::new(self.user_id.as_str())
    }
}

impl From<&Person> for Stored {
    fn from(person: &Person) -> Self {
        Self {
            user_id: person.user_id.as_str().to_owned(),
            login: person.login.clone(),
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            mail: person.mail.clone(),
            enabled: person.enabled,
            primary_group: person.primary_group.clone(),
            join_key: person.join_key.clone(),
        }
    }
}

impl Stored {
    /// Keeps what every account has, and this one had: it cannot be read any more. An identifier of Active
    /// Directory does not give way to a number of POSIX either.
    fn keep_what_is_not_shown(&mut self, before: &Self) {
        if is_lost(
            before.primary_group.as_deref(),
            self.primary_group.as_deref(),
        ) {
            self.primary_group.clone_from(&before.primary_group);
        }
        if self.login.is_none() {
            self.login.clone_from(&before.login);
        }
    }

    /// Whether the same groups mean both.
    fn is_member_like(&self, other: &Self) -> bool {
        self.primary_group == other.primary_group && self.login == other.login
    }
}

impl Absorption<'_> {
    pub(super) fn person(
        &mut self,
        person: &Person,
        version: Option<&Version>,
    ) -> Result<(), StoreError> {
        if let Some(id) = self.unchanged_person(person, version)? {
            self.is_as_before(&person.id);
            self.seen.insert(id);
            return Ok(());
        }
        if self.is_older(&person.id, version)? {
            return Ok(());
        }
        let met = self.seen.len();
        let placed = self.place(&person.id, &person.dn, EntryKind::Person, version)?;
        let is_twice = !placed.is_new && self.seen.len() == met;
        let mut now = Stored::from(person);
        let before = if placed.is_new {
            None
        } else {
            self.stored_person(placed.id)?
        };
        if let Some(before) = &before {
            now.keep_what_is_not_shown(before);
        }
        if before
            .as_ref()
            .is_some_and(|before| before.is_wanted_like(&now))
        {
            self.lost_nobody(&person.id);
        }
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        if let Some(before) = before.as_ref().filter(|_| is_twice) {
            self.twice(person.dn.as_str(), EntryKind::Person)?;
            now.enabled |= before.enabled;
            // Nobody knows which copy is right: what was known before this read stays.
            let known = self.known_before.get(&placed.id).unwrap_or(before);
            now.primary_group.clone_from(&known.primary_group);
            now.login.clone_from(&known.login);
            if before.user().key() != now.user().key() {
                // No ID can be used, and whoever has one of them is kept.
                self.remember_user(placed.id, &now, before)?;
                now.user_id.clear();
            }
        }
        if let Some(before) = before.as_ref().filter(|_| !is_twice)
            && !before.is_member_like(&now)
        {
            self.known_before.insert(placed.id, before.clone());
        }
        if before.as_ref().is_some_and(|before| before.enabled) && !now.enabled {
            self.disabled.push(placed.id);
        }
        if before
            .as_ref()
            .is_some_and(|before| before.primary_group != now.primary_group)
        {
            self.leaves_primary_group(placed.id)?;
        }
        self.write_person(placed.id, &now, placed.is_new)?;
        if !self.bulk {
            self.came_back(placed.id)?;
        }
        let login_changed = before.as_ref().map(|before| &before.login) != Some(&now.login);
        if login_changed {
            self.look_again_at_groups_of(placed.id)?;
            // A group that lists the former login means this person, as with a former name.
            if let Some(login) = before.as_ref().and_then(|before| before.login.as_ref()) {
                self.remember_name(&login_name(login), placed.id)?;
            }
            if let Some(login) = &now.login {
                self.look_again_at_stale(&login_name(login))?;
                self.adopt_login(placed.id, login)?;
            }
        }
        match &before {
            None => {
                self.absorbed.new += 1;
                if placed.was_mentioned || now.primary_group.is_some() {
                    self.mark_person(placed.id, &now.user())?;
                }
                // Until now the name may have been anybody's.
                if placed.was_mentioned {
                    self.mark_groups_with(placed.id)?;
                }
            }
            Some(before) => {
                self.absorbed.changed += 1;
                if !before.is_wanted_like(&now) {
                    self.mark_person(placed.id, &before.user())?;
                    self.mark_primary_group(before)?;
                    self.remember_user(placed.id, before, &now)?;
                    self.mark_former_users(placed.id)?;
                    self.mark_person(placed.id, &now.user())?;
                }
            }
        }
        self.mark_primary_group(&now)
    }

    /// Remembers the user ID that a person had.
    fn remember_user(&self, id: EntryId, before: &Stored, now: &Stored) -> Result<(), StoreError> {
        let (before, now) = (before.user(), now.user());
        if before.key() != now.key() {
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO former_user VALUES (?1, ?2, ?3)")?
                .execute(params![id, before.key(), before.as_str()])?;
            self.transaction
                .prepare_cached("DELETE FROM former_user WHERE id = ?1 AND user_key = ?2")?
                .execute(params![id, now.key()])?;
        }
        Ok(())
    }

    /// Marks the user IDs that a person had: what follows for them depends on the present one.
    fn mark_former_users(&mut self, id: EntryId) -> Result<(), StoreError> {
        let former: Vec<String> = self
            .transaction
            .prepare_cached("SELECT user_id FROM former_user WHERE id = ?1")?
            .query_map([id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for user in former {
            self.mark_person(id, &UserId::new(user))?;
        }
        Ok(())
    }

    /// Forgets that a person was gone.
    fn came_back(&self, id: EntryId) -> Result<(), StoreError> {
        self.transaction
            .prepare_cached("DELETE FROM former_person WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Marks the groups that are somebody's primary group: no group lists them for that.
    fn mark_primary_group(&mut self, person: &Stored) -> Result<(), StoreError> {
        let Some(key) = person.primary_group.as_ref().filter(|_| !self.first) else {
            return Ok(());
        };
        for group in self.groups_with_primary_key(key)? {
            self.mark(&Mark::Membership(group, person.user()))?;
        }
        Ok(())
    }

    /// Finds a person who is, to the last column, as before: the usual case, told in one look.
    fn unchanged_person(
        &self,
        person: &Person,
        version: Option<&Version>,
    ) -> Result<Option<EntryId>, StoreError> {
        if self.bulk {
            return Ok(None);
        }
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT id FROM entry JOIN person USING (id)
                 WHERE directory = ?1 AND stable_id = ?2 AND name = ?3 AND kind = 'person'
                   AND version IS ?4 AND user_id = ?5 AND login IS ?6 AND first_name IS ?7
                   AND last_name IS ?8 AND mail IS ?9 AND enabled = ?10
                   AND primary_group IS ?11 AND join_key IS ?12",
            )?
            .query_row(
                params![
                    self.directory,
                    person.id.as_str(),
                    person.dn.as_str(),
                    version.map(|version| &version.0),
                    person.user_id.as_str(),
                    person.login,
                    person.first_name,
                    person.last_name,
                    person.mail,
                    person.enabled,
                    person.primary_group,
                    person.join_key,
                ],
                |row| row.get(0),
            )
            .optional()?)
    }

    fn stored_person(&self, id: EntryId) -> Result<Option<Stored>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT user_id, login, first_name, last_name, mail, enabled, primary_group, join_key
                 FROM person WHERE id = ?1",
            )?
            .query_row([id], Stored::read)
            .optional()?)
    }

    fn write_person(&self, id: EntryId, person: &Stored, is_new: bool) -> Result<(), StoreError> {
        let sql = if is_new {
            "INSERT INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        } else {
            "INSERT OR REPLACE INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        };
        self.transaction.prepare_cached(sql)?.execute(params![
            id,
            person.user_id,
            person.user().key(),
            person.login,
            person.first_name,
            person.last_name,
            person.mail,
            person.enabled,
            person.primary_group,
            person.join_key,
        ])?;
        Ok(())
    }

    /// Gives a person the memberships of groups that mentioned the login before anybody had it.
    fn adopt_login(&mut self, id: EntryId, login: &str) -> Result<(), StoreError> {
        let Some(mentioned) = self.named(&login_name(login))? else {
            return Ok(());
        };
        self.transaction
            .prepare_cached("UPDATE OR IGNORE membership SET member_id = ?2 WHERE member_id = ?1")?
            .execute([mentioned, id])?;
        self.transaction
            .prepare_cached("UPDATE OR IGNORE departure SET member_id = ?2 WHERE member_id = ?1")?
            .execute([mentioned, id])?;
        for table in ["membership", "departure"] {
            self.transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE member_id = ?1"))?
                .execute([mentioned])?;
        }
        self.is_listed_again(id)?;
        self.mark_groups_with(id)?;
        let user = self.stored_person(id)?.map(|person| person.user());
        user.map_or(Ok(()), |user| self.mark_person(id, &user))
    }

    /// Marks a person, wherever they are and wherever something was done for them.
    fn mark_person(&mut self, id: EntryId, user: &UserId) -> Result<(), StoreError> {
        if self.first {
            return Ok(());
        }
        for group in self.groups_with(id)? {
            self.mark(&Mark::Membership(group, user.clone()))?;
        }
        self.mark(&Mark::Person(user.clone()))
    }

    /// The groups that have an entry as a direct member.
    pub(super) fn groups_with(&self, member: EntryId) -> Result<Vec<GroupId>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT DISTINCT grp.group_id FROM membership JOIN grp ON grp.id = membership.group_id
                 WHERE member_id = ?1",
            )?
            .query_map([member], |row| row.get::<_, String>(0).map(GroupId::new))?
            .collect::<Result<_, _>>()?)
    }

    /// Drops a person, and remembers who it was; returns whether there was one. Groups may go on
    /// mentioning the name.
    pub(super) fn person_left(&mut self, id: EntryId, how: Left) -> Result<bool, StoreError> {
        let Some(person) = self.stored_person(id)? else {
            return self.left_again(id, how);
        };
        self.mark_person(id, &person.user())?;
        self.mark_primary_group(&person)?;
        self.leaves_primary_group(id)?;
        if person.login.is_some() {
            // Groups that name people by login may mean somebody else now.
            self.look_again_at_groups_of(id)?;
        }
        let seen: i64 = self
            .transaction
            .prepare_cached("SELECT look FROM entry WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        // Names that came to a group when it did not list the person any more may be theirs.
        let left_at: Option<i64> = self
            .transaction
            .prepare_cached("SELECT min(look) - 1 FROM departure WHERE member_id = ?1")?
            .query_row([id], |row| row.get(0))?;
        let seen = seen.max(self.full_look);
        let seen = left_at.map_or(seen, |look| look.min(seen));
        let word = word(how);
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO former_person VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                id,
                person.user_id,
                person.user().key(),
                self.now.as_second(),
                seen,
                word,
                (how == Left::Filter).then(|| self.now.as_second()),
            ])?;
        self.transaction
            .prepare_cached("DELETE FROM person WHERE id = ?1")?
            .execute([id])?;
        self.transaction
            .prepare_cached("UPDATE entry SET version = NULL WHERE id = ?1")?
            .execute([id])?;
        Ok(true)
    }

    /// Notes of somebody who is gone already how they have left: it was looked for by itself.
    fn left_again(&mut self, id: EntryId, how: Left) -> Result<bool, StoreError> {
        let known: Option<(String, String)> = self
            .transaction
            .prepare_cached("SELECT user_id, how FROM former_person WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((user, before)) = known else {
            return Ok(false);
        };
        self.transaction
            .prepare_cached("UPDATE former_person SET how = ?2, looked_up_at = ?3 WHERE id = ?1")?
            .execute(params![id, word(how), self.now.as_second()])?;
        if before != word(how) {
            self.mark_person(id, &UserId::new(user))?;
        }
        Ok(false)
    }
}

/// Whether the key of a primary group, or of a group that may be one, cannot be read any more.
pub(super) fn is_lost(before: Option<&str>, now: Option<&str>) -> bool {
    let is_of_a_domain = |key: Option<&str>| key.is_some_and(|key| key.starts_with("rid:"));
    now.is_none() || (is_of_a_domain(before) && !is_of_a_domain(now))
}

/// A way of leaving, as it is stored.
fn word(how: Left) -> &'static str {
    match how {
        Left::Filter => "filter",
        Left::Gone => "gone",
    }
}
