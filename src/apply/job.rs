//! A job, found by its file and followed until it is over.
//!
//! *Its one idea: what a job has not finished, nobody knows.* Only a job that is over, or that Kaltura does
//! not have, lets the rows of its file be closed; anything else may still act.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::ApplyError;
use crate::config;
use crate::kaltura::{
    ApiError, Disposition, FileKind, Job, JobId, JobLog, JobStatus, Kaltura, KalturaError,
    Submitted,
};
use crate::plan::gate::{Fence, Warrant};
use crate::{clock, killpoint};

/// The first wait before a job is looked at again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// For so many of the longest waits a job is looked for that may be on its way, or may be ending.
const LONGEST_WAITS: u32 = 4;
/// What is said of a job that is not there.
const NOT_FOUND: &str = "BULK_UPLOAD_NOT_FOUND";
/// How far Kaltura's clock may be off when a job is looked for by its time.
pub(crate) const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its job is over, and this is the log, as it was served.
    Over(Vec<u8>),
    /// Kaltura does not have it, and will not work on it.
    Never,
    /// Nobody knows: it may yet be worked on.
    Open,
}

/// Where the job of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here.
    At(JobId),
    /// Nowhere.
    Nowhere,
    /// Nobody knows: jobs hide their names, or may not be listed.
    Unclear,
}

/// Asks about jobs, with patience.
#[derive(Clone, Copy)]
pub(crate) struct Jobs<'a> {
    /// The account.
    pub(crate) kaltura: &'a Kaltura,
    /// How long to wait.
    pub(crate) config: &'a config::apply::Csv,
    /// What the files are about.
    pub(crate) kind: FileKind,
    /// Whether this process may still stop a job.
    pub(crate) fence: &'a Fence,
}

