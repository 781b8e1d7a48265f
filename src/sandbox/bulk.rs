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

use std::rc::Rc;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::dispatch::{Outcome, as_worker};
use super::error::Failure;
use super::faults::BulkFault;
use super::state::{BulkJob, BulkKind, BulkResult, Job, State, bulk_status as status};

mod category;
mod category_user;
mod csv;
mod log;
mod user;

pub(super) use log::render;

/// `status` of a result.
const ERROR: i64 = 1;
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

/// A data row of a file.
#[derive(Debug)]
struct Row {
    /// Its number among the data rows, from 1.
    line: usize,
    /// As the log keeps it.
    kept: Vec<u8>,
    /// Its cells, trimmed.
    cells: Vec<Vec<u8>>,
    columns: Rc<Vec<(usize, &'static str)>>,
}

impl Row {
    /// The cell of a column; empty where there is none. Of two columns of one name the last that is
    /// filled counts.
    fn text(&self, column: &str) -> &str {
        let mut found = "";
        for (at, name) in self.columns.iter() {
            if *name == column
                && let Some(cell) = self.cells.get(*at)
                && let Ok(cell) = std::str::from_utf8(cell)
                && !cell.is_empty()
            {
                found = cell;
            }
        }
        found
    }

    /// The cell of a column, unless PHP takes it for false.
    fn truthy(&self, column: &str) -> Option<&str> {
        Some(self.text(column)).filter(|cell| is_truthy(cell))
    }

    /// The action of the row; adding, unless it says otherwise. None for words and other numbers.
    fn action(&self) -> Option<i64> {
        let Some(cell) = self.truthy("action") else {
            return Some(ADD);
        };
        number(cell)
    }

    /// Whether some cell is no text. Trimming can make one: a final `à` loses its second byte.
    fn has_broken_cell(&self) -> bool {
        self.columns.iter().any(|(at, _)| {
            let cell = self.cells.get(*at);
            cell.is_some_and(|cell| std::str::from_utf8(cell).is_err())
        })
    }

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

/// Whether PHP takes a text for true.
fn is_truthy(text: &str) -> bool {
    !matches!(text, "" | "0")
}

/// The whole number PHP compares a text as.
fn number(text: &str) -> Option<i64> {
    let value: f64 = text.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "checked on the next line")]
    let whole = value as i64;
    #[expect(
        clippy::cast_precision_loss,
        reason = "small numbers are what is asked for"
    )]
    let same = (whole as f64 - value).abs() < f64::EPSILON;
    same.then_some(whole)
}

/// Whether a text is one of some numbers, as PHP's `in_array` compares.
fn is_one_of(text: &str, members: &[i64]) -> bool {
    number(text).is_some_and(|number| members.contains(&number))
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

/// The rows of a file that one run handles.
#[derive(Debug)]
struct Slice {
    rows: Vec<Row>,
    /// Whether there are more.
    is_cut: bool,
}

impl Slice {
    /// Goes on behind the last row that has a result, whichever rows before it have none.
    fn of(job: &BulkJob, rows_per_run: usize) -> Self {
        let results = job.results.iter();
        let behind = results.map(|result| result.line).max().unwrap_or(0);
        let known = match job.kind {
            BulkKind::CategoryUser => category_user::COLUMNS,
            BulkKind::Category => category::COLUMNS,
            BulkKind::User => user::COLUMNS,
        };
        let mut slice = Self {
            rows: Vec::new(),
            is_cut: false,
        };
        let mut columns = Rc::new(Vec::new());
        let mut line = 0;
        for cells in csv::read(&job.content) {
            if cells.iter().all(|cell| is_blank(cell)) {
                continue;
            }
            match cells.first().and_then(|cell| csv::trim(cell).first()) {
                Some(b'*') => {
                    columns = Rc::new(header(&cells, known));
                    continue;
                }
                Some(b'#') => continue,
                _ => {}
            }
            line += 1;
            if line <= behind {
                continue;
            }
            if slice.rows.len() == rows_per_run {
                slice.is_cut = true;
                break;
            }
            slice.rows.push(Row {
                line,
                kept: log::keep(&cells),
                cells: cells.iter().map(|cell| clean(cell)).collect(),
                columns: Rc::clone(&columns),
            });
        }
        slice
    }
}

/// Whether there is nothing but commas and spaces in a cell.
fn is_blank(cell: &[u8]) -> bool {
    csv::trim_of(cell, b", \t\n\r\0\x0b").is_empty()
}

/// The columns of a header that this kind of file knows; names count as they are written.
fn header(cells: &[Vec<u8>], known: &'static [&'static str]) -> Vec<(usize, &'static str)> {
    let name = |cell: &Vec<u8>| {
        let cell = csv::trim_of(cell, b"* ");
        known.iter().find(|name| name.as_bytes() == cell)
    };
    let cells = cells.iter().enumerate();
    cells
        .filter_map(|(at, cell)| Some((at, *name(cell)?)))
        .collect()
}

