//! CSV, read and written as PHP does.
//!
//! *Its one idea: PHP's CSV is not RFC 4180.* Inside quotes a backslash keeps the next quote from
//! closing the cell, what follows a closing quote is part of it, and a cell is quoted on the way out for a
//! mere space (`fgetcsv`, `str_getcsv`, `fputcsv` of PHP 8.2 with `auto_detect_line_endings`).

const QUOTE: u8 = b'"';
const ESCAPE: u8 = b'\\';
const COMMA: u8 = b',';
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How far PHP looks for the kind of line ends.
const PROBE: usize = 8192;

/// A line of a file: its cells; a blank one has none.
pub(super) type Line = Vec<Vec<u8>>;

/// Reads a whole file.
pub(super) fn read(file: &[u8]) -> Vec<Line> {
    let mut reader = Reader {
        rest: file.strip_prefix(BOM).unwrap_or(file),
        end: line_end(file),
    };
    let mut lines = Vec::new();
    while let Some(line) = reader.line() {
        lines.push(line);
    }
    lines
}

/// Reads one row that was kept as a text, line ends within it and all.
pub(super) fn read_row(row: &[u8]) -> Line {
    let mut nothing = Reader {
        rest: b"",
        end: b'\n',
    };
    nothing.cells(row.to_vec())
}

/// Writes a row.
pub(super) fn write_row(cells: &[String], out: &mut String) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if !cell.contains([',', '"', '\\', '\n', '\r', '\t', ' ']) {
            out.push_str(cell);
            continue;
        }
        out.push('"');
        let mut escaped = false;
        for c in cell.chars() {
            match c {
                '\\' => escaped = true,
                '"' if !escaped => out.push('"'),
                _ => escaped = false,
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('\n');
}

/// PHP's `trim`.
pub(super) fn trim(cell: &[u8]) -> &[u8] {
    trim_of(cell, b" \t\n\r\0\x0b")
}

/// Takes bytes off both ends, as PHP's `trim` does with a second argument.
pub(super) fn trim_of<'a>(cell: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    let start = cell.iter().position(|b| !bytes.contains(b));
    let end = cell.iter().rposition(|b| !bytes.contains(b));
    match (start, end) {
        (Some(start), Some(end)) => &cell[start..=end],
        _ => &[],
    }
}

/// The byte lines end with: a carriage return alone if that comes first.
fn line_end(file: &[u8]) -> u8 {
    let probe = &file[..file.len().min(PROBE)];
    let cr = probe.iter().position(|b| *b == b'\r');
    let lf = probe.iter().position(|b| *b == b'\n');
    match (cr, lf) {
        (Some(cr), Some(lf)) if cr + 1 != lf && cr < lf => b'\r',
        (Some(_), None) => b'\r',
        _ => b'\n',
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    end: u8,
}

impl Reader<'_> {
    fn line(&mut self) -> Option<Line> {
        let line = self.raw_line()?;
        Some(self.cells(line))
    }

    fn raw_line(&mut self) -> Option<Vec<u8>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|b| *b == self.end);
        let (line, rest) = self
            .rest
            .split_at(end.map_or(self.rest.len(), |end| end + 1));
        self.rest = rest;
        Some(line.to_vec())
    }

    /// The cells of a line. A quoted cell may take in the lines that follow.
    fn cells(&mut self, mut line: Vec<u8>) -> Line {
        let mut cells = Vec::new();
        let mut at = 0;
        if content(&line) == 0 {
            return cells;
        }
        loop {
            let blanks = line[at..content(&line)]
                .iter()
                .take_while(|b| **b != COMMA && b.is_ascii_whitespace())
                .count();
            let (cell, next) = if line.get(at + blanks) == Some(&QUOTE) {
                self.quoted(&mut line, at + blanks + 1)
            } else {
                let end = comma(&line, at);
                (line[at..end].to_vec(), end)
            };
            cells.push(cell);
            if next >= content(&line) {
                return cells;
            }
            at = next + 1;
        }
    }

    /// A quoted cell from behind its opening quote, and where it ends: at a comma or the line's end.
    fn quoted(&mut self, line: &mut Vec<u8>, mut at: usize) -> (Vec<u8>, usize) {
        let mut cell = Vec::new();
        loop {
            match line.get(at) {
                Some(&ESCAPE) => {
                    cell.push(ESCAPE);
                    // The byte behind it is no quote, whatever it is.
                    if let Some(next) = line.get(at + 1) {
                        cell.push(*next);
                    }
                    at += 2;
                }
                Some(&QUOTE) if line.get(at + 1) == Some(&QUOTE) => {
                    cell.push(QUOTE);
                    at += 2;
                }
                Some(&QUOTE) => {
                    let end = comma(line, at + 1);
                    cell.extend_from_slice(&line[at + 1..end]);
                    return (cell, end);
                }
                Some(byte) => {
                    cell.push(*byte);
                    at += 1;
                }
                None => match self.raw_line() {
                    Some(more) => {
                        *line = more;
                        at = 0;
                    }
                    None => return (cell, line.len()),
                },
            }
        }
    }
}

