//! `[schedule]`: when the daemon runs.

use serde::{Deserialize, Serialize};

/// Two cron expressions (minute, hour, day of month, month, day of week), in local time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// When changes are looked for. Default every five minutes.
    pub incremental: String,
    /// When everything is read and compared. Default at three in the morning.
    pub full: String,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            incremental: "*/5 * * * *".to_owned(),
            full: "0 3 * * *".to_owned(),
        }
    }
}
