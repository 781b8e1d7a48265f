//! Work that Kaltura does in the background.
//!
//! *Its one idea: a call answers before its consequences have happened.* Deleting a user leaves the
//! memberships, renaming a category leaves its children's paths, until a worker comes by.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ACTIVE, Cells, DELETED, State, Touch, Tracked, UserKey, level_names};

/// A piece of background work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) enum Job {
    /// Brings paths and privacy contexts below a category up to date, and unlocks the tree.
    Reindex(i64),
    /// Deletes the memberships of a deleted user or group.
    ForgetUser(UserKey),
    /// Deletes a category's own memberships.
    EmptyCategory(i64),
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
    /// What `groupUser.sync` leaves to a bulk upload of users: groups to leave, and ids of groups
    /// to join, made where there are none.
    SyncGroups {
        /// Whose groups.
        user: UserKey,
        /// The groups to leave.
        leave: Vec<UserKey>,
        /// The ids of the groups to join.
        join: Vec<String>,
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
    /// `KAsyncCopy`: members of a parent category.
    Copy,
    /// `KAsyncTransformMetadata`: documents after an element of their profile has gone.
    TransformMetadata,
    /// `KAsyncBulkUpload`, as far as `groupUser.sync` and `group_group.clone` make it work.
    GroupSync,
}

impl Job {
    /// Which worker does it.
    pub(in crate::sandbox) fn kind(&self) -> JobKind {
        match self {
            Self::Reindex(_) => JobKind::Index,
            Self::ForgetUser(_) | Self::EmptyCategory(_) => JobKind::Delete,
            Self::CopyMembers(_) => JobKind::Copy,
            Self::TransformMetadata(_) => JobKind::TransformMetadata,
            Self::FillClone { .. } | Self::SyncGroups { .. } => JobKind::GroupSync,
        }
    }
}

/// Work waiting for its time (in milliseconds), and how long work waits.
#[derive(Debug)]
pub(in crate::sandbox) struct Queue {
    pub(in crate::sandbox) waiting: Tracked<VecDeque<(i64, Job)>>,
    delay: Option<Duration>,
}

impl Queue {
    /// Work waits this long; without a delay until somebody asks for it.
    pub(super) fn new(delay: Option<Duration>) -> Self {
        Self {
            waiting: Tracked::default(),
            delay,
        }
    }
}

impl State {
    /// Leaves work for later.
    pub(in crate::sandbox) fn queue(&mut self, job: Job, now_ms: i64) {
        let due = match self.jobs.delay {
            Some(delay) => {
                now_ms.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 4))
            }
            None => i64::MAX,
        };
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

    /// Does all work of a kind (of every kind without one), its time come or not, and answers how
    /// much there was.
    pub(in crate::sandbox) fn work_now(&mut self, kind: Option<JobKind>, now_ms: i64) -> usize {
        let mut done = 0;
        while let Some(at) = self
            .jobs
            .waiting
            .iter()
            .position(|(_, job)| kind.is_none_or(|kind| job.kind() == kind))
            && let Some((_, job)) = self.jobs.waiting.remove(at)
        {
            self.work(job, now_ms);
            done += 1;
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
            Job::SyncGroups { user, leave, join } => {
                for group in leave {
                    self.leave_group(user, group, now_ms);
                }
                for id in join {
                    self.join_synced(user, &id, now_ms);
                }
            }
            Job::EmptyCategory(category) => {
                let rows = self
                    .categories
                    .entry(category)
                    .map_or_else(Vec::new, |entry| entry.rows.clone());
                for row in rows {
                    self.delete_membership(row, now_ms);
                }
            }
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
