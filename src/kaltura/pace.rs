//! How long to wait before something is tried again.
//!
//! *Its one idea: an error says what it wishes, and patience says how long and how often.*

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::api_error::Disposition;
use super::error::Fault;

/// The waits of a client. The default is meant for a real server; tests wait less.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How often a request is tried again.
    pub retries: usize,
    /// The first wait; each further one is twice as long, with some chance in it.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// The least wait after the server said that it is asked too often.
    pub throttled: Duration,
    /// The wait before a list that did not add up is read again: the server's index lags behind.
    pub settle: Duration,
}

impl Pace {
    /// The waits for a real server.
    pub(super) fn new(retries: usize) -> Self {
        Self {
            retries,
            first: Duration::from_millis(500),
            longest: Duration::from_mins(1),
            throttled: Duration::from_secs(10),
            settle: Duration::from_secs(3),
        }
    }

    /// The waits, one after the other; none is left when all attempts are used up.
    pub(super) fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }
}

/// The attempts at one request.
pub(super) struct Patience<'a> {
    pace: &'a Pace,
    delays: ExponentialBackoff,
    renewed: bool,
}

impl<'a> Patience<'a> {
    pub(super) fn new(pace: &'a Pace) -> Self {
        Self {
            pace,
            delays: pace.delays(),
            renewed: false,
        }
    }

    /// The wait before the next attempt, after an answer that wishes this; none when the answer is
    /// the last word. A new session is worth one attempt.
    pub(super) fn after(&mut self, wish: Disposition) -> Option<Duration> {
        match wish {
            Disposition::Permanent => None,
            Disposition::Renew if self.renewed => None,
            Disposition::Renew => {
                self.renewed = true;
                Some(Duration::ZERO)
            }
            Disposition::Throttled => {
                let wait = self.delays.next()?;
                Some(wait.max(self.pace.throttled))
            }
            Disposition::Passing => self.delays.next(),
        }
    }

    /// The wait before the next attempt, after no usable answer.
    pub(super) fn after_fault(&mut self, fault: &Fault) -> Option<Duration> {
        if fault.is_passing() {
            self.delays.next()
        } else {
            None
        }
    }
}
