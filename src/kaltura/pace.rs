//! How long to wait before something is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

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
