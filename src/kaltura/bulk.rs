//! Files of changes: handed in, followed, found again.
//!
//! *Its one idea: a file is handed in once, and its name finds it again.* Whether the server took
//! the file is not always known; the jobs that it has are. A worker handles the rows later, a
//! hundred at a time or so, and writes a log of them.
//!
//! ```text
//!  submit ─┬─► accepted ─────────────► jobs: waiting, running … over ─► job_log
//!          ├─► refused     ▲
//!          └─► unknown ────┴─ find_jobs, until no job hides its name
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Kaltura;
use super::api_error::{ApiError, Disposition};
use super::error::KalturaError;
use super::pace::Patience;
use super::request::{Client, Sent, refused, required};
use super::wire::{self, Call, JobRow, Upload};
use crate::plan::gate::{Fence, Warrant};

mod find;

/// What the rows of a file are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// People in categories.
    Entitlements,
    /// Categories.
    Categories,
    /// People, and the groups they are in.
    Users,
}

/// Kaltura's own number of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A file that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The name of the file. Kaltura does not show it before a worker has taken the job.
    pub file_name: Option<String>,
    /// How far it is.
    pub status: JobStatus,
    /// How many rows came to something, where Kaltura says so: not of a job that failed, and before
    /// the end it may say less.
    pub rows_done: Option<u64>,
    /// What a worker said last, of success as of failure, without sessions and mail addresses.
    pub message: Option<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// No worker has taken it.
    Waiting,
    /// Rows are handled, or some of them have been.
    Running,
    /// All rows came to something. Those that Kaltura passed over without a word are not counted.
    Finished,
    /// Some rows did not; the log tells which.
    FinishedPartially,
    /// No row came to anything, or the file could not be worked on to its end.
    Failed,
    /// Somebody stopped it.
    Aborted,
    /// Kaltura gave it up.
    Fatal,
    /// Kaltura's number for something that it did not have when this was written.
    Other(i64),
}

impl JobStatus {
    /// Whether nothing more will happen. Nobody knows that of a status that nobody knows.
    pub fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Running | Self::Other(_) => false,
            Self::Finished
            | Self::FinishedPartially
            | Self::Failed
            | Self::Aborted
            | Self::Fatal => true,
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Running => f.write_str("running"),
            Self::Finished => f.write_str("finished"),
            Self::FinishedPartially => f.write_str("finished, but not all rows"),
            Self::Failed => f.write_str("failed"),
            Self::Aborted => f.write_str("aborted"),
            Self::Fatal => f.write_str("given up by Kaltura"),
            Self::Other(number) => write!(f, "status {number}"),
        }
    }
}

/// What became of handing in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Kaltura has it.
    Accepted(Job),
    /// Kaltura does not have it. Where the error's disposition is not permanent, it may take it later.
    Refused(ApiError),
    /// Nobody knows: look for its name before it is handed in again.
    Unknown,
}

/// Jobs that were looked for by the names of their files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundJobs {
    /// By name, those of one name the newest first. A name without a job has no entry.
    pub named: BTreeMap<String, Vec<Job>>,
    /// Jobs that do not show the name of their file, newest first: any of them may be one that is
    /// looked for. Kaltura shows the name when a worker takes the job, so as long as there is one,
    /// a name without an entry may yet get one.
    pub nameless: Vec<Job>,
}

/// The log of a job: what became of each row.
#[derive(Clone, PartialEq, Eq)]
pub enum JobLog {
    /// No row has a result. So it stays for a file without rows that mean anything.
    NotReady,
    /// The rows as they were handed in, with their results behind. A job that is not over adds more.
    Text(Vec<u8>),
}

