//! What can go wrong between Rollbook and Kaltura, and what to do about it.
//!
//! *Its one idea: an error is asked what to do, not what it is.* [`ApiError::disposition`] and
//! [`KalturaError::is_passing`] answer that; the texts are for people and hold no session, no
//! secret and nobody's ID.

use std::time::Duration;

use super::api_error::{ApiError, Disposition};

/// Why the client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KalturaError {
    /// The client could not be set up.
    #[error("the Kaltura client cannot be set up: {problem}")]
    Setup {
        /// What is wrong, and with which key.
        problem: String,
    },
    /// No session could be had.
    #[error("Kaltura gave no session ({how}): {error}. {}", error.hint())]
    Session {
        /// The way that was tried.
        how: &'static str,
        /// The server's answer.
        error: ApiError,
    },
    /// The server refused a call for good.
    #[error("Kaltura refused {action}: {error}. {}", error.hint())]
    Refused {
        /// The call: `category.list`, say.
        action: String,
        /// The server's answer.
        error: ApiError,
    },
    /// There was no usable answer, as often as it was tried.
    #[error("Kaltura gave no usable answer to {action} in {attempts} attempts: {fault}. {}", fault.hint())]
    NoAnswer {
        /// The call, or the first of several.
        action: String,
        /// How often it was tried.
        attempts: usize,
        /// What came instead.
        fault: Fault,
    },
    /// This process may not write any more.
    #[error(
        "nothing more is written to Kaltura: another run has taken over, or the state file cannot be read. The next run goes on with what is left"
    )]
    Withdrawn,
    /// The changes were approved for another account.
    #[error(
        "nothing is written to Kaltura: what was approved is for another account than this one (kaltura.url, kaltura.partner_id)"
    )]
    OtherAccount,
    /// A list did not add up, twice.
    #[error(
        "the list of {subject} is not complete: Kaltura says {expected} and gave {found}, and a \
         second reading did not agree either. Nothing is concluded from it; the next run reads it again"
    )]
    Incomplete {
        /// What was listed.
        subject: String,
        /// How many the server says there are.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// More rows came into being in one second than a list can show.
    #[error(
        "the list of {subject} cannot be read: more than 10000 of them were made in the second \
         {second}, which is more than Kaltura lists. Narrow `kaltura.root`"
    )]
    Crowded {
        /// What was listed.
        subject: String,
        /// The second, in Unix seconds.
        second: i64,
    },
    /// The answer is JSON of another shape than the API promises.
    #[error(
        "Kaltura's answer to {action} cannot be understood. Is the address that of a Kaltura server?"
    )]
    Unreadable {
        /// The call.
        action: String,
    },
}

impl KalturaError {
    /// Whether a later attempt may well succeed without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Setup { .. }
            | Self::Crowded { .. }
            | Self::Unreadable { .. }
            | Self::OtherAccount => false,
            Self::Incomplete { .. } | Self::Withdrawn => true,
            Self::Session { error, .. } | Self::Refused { error, .. } => matches!(
                error.disposition(),
                Disposition::Passing | Disposition::Throttled
            ),
            Self::NoAnswer { fault, .. } => fault.is_passing(),
        }
    }
}

/// What came instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection: nothing was sent.
    #[error("no connection could be made ({})", cause(.0))]
    Connect(reqwest::Error),
    /// The time was up.
    #[error("no answer came within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection broke.
    #[error("the connection broke before the answer was complete ({})", cause(.0))]
    Cut(reqwest::Error),
    /// A status other than 200, which never comes from the API itself.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A 200 without a body: PHP died.
    #[error("the answer was empty")]
    Empty,
    /// Something else than JSON.
    #[error("the answer was not JSON")]
    NotJson,
    /// Neither a log nor an error, where a log was asked for.
    #[error("the answer was neither a log nor an error")]
    NoLog,
    /// More bytes than any answer has.
    #[error("the answer was larger than {0} bytes")]
    TooLarge(usize),
    /// Not as many answers as calls.
    #[error("{answers} answers came to {calls} calls")]
    Mismatch {
        /// Calls made.
        calls: usize,
        /// Answers received.
        answers: usize,
    },
    /// The request could not be written: nothing was sent.
    #[error("the request could not be put into words")]
    Unwritable(#[source] serde_json::Error),
    /// This process may not write any more: nothing was sent.
    #[error("another run has taken over")]
    Withdrawn,
    /// A value looks like a token that the server would replace: nothing was sent.
    #[error("a value looks like the multirequest token {{1:result}}, which Kaltura would replace")]
    Token,
}

impl Fault {
    /// Whether the same request may succeed a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::TimedOut(_)
            | Self::Cut(_)
            | Self::Empty
            | Self::NotJson
            | Self::NoLog
            | Self::Withdrawn
            | Self::Mismatch { .. } => true,
            Self::Status(status) => matches!(status, 413 | 429 | 500 | 502 | 503 | 504),
            Self::TooLarge(_) | Self::Unwritable(_) | Self::Token => false,
        }
    }

    /// Whether it is certain that the server did nothing.
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::Unwritable(_)
                | Self::Withdrawn
                | Self::Token
                | Self::Status(301..=308)
        )
    }

    /// What a person can do.
    fn hint(&self) -> &'static str {
        match self {
            Self::Connect(_) => {
                "Check `kaltura.url`, the network, and `kaltura.ca_file` if the server's certificate is your own"
            }
            Self::Status(301..=308) => {
                "The server redirects: put its final address into `kaltura.url`"
            }
            Self::Status(404) => "Check `kaltura.url`: it is the server's address without a path",
            Self::NoLog | Self::TooLarge(_) => {
                "Check `kaltura.url`, and what stands between here and the server"
            }
            Self::TimedOut(_) => {
                "If this happens often, lower `kaltura.batch` or raise `kaltura.timeout`"
            }
            _ => "The next run tries again",
        }
    }
}

/// The innermost reason, which is the one that helps: a refused connection, an unknown certificate.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
