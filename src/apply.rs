//! From an approved plan to a changed account, by direct calls or by CSV files.
//!
//! *Its one idea: what is written is known before and after.* What takes access away is looked at
//! once more; then the journal is opened, the calls go out in batches, and each action is closed with
//! what became of it. An outcome that nobody knows is resolved by looking, never by repeating.
//!
//! | module | its part |
//! |---|---|
//! | [`route`] | by calls or by files |
//! | [`steps`] | the calls that an action takes, and how to see whether it is done |
//! | [`doubt`] | what a run that was cut off has left open |
//! | [`end`] | how an action ended, and what follows |
//! | [`lane`] | actions in order, batch by batch; a category is in one lane only |
//! | [`ways`] | what goes by file, what by call, and what is left |
//! | [`files`] | actions as CSV files |
//! | [`submit`] | CSV files, submitted and followed |
//! | [`job`] | a job, followed until it is over |
//! | [`settle`] | what became of a file's rows |
//! | [`folder`] | CSV files for a person to upload |

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use self::route::Route;
use self::ways::Ways;
use crate::category::CategoryId;
use crate::config;
use crate::kaltura::{ApiError, FileKind, Kaltura, KalturaError};
use crate::plan::gate::{Approved, Warrant};
use crate::plan::{Action, CategoryPlan, Digest};
use crate::progress::Progress;
use crate::store::journal::Outcome;
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

pub mod doubt;
mod end;
pub mod files;
pub mod folder;
pub(crate) mod job;
mod lane;
pub mod route;
pub mod settle;
mod steps;
pub mod submit;
mod ways;

/// With what, and for which run, a plan is applied.
#[derive(Clone)]
pub struct Applier {
    /// The account.
    pub kaltura: Kaltura,
    /// The state file.
    pub store: Store,
    /// The run's number.
    pub run: i64,
    /// The right to write.
    pub lease: Lease,
    /// Calls in one request.
    pub batch: usize,
    /// Requests under way at once.
    pub concurrency: usize,
    /// By which way the changes go.
    pub route: Route,
    /// How files are made and followed.
    pub csv: config::apply::Csv,
    /// Categories that a file must not name by reference ID: Kaltura's search takes it for another's, too.
    pub confusable: BTreeSet<CategoryId>,
    /// A word that no other run has, for the names of files.
    pub tag: String,
    /// The digest of the plan, which files name.
    pub digest: Digest,
    /// Whether a later run makes the same plan by itself: then what fails is set aside until its time.
    pub is_repeated: bool,
    /// When the plan was reviewed: what a person has rejected since is not begun with any more.
    pub reviewed_at: Timestamp,
    /// Where progress shows.
    pub progress: Progress,
}

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// Actions that are done.
    pub done: u64,
    /// Actions that needed no doing: somebody else had done it by then.
    #[serde(default)]
    pub already: u64,
    /// Actions that Kaltura refused. Where a later run makes the same plan, they are tried again later.
    pub refused: u64,
    /// Actions that failed for a passing reason; where a later run makes the same plan, soon.
    pub passing: u64,
    /// Actions that were not taken, because what was there had changed.
    pub changed: u64,
    /// Actions that are in files: for a person to upload, or submitted without an end.
    #[serde(default)]
    pub handed: u64,
}

impl Applied {
    pub(crate) fn add(mut self, other: Self) -> Self {
        self.done += other.done;
        self.already += other.already;
        self.refused += other.refused;
        self.passing += other.passing;
        self.changed += other.changed;
        self.handed += other.handed;
        self
    }

    /// Actions that came to an end.
    pub(crate) fn total(&self) -> u64 {
        self.done + self.already + self.failed()
    }

    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Already => &mut self.already,
            Outcome::Refused | Outcome::Left => &mut self.refused,
            Outcome::Changed => &mut self.changed,
            Outcome::Passing | Outcome::Unknown => &mut self.passing,
        } += 1;
    }

    /// Actions that are not done.
    pub fn failed(&self) -> u64 {
        self.refused + self.passing + self.changed
    }
}

