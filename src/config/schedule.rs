//! `[schedule]`: when the daemon runs.

use serde::{Deserialize, Serialize};

use super::Period;

/// Two cron expressions (minute, hour, day of month, month, day of week), in local time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// When changes are looked for. Default every five minutes.
    pub incremental: String,
    /// When everything is read and compared. Default at three in the morning.
    pub full: String,
    /// A directory whose last full read is older than this is read in full by the next run, whatever
    /// starts it: the service, a timer, a `CronJob`, a command. Only a full read finds every deletion.
    /// Default `"25h"`.
    pub full_read_after: Period,
    /// When the ids of all entries of a server were last listed longer ago than this, the next run lists
    /// them, without reading the entries: deletions, moves and renames that servers do not announce show.
    /// Default `"15m"`.
    pub list_after: Period,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            incremental: "*/5 * * * *".to_owned(),
            full: "0 3 * * *".to_owned(),
            full_read_after: Period::seconds(25 * 3600),
            list_after: Period::seconds(15 * 60),
        }
    }
}
