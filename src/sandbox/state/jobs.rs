//! Work that Kaltura does in the background.
//!
//! *Its one idea: a call answers before its consequences have happened.* Deleting a user leaves the
//! memberships, renaming a category leaves its children's paths, until a worker comes by.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ACTIVE, Cells, DELETED, State, Touch, Tracked, UserKey, level_names};
use crate::sandbox::bulk;

/// A piece of background work.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::sandbox) enum Job {
    /// Brings paths and privacy contexts below a category up to date, and unlocks the tree.
    Reindex(i64),
    /// Deletes the memberships of a deleted user or group.
    ForgetUser(UserKey),
    /// Deletes a category's own memberships.
    EmptyCategory(i64),
    /// Takes a bulk upload.
    BulkStart(i64),
    /// Handles rows of a bulk upload that was taken.
    BulkRun(i64),
    /// Closes a bulk upload some rows of which are in error.
    BulkClose(i64),
    /// Adds the members of a category's parent to it.
    CopyMembers(i64),
    /// Takes documents along to the new version of their profile.
    TransformMetadata(i64),
    /// What `group_group.clone` leaves to a bulk upload: the members of a large group.
    FillClone {
        /// The group that was cloned.
        model: UserKey,
        /// Its clone.
        clone: UserKey,
    },
}

/// Which of Kaltura's workers does a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// `KAsyncIndex`: paths and privacy contexts after a rename or a move.
    Index,
    /// `KAsyncDelete`: memberships of what was deleted or has become INHERIT.
    Delete,
    /// `KAsyncBulkUpload`: one run of each bulk upload that waits for one.
    Bulk,
    /// `KAsyncBulkUploadCloser`: bulk uploads that are almost done.
    BulkClose,
    /// `KAsyncCopy`: members of a parent category.
    Copy,
    /// `KAsyncTransformMetadata`: documents after an element of their profile has gone.
    TransformMetadata,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Index,
        Self::Delete,
        Self::Bulk,
        Self::BulkClose,
        Self::Copy,
        Self::TransformMetadata,
    ];
}

impl Job {
    /// Which worker does it.
    pub(in crate::sandbox) fn kind(&self) -> JobKind {
        match self {
            Self::Reindex(_) => JobKind::Index,
            Self::ForgetUser(_) | Self::EmptyCategory(_) => JobKind::Delete,
            Self::BulkStart(_) | Self::BulkRun(_) | Self::FillClone { .. } => JobKind::Bulk,
            Self::BulkClose(_) => JobKind::BulkClose,
            Self::CopyMembers(_) => JobKind::Copy,
            Self::TransformMetadata(_) => JobKind::TransformMetadata,
        }
    }
}

/// Work waiting for its time (in milliseconds), and how long work waits.
#[derive(Debug)]
pub(in crate::sandbox) struct Queue {
    pub(in crate::sandbox) waiting: Tracked<VecDeque<(i64, Job)>>,
    delay: Option<Duration>,
    /// How long a bulk upload waits for its next run.
    retry_delay: Option<Duration>,
}

impl Queue {
    /// Work waits this long; without a delay until somebody asks for it.
    pub(super) fn new(delay: Option<Duration>) -> Self {
        Self {
            waiting: Tracked::default(),
            delay,
            retry_delay: None,
        }
    }

    /// Makes bulk uploads wait longer (or less long) for their next run than for their first.
    pub(in crate::sandbox) fn set_retry_delay(&mut self, delay: Option<Duration>) {
        self.retry_delay = delay;
    }
}

impl State {
    /// Leaves work for later.
    pub(in crate::sandbox) fn queue(&mut self, job: Job, now_ms: i64) {
        self.queue_in(self.jobs.delay, job, now_ms);
    }

    /// Leaves the next run of a bulk upload for later.
    pub(in crate::sandbox) fn queue_retry(&mut self, job: Job, now_ms: i64) {
        // Where work waits to be asked for, so do further runs.
        let delay = self.jobs.delay;
        let retry = delay.and(self.jobs.retry_delay).or(delay);
        self.queue_in(retry, job, now_ms);
    }

