//! What a person has said no to, by undoing it or by rejecting it: the next run asks before it does it.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};

impl Store {
    /// Notes that a run has undone what was done to these memberships.
    pub fn note_undone(&self, run: i64, pairs: &[(CategoryId, UserId)]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        write(&transaction, Some(run), pairs)?;
        Ok(transaction.commit()?)
    }

    /// The memberships of which a person has said no to something.
    pub fn undone(&self) -> Result<BTreeSet<(CategoryId, UserId)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT category_id, user_id FROM undone")?;
        let rows = statement.query_map([], super::pair)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets them: directory and Kaltura agree again.
    pub fn forget_undone(&self, pairs: &[(CategoryId, UserId)]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        forget(&transaction, pairs)?;
        Ok(transaction.commit()?)
    }
}

/// Notes memberships, within somebody's transaction.
pub(super) fn write(
    connection: &Connection,
    run: Option<i64>,
    pairs: &[(CategoryId, UserId)],
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO undone VALUES (?1, ?2, ?3, ?4)")?;
    for (category, user) in pairs {
        insert.execute(params![category.0, user.key(), user.as_str(), run])?;
    }
    Ok(())
}

/// Forgets memberships, within somebody's transaction.
pub(super) fn forget(
    connection: &Connection,
    pairs: &[(CategoryId, UserId)],
) -> rusqlite::Result<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM undone WHERE category_id = ?1 AND user_key = ?2")?;
    for (category, user) in pairs {
        delete.execute(params![category.0, user.key()])?;
    }
    Ok(())
}
