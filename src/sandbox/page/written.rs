//! Numbers and times as the page writes them.

use jiff::Timestamp;

use crate::sandbox::{BulkStatus, JobKind};

/// The time of day of unix milliseconds.
pub(super) fn time_of_day(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%H:%M:%S").to_string()
}

/// Date and time of unix seconds.
pub(super) fn moment(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A number with one decimal.
pub(super) fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

/// A number with its noun.
pub(super) fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(0);
    let mut digits = number.to_string();
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, ',');
    }
    let noun = if number == 1 { one } else { many };
    format!("{digits} {noun}")
}

/// Which worker does a piece of work.
pub(super) fn worker(kind: JobKind) -> String {
    let word = serde_json::to_value(kind).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// How a bulk upload that stands so looks.
pub(super) fn bulk_class(status: BulkStatus) -> &'static str {
    match status {
        BulkStatus::Done => "ok",
        BulkStatus::DoneWithErrors | BulkStatus::Failed | BulkStatus::Aborted => "warn",
        _ => "",
    }
}

/// What a message says before it quotes somebody else.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
