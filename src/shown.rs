//! How text from outside the program is shown to people.
//!
//! User IDs, group IDs, names, DNs, reference IDs and messages of servers are written by others. Shown as
//! they are, a line break or a terminal escape in one of them could forge a line of a plan. This module
//! is the only place that decides which characters are shown as they are:
//!
//! | where | by |
//! |---|---|
//! | ids (`UserId`, `GroupId`, `Dn`, …) | their `Display`; `as_str` returns the text itself, for machines |
//! | other values from outside, such as names | [`Shown`] |
//! | standard output and standard error | [`crate::terminal`] escapes each line that is written |
//! | logs | [`crate::telemetry`] escapes each field |

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A longer value is cut after this many characters.
const LONGEST_VALUE: usize = 200;

/// A longer line, or field of a log line, is cut after this many characters.
const LONGEST_LINE: usize = 4000;

/// A value from outside, with control characters escaped and cut to a readable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escaped(self.0, LONGEST_VALUE))
    }
}

/// A line that holds text from outside, on one line: line breaks in it are escaped as well.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, LONGEST_LINE)
}

/// Whether a character can move the cursor, start a terminal escape, break a line, or change the order in
/// which text is read.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

fn escaped(text: &str, longest: usize) -> Cow<'_, str> {
    // A text of so many bytes has at most as many characters.
    let is_short = text.len() <= longest || text.chars().nth(longest).is_none();
    if is_short && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(4 * longest));
    for c in text.chars().take(longest) {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{1b}' => shown.push_str("\\e"),
            c if is_unsafe(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if !is_short {
        let left_out = text.chars().count() - longest;
        // Writing to a string cannot fail.
        let _ = write!(shown, "… ({left_out} more characters)");
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::category::{ReferenceId, UserId};
    use crate::directory::{Dn, GroupId, Role, StableId};

    #[test]
    fn an_ordinary_value_is_shown_as_it_is() {
        for text in ["ada@example.edu", "cn=Zoë\\2c King", "数学 — 101", ""] {
            assert_eq!(Shown(text).to_string(), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let text = "a\nb\rc\td\u{1b}[2Je\u{9b}f\u{7f}g\0h\u{2028}i\u{202e}j\u{200f}k\u{2066}l\u{feff}m\u{85}n";
        assert_snapshot!(
            Shown(text),
            @r"a\nb\rc\td\e[2Je\u{9b}f\u{7f}g\u{0}h\u{2028}i\u{202e}j\u{200f}k\u{2066}l\u{feff}m\u{85}n"
        );
    }

    #[test]
    fn a_value_that_is_too_long_is_cut_and_says_by_how_much() {
        let longest = "ä".repeat(LONGEST_VALUE);
        assert_eq!(Shown(&longest).to_string(), longest);
        let longer = format!("{longest}x\ny");
        assert_eq!(
            Shown(&longer).to_string(),
            format!("{longest}… (3 more characters)")
        );
    }

    #[test]
    fn every_id_is_shown_escaped_and_keeps_its_text() {
        let forged = "eve\nNothing to do.";
        let shown = [
            UserId::new(forged).to_string(),
            ReferenceId::new(forged).to_string(),
            GroupId::new(forged).to_string(),
            Role::new(forged).to_string(),
            StableId::new(forged).to_string(),
        ];
        for shown in shown {
            assert_eq!(shown, "eve\\nNothing to do.");
        }
        assert_eq!(UserId::new(forged).as_str(), forged);
        let dn = Dn::parse("cn=eve\u{1b}[2J,dc=example").unwrap();
        assert_eq!(dn.to_string(), "cn=eve\\e[2j,dc=example");
    }

    #[test]
    fn padding_counts_what_is_shown() {
        assert_eq!(format!("[{:5}]", UserId::new("a\n")), "[a\\n  ]");
    }
}
