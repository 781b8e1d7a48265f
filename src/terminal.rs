//! Standard output and standard error, made safe for the terminals and logs that show them.
//!
//! One `writeln!` is one line: in what it writes, every control character except the line break at its
//! end is escaped, so that text from outside can neither forge a line nor move the cursor. A fixed text
//! without values may hold line breaks. clippy.toml disallows `std::io::stdout` and `std::io::stderr`
//! elsewhere.
//!
//! Machine forms (JSON, CSV) are written as bytes, and reach a file or a pipe unchanged. At a terminal
//! they are escaped as well, as JSON does it (`\u009b`); line breaks stay.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Stderr, StderrLock, StdoutLock, Write};

use crate::shown;

/// A stream that people read. Write each line with one `writeln!`.
#[derive(Debug)]
pub struct Lines<W> {
    inner: W,
    at_terminal: bool,
    /// The beginning of a character of which the rest comes with the next write.
    begun: Vec<u8>,
}

/// Standard output, locked.
#[expect(clippy::disallowed_methods, reason = "made safe here")]
pub fn stdout() -> Lines<StdoutLock<'static>> {
    let stdout = io::stdout();
    let at_terminal = stdout.is_terminal();
    Lines::new(stdout.lock(), at_terminal)
}

/// Standard error, locked.
#[expect(clippy::disallowed_methods, reason = "made safe here")]
pub fn stderr() -> Lines<StderrLock<'static>> {
    Lines::new(io::stderr().lock(), is_stderr_terminal())
}

/// Standard error as it is, for text that is escaped already and has colours of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "its caller has made the text safe"
)]
pub(crate) fn raw_stderr() -> Stderr {
    io::stderr()
}

/// Whether standard error is a terminal.
#[expect(clippy::disallowed_methods, reason = "only asked what it is")]
pub fn is_stderr_terminal() -> bool {
    io::stderr().is_terminal()
}

impl<W: Write> Lines<W> {
    fn new(inner: W, at_terminal: bool) -> Self {
        Self {
            inner,
            at_terminal,
            begun: Vec::new(),
        }
    }

    /// Writes bytes of a machine form to a terminal.
    fn write_escaped(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.begun.extend_from_slice(bytes);
        let whole = match str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let rest = self.begun.split_off(whole);
        let bytes = std::mem::replace(&mut self.begun, rest);
        let mut escaped = String::with_capacity(bytes.len());
        for c in String::from_utf8_lossy(&bytes).chars() {
            match c {
                '\n' => escaped.push(c),
                c if shown::is_unsafe(c) => {
                    // Writing to a string cannot fail.
                    let _ = write!(escaped, "\\u{:04x}", u32::from(c));
                }
                c => escaped.push(c),
            }
        }
        self.inner.write_all(escaped.as_bytes())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.at_terminal {
            return self.inner.write(bytes);
        }
        self.write_escaped(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
        if let Some(fixed) = arguments.as_str() {
            return self.inner.write_all(fixed.as_bytes());
        }
        let text = arguments.to_string();
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (text.as_str(), ""),
        };
        self.inner.write_all(shown::line(text).as_bytes())?;
        self.inner.write_all(end.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at_terminal: bool, write: impl FnOnce(&mut Lines<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        write(&mut Lines::new(&mut bytes, at_terminal));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_stays_one_line_whatever_its_values_hold() {
        let name = "Biology\nNothing to do.\u{1b}[2K\n";
        let text = written(false, |out| writeln!(out, "{name}: 3 members").unwrap());
        assert_eq!(text, "Biology\\nNothing to do.\\e[2K\\n: 3 members\n");
        let text = written(false, |out| writeln!(out, "{name}").unwrap());
        assert_eq!(text, "Biology\\nNothing to do.\\e[2K\\n\n");
    }

    #[test]
    fn a_fixed_text_keeps_its_line_breaks() {
        let text = written(false, |out| {
            writeln!(out, "\nRuns").unwrap();
            writeln!(out).unwrap();
        });
        assert_eq!(text, "\nRuns\n\n");
    }

    #[test]
    fn a_machine_form_reaches_a_pipe_unchanged() {
        let text = "a,\"b\u{9b}\r\nc\"\r\n";
        let piped = written(false, |out| out.write_all(text.as_bytes()).unwrap());
        assert_eq!(piped, text);
    }

    #[test]
    fn a_machine_form_does_not_steer_a_terminal_wherever_the_writes_are_cut() {
        let text = "{\"a\": \"ä\u{9b}2J\u{202e}\"}\n\u{1b}[2J\n";
        for size in 1..text.len() {
            let at_terminal = written(true, |out| {
                for bytes in text.as_bytes().chunks(size) {
                    out.write_all(bytes).unwrap();
                }
            });
            assert_eq!(at_terminal, "{\"a\": \"ä\\u009b2J\\u202e\"}\n\\u001b[2J\n");
        }
    }
}
