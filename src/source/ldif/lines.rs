//! The lines of an LDIF file, with folded ones put together (RFC 2849, note 2).

use std::io::{self, BufRead};

use super::foreign;

/// How the last line of a file ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// In the middle.
    #[default]
    Open,
    /// With a line break.
    LineBreak,
    /// With an empty line behind it.
    EmptyLine,
}

/// Reads a file line by line.
pub(super) struct Lines<R> {
    input: R,
    /// The line that is being put together, and the next one, which may continue it.
    line: Vec<u8>,
    ahead: Vec<u8>,
    /// Where the line begins, and the next one.
    number: u64,
    next_number: u64,
    stop: Stop,
    last_line: Vec<u8>,
    behind_empty_line: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            ahead: Vec::new(),
            number: 0,
            next_number: 1,
            stop: Stop::default(),
            last_line: Vec::new(),
            behind_empty_line: false,
        }
    }

    /// What it read from.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// The present line.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// The number of the present line.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the line before the present one is empty.
    pub(super) fn is_behind_empty_line(&self) -> bool {
        self.behind_empty_line
    }

    /// How the last line read has ended.
    pub(super) fn stop(&self) -> Stop {
        self.stop
    }

    /// The last line read that is not empty.
    pub(super) fn last_line(&self) -> &[u8] {
        &self.last_line
    }

    /// Says what the file is where it is not LDIF, and what to do. To be asked before the first line.
    pub(super) fn foreign(&mut self) -> io::Result<Option<&'static str>> {
        Ok(foreign::what_it_is(self.input.fill_buf()?))
    }

    /// Puts the next line together from its parts: a line that begins with a space continues the one
    /// before it. `false` at the end of the file.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        if self.number == 0 {
            self.read_ahead()?;
            if self.ahead.starts_with(b"\xef\xbb\xbf") {
                self.ahead.drain(..3);
            }
        }
        let Some(ended) = without_break(&self.ahead) else {
            return Ok(false);
        };
        self.behind_empty_line = self.line.is_empty();
        self.line.clear();
        self.line.extend_from_slice(ended);
        self.note_end(ended.len());
        self.number = self.next_number;
        self.next_number += 1;
        loop {
            self.read_ahead()?;
            let Some(ended) = without_break(&self.ahead) else {
                break;
            };
            let [b' ', rest @ ..] = ended else {
                break;
            };
            self.line.extend_from_slice(rest);
            self.note_end(ended.len());
            self.next_number += 1;
        }
        if !self.line.is_empty() {
            self.last_line.clone_from(&self.line);
        }
        Ok(true)
    }

    /// Notes how the line in `ahead` ended, of so many octets without its break.
    fn note_end(&mut self, length: usize) {
        self.stop = match (length, self.ahead.len() - length) {
            (_, 0) => Stop::Open,
            (0, _) => Stop::EmptyLine,
            _ => Stop::LineBreak,
        };
    }

    fn read_ahead(&mut self) -> io::Result<()> {
        self.ahead.clear();
        self.input.read_until(b'\n', &mut self.ahead)?;
        Ok(())
    }
}

/// A line without its break; `None` for no line at all.
fn without_break(line: &[u8]) -> Option<&[u8]> {
    if line.is_empty() {
        return None;
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}
