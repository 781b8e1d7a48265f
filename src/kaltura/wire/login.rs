//! Calls that make a session, and their answers.

use serde::{Deserialize, Serialize};

use super::row::optional_number;

/// A call that makes a session: alone in its request, and without a session of its own.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::kaltura) enum Login<'a> {
    /// `session.start`
    #[serde(rename_all = "camelCase")]
    Start {
        /// The administrator secret.
        secret: &'a str,
        /// In whose name.
        user_id: &'a str,
        /// The account.
        partner_id: i64,
        /// For how many seconds.
        expiry: u64,
        /// With which privileges.
        privileges: &'a str,
        /// Always [`ADMIN_SESSION_KIND`].
        r#type: u8,
        /// Always [`JSON`].
        format: u8,
    },
    /// `session.startWidgetSession`
    #[serde(rename_all = "camelCase")]
    Widget {
        /// An underscore and the account's number.
        widget_id: String,
        /// For how many seconds.
        expiry: u64,
        /// Always [`JSON`].
        format: u8,
    },
    /// `appToken.startSession`
    #[serde(rename_all = "camelCase")]
    AppToken {
        /// The widget session.
        ks: &'a str,
        /// The token's ID.
        id: &'a str,
        /// The hash of both.
        token_hash: String,
        /// For how many seconds.
        expiry: u64,
        /// Always [`JSON`].
        format: u8,
    },
}

impl Login<'_> {
    /// The path below `/api_v3/service/`.
    pub(in crate::kaltura) fn path(&self) -> &'static str {
        match self {
            Self::Start { .. } => "session/action/start",
            Self::Widget { .. } => "session/action/startWidgetSession",
            Self::AppToken { .. } => "appToken/action/startSession",
        }
    }

    /// The action, for people.
    pub(in crate::kaltura) fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "session.start",
            Self::Widget { .. } => "session.startWidgetSession",
            Self::AppToken { .. } => "appToken.startSession",
        }
    }
}

/// The answer of `startWidgetSession` and `appToken.startSession`.
#[derive(Deserialize)]
pub(in crate::kaltura) struct SessionInfo {
    /// The session.
    pub(in crate::kaltura) ks: String,
    /// When it ends, where the server says so.
    #[serde(default, deserialize_with = "optional_number")]
    pub(in crate::kaltura) expiry: Option<i64>,
    /// What it may do, where the server says so.
    #[serde(default)]
    pub(in crate::kaltura) privileges: Option<String>,
}
