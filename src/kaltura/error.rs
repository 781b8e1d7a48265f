//! What can go wrong between Rollbook and Kaltura, and what to do about it.
//!
//! *Its one idea: an error is asked what to do, not what it is.* [`ApiError::disposition`] and
//! [`KalturaError::is_passing`] answer that; the texts are for people and hold no session, no
//! secret and nobody's ID.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        #[source]
        fault: Fault,
    },
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
            Self::Setup { .. } | Self::Crowded { .. } | Self::Unreadable { .. } => false,
            Self::Incomplete { .. } => true,
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
    #[error("no connection could be made")]
    Connect(#[source] reqwest::Error),
    /// The time was up.
    #[error("no answer came within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection broke.
    #[error("the connection broke before the answer was complete")]
    Cut(#[source] reqwest::Error),
    /// A status other than 200, which never comes from the API itself.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A 200 without a body: PHP died.
    #[error("the answer was empty")]
    Empty,
    /// Something else than JSON.
    #[error("the answer was not JSON")]
    NotJson,
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
            | Self::Mismatch { .. } => true,
            Self::Status(status) => matches!(status, 413 | 429 | 500 | 502 | 503 | 504),
            Self::Unwritable(_) | Self::Token => false,
        }
    }

    /// Whether it is certain that the server did nothing.
    pub fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Connect(_) | Self::Unwritable(_) | Self::Token | Self::Status(301..=308)
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
            Self::TimedOut(_) => {
                "If this happens often, lower `kaltura.batch` or raise `kaltura.timeout`"
            }
            _ => "The next run tries again",
        }
    }
}

/// An error that the API answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The server's code, such as `CATEGORY_NOT_FOUND`.
    pub code: String,
    /// The server's text, without anybody's ID and without the session.
    pub message: String,
    /// The arguments of the text that give nobody away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// What to do about an [`ApiError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It passes: try again a little later.
    Passing,
    /// We ask too often: wait, then try again.
    Throttled,
    /// The session is over: take a new one and ask again, once.
    Renew,
    /// It stays as it is until a person changes something.
    Permanent,
}

/// Arguments that name a person or hold a session.
const PRIVATE_ARGS: [&str; 4] = ["USER", "UID", "KSID", "USER_ID"];
/// What the server puts into KSID for a session that it could read.
const KS_REASONS: [&str; 9] = [
    "EXPIRED",
    "LOGOUT",
    "EXCEEDED_ACTIONS_LIMIT",
    "EXCEEDED_RESTRICTED_IP",
    "EXCEEDED_RESTRICTED_URI",
    "INVALID_PARTNER",
    "INVALID_USER",
    "INVALID_TYPE",
    "INVALID_LKS",
];
const KSID: &str = "KSID";
const UNREADABLE_SESSION: &str = "unreadable";
const LONGEST_MESSAGE: usize = 300;

impl ApiError {
    /// Takes the error out of an answer, cleaned; `None` where the answer is no error.
    pub(super) fn from_answer(answer: &Value) -> Option<Self> {
        let is_error =
            answer.get("objectType").and_then(Value::as_str) == Some("KalturaAPIException");
        if !is_error {
            return None;
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = text("code").to_owned();
        let mut message = text("message").to_owned();
        let mut args = BTreeMap::new();
        // An array, always empty, where there are no arguments.
        for (name, value) in answer
            .get("args")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if name == KSID {
                args.insert(name.clone(), session_reason(&value).to_owned());
            } else if PRIVATE_ARGS.contains(&name.as_str()) {
                message = message.replace(&value, "…");
            } else {
                args.insert(name.clone(), redact_sessions(&value));
            }
        }
        if code == "INVALID_KS" {
            // The text holds the whole session where the server could not read it.
            let reason = args.get(KSID).map_or(UNREADABLE_SESSION, String::as_str);
            message = format!("the session is not accepted ({reason})");
        }
        Some(Self {
            code,
            message: redact_sessions(&message),
            args,
        })
    }

    /// An answer that the server should not have given, in the form of an error.
    pub(super) fn unexpected(message: impl Into<String>) -> Self {
        Self {
            code: "UNEXPECTED_ANSWER".to_owned(),
            message: message.into(),
            args: BTreeMap::new(),
        }
    }

    /// Says what to do.
    pub fn disposition(&self) -> Disposition {
        match self.code.as_str() {
            "ACTION_BLOCKED" => Disposition::Throttled,
            // INTERNAL_SERVERL_ERROR is the server's own spelling.
            "LOCK_TIMED_OUT"
            | "CATEGORIES_LOCKED"
            | "INTERNAL_SERVERL_ERROR"
            | "INTERNAL_DATABASE_ERROR"
            | "SEARCH_ENGINE_QUERY_FAILED" => Disposition::Passing,
            "INVALID_KS" => match self.args.get(KSID).map(String::as_str) {
                Some("EXPIRED" | "LOGOUT" | "EXCEEDED_ACTIONS_LIMIT" | UNREADABLE_SESSION) => {
                    Disposition::Renew
                }
                _ => Disposition::Permanent,
            },
            _ => Disposition::Permanent,
        }
    }

