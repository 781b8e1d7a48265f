//! Bulk uploads: files that were handed in, and what became of their rows.
//!
//! *Its one idea: a job shows its data only from the first run on.* Until a worker has taken it, Kaltura
//! answers a job without user, file name, number of objects or kind, in status 11.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tracked;
use crate::sandbox::calls::CallLog;
use crate::sandbox::faults::{BulkFault, Faults};

/// `KalturaBatchJobStatus`.
pub(in crate::sandbox) mod status {
    /// A worker reads the file (Kaltura calls it QUEUED).
    pub(in crate::sandbox) const QUEUED: i64 = 1;
    /// A worker is at it.
    pub(in crate::sandbox) const PROCESSING: i64 = 2;
    /// Over, without an error.
    pub(in crate::sandbox) const FINISHED: i64 = 5;
    /// Over, with nothing done or a worker that gave up.
    pub(in crate::sandbox) const FAILED: i64 = 6;
    /// Over, because somebody wanted it so.
    pub(in crate::sandbox) const ABORTED: i64 = 7;
    /// All rows handled; the closer has yet to come.
    pub(in crate::sandbox) const ALMOST_DONE: i64 = 8;
    /// Waits for its next run.
    pub(in crate::sandbox) const RETRY: i64 = 9;
    /// Waits for its first run.
    pub(in crate::sandbox) const DONT_PROCESS: i64 = 11;
    /// Over, with some rows in error.
    pub(in crate::sandbox) const FINISHED_PARTIALLY: i64 = 12;
}

/// `description` is a `varchar(1024)`.
const DESCRIPTION: usize = 1024;

/// What the rows of a file are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) enum BulkKind {
    /// Categories.
    Category,
    /// Users.
    User,
    /// Memberships.
    CategoryUser,
}

impl BulkKind {
    /// `KalturaBulkUploadObjectType`, which is a text.
    pub(in crate::sandbox) fn number(self) -> &'static str {
        match self {
            Self::Category => "2",
            Self::User => "3",
            Self::CategoryUser => "4",
        }
    }

    /// The class that reads such a file.
    pub(in crate::sandbox) fn engine(self) -> &'static str {
        match self {
            Self::Category => "BulkUploadCategoryEngineCsv",
            Self::User => "BulkUploadUserEngineCsv",
            Self::CategoryUser => "BulkUploadCategoryUserEngineCsv",
        }
    }

    /// What that class calls its objects.
    pub(in crate::sandbox) fn title(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::User => "user",
            Self::CategoryUser => "entitlement",
        }
    }
}

/// What became of one row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct BulkResult {
    /// Its number among the data rows of the file, from 1.
    pub(in crate::sandbox) line: usize,
    /// The row as it came, joined again.
    pub(in crate::sandbox) row: String,
    /// 1 error, 2 done.
    pub(in crate::sandbox) status: i64,
    /// What was written, or was to be.
    pub(in crate::sandbox) object_id: String,
    /// The object's own status; 0 after an error of the API.
    pub(in crate::sandbox) object_status: i64,
    /// What went wrong; empty for nothing.
    pub(in crate::sandbox) error: String,
}

/// A file that was handed in.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct BulkJob {
    pub(in crate::sandbox) id: i64,
    pub(in crate::sandbox) kind: BulkKind,
    /// `KalturaBulkUploadType`.
    pub(in crate::sandbox) format: String,
    pub(in crate::sandbox) status: i64,
    pub(in crate::sandbox) uploaded: i64,
    pub(in crate::sandbox) user_id: String,
    pub(in crate::sandbox) file_name: String,
    pub(in crate::sandbox) content: Vec<u8>,
    /// Whether a worker has ever taken it.
    pub(in crate::sandbox) started: bool,
    /// Whether lists leave it out.
    pub(in crate::sandbox) aborted: bool,
    /// The last thing a worker said: Kaltura calls it `error`, even when all is well.
    pub(in crate::sandbox) message: Option<String>,
    /// All that workers said.
    pub(in crate::sandbox) description: String,
    /// The same before the run under way: a run that fails writes on from there.
    pub(in crate::sandbox) description_before: String,
    /// Rows done, as far as somebody has counted.
    pub(in crate::sandbox) objects: Option<usize>,
    /// Runs in a row that ended in an accident.
    pub(in crate::sandbox) accidents: u32,
    pub(in crate::sandbox) results: Vec<BulkResult>,
    pub(in crate::sandbox) fault: Option<BulkFault>,
}

impl BulkJob {
    /// Rows with this result.
    pub(in crate::sandbox) fn count(&self, status: i64) -> usize {
        let results = self.results.iter();
        results.filter(|result| result.status == status).count()
    }

    /// Notes what a worker says.
    pub(in crate::sandbox) fn say(&mut self, status: i64, message: &str) {
        self.status = status;
        self.message = Some(message.to_owned());
        let said = format!("{}\n{message}", self.description);
        self.description = said.chars().take(DESCRIPTION).collect();
    }

    /// Notes why a run has come to nothing: what it had said before is forgotten.
    pub(in crate::sandbox) fn fail(&mut self, status: i64, message: &str) {
        self.description.clone_from(&self.description_before);
        self.say(status, message);
    }

    /// Whether nothing will happen to it any more.
    pub(in crate::sandbox) fn is_over(&self) -> bool {
        matches!(
            self.status,
            status::FINISHED | status::FAILED | status::ABORTED | status::FINISHED_PARTIALLY
        )
    }
}

/// All bulk uploads of an account, and the handles their workers report to.
#[derive(Debug)]
pub(in crate::sandbox) struct BulkJobs {
    pub(in crate::sandbox) jobs: Tracked<BTreeMap<i64, BulkJob>>,
    pub(in crate::sandbox) calls: CallLog,
    pub(in crate::sandbox) faults: Faults,
}

impl BulkJobs {
    pub(in crate::sandbox) fn new(calls: CallLog, faults: Faults) -> Self {
        Self {
            jobs: Tracked::default(),
            calls,
            faults,
        }
    }

    /// Keeps a job and answers its number.
    pub(in crate::sandbox) fn insert(&mut self, mut job: BulkJob) -> i64 {
        job.id = self.jobs.last_key_value().map_or(1, |(last, _)| last + 1);
        let id = job.id;
        self.jobs.insert(id, job);
        id
    }

    pub(in crate::sandbox) fn get(&self, id: i64) -> Option<&BulkJob> {
        self.jobs.get(&id)
    }

    pub(in crate::sandbox) fn get_mut(&mut self, id: i64) -> Option<&mut BulkJob> {
        self.jobs.get_mut(&id)
    }

    /// All jobs, the newest first.
    pub(in crate::sandbox) fn newest_first(&self) -> impl Iterator<Item = &BulkJob> {
        self.jobs.values().rev()
    }
}
