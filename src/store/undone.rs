//! What a person has undone, so that the next run asks before it does it again.

use std::collections::BTreeSet;

use rusqlite::params;

use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};

impl Store {
    /// Notes that a person has undone what was done to these memberships.
    pub fn note_undone(&self, run: i64, pairs: &[(CategoryId, UserId)]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for (category, user) in pairs {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO undone VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![category.0, user.key(), user.as_str(), run])?;
        }
        Ok(transaction.commit()?)
    }

    /// The memberships of which a person has undone something.
    pub fn undone(&self) -> Result<BTreeSet<(CategoryId, UserId)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT category_id, user_id FROM undone")?;
        let rows = statement.query_map([], |row| {
            Ok((
                CategoryId(row.get(0)?),
                UserId::new(row.get::<_, String>(1)?),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets them: directory and Kaltura agree again, or a person has approved the change.
    pub fn forget_undone(&self, pairs: &[(CategoryId, UserId)]) -> Result<(), StoreError> {
        let connection = self.lock();
        let mut delete = connection
            .prepare_cached("DELETE FROM undone WHERE category_id = ?1 AND user_key = ?2")?;
        for (category, user) in pairs {
            delete.execute(params![category.0, user.key()])?;
        }
        Ok(())
    }
}
