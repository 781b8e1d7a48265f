//! The log of a file: what became of each row.
//!
//! *Its one idea: what is not certain is unknown.* A line counts only where it is whole, where it begins with all
//! the cells of a row, and where no other line says otherwise; a line's place proves nothing. Of a row that is
//! unknown the account itself can be asked.
//!
//! ```text
//! 1,57,ada@example.edu,3,1,,2,,1
//! └──── the row's cells ────┘ │ │└ objectStatus, and behind it the error, if there is one
//!                             │ └ objectId
//!                             └ resultStatus
//! ```
//!
//! (`BulkUploadCsvPlugin.php`, `KCsvWrapper.php`; a header line, where the account has one, matches no row.)

use std::collections::HashMap;
use std::marker::PhantomData;

use super::{Line, Row};
use crate::kaltura::api_error::redact_sessions;
use crate::kaltura::wire::RowResult;

/// What became of a row, by the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowVerdict {
    /// It is done.
    Done,
    /// It is not done, and this is why: Kaltura's text, one line, without whom it is about.
    Refused(String),
    /// It is done but for this: the membership is written, say, and its status is not.
    DoneBut(String),
    /// The log does not say, or says it in a way that cannot be trusted. The account itself can be asked.
    Unknown,
}

/// A log that was read, of a file with such rows.
pub struct Log<R = Row> {
    said: HashMap<Key, RowVerdict>,
    rows: PhantomData<fn(R)>,
}

/// The cells of a row, as far as the log keeps them.
type Key = Vec<String>;

impl<R: Line> Log<R> {
    /// Reads a log as it was served. Whatever comes instead of one is a log that says nothing.
    pub fn read(log: &[u8]) -> Self {
        let mut said: HashMap<Key, RowVerdict> = HashMap::new();
        // A line without its end was cut off, maybe before its error. Line by line, because the server leaves no
        // line break in any cell, and a quotation mark that is never closed must not swallow the rest.
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let Some((key, verdict)) = line
                .strip_suffix(b"\n")
                .and_then(|line| read_line(line, R::CELLS))
            else {
                continue;
            };
            said.entry(key)
                .and_modify(|before| {
                    if *before != verdict {
                        *before = RowVerdict::Unknown;
                    }
                })
                .or_insert(verdict);
        }
        Self {
            said,
            rows: PhantomData,
        }
    }

    /// Says what became of the rows of a file, in their order.
    pub fn verdicts(&self, rows: &[R]) -> Vec<RowVerdict> {
        let keys: Vec<Key> = rows.iter().map(|row| key(&row.cells())).collect();
        let mut times: HashMap<&Key, usize> = HashMap::new();
        for key in &keys {
            *times.entry(key).or_default() += 1;
        }
        let said = |key| match times.get(key) {
            Some(1) => self.said.get(key),
            // Which of two lines is about which of two rows, and whether a line is a repetition, cannot be told.
            _ => None,
        };
        let verdicts = rows.iter().zip(&keys);
        verdicts
            .map(|(row, key)| said(key).map_or(RowVerdict::Unknown, |verdict| verdict.about(row)))
            .collect()
    }
}

impl RowVerdict {
    fn about(&self, row: &impl Line) -> Self {
        // The server echoes whom it was asked about, and may echo anything else.
        let clean = |text: &str| {
            let hidden = row.hidden().into_iter().filter(|hidden| !hidden.is_empty());
            redact_sessions(&hidden.fold(text.to_owned(), |text, hidden| text.replace(hidden, "…")))
        };
        match self {
            Self::Refused(text) if text.is_empty() => {
                Self::Refused("Kaltura gave no reason".to_owned())
            }
            Self::Refused(text) => Self::Refused(clean(text)),
            Self::DoneBut(text) => Self::DoneBut(clean(text)),
            other => other.clone(),
        }
    }
}

/// The row a line is about, and what it says; nothing where it is too short to say anything.
fn read_line(line: &[u8], columns: usize) -> Option<(Key, RowVerdict)> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        // In PHP a backslash keeps a quotation mark from closing a cell.
        .escape(Some(b'\\'))
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).ok()? {
        return None;
    }
    let cells: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    let (row, rest) = cells.split_at_checked(columns)?;
    (!rest.is_empty()).then(|| (key(row), verdict(rest)))
}

/// The cells of a row without what the log adds and takes away: spaces at the ends go, and a cell that a
/// spreadsheet would take for a formula loses its quotation marks and gets an apostrophe.
fn key<T: AsRef<str>>(cells: &[T]) -> Key {
    let bare = |cell: &T| cell.as_ref().trim().replace(['\'', '"'], "");
    cells.iter().map(bare).collect()
}

/// What stands behind the row's cells. One cell more than there should be may stand before it, if that leaves no
/// doubt.
fn verdict<T: AsRef<str>>(cells: &[T]) -> RowVerdict {
    let another = cells.get(1..).unwrap_or_default();
    match (result(cells), result(another)) {
        (Some(verdict), None) | (None, Some(verdict)) => verdict,
        _ => RowVerdict::Unknown,
    }
}

/// Reads result status, object number, object status and maybe an error.
fn result<T: AsRef<str>>(cells: &[T]) -> Option<RowVerdict> {
    let (result, object_status, error) = match cells {
        [result, _, object_status] => (result, object_status, ""),
        [result, _, object_status, error] => (result, object_status, error.as_ref()),
        _ => return None,
    };
    object_status.as_ref().trim().parse::<u8>().ok()?;
    let error = error.trim();
    Some(match RowResult::of(result.as_ref().trim())? {
        RowResult::Error => RowVerdict::Refused(error.to_owned()),
        RowResult::Done if error.is_empty() => RowVerdict::Done,
        RowResult::Done => RowVerdict::DoneBut(error.to_owned()),
        RowResult::InProgress => RowVerdict::Unknown,
    })
}

#[cfg(test)]
mod tests;
