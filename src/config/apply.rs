//! `[apply]`: by which way approved changes reach Kaltura.

use serde::{Deserialize, Serialize};

use super::Period;

/// How approved changes reach Kaltura.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Apply {
    /// By which way. Default `api`; `--via` on the command line has the last word.
    pub via: Via,
    /// CSV files, and the jobs they become.
    pub csv: Csv,
}

/// By which way approved changes reach Kaltura.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By direct calls.
    #[default]
    Api,
    /// As End-User Entitlements CSV files, which Kaltura's workers apply.
    Csv,
    /// By whichever is likely to be faster; what does not fit into a file goes by direct calls.
    Auto,
}

/// CSV files, and the jobs they become.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Csv {
    /// Rows in one file, 1 to 100,000. Default 1000: a server as it is shipped refuses the rows beyond.
    pub rows: usize,
    /// Bytes in one file, at least 1,000. Default 1,000,000.
    pub bytes: usize,
    /// Jobs under way at once, 1 to 32. Default 4.
    pub jobs: usize,
    /// How long to wait, at most, before a job is looked at again. Default `30s`.
    pub poll: Period,
    /// How long a job may show no progress before it is given up. Default `2h`.
    pub patience: Period,
    /// How a row names its category. Default `id`: reference IDs need not be unique.
    pub category: Address,
    /// Which actions rows have. Default `explicit`: the plan knows what is there.
    pub actions: Verb,
}

/// How a row names its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// By number.
    #[default]
    Id,
    /// By reference ID, as the guide does it. The engine looks it up with a search that takes case and
    /// accents for nothing and, of several categories, the topmost one.
    ReferenceId,
}

/// Which actions rows have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Add (1), update (2) and delete (3), as the plan says. Where the account has changed meanwhile
    /// the row fails, and the next run plans anew.
    #[default]
    Explicit,
    /// Add-or-update (6) instead of 1 and 2, as the guide does it: a change of a membership that is
    /// gone makes it anew.
    AddOrUpdate,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            rows: 1000,
            bytes: 1_000_000,
            jobs: 4,
            poll: Period::seconds(30),
            patience: Period::seconds(2 * 3600),
            category: Address::Id,
            actions: Verb::Explicit,
        }
    }
}
