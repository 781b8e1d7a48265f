//! Plans that wait for a person, and what a person said.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use super::{Store, StoreError};
use crate::category::CategoryId;
use crate::plan::show::Counts;
use crate::plan::{Digest, Plan};

/// A plan that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The name by which it is approved.
    pub digest: Digest,
    /// When it was held.
    pub held_at: Timestamp,
    /// What tripped.
    pub reason: String,
    /// What it would do.
    pub counts: Counts,
    /// Whether somebody has approved it; the next run applies it then.
    pub approved_by: Option<String>,
}

/// What became of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// The plan is released; this many channels.
    Given(Held, usize),
    /// No plan has this digest.
    NoSuchPlan,
    /// Several digests begin like this.
    Ambiguous,
}

impl Store {
    /// Holds a plan. Another held plan for the same categories is out of date and goes.
    pub fn hold(
        &self,
        run: i64,
        plan: &Plan,
        reason: &str,
        now: Timestamp,
    ) -> Result<Digest, StoreError> {
        let digest = plan.digest();
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for part in &plan.categories {
            transaction
                .prepare_cached("DELETE FROM held_category WHERE category_id = ?1")?
                .execute([part.category.id.0])?;
        }
        transaction.execute(
            "INSERT OR REPLACE INTO held (digest, run, held_at, reason, summary) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                digest.0,
                run,
                now.as_second(),
                reason,
                serde_json::to_string(&Counts::of(plan))?
            ],
        )?;
        for part in &plan.categories {
            transaction
                .prepare_cached("INSERT INTO held_category VALUES (?1, ?2, ?3)")?
                .execute(params![digest.0, part.category.id.0, part.digest().0])?;
        }
        drop_empty(&transaction)?;
        transaction.commit()?;
        Ok(digest)
    }

    /// The plans that are held, oldest first.
    pub fn held(&self) -> Result<Vec<Held>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT digest, held_at, reason, summary, approved_by FROM held ORDER BY held_at, digest",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Held {
                digest: Digest(row.get(0)?),
                held_at: Timestamp::from_second(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH),
                reason: row.get(2)?,
                counts: serde_json::from_str(&row.get::<_, String>(3)?)?,
                approved_by: row.get(4)?,
            });
        }
        Ok(found)
    }

    /// Releases the plan whose digest begins like this: the next run applies it, where it still is
    /// what was approved.
    pub fn approve(&self, digest: &str, by: &str, now: Timestamp) -> Result<Approval, StoreError> {
        let matching: Vec<Held> = self
            .held()?
            .into_iter()
            .filter(|held| held.digest.0.starts_with(&digest.to_ascii_lowercase()))
            .collect();
        let [held] = matching.as_slice() else {
            return Ok(match matching.len() {
                0 => Approval::NoSuchPlan,
                _ => Approval::Ambiguous,
            });
        };
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE held SET approved_at = ?2, approved_by = ?3 WHERE digest = ?1",
            params![held.digest.0, now.as_second(), by],
        )?;
        let categories = transaction.execute(
            "INSERT INTO dirty (kind, category_id)
             SELECT 'category', category_id FROM held_category WHERE plan = ?1",
            [&held.digest.0],
        )?;
        transaction.commit()?;
        Ok(Approval::Given(held.clone(), categories))
    }

    /// The digests of the parts that are approved.
    pub fn approvals(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT held_category.digest FROM held_category JOIN held ON held.digest = plan
             WHERE approved_at IS NOT NULL",
        )?;
        let rows = statement.query_map([], |row| row.get(0).map(Digest))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The categories of which something is held.
    pub fn held_categories(&self) -> Result<BTreeSet<CategoryId>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT DISTINCT category_id FROM held_category")?;
        let rows = statement.query_map([], |row| row.get(0).map(CategoryId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes categories off the held plans: they have been applied, or nothing is left to do there.
    /// An approval counts once.
    pub fn release_held(&self, categories: &[CategoryId]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for category in categories {
            transaction
                .prepare_cached("DELETE FROM held_category WHERE category_id = ?1")?
                .execute([category.0])?;
        }
        drop_empty(&transaction)?;
        Ok(transaction.commit()?)
    }
}

fn drop_empty(connection: &rusqlite::Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM held WHERE digest NOT IN (SELECT plan FROM held_category)",
        [],
    )
}
