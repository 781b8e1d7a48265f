//! What can be listed, and which rows are an answer.
//!
//! *Its one idea: a question knows its answers.* A row that does not fit the question was not asked
//! for, whatever the server thinks.

use serde::de::DeserializeOwned;

use super::wire::{self, Call, CategoryRow, MemberRow, MembersOf};
use crate::category::{CategoryId, UserId};

/// What is listed, and which rows are an answer to it.
pub(super) trait Question {
    /// A row of the answer.
    type Row: DeserializeOwned;
    /// What makes a row the same as another.
    type Key: Ord;

    /// Asks a page of the rows made at or after a second.
    fn call(&self, since: Option<i64>, page: u32) -> Call;
    /// Whether the row was asked for.
    fn fits(&self, row: &Self::Row) -> bool;
    /// Whether a row that was not asked for means that the server dropped the filter.
    fn is_strict(&self) -> bool;
    /// Which row it is.
    fn key(row: &Self::Row) -> Self::Key;
    /// When it was made.
    fn created_at(row: &Self::Row) -> i64;
    /// From when on rows are wanted at all.
    fn since(&self) -> Option<i64>;
    /// About how many rows there will be.
    fn estimate(&self) -> u64;
    /// What is listed, for people.
    fn subject(&self) -> String;
}

/// The categories below a root.
pub(super) struct Categories {
    root: Option<String>,
    since: Option<i64>,
}

impl Categories {
    pub(super) fn new(root: Option<&str>, since: Option<i64>) -> Self {
        Self {
            root: root.map(str::to_owned),
            since,
        }
    }
}

impl Question for Categories {
    type Row = CategoryRow;
    type Key = CategoryId;

    fn call(&self, since: Option<i64>, page: u32) -> Call {
        Call::list_categories(self.root.as_deref(), since, page)
    }
    fn fits(&self, row: &CategoryRow) -> bool {
        let is_below = self.root.as_deref().is_none_or(|root| {
            // The server compares paths without case.
            row.full_name()
                .to_lowercase()
                .starts_with(&wire::below(root).to_lowercase())
        });
        is_below && self.since.is_none_or(|since| row.created_at() >= since)
    }
    /// A category elsewhere may be one that has just been moved, and is simply left out.
    fn is_strict(&self) -> bool {
        false
    }
    fn key(row: &CategoryRow) -> CategoryId {
        row.id()
    }
    fn created_at(row: &CategoryRow) -> i64 {
        row.created_at()
    }
    fn since(&self) -> Option<i64> {
        self.since
    }
    fn estimate(&self) -> u64 {
        0
    }
    fn subject(&self) -> String {
        match &self.root {
            Some(root) => format!("the categories below {root:?}"),
            None => "the account's categories".to_owned(),
        }
    }
}

/// The memberships of some categories, or of one person.
pub(super) struct Members {
    of: MembersOf,
    estimate: u64,
}

impl Members {
    pub(super) fn of(categories: Vec<CategoryId>, estimate: u64) -> Self {
        // One category is asked about in the way that cannot be misunderstood.
        let of = match categories.as_slice() {
            [only] => MembersOf::Category(*only),
            _ => MembersOf::Categories(categories),
        };
        Self { of, estimate }
    }

    pub(super) fn of_user(user: &UserId) -> Self {
        Self {
            of: MembersOf::User(user.clone()),
            estimate: 0,
        }
    }

    /// The categories that are asked about.
    pub(super) fn categories(&self) -> &[CategoryId] {
        match &self.of {
            MembersOf::Category(id) => std::slice::from_ref(id),
            MembersOf::Categories(ids) => ids,
            MembersOf::User(_) => &[],
        }
    }
}

impl Question for Members {
    type Row = MemberRow;
    type Key = (CategoryId, UserId, i64);

    fn call(&self, since: Option<i64>, page: u32) -> Call {
        Call::list_members(&self.of, since, page)
    }
    fn fits(&self, row: &MemberRow) -> bool {
        match &self.of {
            MembersOf::User(user) => row.user() == *user,
            MembersOf::Category(_) | MembersOf::Categories(_) => {
                self.categories().contains(&row.category())
            }
        }
    }
    fn is_strict(&self) -> bool {
        true
    }
    fn key(row: &MemberRow) -> Self::Key {
        (row.category(), row.user(), row.created_at())
    }
    fn created_at(row: &MemberRow) -> i64 {
        row.created_at()
    }
    fn since(&self) -> Option<i64> {
        None
    }
    fn estimate(&self) -> u64 {
        self.estimate
    }
    fn subject(&self) -> String {
        match &self.of {
            MembersOf::User(_) => "one person's memberships".to_owned(),
            MembersOf::Category(id) => format!("the members of category {id}"),
            MembersOf::Categories(ids) => {
                let first = ids.first().copied().unwrap_or(CategoryId(0));
                format!(
                    "the members of {} categories (the first is {first})",
                    ids.len()
                )
            }
        }
    }
}
