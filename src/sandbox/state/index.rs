//! The way from the database to the search engine.
//!
//! *Its one idea: a write leaves a mark, and marks are carried over later*: at the end of the
//! request by default, after a while or on demand where a test wants the lag that production has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{State, UserKey};

/// What has changed.
#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Touch {
    /// A membership, by its row.
    Row(u32),
    /// A category.
    Category(i64),
    /// The number of members of a category.
    Tally(i64),
    /// A user.
    User(UserKey),
    /// What a profile's document says about something.
    Metadata(i64, Arc<str>),
}

/// Marks on their way to the search engine, each with the time (in milliseconds) it arrives.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Queue {
    waiting: VecDeque<(i64, Touch)>,
    lag: Option<Duration>,
    /// How much later the marks of the call that runs arrive.
    call_lag: Option<Duration>,
}

impl Queue {
    /// How many marks are on their way.
    pub(in crate::sandbox) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How much the search engine lags behind the database.
    pub(in crate::sandbox) fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Makes what is written from now on arrive this much later, until the call is over.
    pub(in crate::sandbox) fn delay_call(&mut self, lag: Option<Duration>) {
        self.call_lag = lag;
    }

    /// Makes the search engine lag behind the database by this much from now on.
    pub(in crate::sandbox) fn set_lag(&mut self, lag: Option<Duration>) {
        self.lag = lag;
    }
}

impl State {
    /// Notes that something has changed.
    pub(in crate::sandbox) fn touch(&mut self, touch: Touch, now_ms: i64) {
        let lag = self.index.lag.max(self.index.call_lag);
        let lag = lag.map_or(0, |lag| {
            i64::try_from(lag.as_millis()).unwrap_or(i64::MAX / 4)
        });
        self.index
            .waiting
            .push_back((now_ms.saturating_add(lag), touch));
    }

    /// Tells the search engine what is due.
    pub(in crate::sandbox) fn index_due(&mut self, now_ms: i64) {
        while let Some((due, _)) = self.index.waiting.front()
            && *due <= now_ms
            && let Some((_, touch)) = self.index.waiting.pop_front()
        {
            self.index_one(touch);
        }
    }

    /// Tells the search engine everything, due or not.
    pub(in crate::sandbox) fn index_all(&mut self) {
        while let Some((_, touch)) = self.index.waiting.pop_front() {
            self.index_one(touch);
        }
    }

    fn index_one(&mut self, touch: Touch) {
        match touch {
            Touch::Row(row) => {
                if self.memberships.index(row) {
                    return;
                }
                // Gone from both sides: nobody has to walk over it any more.
                let category = self.memberships.category(row);
                if let Some(entry) = self.categories.entry_mut(category)
                    && let Ok(at) = entry.rows.binary_search(&row)
                {
                    entry.rows.remove(at);
                }
                let user = self.memberships.user(row);
                self.users.rows_mut(user).retain(|known| *known != row);
            }
            Touch::Category(id) => self.categories.index(id),
            Touch::Tally(id) => {
                if let Some(entry) = self.categories.entry_mut(id) {
                    entry.indexed_tally = entry.tally;
                }
            }
            Touch::Metadata(profile, object_id) => self.metadata.index(profile, &object_id),
            Touch::User(key) => self.users.index(key),
        }
    }
}
