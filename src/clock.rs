//! The one place where the clock is read.
//!
//! *Its one idea: time is an argument.* Everything that decides takes `now`; the edge reads it here.

use jiff::Timestamp;

/// The time now, by this machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge: everything else is handed the time"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
