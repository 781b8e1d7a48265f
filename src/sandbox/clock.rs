//! What time it is in the sandbox.
//!
//! *Its one idea: the sandbox asks for the time in one place*, which a test may move forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The sandbox's clock: the machine's, moved by what tests have added to it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Moves the sandbox's time forward: sessions expire, delayed jobs and index updates fall due.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The present, in unix seconds.
    pub fn now(&self) -> i64 {
        self.now_ms() / 1000
    }

    /// The present, in unix milliseconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server's time is its own: this is the sandbox's edge"
    )]
    pub(super) fn now_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 4);
        ms.saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }
}