/// The length of a line without its end.
fn content(line: &[u8]) -> usize {
    let line = line
        .strip_suffix(b"\r\n")
        .or_else(|| line.strip_suffix(b"\n"))
        .or_else(|| line.strip_suffix(b"\r"))
        .unwrap_or(line);
    line.len()
}

/// The next comma, or the end of the line.
fn comma(line: &[u8], from: usize) -> usize {
    let end = content(line).max(from);
    line[from..end]
        .iter()
        .position(|b| *b == COMMA)
        .map_or(end, |at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(file: &str) -> Vec<Vec<String>> {
        let text = |cell: Vec<u8>| String::from_utf8(cell).unwrap();
        read(file.as_bytes())
            .into_iter()
            .map(|line| line.into_iter().map(text).collect())
            .collect()
    }

    #[test]
    fn a_blank_line_has_no_cells_and_one_of_commas_has_empty_ones() {
        assert_eq!(lines("a\n\n,,\n"), [vec!["a"], vec![], vec!["", "", ""]]);
    }

    #[test]
    fn a_doubled_quote_is_one() {
        assert_eq!(lines("1,\"q\"\"u\",2\n"), [["1", "q\"u", "2"]]);
    }

    #[test]
    fn a_backslash_keeps_a_quote_from_closing() {
        assert_eq!(lines("\"a\\\",b\",c\n"), [["a\\\",b", "c"]]);
        assert_eq!(lines("\"a\\\\\",c\n"), [["a\\\\", "c"]]);
    }

    #[test]
    fn a_quote_inside_an_unquoted_cell_is_a_character() {
        assert_eq!(lines("q\"u,b\n"), [["q\"u", "b"]]);
    }

    #[test]
    fn what_follows_a_closing_quote_belongs_to_the_cell() {
        assert_eq!(lines("\"a\"b,c\n"), [["ab", "c"]]);
    }

    #[test]
    fn blanks_before_a_quote_go_and_others_stay() {
        assert_eq!(lines("  \"a\", b ,c\n"), [["a", " b ", "c"]]);
    }

    #[test]
    fn a_quoted_cell_takes_in_line_ends() {
        assert_eq!(lines("\"a\nb\",c\nd\n"), [vec!["a\nb", "c"], vec!["d"]]);
    }

    #[test]
    fn a_quote_that_never_closes_takes_the_rest_of_the_file() {
        assert_eq!(lines("a,\"b\nc,d\n"), [["a", "b\nc,d\n"]]);
    }

    #[test]
    fn a_mark_at_the_start_and_every_kind_of_line_end_are_fine() {
        assert_eq!(lines("\u{feff}*a,b\r\n1,2\r\n"), [["*a", "b"], ["1", "2"]]);
        assert_eq!(lines("*a,b\r1,2\r"), [["*a", "b"], ["1", "2"]]);
        assert_eq!(lines("a,b\n1,2"), [["a", "b"], ["1", "2"]]);
    }

    #[test]
    fn a_trailing_comma_is_an_empty_cell() {
        assert_eq!(lines("a,b,\n"), [["a", "b", ""]]);
    }

    #[test]
    fn a_cell_is_quoted_for_a_space_and_an_escaped_quote_is_not_doubled() {
        let mut out = String::new();
        let cells = ["a b", "c", "q\"u", "x\\\"y"].map(str::to_owned);
        write_row(&cells, &mut out);
        assert_eq!(out, "\"a b\",c,\"q\"\"u\",\"x\\\"y\"\n");
    }

    proptest! {
        #[test]
        fn ordinary_values_written_by_others_are_read_back(
            rows in prop::collection::vec(
                prop::collection::vec("[a-zA-Z0-9@.,\"'äö;:_ -]{0,12}", 2..5),
                1..8,
            )
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let file = writer.into_inner().unwrap();
            let expected: Vec<Vec<Vec<u8>>> = rows
                .iter()
                .map(|row| row.iter().map(|cell| cell.clone().into_bytes()).collect())
                .collect();
            prop_assert_eq!(read(&file), expected);
        }

        #[test]
        fn any_bytes_are_read_somehow(file in prop::collection::vec(any::<u8>(), 0..80)) {
            read(&file);
        }

        #[test]
        fn a_row_that_was_written_is_read_back(
            cells in prop::collection::vec("[a-zA-Z0-9@.,\"'äö;:_ -]{1,12}", 1..5)
        ) {
            let mut out = String::new();
            write_row(&cells, &mut out);
            let back: Vec<String> = read_row(out.trim_end_matches('\n').as_bytes())
                .into_iter()
                .map(|cell| String::from_utf8(cell).unwrap())
                .collect();
            prop_assert_eq!(back, cells);
        }
    }
}
