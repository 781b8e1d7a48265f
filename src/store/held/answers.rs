//! What people have said to held plans, as the gate asks for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use rusqlite::{named_params, params};

use super::{APPROVED, OPEN, SAME_CHANGES};
use crate::category::{CategoryId, UserId};
use crate::plan::gate::Approval;
use crate::plan::gate::approval::Covered;
use crate::plan::{CategoryPlan, Digest, Plan};
use crate::store::{Store, StoreError};

impl Store {
    /// What a person has approved of the changes that a command makes, under this configuration, with what has been
    /// done of it, to be compared with a plan. Approvals that have lapsed are not here.
    pub fn approvals(
        &self,
        command: &str,
        configuration: &str,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<BTreeMap<CategoryId, Vec<Approval>>, StoreError> {
        let planned: HashMap<CategoryId, &CategoryPlan> = plan
            .categories
            .iter()
            .map(|part| (part.category.id, part.as_ref()))
            .collect();
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT category_id, part, answered_by, answered_after, held_category.digest, answered_at FROM held_category
             JOIN held ON plan = held.digest
             WHERE {SAME_CHANGES} AND {APPROVED}
                 AND configuration = :configuration",
        ))?;
        let mut done = connection.prepare_cached(
            "SELECT user_id FROM history
             WHERE category_id = ?1 AND seq > ?2 AND outcome IN ('done', 'already') AND approved_by IS NOT NULL",
        )?;
        let mut rows = statement.query(named_params! {
            ":now": now.as_second(), ":command": command, ":configuration": configuration
        })?;
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, after): (i64, Option<i64>) = (row.get(0)?, row.get(3)?);
            let done = done.query_map(params![id, after], |row| {
                row.get::<_, String>(0).map(UserId::new)
            })?;
            let done: BTreeSet<UserId> = done.collect::<Result<_, _>>()?;
            let digest = Digest(row.get(4)?);
            let is_whole = |part: &&CategoryPlan| {
                done.is_empty() && part.losses() == 0 && part.digest() == digest
            };
            let approval = Approval {
                by: row.get::<_, String>(2)?.into(),
                at: row.get::<_, Option<i64>>(5)?.unwrap_or_default(),
                what: if planned.get(&CategoryId(id)).is_some_and(is_whole) {
                    Covered::Whole(digest)
                } else {
                    Covered::Changes {
                        part: serde_json::from_str(&row.get::<_, String>(1)?)?,
                        done,
                    }
                },
            };
            found.entry(CategoryId(id)).or_default().push(approval);
        }
        Ok(found)
    }

    /// What a person has rejected of the changes that a command makes, under this configuration: their identities
    /// and when that was, by category.
    pub fn rejections(
        &self,
        command: &str,
        configuration: &str,
    ) -> Result<BTreeMap<CategoryId, BTreeMap<String, i64>>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT part, answered_at FROM held_category JOIN held ON plan = held.digest
             WHERE answer = 'rejected' AND {SAME_CHANGES}
                 AND (configuration IS NULL OR configuration = :configuration)"
        ))?;
        let mut rows = statement.query(named_params! {
            ":command": command, ":configuration": configuration
        })?;
        let mut found: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let part: CategoryPlan = serde_json::from_str(&row.get::<_, String>(0)?)?;
            let at: i64 = row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MAX);
            let rejected: &mut BTreeMap<String, i64> = found.entry(part.category.id).or_default();
            for change in part.changes() {
                let newest = rejected.entry(change.identity()).or_insert(at);
                *newest = at.max(*newest);
            }
        }
        Ok(found)
    }

    /// Whose changes, of those that a command makes, are held and have no answer yet: a part of a held plan alone may
    /// be small enough for every limit.
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
             WHERE {SAME_CHANGES} AND {OPEN}
                 AND json_extract(action.value, '$.do') NOT IN ('keep', 'adopt', 'forget', 'skip')",
        ))?;
        let rows = statement.query_map(
            named_params! {":now": now.as_second(), ":command": command},
            super::super::pair,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