/// Without the text, which names people.
impl fmt::Debug for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("NotReady"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl Kaltura {
    /// Begins to hand in a file of comma-separated values under a name, which should be one of its own. An error: the
    /// warrant is for another account.
    pub fn submission<'k>(
        &'k self,
        kind: FileKind,
        name: &'k str,
        warrant: &'k Warrant,
    ) -> Result<Submission<'k>, KalturaError> {
        self.honour(warrant)?;
        Ok(Submission {
            client: &self.0,
            fence: &warrant.grounds().fence,
            patience: Patience::new(&self.0.pace),
            attempts: 0,
            kind,
            name,
        })
    }

    /// Looks at jobs: one answer for each, in their order. One that is not there, or cannot be read,
    /// spoils no other.
    pub async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Result<Job, ApiError>>, KalturaError> {
        let calls: Vec<Call> = ids.iter().copied().map(Call::get_job).collect();
        let answers = self.0.read_many(&calls).await?;
        ids.iter()
            .zip(calls.iter().zip(answers))
            .map(|(id, (call, answer))| match answer {
                Ok(row) => Ok(job(*id, call, row)),
                Err(error) if error.code == "INVALID_KS" => Err(refused(call.name(), error)),
                Err(error) => Ok(Err(error)),
            })
            .collect()
    }

    /// Looks for jobs by the names of their files, among those handed in at or after a time, which
    /// is compared with Kaltura's clock.
    ///
    /// An aborted job is never found, whatever it did before: Kaltura leaves it out.
    pub async fn find_jobs(
        &self,
        kind: FileKind,
        since: Timestamp,
        names: &BTreeSet<String>,
    ) -> Result<FoundJobs, KalturaError> {
        let mut found = FoundJobs::default();
        if names.is_empty() {
            return Ok(found);
        }
        let rows = find::jobs_since(&self.0, since).await?;
        for row in rows.into_iter().filter(|row| row.may_be(kind, since)) {
            let job = row.into_job();
            match &job.file_name {
                None => found.nameless.push(job),
                Some(name) if names.contains(name) => {
                    found.named.entry(name.clone()).or_default().push(job);
                }
                Some(_) => {}
            }
        }
        Ok(found)
    }

    /// Fetches the log of a job. Of a job that is not there it is never ready.
    pub async fn job_log(&self, id: JobId) -> Result<JobLog, KalturaError> {
        self.0.job_log(id).await
    }

    /// Stops a job, as far as that can be: a worker that has it in hand may go on for some rows. One
    /// that is over stays as it is, but can no longer be found; one that is not there is as good. Nobody's
    /// membership is changed by that, so that it needs no warrant, and only the lease.
    pub async fn abort_job(&self, id: JobId, fence: &Fence) -> Result<(), KalturaError> {
        if !fence.is_open().await {
            return Err(KalturaError::Withdrawn);
        }
        let call = Call::abort_job(id);
        for answer in self.0.read_many(std::slice::from_ref(&call)).await? {
            match required(&call, answer) {
                Ok(row) => {
                    job(id, &call, row).map_err(|error| refused(call.name(), error))?;
                }
                Err(KalturaError::Refused { error, .. }) if error.code == NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The attempts at handing in a file.
pub struct Submission<'k> {
    client: &'k Client,
    fence: &'k Fence,
    patience: Patience<'k>,
    attempts: usize,
    kind: FileKind,
    name: &'k str,
}

impl Submission<'_> {
    /// Hands in the file. It may be sent again only where Kaltura certainly did not begin with it: where there was no
    /// connection, or the session had ended. Then the answer is nothing, and what stands in the file may be another
    /// by then. An error means that Kaltura does not have it. What the rows look like is not checked here, and by
    /// Kaltura only when a worker takes the job; of each file it handles a thousand rows.
    pub async fn attempt(&mut self, content: &[u8]) -> Result<Option<Submitted>, KalturaError> {
        let upload = Upload {
            kind: self.kind,
            name: self.name,
            content,
        };
        let tries = (&mut self.patience, &mut self.attempts);
        let answer = match self.client.hand_in(&upload, tries, self.fence).await? {
            None => return Ok(None),
            Some(Sent::Answered(answer)) => answer,
            Some(Sent::Unknown) => return Ok(Some(Submitted::Unknown)),
        };
        Ok(Some(match answer {
            Ok(row) => wire::read::<JobRow>(upload.action(), row)
                .map_or(Submitted::Unknown, |row| {
                    Submitted::Accepted(row.into_job())
                }),
            Err(error) if error.code == "INVALID_KS" => {
                return Err(refused(upload.action().to_owned(), error));
            }
            // The server broke down over it, before or after it kept the file.
            Err(error)
                if error.disposition() == Disposition::Passing && !error.is_before_anything() =>
            {
                let file = self.name;
                tracing::warn!(file, %error, "it is not known whether Kaltura took the file");
                Submitted::Unknown
            }
            Err(error) => Submitted::Refused(told(error)),
        }))
    }
}

/// What Kaltura says of a job that is not there.
const NOT_FOUND: &str = "BULK_UPLOAD_NOT_FOUND";

/// The job that was asked for.
fn job(id: JobId, call: &Call, row: serde_json::Value) -> Result<Job, ApiError> {
    match wire::read::<JobRow>(&call.name(), row) {
        Ok(row) if row.id() == id => Ok(row.into_job()),
        Ok(_) => Err(ApiError::unexpected("the answer is about another job")),
        Err(_) => Err(ApiError::unexpected("the job cannot be understood")),
    }
}

/// Says what the server means where its own words are too few.
fn told(mut error: ApiError) -> ApiError {
    if error.code == "INVALID_USER_ID" {
        "the session's user is not active, and so hands in no files".clone_into(&mut error.message);
    }
    error
}
