//! The API's own errors: cleaned, and asked what to do.
//!
//! *Its one idea: what the server says is cleaned before anybody reads it.* It echoes whole sessions
//! and people's IDs; neither leaves this file.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
                // An empty text stands between any two characters.
                if !value.is_empty() {
                    message = message.replace(&value, "…");
                }
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

    /// Whether it concerns files that are handed in.
    fn is_about_files(&self) -> bool {
        self.args
            .get("SERVICE")
            .is_some_and(|service| service.starts_with("bulkupload_bulk"))
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
            "SERVICE_FORBIDDEN" if self.is_about_files() => {
                "The session's role needs the permission CONTENT_INGEST_BULK_UPLOAD"
            }
            "SERVICE_FORBIDDEN" => {
                "The session's role needs the permission CONTENT_MANAGE_ASSIGN_CATEGORIES"
            }
            "INVALID_USER_ID" => {
                "Check `kaltura.user_id`: who hands in a file must be an active user"
            }
            "INVALID_FILE_TYPE" | "UPLOAD_ERROR" | "BULK_UPLOAD_CREATE_CSV_FILE_SYNC_ERROR" => {
                "Ask who runs the Kaltura server whether it accepts and can keep CSV files"
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
pub(super) fn redact_sessions(text: &str) -> String {
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

    fn error(code: &str, message: &str, args: &Value) -> ApiError {
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
            error("X", "y", &json!([])).args.is_empty(),
            "no arguments are an empty array"
        );
    }

    #[test]
    fn surprise_20_the_reason_is_in_ksid_and_an_echoed_session_is_redacted() {
        let expired = error(
            "INVALID_KS",
            "Invalid KS \"EXPIRED\", Error \"-1,INVALID_STR\"",
            &json!({"KSID": "EXPIRED", "ERR_CODE": "-1", "ERR_DESC": "INVALID_STR"}),
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
                &json!({"KSID": ks}),
            );
            assert_eq!(echoed.disposition(), Disposition::Renew);
            assert!(!format!("{echoed:?}").contains(ks));
        }
        for reason in ["EXCEEDED_RESTRICTED_IP", "INVALID_PARTNER", ""] {
            let other = error("INVALID_KS", "Invalid KS", &json!({"KSID": reason}));
            assert_eq!(other.disposition(), Disposition::Permanent, "{reason}");
        }
    }

    #[test]
    fn nobody_is_named_in_a_message() {
        let gone = error(
            "INVALID_CATEGORY_USER_ID",
            "Invalid CategoryUser for category [\"3\"] and for user [\"ada@example.edu\"]",
            &json!({"CAT": "3", "USER": "ada@example.edu"}),
        );
        assert_eq!(
            gone.message,
            "Invalid CategoryUser for category [\"3\"] and for user [\"…\"]"
        );
        assert!(!format!("{gone:?}").contains("ada"));
    }

    #[test]
    fn an_empty_name_leaves_the_message_as_it_is() {
        let missing = error("X", "no user [\"\"]", &json!({"USER": ""}));
        assert_eq!(missing.message, "no user [\"\"]");
    }

    #[test]
    fn surprise_24_a_session_in_an_address_is_redacted() {
        assert_eq!(
            redact_sessions("a/ks/djJ8MTAz_-=\" b"),
            "a/ks/[session]\" b"
        );
    }

    #[test]
    fn surprise_19_locked_categories_pass() {
        let locked = error("CATEGORIES_LOCKED", "Categories are locked", &json!([]));
        assert_eq!(locked.disposition(), Disposition::Passing);
    }
}