impl Jobs<'_> {
    /// Hands in a file, and answers where its job is; or why Kaltura will never take it. What stands in it is asked for
    /// before each attempt; nothing ends them.
    pub(crate) async fn hand_in(
        &self,
        name: &str,
        mut content: impl AsyncFnMut() -> Result<Option<Vec<u8>>, ApplyError>,
        warrant: &Warrant,
    ) -> Result<Result<Place, ApiError>, ApplyError> {
        let since = clock::now();
        let mut submission = self.kaltura.submission(self.kind, name, warrant)?;
        let answer = loop {
            let Some(content) = content().await? else {
                return Ok(Ok(Place::Nowhere));
            };
            if let Some(answer) = submission.attempt(&content).await? {
                break answer;
            }
        };
        killpoint::here("after-submitting");
        Ok(Ok(match answer {
            Submitted::Accepted(job) => Place::At(job.id),
            Submitted::Unknown => self.find(name, since).await?,
            Submitted::Refused(error) if error.disposition() == Disposition::Permanent => {
                return Ok(Err(error));
            }
            Submitted::Refused(error) => {
                let code = error.code;
                tracing::warn!(file = name, code, "Kaltura does not take a file now");
                Place::Nowhere
            }
        }))
    }

    /// Finds the job that a file has become, and follows it to its end. It may be on its way: it is looked
    /// for some time.
    pub(crate) async fn fate(&self, name: &str, since: Timestamp) -> Result<Fate, ApplyError> {
        match self.find(name, since).await? {
            Place::At(id) => self.follow(id).await,
            Place::Nowhere => Ok(Fate::Never),
            Place::Unclear => Ok(Fate::Open),
        }
    }

    /// Follows a job until it is over. One that shows no progress for too long is aborted.
    pub(crate) async fn follow(&self, id: JobId) -> Result<Fate, ApplyError> {
        let mut last: Option<Job> = None;
        let mut progress_at = Instant::now();
        let mut unknown_since: Option<Instant> = None;
        for wait in self.waits() {
            match self.look(id).await? {
                Looked::There(job) if job.status.is_over() => return self.end(&job).await,
                Looked::Forbidden => return Ok(Fate::Open),
                Looked::There(job) => {
                    unknown_since = None;
                    if last.as_ref() != Some(&job) {
                        progress_at = Instant::now();
                        last = Some(job);
                    }
                }
                Looked::NoAnswer => {}
                Looked::Unknown => {
                    let since = unknown_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > self.a_while() {
                        return Ok(Fate::Never);
                    }
                }
            }
            if progress_at.elapsed() > self.config.patience.0 {
                break;
            }
            sleep(wait).await;
        }
        tracing::warn!(job = id.0, "a job shows no progress, and is aborted");
        unless_forbidden(self.kaltura.abort_job(id, self.fence).await)?;
        // A worker that has it in hand may go on for some rows.
        let aborted_at = Instant::now();
        for wait in self.waits() {
            match self.look(id).await? {
                Looked::There(job) if job.status.is_over() => return self.end(&job).await,
                _ if aborted_at.elapsed() > self.a_while() => break,
                _ => sleep(wait).await,
            }
        }
        Ok(Fate::Open)
    }

    /// Looks once whether a job is over.
    pub(crate) async fn look_once(&self, id: JobId) -> Result<Fate, ApplyError> {
        match self.look(id).await? {
            Looked::There(job) if job.status.is_over() => self.end(&job).await,
            Looked::There(_) | Looked::NoAnswer | Looked::Forbidden => Ok(Fate::Open),
            Looked::Unknown => Ok(Fate::Never),
        }
    }

    /// Looks once where the job of a file is, if it has one, and whether it is over.
    pub(crate) async fn find_once(&self, name: &str, since: Timestamp) -> Result<Fate, ApplyError> {
        match self.listed(name, since).await? {
            Some((Some(id), _)) => self.look_once(id).await,
            Some((None, nameless)) if nameless.is_empty() => Ok(Fate::Never),
            _ => Ok(Fate::Open),
        }
    }

    /// The job that bears the name of a file, and those that hide theirs; nothing where jobs may not be
    /// listed.
    async fn listed(
        &self,
        name: &str,
        since: Timestamp,
    ) -> Result<Option<(Option<JobId>, BTreeSet<JobId>)>, ApplyError> {
        let since = since.checked_sub(CLOCKS).unwrap_or(since);
        let names = BTreeSet::from([name.to_owned()]);
        let found = self.kaltura.find_jobs(self.kind, since, &names).await;
        Ok(unless_forbidden(found)?.map(|found| {
            let this = found.named.into_values().flatten().next();
            let nameless = found.nameless.iter().map(|job| job.id).collect();
            (this.map(|job| job.id), nameless)
        }))
    }

    /// Looks for the job of a file. Jobs that hide their names may be the one, as long as they do; those
    /// that come later are others'.
    pub(crate) async fn find(&self, name: &str, since: Timestamp) -> Result<Place, ApplyError> {
        let begun_at = Instant::now();
        let mut suspects: Option<BTreeSet<JobId>> = None;
        for wait in self.waits() {
            let Some((named, nameless)) = self.listed(name, since).await? else {
                return Ok(Place::Unclear);
            };
            if let Some(id) = named {
                return Ok(Place::At(id));
            }
            let waited = begun_at.elapsed();
            // The file was on its way for no longer than a while.
            let still = match &suspects {
                Some(suspects) if waited > self.a_while() => suspects & &nameless,
                _ => nameless,
            };
            if still.is_empty() && waited > self.a_while() {
                return Ok(Place::Nowhere);
            }
            suspects = Some(still);
            if begun_at.elapsed() > self.config.patience.0 {
                break;
            }
            sleep(wait).await;
        }
        Ok(Place::Unclear)
    }

    /// The log of a job that is over, as it was served. It may be a moment late.
    pub(crate) async fn log(&self, job: &Job) -> Result<Vec<u8>, ApplyError> {
        let begun_at = Instant::now();
        for wait in self.waits() {
            match unless_forbidden(self.kaltura.job_log(job.id).await)? {
                Some(JobLog::Text(text)) => return Ok(text),
                None => break,
                Some(JobLog::NotReady) => {}
            }
            // A job that failed as a whole has none.
            let has_one = matches!(
                job.status,
                JobStatus::Finished | JobStatus::FinishedPartially
            );
            if !has_one || begun_at.elapsed() > self.a_while() {
                break;
            }
            sleep(wait).await;
        }
        Ok(Vec::new())
    }

    /// What the log of a job says by now.
    pub(crate) async fn log_so_far(&self, id: JobId) -> Result<Vec<u8>, ApplyError> {
        let log = unless_forbidden(self.kaltura.job_log(id).await)?;
        Ok(match log {
            Some(JobLog::Text(text)) => text,
            Some(JobLog::NotReady) | None => Vec::new(),
        })
    }

    async fn end(&self, job: &Job) -> Result<Fate, ApplyError> {
        tracing::info!(job = job.id.0, status = %job.status, rows = job.rows_done, "a job is over");
        Ok(Fate::Over(self.log(job).await?))
    }

    async fn look(&self, id: JobId) -> Result<Looked, ApplyError> {
        let Some(answers) = unless_forbidden(self.kaltura.jobs(&[id]).await)? else {
            return Ok(Looked::Forbidden);
        };
        Ok(match answers.into_iter().next() {
            Some(Ok(job)) => Looked::There(job),
            Some(Err(error)) if error.code == NOT_FOUND => Looked::Unknown,
            Some(Err(error)) if error.disposition() == Disposition::Permanent => {
                tracing::warn!(job = id.0, code = error.code, "a job may not be looked at");
                Looked::Forbidden
            }
            Some(Err(error)) => {
                tracing::warn!(job = id.0, code = error.code, "a job cannot be looked at");
                Looked::NoAnswer
            }
            None => Looked::NoAnswer,
        })
    }

    /// The waits between two looks: longer and longer, up to the limit, without an end.
    fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::new()
            .with_factor(1.5)
            .with_min_delay(FIRST_WAIT.min(self.config.poll.0))
            .with_max_delay(self.config.poll.0)
            .without_max_times()
            .build()
    }

    /// How long something is waited for that should be there at once.
    fn a_while(&self) -> Duration {
        self.config.poll.0 * LONGEST_WAITS
    }
}

/// What a look at a job shows.
enum Looked {
    There(Job),
    /// Kaltura does not know it.
    Unknown,
    /// It says something else, for now.
    NoAnswer,
    /// It may not be looked at.
    Forbidden,
}

/// What may not be asked is not known; everything else must be. So a right that was withdrawn stops no
/// later run.
pub(crate) fn unless_forbidden<T>(
    answer: Result<T, KalturaError>,
) -> Result<Option<T>, KalturaError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(KalturaError::Refused { action, error })
            if error.disposition() == Disposition::Permanent =>
        {
            tracing::warn!(
                action,
                code = error.code,
                "bulk uploads may not be asked about"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