/// Why applying stopped. What was done until then is in the journal, and the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Kaltura could not be asked any more.
    #[error(transparent)]
    Kaltura(#[from] KalturaError),
    /// The state file could not be written: then Kaltura is not called either.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kaltura does not take the file.
    #[error(
        "Kaltura does not take the CSV file: {error}. Nothing of it was done. The session's role needs the permission CONTENT_INGEST_BULK_UPLOAD, and its user must be active; or {}",
        way_out(*kind)
    )]
    NotTaken {
        /// What the file is about.
        kind: FileKind,
        /// What Kaltura says.
        error: ApiError,
    },
    /// A folder could not be read.
    #[error("{folder} cannot be read: {source}")]
    Unreadable {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be made.
    #[error("a CSV file could not be made: {0}")]
    Written(#[source] csv::Error),
    /// The folder could not be written.
    #[error(
        "the files could not be written to {folder}: {source}. None of them is left there; the next run plans their changes anew"
    )]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What to do where no file is taken.
fn way_out(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Entitlements => "go by direct calls (--via api)",
        FileKind::Categories | FileKind::Users => {
            "write the file (--out FILE), and have somebody upload it who may"
        }
    }
}

/// An action on its way.
#[derive(Debug, Clone)]
struct Task {
    part: Arc<CategoryPlan>,
    /// Who released it, where it was held.
    approved_by: Option<Arc<str>>,
    /// Which of the part's actions.
    index: usize,
    attempt: u32,
}

impl Task {
    fn category(&self) -> CategoryId {
        self.part.category.id
    }

    fn action(&self) -> &Action {
        &self.part.actions[self.index]
    }
}

impl Applier {
    /// Applies a plan: categories side by side, each one's actions in order.
    pub async fn apply(&self, approved: Approved) -> Result<Applied, ApplyError> {
        let (by, warrant) = (approved.by().clone(), approved.warrant().clone());
        let warrant = &warrant;
        let plan = approved.into_plan();
        let total = plan.changes().count();
        self.progress.begin("applying", total as u64);
        let channels = plan.categories.iter();
        let channels = channels.map(|part| tasks(part, by.get(&part.category.id)));
        let applied = match &self.route {
            Route::Calls => self.by_calls(channels.collect(), total, warrant).await?,
            Route::Files { or_calls } => {
                let ways = Ways::of(channels, *or_calls, |task| {
                    files::piece(task, files::style(&self.csv), &self.confusable)
                });
                let applied = self.leave(ways.left).await?;
                // Calls first: jobs take long, and calls rest on what was seen just now.
                let total = ways.calls.iter().map(Vec::len).sum();
                let applied = applied.add(self.by_calls(ways.calls, total, warrant).await?);
                applied.add(self.by_files(ways.files, warrant).await?)
            }
            Route::Folder(folder) => {
                let ways = Ways::of(channels, false, |task| {
                    files::piece(task, files::style(&self.csv), &self.confusable)
                });
                let applied = self.leave(ways.left).await?;
                applied.add(self.by_folder(folder, ways.files).await?)
            }
        };
        self.progress.end();
        Ok(applied)
    }

    async fn by_calls(
        &self,
        channels: Vec<Vec<Task>>,
        total: usize,
        warrant: &Warrant,
    ) -> Result<Applied, ApplyError> {
        let lanes = divide(channels, self.lanes(total));
        let running = lanes.into_iter().map(|tasks| self.lane(tasks, warrant));
        let applied = try_join_all(running).await?;
        Ok(applied.into_iter().fold(Applied::default(), Applied::add))
    }

    /// No more lanes than there are batches: each lane may end with a short one.
    fn lanes(&self, actions: usize) -> usize {
        self.concurrency
            .min(actions.div_ceil(self.batch.max(1)))
            .max(1)
    }
}

/// What is to be done in one category, in order.
fn tasks(part: &Arc<CategoryPlan>, approved_by: Option<&Arc<str>>) -> Vec<Task> {
    (0..part.actions.len())
        .filter(|index| part.actions[*index].decision.is_change())
        .map(|index| Task {
            part: Arc::clone(part),
            approved_by: approved_by.cloned(),
            index,
            attempt: 1,
        })
        .collect()
}

/// Divides the categories among lanes of about equal length, the longest first. A category stays
/// whole: Kaltura loses count of members when one category is written to from two sides.
fn divide(mut channels: Vec<Vec<Task>>, lanes: usize) -> Vec<Vec<Task>> {
    channels.sort_by_key(|tasks| {
        let category = tasks.first().map(Task::category);
        (std::cmp::Reverse(tasks.len()), category)
    });
    let mut divided: Vec<Vec<Task>> = vec![Vec::new(); lanes];
    for tasks in channels {
        let Some(shortest) = divided.iter_mut().min_by_key(|tasks| tasks.len()) else {
            break;
        };
        shortest.extend(tasks);
    }
    divided
}
