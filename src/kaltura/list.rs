//! Reading a list to its end, trusting nothing that was not asked for.
//!
//! *Its one idea: a list is complete when it adds up.* The server's search counts the rows and hands
//! out pages of them; a page may be short, a row may move to another page, the filter may be dropped
//! and the ten-thousandth row is the last. So rows are compared with the question and counted, and
//! what does not add up is read again once.
//!
//! ```text
//! wanted pages ──► asked together ──► settle: all there? ──► done
//!      ▲                                │ more than 10,000 rows: from the last second on
//!      └────────────────────────────────┤ does not add up: once more from the start
//!                                       └ a row of somebody else: misunderstood
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::error::KalturaError;
use super::request::{Client, required};
use super::wire::{self, Call, CategoryRow, LIST_CEILING, Listed, MemberRow, MembersOf, PAGE_SIZE};
use crate::category::{CategoryId, UserId};

const PAGE: u64 = PAGE_SIZE as u64;
const CEILING: u64 = LIST_CEILING as u64;
const LAST_PAGE: u32 = LIST_CEILING / PAGE_SIZE;

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

/// How a list ended.
#[derive(Debug)]
pub(super) enum Reading<R> {
    /// All rows that there are, and only those that were asked for.
    Complete(Vec<R>),
    /// What was asked about does not exist.
    NoSuchThing,
    /// The server answered another question.
    Misunderstood,
}

/// Reads several lists side by side.
pub(super) async fn read_all<Q: Question>(
    client: &Client,
    questions: &[Q],
) -> Result<Vec<Reading<Q::Row>>, KalturaError> {
    let mut lists: Vec<List<'_, Q>> = questions.iter().map(List::new).collect();
    loop {
        let mut wanted = Vec::new();
        let mut again = false;
        for (n, list) in lists.iter_mut().enumerate() {
            let first_reading = list.first_reading.is_none();
            for page in list.advance()? {
                wanted.push((n, page, list.question.call(list.since, page)));
            }
            again |= first_reading && list.first_reading.is_some();
        }
        if wanted.is_empty() {
            return Ok(lists.into_iter().filter_map(|list| list.reading).collect());
        }
        if again {
            tokio::time::sleep(client.pace.settle).await;
        }
        let calls: Vec<Call> = wanted.iter().map(|(_, _, call)| call.clone()).collect();
        let answers = client.read_lists(&calls).await?;
        for ((n, page, call), answer) in wanted.into_iter().zip(answers) {
            let listed = wire::read(&call.name(), required(&call, answer)?)?;
            lists[n].take(page, listed);
        }
    }
}

/// One list on its way.
struct List<'a, Q: Question> {
    question: &'a Q,
    /// Where the rows of the present window begin.
    since: Option<i64>,
    /// The pages of the present window.
    pages: BTreeMap<u32, Vec<Q::Row>>,
    /// What the server says there is in it, page by page.
    totals: BTreeSet<u64>,
    /// The rows of the windows before, without those of the last second, which come again.
    before: Vec<Q::Row>,
    estimate: u64,
    unknown_thing: bool,
    /// The keys of the first reading, where that did not add up.
    first_reading: Option<Vec<Q::Key>>,
    reading: Option<Reading<Q::Row>>,
}

impl<'a, Q: Question> List<'a, Q> {
    fn new(question: &'a Q) -> Self {
        Self {
            question,
            since: question.since(),
            pages: BTreeMap::new(),
            totals: BTreeSet::new(),
            before: Vec::new(),
            estimate: question.estimate(),
            unknown_thing: false,
            first_reading: None,
            reading: None,
        }
    }

    /// Says which pages to ask next, after settling what has come; none when the list is done.
    fn advance(&mut self) -> Result<Vec<u32>, KalturaError> {
        while self.reading.is_none() {
            let wanted = self.wanted();
            if !wanted.is_empty() {
                return Ok(wanted);
            }
            self.settle()?;
        }
        Ok(Vec::new())
    }

