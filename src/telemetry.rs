//! Logs: to standard error, as text for people or as JSON for machines.

use std::fmt;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::{shown, terminal};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `level` is a filter of the `tracing` kind: `warn`, or `rollbook=debug`. Logs carry no
/// mail addresses, names, secrets or bodies.
pub fn start(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    // A second start, in a test say, keeps the first.
    let _ = match format {
        LogFormat::Text => builder
            .fmt_fields(fields())
            .with_ansi(terminal::is_stderr_terminal())
            // The subscriber's own colours must reach the terminal; the fields are escaped.
            .with_writer(terminal::raw_stderr)
            .try_init(),
        LogFormat::Json => builder.json().with_writer(terminal::stderr).try_init(),
    };
}

/// Writes the fields of a log line for people. Each is escaped, and no field breaks the line.
fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(field).delimited(" ")
}

fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    let text = shown::line(&text);
    match field.name() {
        "message" => write!(writer, "{text}"),
        name => write!(writer, "{name}={text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use insta::assert_snapshot;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_stays_one_line_whatever_its_fields_hold() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(fields())
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let forged = "eve\n ERROR forged\u{1b}[2K\u{9b}\u{2028}";
        let error = std::io::Error::other(forged);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(text = forged, shown = %forged, %error, count = 3, "could not read {forged}");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_snapshot!(
            text,
            @r#" WARN could not read eve\n ERROR forged\e[2K\u{9b}\u{2028} text="eve\n ERROR forged\u{1b}[2K\u{9b}\u{2028}" shown=eve\n ERROR forged\e[2K\u{9b}\u{2028} error=eve\n ERROR forged\e[2K\u{9b}\u{2028} count=3"#
        );
    }
}