/// A cell without white space at its ends, and without the two bytes of a no-break space even where they
/// are parts of other characters.
fn clean(cell: &[u8]) -> Vec<u8> {
    csv::trim_of(cell, b" \t\n\r\0\x0b\xc2\xa0").to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(content: &str, behind: usize, rows_per_run: usize) -> Slice {
        let result = BulkResult {
            line: behind,
            row: String::new(),
            status: OK,
            object_id: String::new(),
            object_status: 1,
            error: String::new(),
        };
        let job = BulkJob {
            id: 1,
            kind: BulkKind::CategoryUser,
            format: CSV.to_owned(),
            status: status::QUEUED,
            uploaded: 0,
            user_id: String::new(),
            file_name: String::new(),
            content: content.into(),
            started: true,
            aborted: false,
            message: None,
            description: String::new(),
            description_before: String::new(),
            objects: None,
            accidents: 0,
            results: vec![result],
            fault: None,
        };
        Slice::of(&job, rows_per_run)
    }

    #[test]
    fn comments_blank_rows_and_rows_of_commas_have_no_number() {
        let slice = slice("*userId\n# a\n\n ,, \n#1\nada\n", 0, 101);
        assert_eq!(slice.rows.len(), 1);
        assert_eq!(
            (slice.rows[0].line, slice.rows[0].text("userId")),
            (1, "ada")
        );
    }

    #[test]
    fn a_later_header_redefines_the_columns() {
        let slice = slice("*userId,action\nada,3\n* action , userId \n6,bob\n", 0, 101);
        assert_eq!(slice.rows[0].action(), Some(DELETE));
        assert_eq!(slice.rows[1].action(), Some(ADD_OR_UPDATE));
        assert_eq!(slice.rows[1].text("userId"), "bob");
    }

    #[test]
    fn column_names_count_as_they_are_written_and_unknown_ones_are_ignored() {
        let slice = slice("*UserId,nosuch\nada,1\n", 0, 101);
        assert_eq!(slice.rows[0].text("userId"), "");
    }

    #[test]
    fn a_run_goes_on_behind_the_last_row_with_a_result() {
        let slice = slice("*userId\na\nb\nc\nd\ne\n", 2, 2);
        let lines: Vec<usize> = slice.rows.iter().map(|row| row.line).collect();
        assert_eq!((lines, slice.is_cut), (vec![3, 4], true));
    }

    #[test]
    fn a_run_that_takes_all_there_is_is_not_cut() {
        assert!(!slice("*userId\na\nb\n", 0, 2).is_cut);
    }

    #[test]
    fn a_final_letter_loses_its_last_byte_when_that_is_half_a_no_break_space() {
        let slice = slice("*userId\nvoil\u{e0}\n\u{a0}ada\u{a0}\n", 0, 101);
        assert!(slice.rows[0].has_broken_cell());
        assert_eq!(slice.rows[1].text("userId"), "ada");
    }

    #[test]
    fn an_action_is_a_number_or_none() {
        let rows = slice("*action,userId\n,a\n0,a\n02,a\nadd,a\n9,a\n", 0, 101).rows;
        let actions: Vec<_> = rows.iter().map(Row::action).collect();
        assert_eq!(actions, [Some(1), Some(1), Some(2), None, Some(9)]);
    }
}
