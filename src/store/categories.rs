//! The index of categories, as they were last seen in Kaltura.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::dirty::{self, Mark};
use super::{Store, StoreError};
use crate::category::{Category, CategoryId, ReferenceId, UserId};

const WATERMARK: &str = "categories_created";
/// The setting that names the account.
const ACCOUNT: &str = "account";

impl Store {
    /// Reads the index.
    pub fn categories(&self) -> Result<Vec<Category>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, reference_id, full_name, owner, inherits_from, members_count, created_at
             FROM category ORDER BY id",
        )?;
        let rows = statement.query_map([], category)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Replaces the index by a complete list, and marks what is new in it.
    pub fn replace_categories(
        &self,
        categories: &[Category],
        new: &[CategoryId],
    ) -> Result<(), StoreError> {
        self.write_categories(categories, |transaction| {
            transaction.execute("DELETE FROM category", [])?;
            mark(transaction, new)
        })
    }

    /// Takes new categories into the index, and marks them, so that they are not forgotten before
    /// anybody has looked at them.
    pub fn add_categories(&self, found: &[Category], new: &[CategoryId]) -> Result<(), StoreError> {
        self.write_categories(found, |transaction| mark(transaction, new))
    }

    /// Brings some categories up to date; those asked for that are not among them are gone.
    pub fn refresh_categories(
        &self,
        asked: &[CategoryId],
        found: &[Category],
    ) -> Result<(), StoreError> {
        self.write_categories(found, |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM category WHERE id = ?1")?;
            asked
                .iter()
                .try_for_each(|id| delete.execute([id.0]).map(drop))
        })
    }

    /// The categories of which a first plan has been made and answered.
    pub fn planned_categories(&self) -> Result<BTreeSet<CategoryId>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT category_id FROM planned_category")?;
        let rows = statement.query_map([], |row| row.get(0).map(CategoryId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that the first plan of these categories has been made and answered.
    pub fn note_planned(&self, categories: &[CategoryId]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for category in categories {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO planned_category VALUES (?1)")?
                .execute([category.0])?;
        }
        Ok(transaction.commit()?)
    }

    /// Notes which account the state file is about. Category numbers of another one mean others: what is known of the
    /// former account's channels is forgotten. Answers whether it was another one.
    pub fn note_account(&self, account: &str) -> Result<bool, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let was: Option<String> = transaction
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
            .query_row([ACCOUNT], |row| row.get(0))
            .optional()?;
        if was.as_deref() == Some(account) {
            return Ok(false);
        }
        transaction.execute(
            "INSERT OR REPLACE INTO setting VALUES (?1, ?2)",
            [ACCOUNT, account],
        )?;
        if was.is_some() {
            transaction.execute_batch(
                "DELETE FROM ledger; DELETE FROM set_aside; DELETE FROM undone; DELETE FROM held;
                 DELETE FROM held_category; DELETE FROM category; DELETE FROM planned_category;
                 DELETE FROM setting WHERE name IN
                     ('categories_created', 'configuration', 'configuration_planned');",
            )?;
        }
        transaction.commit()?;
        Ok(was.is_some())
    }

    /// The time, by Kaltura's clock, of the newest category in any list so far.
    pub fn categories_created(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.setting(WATERMARK)?.and_then(|text| text.parse().ok()))
    }

    fn write_categories(
        &self,
        categories: &[Category],
        first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        first(&transaction)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO category VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for category in categories {
                insert.execute(params![
                    category.id.0,
                    category.reference_id.as_ref().map(ReferenceId::as_str),
                    category.full_name,
                    category.owner.as_ref().map(UserId::as_str),
                    category.inherits_from.map(|id| id.0),
                    i64::try_from(category.members_count).unwrap_or(i64::MAX),
                    category.created_at,
                ])?;
            }
        }
        if let Some(newest) = categories.iter().map(|category| category.created_at).max() {
            transaction
                .prepare_cached(
                    "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
                     SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
                )?
                .execute(params![WATERMARK, newest.to_string()])?;
        }
        Ok(transaction.commit()?)
    }
}

fn mark(connection: &Connection, new: &[CategoryId]) -> rusqlite::Result<()> {
    new.iter()
        .try_for_each(|id| dirty::mark(connection, &Mark::Category(*id)))
}

fn category(row: &Row<'_>) -> rusqlite::Result<Category> {
    Ok(Category {
        id: CategoryId(row.get(0)?),
        reference_id: row.get::<_, Option<String>>(1)?.map(ReferenceId::new),
        full_name: row.get(2)?,
        owner: row.get::<_, Option<String>>(3)?.map(UserId::new),
        inherits_from: row.get::<_, Option<i64>>(4)?.map(CategoryId),
        members_count: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        created_at: row.get(6)?,
    })
}