    /// Whether the server answers with this code before it does anything.
    pub(super) fn is_before_anything(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ACTION_BLOCKED" | "LOCK_TIMED_OUT" | "CATEGORIES_LOCKED" | "INVALID_KS"
        )
    }

    /// What a person can do.
    pub fn hint(&self) -> &'static str {
        match self.code.as_str() {
            "START_SESSION_ERROR" => "Check `kaltura.partner_id` and the administrator secret",
            "INVALID_KS" => match self.args.get(KSID).map(String::as_str) {
                Some("EXPIRED") => "Is this machine's clock right?",
                Some("EXCEEDED_RESTRICTED_IP" | "EXCEEDED_RESTRICTED_URI") => {
                    "The app token's privileges do not allow this address"
                }
                _ => "Check `kaltura.partner_id` and the secret or app token",
            },
            "APP_TOKEN_ID_NOT_FOUND" | "APP_TOKEN_NOT_ACTIVE" | "APP_TOKEN_EXPIRED" => {
                "Make a new app token (`appToken.add`) and put it into `kaltura.app_token`"
            }
            "INVALID_APP_TOKEN_HASH" => {
                "Check `kaltura.app_token.token`, and that `kaltura.app_token.hash` is the token's own hash type"
            }
            "INVALID_WIDGET_ID" => "Check `kaltura.partner_id`",
            "INVALID_OBJECT_ID" | "UNKNOWN_ROLE_ID" => {
                "Check `kaltura.role`: the account has no such role"
            }
            "SERVICE_FORBIDDEN" => {
                "The session's role needs the permission CONTENT_MANAGE_ASSIGN_CATEGORIES"
            }
            "SERVICE_FORBIDDEN_CONTENT_BLOCKED" => {
                "The account is blocked or does not exist: check `kaltura.partner_id`"
            }
            "SERVICE_ACCESS_CONTROL_RESTRICTED" => {
                "The account does not admit this machine's address"
            }
            "USER_BLOCKED" => "The user of the session is blocked: check `kaltura.user_id`",
            "ACTION_BLOCKED" => "Lower `kaltura.requests_per_second`",
            "CATEGORIES_LOCKED" => "A category is being moved or deleted; this passes",
            _ => match self.disposition() {
                Disposition::Permanent => "This does not pass by itself",
                _ => "This passes; the next run tries again",
            },
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}

fn session_reason(ksid: &str) -> &'static str {
    if ksid.is_empty() {
        // "This action needs other rights", by its position in the server's code.
        return "INVALID_TYPE";
    }
    KS_REASONS
        .iter()
        .find(|reason| **reason == ksid)
        .copied()
        .unwrap_or(UNREADABLE_SESSION)
}

/// Replaces what looks like a session (`djJ8` is `v2|` in base64), and bounds the length.
fn redact_sessions(text: &str) -> String {
    let mut clean = String::new();
    for (n, part) in text.split("djJ8").enumerate() {
        if n == 0 {
            clean.push_str(part);
            continue;
        }
        clean.push_str("[session]");
        clean.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_=+/".contains(c)),
        );
    }
    clean
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(code: &str, message: &str, args: Value) -> ApiError {
        ApiError::from_answer(&json!({
            "code": code, "message": message, "objectType": "KalturaAPIException", "args": args
        }))
        .unwrap()
    }

    #[test]
    fn surprise_01_an_error_is_told_by_its_object_type() {
        assert_eq!(ApiError::from_answer(&json!({"code": "X", "id": 1})), None);
        assert_eq!(ApiError::from_answer(&Value::Null), None);
        assert!(
            error("X", "y", json!([])).args.is_empty(),
            "no arguments are an empty array"
        );
    }

    #[test]
    fn surprise_20_the_reason_is_in_ksid_and_an_echoed_session_is_redacted() {
        let expired = error(
            "INVALID_KS",
            "Invalid KS \"EXPIRED\", Error \"-1,INVALID_STR\"",
            json!({"KSID": "EXPIRED", "ERR_CODE": "-1", "ERR_DESC": "INVALID_STR"}),
        );
        assert_eq!(expired.disposition(), Disposition::Renew);
        assert_eq!(
            expired.to_string(),
            "INVALID_KS (the session is not accepted (EXPIRED))"
        );

        for ks in [
            "djJ8MTAzfM05T2Hs5289PpMxzQNK",
            "MjI4ODAyYjgxZjFiNDUzYmI3ODM3NTc0",
        ] {
            let echoed = error(
                "INVALID_KS",
                &format!("Invalid KS \"{ks}\""),
                json!({"KSID": ks}),
            );
            assert_eq!(echoed.disposition(), Disposition::Renew);
            assert!(!format!("{echoed:?}").contains(ks));
        }
        for reason in ["EXCEEDED_RESTRICTED_IP", "INVALID_PARTNER", ""] {
            let other = error("INVALID_KS", "Invalid KS", json!({"KSID": reason}));
            assert_eq!(other.disposition(), Disposition::Permanent, "{reason}");
        }
    }

    #[test]
    fn nobody_is_named_in_a_message() {
        let gone = error(
            "INVALID_CATEGORY_USER_ID",
            "Invalid CategoryUser for category [\"3\"] and for user [\"ada@example.edu\"]",
            json!({"CAT": "3", "USER": "ada@example.edu"}),
        );
        assert_eq!(
            gone.message,
            "Invalid CategoryUser for category [\"3\"] and for user [\"…\"]"
        );
        assert!(!format!("{gone:?}").contains("ada"));
    }

    #[test]
    fn a_session_anywhere_in_a_text_is_redacted() {
        assert_eq!(
            redact_sessions("a/ks/djJ8MTAz_-=\" b"),
            "a/ks/[session]\" b"
        );
    }

    #[test]
    fn surprise_19_locked_categories_pass() {
        let locked = error("CATEGORIES_LOCKED", "Categories are locked", json!([]));
        assert_eq!(locked.disposition(), Disposition::Passing);
    }
}
