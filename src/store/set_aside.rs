//! Actions that failed for their own reason, and when they are tried again.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::dirty::{self, Mark};
use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};

/// The longest wait between two tries, in seconds.
const LONGEST_WAIT_S: i64 = 24 * 3600;

/// An action that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where.
    pub category: CategoryId,
    /// Whose.
    pub user: UserId,
    /// Why, as Kaltura's code or a word of ours.
    pub reason: String,
    /// When it failed.
    pub at: Timestamp,
    /// The wait before the first new try, in seconds; it doubles with each.
    pub first_wait_s: i64,
}

/// An action that waits, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// Where.
    pub category: CategoryId,
    /// Whose.
    pub user: UserId,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub tries: u32,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

impl Store {
    /// Marks the actions that are due, so that the run looks at them. What is in a file that somebody is to upload
    /// waits for that.
    pub fn mark_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let in_files: HashSet<(CategoryId, UserId)> = transaction
            .prepare_cached(
                "SELECT category_id, user_id FROM journal
                 WHERE file IN (SELECT id FROM file WHERE state = 'handed')",
            )?
            .query_map([], super::pair)?
            .collect::<Result<_, _>>()?;
        let due: Vec<(CategoryId, UserId)> = transaction
            .prepare_cached("SELECT category_id, user_id FROM set_aside WHERE retry_at <= ?1")?
            .query_map([now.as_second()], super::pair)?
            .collect::<Result<_, _>>()?;
        let due = due.into_iter().filter(|pair| !in_files.contains(pair));
        let mut count = 0;
        for (category, user) in due {
            dirty::mark(&transaction, &Mark::Entitlement(category, user))?;
            count += 1;
        }
        transaction.commit()?;
        Ok(count)
    }

    /// Lets everything that waits, or what waits for one person, be tried with the next run; answers
    /// how much that is.
    pub fn retry(&self, user: Option<&UserId>, now: Timestamp) -> Result<usize, StoreError> {
        let key = user.map(UserId::key);
        Ok(self.lock().execute(
            "UPDATE set_aside SET retry_at = ?1 WHERE ?2 IS NULL OR user_key = ?2",
            params![now.as_second(), key],
        )?)
    }

    /// What waits, oldest first.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT category_id, user_id, reason, tries, since, retry_at FROM set_aside
             ORDER BY since, category_id, user_key",
        )?;
        let rows = statement.query_map([], |row| {
            let time =
                |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            Ok(Waiting {
                category: CategoryId(row.get(0)?),
                user: UserId::new(row.get::<_, String>(1)?),
                reason: row.get(2)?,
                tries: row.get(3)?,
                since: time(row.get(4)?),
                retry_at: time(row.get(5)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets an action aside.
    pub fn put_off(&self, item: &SetAside) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        write(&transaction, item)?;
        Ok(transaction.commit()?)
    }

    /// Forgets what waits for these memberships: the plan found nothing left to do there.
    pub fn settle(&self, settled: &[(CategoryId, UserId)]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for (category, user) in settled {
            forget(&transaction, *category, user)?;
        }
        Ok(transaction.commit()?)
    }
}

pub(super) fn write(connection: &Connection, item: &SetAside) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO set_aside VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5 + ?6)
             ON CONFLICT (category_id, user_key) DO UPDATE SET
                 reason = excluded.reason, tries = tries + 1,
                 retry_at = ?5 + min(?7, ?6 << min(tries, 16))",
        )?
        .execute(params![
            item.category.0,
            item.user.key(),
            item.user.as_str(),
            item.reason,
            item.at.as_second(),
            item.first_wait_s,
            LONGEST_WAIT_S,
        ])?;
    Ok(())
}

/// Forgets what waits for a membership.
pub(super) fn forget(
    connection: &Connection,
    category: CategoryId,
    user: &UserId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM set_aside WHERE category_id = ?1 AND user_key = ?2")?
        .execute(params![category.0, user.key()])?;
    Ok(())
}
