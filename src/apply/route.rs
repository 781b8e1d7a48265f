//! By which way a plan reaches Kaltura.
//!
//! *Its one idea: a choice that gives its reasons.* Two sums estimate how long each way would take; the
//! shorter one is taken, and the sums are shown. What they rest on:
//!
//! | | by calls | by files |
//! |---|---|---|
//! | a change | [`CALL`] on the server, as many at once as `kaltura.concurrency` | [`CALL`] on the server, one at a time in each job |
//! | not faster than | `kaltura.requests_per_second`, `kaltura.batch` calls each | [`ROWS_PER_RUN`] rows of a file, then [`PAUSE`] |
//! | side by side | channels: one channel's changes are one after another | files, as many as `apply.csv.jobs` |
//! | to begin with | nothing | [`PAUSE`], until a worker takes the job and another closes it |

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use super::steps::{needs_a_look, writes};
use crate::config;
use crate::plan::Plan;
use crate::plan::show::many;

/// What one change takes on the server, about: it checks, writes, and indexes category and person.
const CALL: Duration = Duration::from_millis(100);
/// Rows that a worker takes of a file in one run (`maxRecordsEachRun`, and one that it has read before it
/// looks).
const ROWS_PER_RUN: usize = 101;
/// How long a job rests between two runs (`job_retry_intervals`), and about how long it waits to be begun
/// and closed.
const PAUSE: Duration = Duration::from_secs(30);

/// By which way somebody wants a plan to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// As the configuration says, or by whichever way is faster.
    Either(config::apply::Via),
    /// As files in this folder, for a person to upload.
    Folder(PathBuf),
}

/// By which way a plan goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By direct calls.
    Calls,
    /// As files, which this program submits.
    Files {
        /// Whether a channel of which something does not fit into a file goes by calls.
        or_calls: bool,
    },
    /// As files in a folder.
    Folder(PathBuf),
}

/// A way, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// By which way.
    pub route: Route,
    /// The sums, where there was a choice.
    pub estimate: Option<Estimate>,
}

/// How much there is to do, and how long it would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Changes.
    pub changes: usize,
    /// Channels that they are in.
    pub channels: usize,
    /// Seconds by calls.
    pub calls_s: u64,
    /// Seconds by files.
    pub files_s: u64,
}

/// How fast the two ways may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Calls in one request.
    pub batch: usize,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests per second, at most.
    pub requests_per_second: u32,
    /// Rows in one file.
    pub rows: usize,
    /// Jobs under way at once.
    pub jobs: usize,
}

impl From<&config::Config> for Speed {
    fn from(config: &config::Config) -> Self {
        Self {
            batch: config.kaltura.batch,
            concurrency: config.kaltura.concurrency,
            requests_per_second: config.kaltura.requests_per_second,
            rows: config.apply.csv.rows,
            jobs: config.apply.csv.jobs,
        }
    }
}

/// Chooses the way for a plan.
pub fn choose(plan: &Plan, via: &Via, speed: Speed) -> Choice {
    let fixed = |route| Choice {
        route,
        estimate: None,
    };
    match via {
        Via::Folder(folder) => fixed(Route::Folder(folder.clone())),
        Via::Either(config::apply::Via::Api) => fixed(Route::Calls),
        Via::Either(config::apply::Via::Csv) => fixed(Route::Files { or_calls: false }),
        Via::Either(config::apply::Via::Auto) => {
            let estimate = estimate(plan, speed);
            let route = if estimate.files_s < estimate.calls_s {
                Route::Files { or_calls: true }
            } else {
                Route::Calls
            };
            Choice {
                route,
                estimate: Some(estimate),
            }
        }
    }
}

/// Sums up how long a plan would take, by calls and by files.
pub fn estimate(plan: &Plan, speed: Speed) -> Estimate {
    let of_channel = |part: &crate::plan::CategoryPlan| -> usize {
        let calls = part.changes().map(|action| {
            usize::from(needs_a_look(action)) + writes(part.category.id, action).len()
        });
        calls.sum()
    };
    let channels: Vec<usize> = plan
        .categories
        .iter()
        .map(|part| of_channel(part))
        .filter(|calls| *calls > 0)
        .collect();
    let (calls, longest): (usize, usize) = (
        channels.iter().sum(),
        channels.iter().copied().max().unwrap_or_default(),
    );
    let rows: usize = plan
        .changes()
        .map(|(part, action)| writes(part.category.id, action).len())
        .sum();

    let requests = calls.div_ceil(speed.batch.max(1));
    let at_the_rate = seconds(1) * count(requests) / speed.requests_per_second.max(1);
    let one_after_another = CALL * count(longest.max(calls.div_ceil(speed.concurrency.max(1))));

    let files = rows.div_ceil(speed.rows.max(1));
    let rows_in_file = rows.min(speed.rows);
    let pauses = rows_in_file.div_ceil(ROWS_PER_RUN);
    let of_file = PAUSE * count(pauses) + CALL * count(rows_in_file);
    let by_files = of_file * count(files.div_ceil(speed.jobs.max(1)));
    Estimate {
        changes: plan.changes().count(),
        channels: channels.len(),
        calls_s: at_the_rate.max(one_after_another).as_secs(),
        files_s: by_files.as_secs(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// More than four billion of anything are four billion.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {} would take about {} by calls, about {} by CSV files",
            many(self.changes as u64, "change"),
            many(self.channels as u64, "channel"),
            about(self.calls_s),
            about(self.files_s),
        )
    }
}

fn about(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let rounded = match seconds {
        0 => return "a second".to_owned(),
        1..600 => seconds,
        _ => (seconds / 60) * 60,
    };
    format!("{:#}", SignedDuration::from_secs(rounded))
}

#[cfg(test)]
mod tests;
