//! `[safety]`: how much a run may do before a person is asked.

use serde::{Deserialize, Serialize};

use super::duration::Period;

/// The limits of the gate. A plan that goes beyond one of them is held until somebody approves it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// Losses (people who leave or get a lower level) of one channel. Default 25 percent, and at
    /// least 4.
    pub category: Threshold,
    /// Losses of all channels together. Default 5 percent, and at least 10.
    pub total: Threshold,
    /// Channels that lose a greater share of their members than `category` allows, however few people that
    /// are: most channels are small. Default 10 percent of the channels, and at least 5.
    pub channels: Threshold,
    /// Losses of people whose entry is gone or hidden while a group still lists them
    /// (`policy.vanished_person`), of all channels together. Default 2 percent, and at least 5.
    pub vanished_people: Threshold,
    /// How far back losses count that were applied without anybody's approval: a leak drop by drop
    /// is a leak. Default `24h`; `0s` counts each run by itself.
    pub window: Period,
    /// Lowered levels alone, of all channels together. Default 5 percent, and at least 10.
    pub demotions: Threshold,
    /// Additions to one channel that has members already. Default 200 percent, and at least 100.
    pub category_additions: Threshold,
    /// Additions to all channels together. Default 50 percent, and at least 1000.
    pub total_additions: Threshold,
    /// A channel with at least so many members beside its owner is left with none; 0: never held.
    /// Default 2.
    pub left_empty: u64,
    /// A channel is left without a manager. Default `hold`.
    pub last_manager: OnTrip,
    /// The first run of a new configuration, or on a state file that was copied or restored. Default
    /// `hold`.
    pub first_run: FirstRun,
    /// How long an approval waits to be used. Default `7d`.
    pub approval_expires: Period,
}

/// A plan is held when it does something at least `at_least` times and to more than `percent` of the
/// memberships there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Percent of the memberships that are there.
    pub percent: u32,
    /// Fewer than this are never held.
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

/// What happens to a plan that does a certain thing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTrip {
    /// It is held.
    #[default]
    Hold,
    /// It is not.
    Allow,
}

const fn threshold(percent: u32, at_least: u64) -> Threshold {
    Threshold { percent, at_least }
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            category: threshold(25, 4),
            total: threshold(5, 10),
            channels: threshold(10, 5),
            vanished_people: threshold(2, 5),
            window: Period::seconds(24 * 3600),
            demotions: threshold(5, 10),
            category_additions: threshold(200, 100),
            total_additions: threshold(50, 1000),
            left_empty: 2,
            last_manager: OnTrip::Hold,
            first_run: FirstRun::Hold,
            approval_expires: Period::seconds(7 * 24 * 3600),
        }
    }
}
