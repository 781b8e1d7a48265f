//! A file that becomes a job, followed until it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::ApplyError;
use crate::config;
use crate::kaltura::{Disposition, FileKind, Job, JobId, JobLog, JobStatus, Kaltura, Submitted};
use crate::{clock, killpoint};

/// The first wait before a job is looked at again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How often a job is looked for that may be on its way, or a log that may be being written.
const LOOKS: usize = 4;
/// What is said of a job that is not there.
const NOT_FOUND: &str = "BULK_UPLOAD_NOT_FOUND";
/// How far Kaltura's clock may be off when a job is looked for by its time.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// The waits between two looks: longer and longer, up to the limit, without an end.
fn waits(config: &config::apply::Csv) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_factor(1.5)
        .with_min_delay(FIRST_WAIT.min(config.poll.0))
        .with_max_delay(config.poll.0)
        .without_max_times()
        .build()
}

/// Hands in a file, and answers its job; none where Kaltura does not take it now, or, as far as can be seen, has
/// not taken it.
pub(crate) async fn hand_in(
    kaltura: &Kaltura,
    config: &config::apply::Csv,
    kind: FileKind,
    name: &str,
    content: Vec<u8>,
) -> Result<Option<JobId>, ApplyError> {
    let since = clock::now();
    let answer = kaltura.submit(kind, name, content).await?;
    killpoint::here("after-submitting");
    match answer {
        Submitted::Accepted(job) => Ok(Some(job.id)),
        Submitted::Unknown => find(kaltura, config, kind, name, since).await,
        Submitted::Refused(error) if error.disposition() == Disposition::Permanent => {
            Err(ApplyError::NotTaken { kind, error })
        }
        Submitted::Refused(error) => {
            tracing::warn!(
                file = name,
                code = error.code,
                "Kaltura does not take a file now"
            );
            Ok(None)
        }
    }
}

/// Follows a job until it is over, and answers its log, as it was served. A job that shows no progress for too long is
/// aborted, and its log is taken as it is.
pub(crate) async fn follow(
    kaltura: &Kaltura,
    config: &config::apply::Csv,
    id: JobId,
) -> Result<Vec<u8>, ApplyError> {
    let mut last: Option<Job> = None;
    let mut progress_at = Instant::now();
    let mut unknown = 0;
    for wait in waits(config) {
        match look(kaltura, id).await? {
            Looked::There(job) if job.status.is_over() => {
                tracing::info!(job = id.0, status = ?job.status, rows = job.rows_done, "a job is over");
                return log(kaltura, config, &job).await;
            }
            Looked::There(job) if last.as_ref() != Some(&job) => {
                progress_at = Instant::now();
                last = Some(job);
            }
            Looked::There(_) | Looked::NoAnswer => {}
            Looked::Unknown => unknown += 1,
        }
        if unknown == LOOKS {
            // Kaltura does not know it, however often it is asked: nobody will work on it.
            return Ok(Vec::new());
        }
        if progress_at.elapsed() > config.patience.0 {
            break;
        }
        sleep(wait).await;
    }
    tracing::warn!(job = id.0, "a job shows no progress, and is given up");
    kaltura.abort_job(id).await?;
    for wait in waits(config).take(LOOKS) {
        sleep(wait).await;
        if matches!(look(kaltura, id).await?, Looked::There(job) if job.status.is_over()) {
            break;
        }
    }
    read(kaltura, id).await.map(Option::unwrap_or_default)
}

/// Finds the job that a file has become, if it has; looks several times, because it may be on its way.
pub(super) async fn find(
    kaltura: &Kaltura,
    config: &config::apply::Csv,
    kind: FileKind,
    name: &str,
    since: Timestamp,
) -> Result<Option<JobId>, ApplyError> {
    let since = since.checked_sub(CLOCKS).unwrap_or(since);
    let names = BTreeSet::from([name.to_owned()]);
    let begun_at = Instant::now();
    let mut looks = 0;
    for wait in waits(config) {
        let found = kaltura.find_jobs(kind, since, &names).await?;
        if let Some(job) = found.named.into_values().flatten().next() {
            return Ok(Some(job.id));
        }
        // As long as a job hides its name, it may be the one.
        looks = if found.nameless.is_empty() {
            looks + 1
        } else {
            0
        };
        if looks == LOOKS || begun_at.elapsed() > config.patience.0 {
            break;
        }
        sleep(wait).await;
    }
    Ok(None)
}

/// What a look at a job shows.
enum Looked {
    There(Job),
    /// Kaltura does not know it.
    Unknown,
    /// It says something else.
    NoAnswer,
}

async fn look(kaltura: &Kaltura, id: JobId) -> Result<Looked, ApplyError> {
    let answer = kaltura.jobs(&[id]).await?.into_iter().next();
    Ok(match answer {
        Some(Ok(job)) => Looked::There(job),
        Some(Err(error)) => {
            tracing::warn!(job = id.0, code = error.code, "a job cannot be looked at");
            if error.code == NOT_FOUND {
                Looked::Unknown
            } else {
                Looked::NoAnswer
            }
        }
        None => Looked::NoAnswer,
    })
}

/// The log of a job that is over, as it was served. It may be a moment late.
pub(crate) async fn log(
    kaltura: &Kaltura,
    config: &config::apply::Csv,
    job: &Job,
) -> Result<Vec<u8>, ApplyError> {
    for wait in waits(config).take(LOOKS) {
        if let Some(log) = read(kaltura, job.id).await? {
            return Ok(log);
        }
        // A job that failed as a whole has none.
        if !matches!(
            job.status,
            JobStatus::Finished | JobStatus::FinishedPartially
        ) {
            break;
        }
        sleep(wait).await;
    }
    Ok(Vec::new())
}

async fn read(kaltura: &Kaltura, id: JobId) -> Result<Option<Vec<u8>>, ApplyError> {
    Ok(match kaltura.job_log(id).await? {
        JobLog::Text(text) => Some(text),
        JobLog::NotReady => None,
    })
}
