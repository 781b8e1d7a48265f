//! What people have said to held plans, as the gate asks for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::params;

use super::{APPROVED, OPEN};
use crate::category::{CategoryId, UserId};
use crate::plan::Digest;
use crate::plan::gate::Approval;
use crate::store::{Store, StoreError};

impl Store {
    /// What a person has approved of a command's plans, under this configuration, with what has been done of
    /// it. Approvals that have lapsed are not here.
    pub fn approvals(
        &self,
        command: &str,
        configuration: &str,
        now: Timestamp,
    ) -> Result<BTreeMap<CategoryId, Approval>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT category_id, part, answered_by, answered_after FROM held_category
             JOIN held ON plan = held.digest
             WHERE command = ?2 AND {APPROVED}
                 AND (configuration IS NULL OR configuration = ?3)",
        ))?;
        let mut done = connection.prepare_cached(
            "SELECT user_id FROM history
             WHERE category_id = ?1 AND seq > ?2 AND outcome = 'done' AND approved_by IS NOT NULL",
        )?;
        let mut rows = statement.query(params![now.as_second(), command, configuration])?;
        let mut found = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, after): (i64, Option<i64>) = (row.get(0)?, row.get(3)?);
            let done = done.query_map(params![id, after], |row| {
                row.get::<_, String>(0).map(UserId::new)
            })?;
            let approval = Approval {
                part: serde_json::from_str(&row.get::<_, String>(1)?)?,
                by: row.get::<_, String>(2)?.into(),
                done: done.collect::<Result<_, _>>()?,
            };
            found.insert(CategoryId(id), approval);
        }
        Ok(found)
    }

    /// What a person has rejected of a command's plans, by the digest of a channel's part.
    pub fn rejections(&self, command: &str) -> Result<BTreeSet<Digest>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT held_category.digest FROM held_category JOIN held ON plan = held.digest
             WHERE command = ?1 AND answer = 'rejected'",
        )?;
        let rows = statement.query_map([command], |row| row.get(0).map(Digest))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whom a command's held plans would change something for, where nobody has answered yet, of plans
    /// that are held as a whole: a part of them alone may be small enough for every limit.
    pub fn unanswered(
        &self,
        command: &str,
        now: Timestamp,
    ) -> Result<BTreeSet<(CategoryId, UserId)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT category_id, json_extract(action.value, '$.user')
             FROM held_category JOIN held ON plan = held.digest,
                 json_each(part, '$.actions') AS action
             WHERE command = ?2 AND whole AND {OPEN}
                 AND json_extract(action.value, '$.do') NOT IN ('keep', 'adopt', 'forget', 'skip')",
        ))?;
        let rows = statement.query_map(params![now.as_second(), command], |row| {
            let user: String = row.get(1)?;
            Ok((CategoryId(row.get(0)?), UserId::new(user)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
