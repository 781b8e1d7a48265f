//! Rows that stand for themselves, into files.
//!
//! *Its one idea: no two of these rows have anything to do with each other*, so a file takes as many as it has
//! room for.

use std::io;

use super::file::{self, Heading, header_bytes};
use super::{Limits, Line, Unfit};
use crate::kaltura::FileKind;

/// A row of a file of categories or people.
pub trait Sheet: Line {
    /// What such a file is about.
    const KIND: FileKind;
    /// The names of the columns; the first begins with an asterisk.
    const COLUMNS: &'static [&'static str];

    /// By what people know what it is about.
    fn subject(&self) -> &str;
}

/// Divides rows among files, none of which is larger than the limits, heading included. A row that is too large
/// for a file of its own is answered as well.
pub fn divide<S: Sheet>(rows: Vec<S>, limits: Limits) -> (Vec<Vec<S>>, Vec<(S, Unfit)>) {
    let room = limits
        .bytes
        .saturating_sub(Heading::MAX_BYTES + header_bytes(S::COLUMNS));
    let (mut files, mut unfit) = (Vec::<Vec<S>>::new(), Vec::new());
    let mut used = 0;
    for row in rows {
        let bytes = bytes(&row);
        if bytes > room || limits.rows == 0 {
            unfit.push((row, Unfit::TooLarge { rows: 1, bytes }));
            continue;
        }
        match files.last_mut() {
            Some(file) if file.len() < limits.rows && used + bytes <= room => file.push(row),
            _ => {
                files.push(vec![row]);
                used = 0;
            }
        }
        used += bytes;
    }
    (files, unfit)
}

/// The length of a row in a file, quotation marks included.
fn bytes(row: &impl Line) -> usize {
    let mut line = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut line);
    let cells = row.cells();
    // Nothing can fail in memory.
    let written = writer.write_record(cells.iter().map(AsRef::as_ref as fn(&_) -> &str));
    drop(writer);
    written.map_or(usize::MAX, |()| line.len())
}

/// Writes a file: the heading, the line of column names, the rows.
pub fn write_sheet<'a, S: Sheet + 'a>(
    out: impl io::Write,
    heading: &Heading,
    rows: impl IntoIterator<Item = &'a S>,
) -> csv::Result<()> {
    file::write(out, heading, S::COLUMNS, rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::category::UserId;
    use crate::kaltura::csv::person::PersonRow;

    fn person(user: &str, name: &str) -> PersonRow {
        PersonRow::new(&UserId::new(user), Some(name), None, None).unwrap()
    }

    #[test]
    fn a_row_larger_than_a_file_is_left_out() {
        let limits = Limits {
            rows: 10,
            bytes: Heading::MAX_BYTES + 100,
        };
        let rows = vec![person("ada", "Ada"), person("bob", &"b".repeat(40))];
        let (files, unfit) = divide(rows, limits);
        assert_eq!(files.len(), 1);
        let left: Vec<&str> = unfit.iter().map(|(row, _)| row.subject()).collect();
        assert_eq!(left, ["bob"]);
    }

    proptest! {
        #[test]
        fn no_file_is_larger_than_the_limits_and_no_row_is_lost(
            names in prop::collection::vec("[a-z, \"äé]{0,20}[a-z]", 0..60),
            rows in 1..9_usize,
            room in 200..2_000_usize,
        ) {
            let limits = Limits { rows, bytes: Heading::MAX_BYTES + room };
            let all: Vec<PersonRow> = names
                .iter()
                .enumerate()
                .filter_map(|(n, name)| {
                    PersonRow::new(&UserId::new(format!("user{n}")), Some(name), None, None).ok()
                })
                .collect();
            let (files, unfit) = divide(all.clone(), limits);
            let heading = Heading::new(["ä".repeat(Heading::MAX_BYTES)]);
            for file in &files {
                let mut out = Vec::new();
                write_sheet(&mut out, &heading, file).unwrap();
                prop_assert!(out.len() <= limits.bytes && file.len() <= rows && !file.is_empty());
            }
            prop_assert_eq!(files.concat().len() + unfit.len(), all.len());
        }
    }
}