    /// The pages of the present window that have not been asked: never "until a page is short",
    /// since a page may be short although more follow.
    fn wanted(&self) -> Vec<u32> {
        let is_done = self.unknown_thing
            || self.has_foreign_rows()
            || self
                .pages
                .last_key_value()
                .is_some_and(|(_, rows)| rows.is_empty());
        if is_done {
            return Vec::new();
        }
        let rows = self.totals.last().copied().unwrap_or(self.estimate);
        let pages = u32::try_from(rows.div_ceil(PAGE))
            .unwrap_or(LAST_PAGE)
            .clamp(1, LAST_PAGE);
        (1..=pages)
            .filter(|page| !self.pages.contains_key(page))
            .collect()
    }

    fn take(&mut self, page: u32, listed: Listed<Q::Row>) {
        self.totals
            .insert(u64::try_from(listed.total_count).unwrap_or_default());
        self.unknown_thing |= listed.objects.is_none();
        self.pages.insert(page, listed.objects.unwrap_or_default());
    }

    fn has_foreign_rows(&self) -> bool {
        self.question.is_strict()
            && self
                .pages
                .values()
                .flatten()
                .any(|row| !self.question.fits(row))
    }

    /// Draws the conclusion from a window whose pages have all come.
    fn settle(&mut self) -> Result<(), KalturaError> {
        if self.has_foreign_rows() {
            self.reading = Some(Reading::Misunderstood);
            return Ok(());
        }
        if self.unknown_thing {
            self.reading = Some(Reading::NoSuchThing);
            return Ok(());
        }
        let expected = self.totals.last().copied().unwrap_or_default();
        let found = self.pages.values().map(Vec::len).sum::<usize>() as u64;
        let adds_up = self.totals.len() <= 1 && found == expected.min(CEILING);
        if adds_up && expected > CEILING {
            return self.next_window();
        }
        let moved = self.has_row_on_two_pages();
        if adds_up && !moved {
            self.finish();
            return Ok(());
        }
        let keys = self.keys();
        match &self.first_reading {
            None => {
                tracing::warn!(
                    subject = self.question.subject(),
                    expected_rows = expected,
                    found_rows = found,
                    "a list does not add up; reading it again"
                );
                *self = Self {
                    first_reading: Some(keys),
                    ..Self::new(self.question)
                };
                Ok(())
            }
            // The server does keep one membership twice when it was added twice at once. What
            // two readings show alike is there, and no row that slipped to another page.
            Some(first) if adds_up && *first == keys => {
                self.finish();
                Ok(())
            }
            Some(_) => Err(KalturaError::Incomplete {
                subject: self.question.subject(),
                expected: expected + self.before.len() as u64,
                found: found + self.before.len() as u64,
            }),
        }
    }

    /// Goes on behind the ceiling: everything made in or after the last second that was seen.
    fn next_window(&mut self) -> Result<(), KalturaError> {
        let rows: Vec<Q::Row> = std::mem::take(&mut self.pages)
            .into_values()
            .flatten()
            .collect();
        let last = rows.iter().map(Q::created_at).max();
        let crowded = || KalturaError::Crowded {
            subject: self.question.subject(),
            second: last.unwrap_or_default(),
        };
        let last = last
            .filter(|last| self.since.is_none_or(|since| *last > since))
            .ok_or_else(crowded)?;
        let read = rows.len() as u64;
        let total = self.totals.last().copied().unwrap_or_default();
        self.before
            .extend(rows.into_iter().filter(|row| Q::created_at(row) < last));
        self.since = Some(last);
        self.totals.clear();
        self.estimate = total.saturating_sub(read);
        Ok(())
    }

    fn finish(&mut self) {
        let mut rows = std::mem::take(&mut self.before);
        rows.extend(std::mem::take(&mut self.pages).into_values().flatten());
        rows.retain(|row| self.question.fits(row));
        self.reading = Some(Reading::Complete(rows));
    }

    fn has_row_on_two_pages(&self) -> bool {
        let mut seen = BTreeSet::new();
        // Twice on the same page is another matter: there it cannot have slipped.
        self.pages.values().any(|rows| {
            let page: BTreeSet<Q::Key> = rows.iter().map(Q::key).collect();
            page.into_iter().any(|key| !seen.insert(key))
        })
    }

    fn keys(&self) -> Vec<Q::Key> {
        let rows = self.before.iter().chain(self.pages.values().flatten());
        let mut keys: Vec<Q::Key> = rows.map(Q::key).collect();
        keys.sort_unstable();
        keys
    }
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
