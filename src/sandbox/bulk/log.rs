//! The result log of a job.
//!
//! *Its one idea: a log line is the row as it came with what became of it behind*: result status, number
//! of the object, status of the object, and an error only if there is one (`BulkUploadCsvPlugin.php`). There
//! is no header, and cells that a spreadsheet would take for a formula get an apostrophe (`KCsvWrapper.php`).

use super::csv;
use crate::sandbox::faults::BulkFault;
use crate::sandbox::state::{BulkJob, BulkResult};

/// What is served as long as no row has a result.
pub(in crate::sandbox) const NOT_READY: &str = "Log file is not ready";

/// A job's log as it is served.
pub(in crate::sandbox) fn render(job: &BulkJob) -> String {
    let mut results: Vec<&BulkResult> = job.results.iter().collect();
    results.sort_by_key(|result| result.line);
    if let Some(BulkFault::LogLacksRows(rows)) = job.fault {
        results.truncate(results.len().saturating_sub(rows));
    }
    if results.is_empty() {
        return NOT_READY.to_owned();
    }
    let mut log = String::new();
    for result in results {
        let mut cells: Vec<String> = csv::read_row(result.row.as_bytes())
            .into_iter()
            .map(|cell| String::from_utf8_lossy(&cell).into_owned())
            .collect();
        if job.fault == Some(BulkFault::LogHasAnotherCell) {
            cells.push("another".to_owned());
        }
        cells.push(result.status.to_string());
        cells.push(result.object_id.clone());
        cells.push(result.object_status.to_string());
        if !result.error.is_empty() {
            cells.push(result.error.replace(['\n', '\r', '\t'], " "));
        }
        for cell in &mut cells {
            harmless(cell);
        }
        csv::write_row(&cells, &mut log);
        if job.fault == Some(BulkFault::LogRepeatsRows) {
            csv::write_row(&cells, &mut log);
        }
    }
    log
}

/// Keeps a row as the log shows it later: joined by commas, in quotes only where a comma is inside.
pub(super) fn keep(cells: &[Vec<u8>]) -> Vec<u8> {
    let mut row = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            row.push(b',');
        }
        if cell.contains(&b',') {
            row.push(b'"');
            row.extend_from_slice(cell);
            row.push(b'"');
        } else {
            row.extend_from_slice(cell);
        }
    }
    row
}

/// Puts an apostrophe before what looks like a formula, and loses its quotes over it.
fn harmless(cell: &mut String) {
    if !cell.contains(['+', '=', '-', '@', ',']) {
        return;
    }
    let bare = cell.replace(['\'', '"'], "");
    let bare = bare.trim_matches([' ', '\t', '\n', '\r', '\0', '\u{b}']);
    if bare.starts_with(['+', '=', '-', '@', ',']) {
        *cell = format!("'{bare}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cell: &str) -> String {
        let mut cell = cell.to_owned();
        harmless(&mut cell);
        cell
    }

    #[test]
    fn what_looks_like_a_formula_gets_an_apostrophe() {
        assert_eq!(shown("-5"), "'-5");
        assert_eq!(shown(" \"=a\"b "), "'=ab");
        assert_eq!(shown("@home"), "'@home");
        assert_eq!(shown("o'brien-x"), "o'brien-x");
    }

    #[test]
    fn a_kept_cell_with_a_comma_and_a_quote_comes_back_damaged() {
        let kept = keep(&[b"1".to_vec(), b"a,\"b".to_vec()]);
        assert_eq!(kept, b"1,\"a,\"b\"");
        assert_eq!(csv::read_row(&kept), [b"1".to_vec(), b"a,b\"".to_vec()]);
    }
}
