//! People in the mirror.

use rusqlite::{OptionalExtension, Row, params};

use super::entry::login_name;
use super::{Absorption, Mark, StoreError};
use crate::category::UserId;
use crate::directory::{EntryKind, GroupId, Person, Version};
use crate::plan::desired::EntryId;

/// A person's row.
#[derive(PartialEq)]
struct Stored {
    user_id: String,
    login: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    mail: Option<String>,
    enabled: bool,
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
        })
    }

    /// Whether somebody with this row is wanted in the same places as with the other.
    fn is_wanted_like(&self, other: &Self) -> bool {
        self.user_id.eq_ignore_ascii_case(&other.user_id) && self.enabled == other.enabled
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
        }
    }
}

impl Absorption<'_> {
    pub(super) fn person(
        &mut self,
        person: &Person,
        version: Option<&Version>,
    ) -> Result<(), StoreError> {
        if let Some(id) = self.unchanged_person(person, version)? {
            self.seen.insert(id);
            return Ok(());
        }
        if self.is_older(&person.id, version)? {
            return Ok(());
        }
        let placed = self.place(&person.id, &person.dn, EntryKind::Person, version)?;
        let now = Stored::from(person);
        let before = if placed.is_new {
            None
        } else {
            self.stored_person(placed.id)?
        };
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        self.write_person(placed.id, &now, placed.is_new)?;
        let login_changed = before.as_ref().map(|before| &before.login) != Some(&now.login);
        if login_changed {
            self.look_again_at_groups_of(placed.id)?;
            if let Some(login) = &now.login {
                self.adopt_login(placed.id, login)?;
            }
        }
        match &before {
            None => {
                self.absorbed.new += 1;
                if placed.was_mentioned {
                    self.mark_person(placed.id, &now.user())?;
                }
            }
            Some(before) => {
                self.absorbed.changed += 1;
                if !before.is_wanted_like(&now) {
                    self.mark_person(placed.id, &before.user())?;
                    self.mark_person(placed.id, &now.user())?;
                }
            }
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
                   AND last_name IS ?8 AND mail IS ?9 AND enabled = ?10",
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
                ],
                |row| row.get(0),
            )
            .optional()?)
    }

    fn stored_person(&self, id: EntryId) -> Result<Option<Stored>, StoreError> {
        Ok(self
            .transaction
            .prepare_cached(
                "SELECT user_id, login, first_name, last_name, mail, enabled FROM person WHERE id = ?1",
            )?
            .query_row([id], Stored::read)
            .optional()?)
    }

    fn write_person(&self, id: EntryId, person: &Stored, is_new: bool) -> Result<(), StoreError> {
        let sql = if is_new {
            "INSERT INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        } else {
            "INSERT OR REPLACE INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
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
            .prepare_cached("DELETE FROM membership WHERE member_id = ?1")?
            .execute([mentioned])?;
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

    /// Drops a person; answers whether there was one. Groups may go on mentioning the name.
    pub(super) fn person_left(&mut self, id: EntryId) -> Result<bool, StoreError> {
        let Some(person) = self.stored_person(id)? else {
            return Ok(false);
        };
        self.mark_person(id, &person.user())?;
        if person.login.is_some() {
            // Groups that name people by login may mean somebody else now.
            self.look_again_at_groups_of(id)?;
        }
        self.transaction
            .prepare_cached("DELETE FROM person WHERE id = ?1")?
            .execute([id])?;
        self.transaction
            .prepare_cached("UPDATE entry SET version = NULL WHERE id = ?1")?
            .execute([id])?;
        Ok(true)
    }
}
