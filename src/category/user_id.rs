//! The rule of what a user ID is, and when two are the same.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A person's ID in Kaltura, as first written; compared without ASCII case, as the server's
/// collation does (`JDoe` finds `jdoe`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

/// Why Kaltura would refuse a user ID, or take it for another person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserIdProblem {
    /// There is no text.
    Empty,
    /// The text is `0`, which the server reads as "nobody".
    Zero,
    /// Longer than the 100 bytes that the server stores: two long IDs would become one person.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Holds a character outside the server's pattern.
    Forbidden {
        /// The first such character.
        character: char,
    },
}

impl UserId {
    /// The longest user ID that the server stores whole, in bytes (`puser_id` is `varchar(100)`).
    pub const MAX_BYTES: usize = 100;

    /// Takes a user ID as it stands; ask [`problem`](Self::problem) before it is sent.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text as first written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text by which two IDs are the same person.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Says why Kaltura would refuse this ID (`kuser.php`, `PUSER_ID_REGEXP`), or `None`.
    pub fn problem(&self) -> Option<UserIdProblem> {
        if self.0.is_empty() {
            return Some(UserIdProblem::Empty);
        }
        if &*self.0 == "0" {
            return Some(UserIdProblem::Zero);
        }
        if let Some(character) = self.0.chars().find(|c| !is_allowed(*c)) {
            return Some(UserIdProblem::Forbidden { character });
        }
        let bytes = self.0.len();
        (bytes > Self::MAX_BYTES).then_some(UserIdProblem::TooLong { bytes })
    }
}

/// The characters of the server's pattern. Its leniency about a trailing newline is not ours.
fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || ",!#$%&'*+?^_`{|}~.@-".contains(c)
}

fn folded(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

impl PartialEq for UserId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for UserId {}

impl Ord for UserId {
    fn cmp(&self, other: &Self) -> Ordering {
        // A loop rather than iterators: a plan for a million people compares ten million times.
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        for (a, b) in one.iter().zip(other) {
            let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
            if a != b {
                return a.cmp(&b);
            }
        }
        one.len().cmp(&other.len())
    }
}

impl PartialOrd for UserId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for UserId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        folded(&self.0).for_each(|byte| state.write_u8(byte));
        state.write_u8(0xff);
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::shown::Shown(&self.0).fmt(f)
    }
}

impl fmt::Display for UserIdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty"),
            Self::Zero => write!(f, "Kaltura reads \"0\" as nobody"),
            Self::TooLong { bytes } => write!(
                f,
                "it has {bytes} bytes and Kaltura keeps {}, so it could become another person's",
                UserId::MAX_BYTES
            ),
            Self::Forbidden { character } => write!(
                f,
                "Kaltura does not allow {character:?} in a user ID (only letters, digits and ,!#$%&'*+?^_`{{|}}~.@-)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_make_another_person() {
        let (a, b) = (UserId::new("JDoe"), UserId::new("jdoe"));
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_eq!(a.key(), b.key());
        assert_eq!(a.as_str(), "JDoe", "the first spelling is kept");
    }

    #[test]
    fn ids_that_kaltura_would_refuse_or_confuse() {
        let problem = |text: &str| UserId::new(text).problem();
        assert_eq!(problem("ada.l@example.edu"), None);
        assert_eq!(problem("a`b{c}|~#"), None);
        assert_eq!(problem(""), Some(UserIdProblem::Empty));
        assert_eq!(problem("0"), Some(UserIdProblem::Zero));
        assert_eq!(problem("0x"), None);
        for (text, character) in [
            ("ada lovelace", ' '),
            ("EXAMPLE\\ada", '\\'),
            ("uid=ada", '='),
            ("zoë", 'ë'),
            ("ada\n", '\n'),
        ] {
            assert_eq!(problem(text), Some(UserIdProblem::Forbidden { character }));
        }
        assert_eq!(problem(&"a".repeat(100)), None);
        assert_eq!(
            problem(&"a".repeat(101)),
            Some(UserIdProblem::TooLong { bytes: 101 })
        );
    }
}
