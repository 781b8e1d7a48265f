//! From an approved plan to a changed account, by direct calls.
//!
//! *Its one idea: what is written is known before and after.* What takes access away is looked at
//! once more; then the journal is opened, the calls go out in batches, and each action is closed with
//! what became of it. An outcome that nobody knows is resolved by looking, never by repeating.
//!
//! | module | its part |
//! |---|---|
//! | [`steps`] | the calls that an action takes, and how to see whether it is done |
//! | [`doubt`] | what a run that was cut off has left open |
//! | [`lane`] | actions in order, batch by batch; a category is in one lane only |

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::category::CategoryId;
use crate::kaltura::{Kaltura, KalturaError};
use crate::plan::gate::Approved;
use crate::plan::{Action, CategoryPlan};
use crate::progress::Progress;
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

pub mod doubt;
mod lane;
mod steps;

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
    /// Whether a later run makes the same plan by itself: then what fails is set aside until its time.
    pub is_repeated: bool,
    /// Where progress shows.
    pub progress: Progress,
}

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// Actions that are done.
    pub done: u64,
    /// Actions that Kaltura refused. Where a later run makes the same plan, they are tried again later.
    pub refused: u64,
    /// Actions that failed for a passing reason; where a later run makes the same plan, soon.
    pub passing: u64,
    /// Actions that were not taken, because what was there had changed.
    pub changed: u64,
}

impl Applied {
    fn add(mut self, other: Self) -> Self {
        self.done += other.done;
        self.refused += other.refused;
        self.passing += other.passing;
        self.changed += other.changed;
        self
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

    /// Whether what is there was read from the database, and not long ago.
    fn is_fresh(&self) -> bool {
        self.part.fresh && self.attempt == 1
    }
}

impl Applier {
    /// Applies a plan: categories side by side, each one's actions in order.
    pub async fn apply(&self, approved: Approved) -> Result<Applied, ApplyError> {
        let by = approved.by().clone();
        let plan = approved.into_plan();
        let total = plan.changes().count();
        self.progress.begin("applying", total as u64);
        let lanes = divide(plan.categories, &by, self.lanes(total));
        let this = Arc::new(self.clone());
        let running = lanes.into_iter().map(|tasks| {
            let this = Arc::clone(&this);
            async move { this.lane(tasks).await }
        });
        let applied = try_join_all(running).await?;
        self.progress.end();
        Ok(applied.into_iter().fold(Applied::default(), Applied::add))
    }

    /// No more lanes than there are batches: each lane may end with a short one.
    fn lanes(&self, actions: usize) -> usize {
        self.concurrency
            .min(actions.div_ceil(self.batch.max(1)))
            .max(1)
    }
}

/// Divides the categories among lanes of about equal length, the longest first. A category stays
/// whole: Kaltura loses count of members when one category is written to from two sides.
fn divide(
    mut categories: Vec<Arc<CategoryPlan>>,
    by: &BTreeMap<CategoryId, Arc<str>>,
    lanes: usize,
) -> Vec<Vec<Task>> {
    categories.sort_by_key(|part| (std::cmp::Reverse(part.changes().count()), part.category.id));
    let mut divided: Vec<Vec<Task>> = vec![Vec::new(); lanes];
    for part in categories {
        let Some(shortest) = divided.iter_mut().min_by_key(|tasks| tasks.len()) else {
            break;
        };
        let changes =
            (0..part.actions.len()).filter(|index| part.actions[*index].decision.is_change());
        shortest.extend(changes.map(|index| Task {
            part: Arc::clone(&part),
            approved_by: by.get(&part.category.id).cloned(),
            index,
            attempt: 1,
        }));
    }
    divided
}

#[cfg(test)]
mod tests;
