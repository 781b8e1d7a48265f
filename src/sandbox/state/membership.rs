//! Memberships: one row a person and category, a million of them.
//!
//! *Its one idea: a row is numbers.* Users and categories by their numbers, permission names by a
//! number in a short list; a deleted row keeps its place, so that a row's number never changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Changes, UserKey};

/// `permissionLevel` of a manager.
pub(in crate::sandbox) const MANAGER: i64 = 0;
/// `permissionLevel` of a row that grants nothing.
pub(in crate::sandbox) const NONE: i64 = 4;
/// `status` of a row that counts.
pub(in crate::sandbox) const ACTIVE: i64 = 1;
/// `status` of a request to join.
pub(in crate::sandbox) const PENDING: i64 = 2;
/// `status` of a deactivated row.
pub(in crate::sandbox) const NOT_ACTIVE: i64 = 3;
/// `status` of a deleted row.
pub(in crate::sandbox) const DELETED: i64 = 4;

/// Permission names in the order in which Kaltura writes them for a level.
pub(in crate::sandbox) fn level_names(level: i64) -> &'static str {
    match level {
        0 => "CATEGORY_EDIT,CATEGORY_MODERATE,CATEGORY_CONTRIBUTE,CATEGORY_VIEW",
        1 => "CATEGORY_MODERATE,CATEGORY_VIEW",
        2 => "CATEGORY_CONTRIBUTE,CATEGORY_VIEW",
        3 => "CATEGORY_VIEW",
        _ => "",
    }
}

/// Permission names, by a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Names(u16);

/// What may change about a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Cells {
    pub(in crate::sandbox) level: i64,
    pub(in crate::sandbox) status: i64,
    pub(in crate::sandbox) method: i64,
    pub(in crate::sandbox) names: Names,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
}

/// The same, packed: there are two of these in each of a million rows.
#[derive(Debug, Clone, Copy)]
struct Packed {
    created: u32,
    updated: u32,
    names: u16,
    level: u8,
    status: u8,
    method: u8,
}

impl From<Cells> for Packed {
    fn from(cells: Cells) -> Self {
        let small = |number: i64| u8::try_from(number).unwrap_or(u8::MAX);
        let time = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            created: time(cells.created),
            updated: time(cells.updated),
            names: cells.names.0,
            level: small(cells.level),
            status: small(cells.status),
            method: small(cells.method),
        }
    }
}

impl From<Packed> for Cells {
    fn from(packed: Packed) -> Self {
        Self {
            level: packed.level.into(),
            status: packed.status.into(),
            method: packed.method.into(),
            names: Names(packed.names),
            created: packed.created.into(),
            updated: packed.updated.into(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Row {
    category: u32,
    user: UserKey,
    stored: Packed,
    /// What the search engine knows; a deleted status before it knows anything.
    indexed: Packed,
}

/// All memberships of an account.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Memberships {
    rows: Vec<Row>,
    /// The first live row of a category and user; concurrent adds may leave more.
    live: HashMap<(u32, UserKey), u32>,
    names: Vec<Arc<str>>,
    /// Rows that were written and not saved.
    pub(in crate::sandbox) changes: Changes<u32>,
}

impl Memberships {
    pub(super) fn insert(&mut self, category: i64, user: UserKey, cells: Cells) -> u32 {
        let row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let category = short(category);
        let unknown = Cells {
            status: DELETED,
            ..cells
        };
        self.rows.push(Row {
            category,
            user,
            stored: cells.into(),
            indexed: unknown.into(),
        });
        self.live.entry((category, user)).or_insert(row);
        self.changes.note(row);
        row
    }

    /// Puts a row back in its place, as a file has it. Rows come in order; the places between them
    /// are those of deleted rows.
    pub(super) fn restore(&mut self, row: u32, category: i64, user: UserKey, cells: Cells) {
        let category = short(category);
        let gone = Cells {
            status: DELETED,
            ..cells
        };
        let filled = |stored: Cells| Row {
            category,
            user,
            stored: stored.into(),
            indexed: stored.into(),
        };
        self.rows.resize(row as usize, filled(gone));
        self.rows.push(filled(cells));
        self.live.entry((category, user)).or_insert(row);
    }

    pub(super) fn set(&mut self, row: u32, cells: Cells) {
        self.changes.note(row);
        self.row_mut(row).stored = cells.into();
    }

    pub(super) fn delete(&mut self, row: u32, twin: Option<u32>, now: i64) {
        let mut cells = self.cells(row);
        cells.status = DELETED;
        cells.updated = now;
        self.set(row, cells);
        let Row { category, user, .. } = *self.row(row);
        if self.live.get(&(category, user)) == Some(&row) {
            match twin {
                Some(twin) => _ = self.live.insert((category, user), twin),
                None => _ = self.live.remove(&(category, user)),
            }
        }
    }

    /// Tells the search engine about a row, and answers whether anybody still sees the row.
    pub(super) fn index(&mut self, row: u32) -> bool {
        let row = self.row_mut(row);
        row.indexed = row.stored;
        i64::from(row.stored.status) != DELETED
    }

    /// The live row of a person in a category.
    pub(in crate::sandbox) fn find(&self, category: i64, user: UserKey) -> Option<u32> {
        self.live.get(&(short(category), user)).copied()
    }

    /// Whether a row is a live one of this category.
    pub(super) fn is_live(&self, row: u32, category: i64) -> bool {
        self.category(row) == category && self.cells(row).status != DELETED
    }

    /// A row as the database has it.
    pub(in crate::sandbox) fn cells(&self, row: u32) -> Cells {
        self.row(row).stored.into()
    }

    /// A row as the search engine knows it; nothing when it does not list it.
    pub(in crate::sandbox) fn indexed(&self, row: u32) -> Option<Cells> {
        let cells = Cells::from(self.row(row).indexed);
        (cells.status != DELETED).then_some(cells)
    }

    /// The category of a row.
    pub(in crate::sandbox) fn category(&self, row: u32) -> i64 {
        self.row(row).category.into()
    }

    /// The user of a row.
    pub(in crate::sandbox) fn user(&self, row: u32) -> UserKey {
        self.row(row).user
    }

    /// How many rows there have ever been.
    pub(in crate::sandbox) fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// The number of some permission names.
    pub(in crate::sandbox) fn names(&mut self, text: &str) -> Names {
        let at = self.names.iter().position(|known| **known == *text);
        let at = at.unwrap_or_else(|| {
            self.names.push(text.into());
            self.names.len() - 1
        });
        Names(u16::try_from(at).unwrap_or(u16::MAX))
    }

    /// Permission names by their number.
    pub(in crate::sandbox) fn names_text(&self, names: Names) -> Arc<str> {
        self.names
            .get(usize::from(names.0))
            .cloned()
            .unwrap_or_else(|| "".into())
    }

    /// For each number of permission names whether they are wanted: a list filters a million rows
    /// by a short table.
    pub(in crate::sandbox) fn names_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<bool> {
        self.names.iter().map(|names| wanted(names)).collect()
    }

    fn row(&self, row: u32) -> &Row {
        &self.rows[row as usize]
    }

    fn row_mut(&mut self, row: u32) -> &mut Row {
        &mut self.rows[row as usize]
    }
}

impl Names {
    /// The number itself.
    pub(in crate::sandbox) fn number(self) -> usize {
        self.0.into()
    }
}

/// Category numbers as rows keep them.
fn short(category: i64) -> u32 {
    u32::try_from(category).unwrap_or(0)
}
