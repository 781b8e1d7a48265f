//! What this program last did to each membership in Kaltura.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, from_word};
use crate::category::{CategoryId, PermissionLevel, UserId};
use crate::directory::GroupId;
use crate::plan::Grant;
use crate::plan::membership::Last;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub category: CategoryId,
    /// Whose.
    pub user: UserId,
    /// What was done; `None` forgets the line.
    pub last: Option<Last>,
    /// The group that granted it.
    pub via: Option<GroupId>,
}

/// What the ledger knows of one membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whose.
    pub user: UserId,
    /// What was last done.
    pub last: Last,
    /// What granted it.
    pub via: Option<Grant>,
    /// The run that did it.
    pub run: i64,
    /// When.
    pub since: Timestamp,
}

impl Store {
    /// Reads all that is known of one category.
    pub fn known_members(&self, category: CategoryId) -> Result<Vec<Known>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT user_id, state, level, via, run, since FROM ledger WHERE category_id = ?1",
        )?;
        let mut rows = statement.query([category.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Known {
                user: UserId::new(row.get::<_, String>(0)?),
                last: last(row, 1)?,
                via: row.get::<_, Option<String>>(3)?.map(granted_by),
                run: row.get(4)?,
                since: Timestamp::from_second(row.get(5)?).unwrap_or(Timestamp::UNIX_EPOCH),
            });
        }
        Ok(found)
    }

    /// Reads what was last done in one category.
    pub fn ledger(&self, category: CategoryId) -> Result<BTreeMap<UserId, Last>, StoreError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT user_id, state, level FROM ledger WHERE category_id = ?1")?;
        let mut rows = statement.query([category.0])?;
        let mut found = BTreeMap::new();
        while let Some(row) = rows.next()? {
            found.insert(UserId::new(row.get::<_, String>(0)?), last(row, 1)?);
        }
        Ok(found)
    }

    /// Reads what was last done in some categories, as far as that was since then.
    pub fn ledger_since(
        &self,
        categories: &[CategoryId],
        since: Timestamp,
    ) -> Result<BTreeMap<CategoryId, Vec<(UserId, Last)>>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT user_id, state, level FROM ledger WHERE category_id = ?1 AND since >= ?2",
        )?;
        let mut found = BTreeMap::new();
        for category in categories {
            let mut rows = statement.query(params![category.0, since.as_second()])?;
            let done: &mut Vec<_> = found.entry(*category).or_default();
            while let Some(row) = rows.next()? {
                done.push((UserId::new(row.get::<_, String>(0)?), last(row, 1)?));
            }
        }
        Ok(found)
    }

    /// Reads whom this program had deactivated in a category by then, and has left so.
    pub fn deactivated_until(
        &self,
        category: CategoryId,
        until: Timestamp,
    ) -> Result<BTreeSet<UserId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT user_id FROM ledger
             WHERE category_id = ?1 AND state = 'deactivated' AND since <= ?2",
        )?;
        let rows = statement.query_map(params![category.0, until.as_second()], |row| {
            row.get::<_, String>(0).map(UserId::new)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Reads in which categories this program did anything for a person.
    pub fn ledger_of(&self, user: &UserId) -> Result<BTreeSet<CategoryId>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT category_id FROM ledger WHERE user_key = ?1")?;
        let rows = statement.query_map([user.key()], |row| row.get(0).map(CategoryId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes memberships that were found as they should be, and those that are gone.
    pub fn note(&self, run: i64, entries: &[Entry], now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for entry in entries {
            write(&transaction, run, entry, now)?;
        }
        Ok(transaction.commit()?)
    }
}

fn last(row: &Row<'_>, column: usize) -> Result<Last, StoreError> {
    Ok(match row.get_ref(column)?.as_str().unwrap_or_default() {
        "active" => Last::Active(from_word(
            row.get_ref(column + 1)?.as_str().unwrap_or_default(),
        )?),
        "deactivated" => Last::Deactivated,
        "removed" => Last::Removed,
        other => {
            return Err(StoreError::Damaged {
                what: format!("ledger.state {other}"),
            });
        }
    })
}

/// Writes one line, within somebody's transaction.
pub(super) fn write(
    connection: &Connection,
    run: i64,
    entry: &Entry,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (state, level) = match entry.last {
        Some(Last::Active(level)) => ("active", level),
        Some(Last::Deactivated) => ("deactivated", PermissionLevel::None),
        Some(Last::Removed) => ("removed", PermissionLevel::None),
        None => {
            connection
                .prepare_cached("DELETE FROM ledger WHERE category_id = ?1 AND user_key = ?2")?
                .execute(params![entry.category.0, entry.user.key()])?;
            return Ok(());
        }
    };
    connection
        .prepare_cached("INSERT OR REPLACE INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            entry.category.0,
            entry.user.key(),
            entry.user.as_str(),
            state,
            level.to_string(),
            entry.via.as_ref().map(GroupId::as_str),
            run,
            now.as_second(),
        ])?;
    Ok(())
}

/// What granted a membership when this program last wrote it.
pub(super) fn via(
    connection: &Connection,
    category: CategoryId,
    user: &UserId,
) -> rusqlite::Result<Option<Grant>> {
    let group = connection
        .prepare_cached("SELECT via FROM ledger WHERE category_id = ?1 AND user_key = ?2")?
        .query_row(params![category.0, user.key()], |row| {
            row.get::<_, Option<String>>(0)
        })
        .optional()?;
    Ok(group.flatten().map(granted_by))
}

/// The ledger keeps the group only.
fn granted_by(group: String) -> Grant {
    Grant {
        group: GroupId::new(group),
        through: std::sync::Arc::default(),
        binding: 0,
    }
}