    fn queue_in(&mut self, delay: Option<Duration>, job: Job, now_ms: i64) {
        let due = delay.map_or(i64::MAX, |delay| {
            now_ms.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 4))
        });
        self.jobs.waiting.push_back((due, job));
    }

    /// Does the work whose time has come.
    pub(in crate::sandbox) fn work_due(&mut self, now_ms: i64) {
        while let Some(at) = self.jobs.waiting.iter().position(|(due, _)| *due <= now_ms)
            && let Some((_, job)) = self.jobs.waiting.remove(at)
        {
            self.work(job, now_ms);
        }
    }

    /// Does the work of a kind that waits, its time come or not, and answers how much there was.
    /// What that work leaves for later stays there; only without a kind is all of it done.
    pub(in crate::sandbox) fn work_now(&mut self, kind: Option<JobKind>, now_ms: i64) -> usize {
        let mut done = 0;
        loop {
            let is_meant = |job: Job| kind.is_none_or(|kind| job.kind() == kind);
            if !self.jobs.waiting.iter().any(|(_, job)| is_meant(*job)) {
                break;
            }
            let waiting = std::mem::take(&mut *self.jobs.waiting);
            let (mine, others): (VecDeque<_>, VecDeque<_>) =
                waiting.into_iter().partition(|(_, job)| is_meant(*job));
            *self.jobs.waiting = others;
            for (_, job) in mine {
                // Nobody is there to see a bulk upload between its start and its run.
                if let Job::BulkStart(id) = job {
                    if bulk::start(self, id) {
                        bulk::run(self, id, now_ms);
                    }
                } else {
                    self.work(job, now_ms);
                }
                done += 1;
            }
            if kind.is_some() {
                break;
            }
        }
        self.index_all();
        done
    }

    /// Whether a move of a whole tree keeps the account's categories locked.
    pub(in crate::sandbox) fn is_locked(&self) -> bool {
        self.categories.locked
    }

    fn work(&mut self, job: Job, now_ms: i64) {
        match job {
            Job::Reindex(root) => {
                self.categories.locked = false;
                for id in self.categories.refresh_below(root) {
                    self.touch(Touch::Category(id), now_ms);
                }
            }
            Job::ForgetUser(user) => {
                for row in self.users.rows(user).to_vec() {
                    self.delete_membership(row, now_ms);
                }
                self.dissolve_group(user);
            }
            Job::TransformMetadata(profile) => self.transform_metadata(profile, now_ms),
            Job::FillClone { model, clone } => self.fill_clone(model, clone, now_ms),
            Job::EmptyCategory(category) => {
                let rows = self
                    .categories
                    .entry(category)
                    .map_or_else(Vec::new, |entry| entry.rows.clone());
                for row in rows {
                    self.delete_membership(row, now_ms);
                }
            }
            Job::BulkStart(id) => {
                if bulk::start(self, id) {
                    self.queue(Job::BulkRun(id), now_ms);
                }
            }
            Job::BulkRun(id) => bulk::run(self, id, now_ms),
            Job::BulkClose(id) => bulk::close(self, id),
            Job::CopyMembers(category) => self.copy_members(category, now_ms),
        }
    }

    /// Adds who is in the parent and not here. The copies are manual, whatever the originals are.
    fn copy_members(&mut self, category: i64, now_ms: i64) {
        let parent = self.categories.get(category).map(|found| found.parent);
        let from = parent
            .and_then(|parent| self.categories.get(parent))
            .map(|parent| parent.members_from());
        let rows = from
            .and_then(|from| self.categories.entry(from))
            .map_or_else(Vec::new, |entry| entry.rows.clone());
        for row in rows {
            let (cells, user) = (self.memberships.cells(row), self.memberships.user(row));
            if cells.status == DELETED || self.memberships.find(category, user).is_some() {
                continue;
            }
            let copy = Cells {
                method: 0,
                status: ACTIVE,
                names: self.memberships.names(level_names(cells.level)),
                created: now_ms / 1000,
                updated: now_ms / 1000,
                ..cells
            };
            self.add_membership(category, user, copy, now_ms);
        }
    }
}
