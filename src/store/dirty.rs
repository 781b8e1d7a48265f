//! Where to look: the marks that absorbing leaves, and that a verdict clears.
//!
//! *Its one idea: a mark is in words that survive what it is about.* The person or the group may be
//! gone from the mirror by the time somebody looks.

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};
use crate::directory::GroupId;

/// Where something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Anywhere.
    Everything,
    /// Anybody in this group, and in the groups that contain it.
    Group(GroupId),
    /// This person, anywhere.
    Person(UserId),
    /// This person in this group, and in the groups that contain it.
    Membership(GroupId, UserId),
    /// Anybody in this category.
    Category(CategoryId),
    /// This person in this category.
    Entitlement(CategoryId, UserId),
}

/// The marks there are, and up to which of them a verdict will speak.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// What is marked.
    pub marks: Vec<Mark>,
    /// The newest of them.
    pub up_to: i64,
}

impl Store {
    /// Reads all marks.
    pub fn marks(&self) -> Result<Marks, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, kind, group_id, user_id, category_id FROM dirty ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Marks::default();
        while let Some(row) = rows.next()? {
            let group = || row.get::<_, String>(2).map(GroupId::new);
            let user = || row.get::<_, String>(3).map(UserId::new);
            let category = || row.get(4).map(CategoryId);
            found.up_to = row.get(0)?;
            found.marks.push(match row.get::<_, String>(1)?.as_str() {
                "everything" => Mark::Everything,
                "group" => Mark::Group(group()?),
                "person" => Mark::Person(user()?),
                "membership" => Mark::Membership(group()?, user()?),
                "category" => Mark::Category(category()?),
                "entitlement" => Mark::Entitlement(category()?, user()?),
                other => {
                    return Err(StoreError::Damaged {
                        what: format!("dirty.kind {other}"),
                    });
                }
            });
        }
        Ok(found)
    }

    /// Leaves marks.
    pub fn mark(&self, marks: &[Mark]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for item in marks {
            mark(&transaction, item)?;
        }
        Ok(transaction.commit()?)
    }

    /// Clears the marks up to the one given: there is a verdict on each of them.
    pub fn clear_marks(&self, up_to: i64) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute("DELETE FROM dirty WHERE id <= ?1", [up_to])?;
        Ok(transaction.commit()?)
    }

    /// Clears the marks of some categories: there is a verdict on each of them.
    pub fn clear_category_marks(&self, categories: &[CategoryId]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for category in categories {
            transaction
                .prepare_cached("DELETE FROM dirty WHERE kind = 'category' AND category_id = ?1")?
                .execute([category.0])?;
        }
        Ok(transaction.commit()?)
    }
}

/// Leaves a mark, within somebody's transaction. A mark that is there already becomes a new one.
pub(super) fn mark(connection: &Connection, mark: &Mark) -> rusqlite::Result<()> {
    let (kind, group, user, category) = match mark {
        Mark::Everything => ("everything", "", "", 0),
        Mark::Group(group) => ("group", group.as_str(), "", 0),
        Mark::Person(user) => ("person", "", user.as_str(), 0),
        Mark::Membership(group, user) => ("membership", group.as_str(), user.as_str(), 0),
        Mark::Category(category) => ("category", "", "", category.0),
        Mark::Entitlement(category, user) => ("entitlement", "", user.as_str(), category.0),
    };
    connection
        .prepare_cached(
            "INSERT INTO dirty (kind, group_id, user_id, category_id) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![kind, group, user, category])?;
    Ok(())
}
