//! `[safety]`: how much a run may take away before a person is asked.

use serde::{Deserialize, Serialize};

/// The limits of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// For one category. Default 25 percent, and at least 5.
    pub category: Threshold,
    /// For all categories of a run together. Default 10 percent, and at least 20.
    pub total: Threshold,
    /// The first run of a new configuration. Default `hold`.
    pub first_run: FirstRun,
}

/// A plan is held when it takes away at least `at_least` memberships and more than `percent` of those
/// there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Percent of the memberships that are there, 0 to 100.
    pub percent: u32,
    /// Fewer losses than this are never held.
    pub at_least: u64,
}

/// What happens to the first plan of a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstRun {
    /// It is a plan until somebody approves it.
    #[default]
    Hold,
    /// It is applied as far as the thresholds allow.
    Apply,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            category: Threshold {
                percent: 25,
                at_least: 5,
            },
            total: Threshold {
                percent: 10,
                at_least: 20,
            },
            first_run: FirstRun::Hold,
        }
    }
}
