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

use super::api_error::ApiError;
use super::error::KalturaError;
use super::question::Question;
use super::request::{Client, refused, required};
use super::wire::{self, Call, LIST_CEILING, Listed, PAGE_SIZE};

const PAGE: u64 = PAGE_SIZE as u64;
const CEILING: u64 = LIST_CEILING as u64;
const LAST_PAGE: u32 = LIST_CEILING / PAGE_SIZE;

/// How a list ended.
#[derive(Debug)]
pub(super) enum Reading<R> {
    /// All rows that there are, and only those that were asked for.
    Complete(Vec<R>),
    /// What was asked about does not exist.
    NoSuchThing,
    /// The server answered another question.
    Misunderstood,
    /// Two readings did not add up.
    Incomplete {
        /// How many rows the server says there are.
        expected: u64,
        /// How many came.
        found: u64,
    },
}

impl<R> Reading<R> {
    /// The rows of a list without which nothing can be said.
    pub(super) fn required(self, question: &impl Question) -> Result<Vec<R>, KalturaError> {
        match self {
            Self::Complete(rows) => Ok(rows),
            Self::NoSuchThing => Ok(Vec::new()),
            Self::Misunderstood => {
                let error = ApiError::unexpected("it lists what was not asked for");
                Err(refused("the list".to_owned(), error))
            }
            Self::Incomplete { expected, found } => Err(KalturaError::Incomplete {
                subject: question.subject(),
                expected,
                found,
            }),
        }
    }
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
            Some(_) => {
                let before = self.before.len() as u64;
                let (expected, found) = (expected + before, found + before);
                self.reading = Some(Reading::Incomplete { expected, found });
                Ok(())
            }
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
