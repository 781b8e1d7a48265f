//! Bulk uploads: what Kaltura's workers do with a file that was handed in.
//!
//! *Its one idea: a worker is a client.* It reads a slice of the file, looks things up, then calls the same
//! actions as everybody else, only as a partner of its own for whom entitlement and the protection of
//! owners are off; so what a row does is what the action does (`KAsyncBulkUpload.class.php`,
//! `BulkUploadEngineCsv.php`).
//!
//! ```text
//!  11 handed in ─► 1 read ─┬─► 5 done                      all rows
//!                  ▲       ├─► 8 almost done ─► 12 closed  some rows in error
//!                  │       ├─► 6 failed                    no row, or three accidents
//!                  └── 9 ◄─┘                               more rows than one run takes
//! ```

use serde_json::{Map, Value};

use super::answer::Answer;
use super::dispatch::{Outcome, as_worker};
use super::error::Failure;
use super::faults::BulkFault;
use super::state::{BulkKind, BulkResult, Job, State, bulk_status as status};

mod category;
mod category_user;
mod csv;
mod log;
mod slice;
mod user;

pub(super) use log::render;

use slice::{Row, Slice, is_one_of, is_truthy};

/// `status` of a result.
pub(super) const ERROR: i64 = 1;
const OK: i64 = 2;

/// `BulkUploadAction`, as far as these files know it.
const ADD: i64 = 1;
const UPDATE: i64 = 2;
const DELETE: i64 = 3;
const ADD_OR_UPDATE: i64 = 6;

/// How many rows go into one multirequest (`multiRequestSize`).
const ROWS_PER_REQUEST: usize = 20;

/// Runs in a row that may end in an accident before the job is given up.
const ATTEMPTS: u32 = 3;

/// What PHP's client says of a row it cannot write as JSON: it sends nothing, and cannot read the answer.
const UNREADABLE: &str = "Error: failed to unserialize server result\n\
    <?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result><error><code>MISSING_MANDATORY_PARAMETER</code>\
    <message>Missing parameter &quot;bulkUploadResult&quot;</message>\
    <objectType>KalturaAPIException</objectType><args><item><objectType>KalturaApiExceptionArg</objectType>\
    <name>PARAM_NAME</name><value>bulkUploadResult</value></item></args></error></result>\
    <executionTime>0.0020320415496826</executionTime></xml>";

/// How a run can end before its time.
#[derive(Debug)]
enum Accident {
    /// The worker's client gave up: the run is tried again.
    Client,
    /// The worker itself died: nobody closes the job.
    Dead,
}

impl Row {
    /// Notes what became of the row.
    fn log(&self, state: &mut State, job: i64, verdict: Verdict) -> Result<(), Accident> {
        let Ok(row) = String::from_utf8(self.kept.clone()) else {
            return Err(Accident::Client);
        };
        if let Some(job) = state.bulk.get_mut(job) {
            job.results.push(BulkResult {
                line: self.line,
                row,
                status: verdict.status,
                object_id: verdict.object_id,
                object_status: verdict.object_status,
                error: verdict.error,
            });
        }
        Ok(())
    }
}

/// What became of a row.
#[derive(Debug, Default)]
struct Verdict {
    status: i64,
    object_id: String,
    object_status: i64,
    error: String,
}

/// What a call says when it fails.
fn message(failure: &Failure) -> String {
    match failure {
        Failure::Api(error) => error.message.clone(),
        Failure::Fatal => String::new(),
    }
}

/// Calls an action as the worker.
fn ask(state: &mut State, call: &str, sent: Value, now_ms: i64) -> Outcome {
    let sent = match sent {
        Value::Object(sent) => sent,
        _ => Map::new(),
    };
    as_worker(state, call, sent, now_ms)
}

/// The number of the first object of a list.
fn first_id(answer: &Answer) -> Option<String> {
    answer.text_at(&["objects", "0", "id"])
}

/// Takes a job, which shows from now on what it is, and says whether there is anything to run.
pub(super) fn start(state: &mut State, id: i64) -> bool {
    let Some(job) = state.bulk.get_mut(id).filter(|job| !job.is_over()) else {
        return false;
    };
    job.started = true;
    job.description_before.clone_from(&job.description);
    match job.fault {
        Some(BulkFault::Fail) => {
            job.fail(status::FAILED, "Error: failure on demand");
            return false;
        }
        Some(BulkFault::Abort) => {
            job.status = status::ABORTED;
            job.aborted = true;
            return false;
        }
        Some(BulkFault::Stick) => {
            job.status = status::PROCESSING;
            return false;
        }
        _ => {}
    }
    if job.format != CSV {
        // Not recorded. The sandbox reads no XML, and says so.
        job.fail(status::FAILED, "Error: the sandbox reads CSV files only");
        return false;
    }
    let parsing = format!("Parsing file [{}]", job.kind.engine());
    job.say(status::QUEUED, &parsing);
    if job.kind == BulkKind::Category {
        // This engine asks first whether anything is still under way, which counts.
        job.objects = Some(job.count(OK));
    }
    true
}

/// The type of a file of comma-separated values.
pub(super) const CSV: &str = "bulkUploadCsv.CSV";

/// Handles a slice of a job that was started, and says where it stands then.
pub(super) fn run(state: &mut State, id: i64, now_ms: i64) {
    let limits = state.limits.clone();
    let Some(job) = state.bulk.get_mut(id) else {
        return;
    };
    if job.status != status::QUEUED {
        return;
    }
    if job.aborted {
        job.status = status::ABORTED;
        return;
    }
    let kind = job.kind;
    let slice = Slice::of(job, limits.bulk_rows_per_run);
    let end = match kind {
        BulkKind::CategoryUser => category_user::handle(state, id, &slice.rows, now_ms),
        BulkKind::Category => category::handle(state, id, &slice.rows, now_ms),
        BulkKind::User => user::handle(state, id, &slice.rows, now_ms),
    };
    let Some(job) = state.bulk.get_mut(id) else {
        return;
    };
    let (done, errors) = (job.count(OK), job.count(ERROR));
    match end {
        Err(Accident::Dead) => {}
        Err(Accident::Client) => {
            job.accidents += 1;
            if job.accidents < ATTEMPTS {
                job.fail(status::RETRY, UNREADABLE);
                state.queue_retry(Job::BulkStart(id), now_ms);
            } else {
                job.fail(status::FAILED, UNREADABLE);
            }
        }
        Ok(()) if slice.is_cut => {
            let title = kind.title();
            let so_far = format!("Retrying: {done} {title} objects were handled until now");
            job.accidents = 0;
            job.say(status::RETRY, &so_far);
            state.queue_retry(Job::BulkStart(id), now_ms);
        }
        Ok(()) if done == 0 && errors > 0 => job.fail(
            status::FAILED,
            "Error: None of the uploaded items were processed succsessfuly",
        ),
        Ok(()) => {
            job.objects = Some(done);
            if errors == 0 {
                job.say(status::FINISHED, "Finished successfully");
            } else {
                job.say(status::ALMOST_DONE, "Waiting for objects closure");
                state.queue(Job::BulkClose(id), now_ms);
            }
        }
    }
}

/// Closes a job that is almost done.
pub(super) fn close(state: &mut State, id: i64) {
    let Some(job) = state.bulk.get_mut(id) else {
        return;
    };
    if job.status != status::ALMOST_DONE {
        return;
    }
    job.objects = Some(job.count(OK));
    job.say(status::ALMOST_DONE, "Unclosed entries remaining: 0");
    job.say(status::FINISHED_PARTIALLY, "Finished, but with some errors");
}
