//! Whether an attribute that did not come is absent, or cannot be read.
//!
//! A search leaves out what the account may not read, without a word. A compare operation (RFC 4511, section
//! 4.10) tells more: `noSuchAttribute` (16) is said only where the account may know, `compareTrue` and
//! `compareFalse` (6, 5) say that there are values, and `insufficientAccessRights` (50) that nobody tells.

use std::time::Duration;

use futures_util::future::join_all;

use super::relay::Meter;
use super::session::{Session, caught};

/// Compare operations under way at once.
const AT_ONCE: usize = 32;

/// Values to compare with: one that is valid in the attribute's syntax is needed.
const VALUES: [&str; 3] = ["", "0", "TRUE"];

/// What the server says of an attribute that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// The entry does not have it.
    Absent,
    /// It has it, or the account may not know.
    Unreadable,
    /// The server does not answer the question.
    NotAnswered,
}

/// Asks of each of these entries whether it has the attribute.
pub(super) async fn absences(
    session: &mut Session,
    attribute: &str,
    entries: &[&str],
) -> Vec<Absence> {
    let mut found = Vec::with_capacity(entries.len());
    for entries in entries.chunks(AT_ONCE) {
        let asked: Vec<_> = entries
            .iter()
            .map(|dn| {
                let question = (dn.to_string(), attribute.to_owned());
                absence(session.line(), session.timeout(), question)
            })
            .collect();
        let answers = join_all(asked).await;
        let is_mute = answers.iter().all(|answer| *answer == Absence::NotAnswered);
        found.extend(answers);
        if is_mute {
            break;
        }
    }
    found.resize(entries.len(), Absence::NotAnswered);
    found
}

/// What the server says to the question whether an entry has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// It has it.
    Yes,
    /// It has others.
    No,
    /// It has none that the account may know of.
    NoValues,
    /// There is no such entry that the account may know of.
    NoEntry,
    /// The server does not compare here.
    NotAnswered,
    /// The account may not know.
    Refused,
}

impl Compared {
    /// Whether the value is there, or may be.
    pub(super) fn may_be(self) -> bool {
        matches!(self, Self::Yes | Self::Refused)
    }
}

/// Asks of each entry whether it has the value: questions are a DN, an attribute and a value.
pub(super) async fn compare(
    session: &mut Session,
    questions: &[(String, String, String)],
) -> Vec<Compared> {
    let mut found = Vec::with_capacity(questions.len());
    for questions in questions.chunks(AT_ONCE) {
        let asked: Vec<_> = questions
            .iter()
            .map(|question| has(session.line(), session.timeout(), question.clone()))
            .collect();
        found.extend(join_all(asked).await);
    }
    found
}

async fn has(
    (mut ldap, meter): (ldap3::Ldap, Meter),
    timeout: Duration,
    (dn, attribute, value): (String, String, String),
) -> Compared {
    ldap.with_timeout(timeout);
    let compared = caught(&meter, ldap.compare(&dn, &attribute, &value)).await;
    match compared.map(|result| result.0.rc) {
        Ok(6) => Compared::Yes,
        Ok(5) => Compared::No,
        Ok(16 | 17) => Compared::NoValues,
        Ok(32) => Compared::NoEntry,
        Ok(2 | 12 | 21 | 53) => Compared::NotAnswered,
        Ok(_) | Err(_) => Compared::Refused,
    }
}

async fn absence(
    (mut ldap, meter): (ldap3::Ldap, Meter),
    timeout: Duration,
    (dn, attribute): (String, String),
) -> Absence {
    for value in VALUES {
        ldap.with_timeout(timeout);
        let compared = caught(&meter, ldap.compare(&dn, &attribute, value)).await;
        match compared.map(|result| result.0.rc) {
            // The value is not valid for the attribute: another one may be.
            Ok(21) => {}
            Ok(16 | 17) => return Absence::Absent,
            Ok(5 | 6 | 50) => return Absence::Unreadable,
            Ok(_) | Err(_) => return Absence::NotAnswered,
        }
    }
    Absence::NotAnswered
}
