//! The part of a file that one run handles: its rows, and how PHP reads their cells.
//!
//! *Its one idea: a row is numbered by what comes before it in the file, and read by the last header above
//! it*; comments, blank rows and headers have no number (`BulkUploadEngineCsv.php`).

use std::rc::Rc;

use super::{ADD, category, category_user, csv, log, user};
use crate::sandbox::state::{BulkJob, BulkKind};

/// The rows of a file that one run handles.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) rows: Vec<Row>,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

impl Slice {
    /// Goes on behind the last row that has a result, whichever rows before it have none.
    pub(super) fn of(job: &BulkJob, rows_per_run: usize) -> Self {
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

/// A data row of a file.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number among the data rows, from 1.
    pub(super) line: usize,
    /// As the log keeps it.
    pub(super) kept: Vec<u8>,
    /// Its cells, trimmed.
    pub(super) cells: Vec<Vec<u8>>,
    pub(super) columns: Rc<Vec<(usize, &'static str)>>,
}

impl Row {
    /// The cell of a column; empty where there is none. Of two columns of one name the last that is
    /// filled counts.
    pub(super) fn text(&self, column: &str) -> &str {
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
    pub(super) fn truthy(&self, column: &str) -> Option<&str> {
        Some(self.text(column)).filter(|cell| is_truthy(cell))
    }

    /// The action of the row; adding, unless it says otherwise. None for words and other numbers.
    pub(super) fn action(&self) -> Option<i64> {
        let Some(cell) = self.truthy("action") else {
            return Some(ADD);
        };
        number(cell)
    }

    /// Whether some cell is no text. Trimming can make one: a final `à` loses its second byte.
    pub(super) fn has_broken_cell(&self) -> bool {
        self.columns.iter().any(|(at, _)| {
            let cell = self.cells.get(*at);
            cell.is_some_and(|cell| std::str::from_utf8(cell).is_err())
        })
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

/// Whether PHP takes a text for true.
pub(super) fn is_truthy(text: &str) -> bool {
    !matches!(text, "" | "0")
}

/// The whole number PHP compares a text as.
pub(super) fn number(text: &str) -> Option<i64> {
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
pub(super) fn is_one_of(text: &str, members: &[i64]) -> bool {
    number(text).is_some_and(|number| members.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::bulk::{ADD_OR_UPDATE, CSV, DELETE, OK};
    use crate::sandbox::state::{BulkResult, bulk_status as status};

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
