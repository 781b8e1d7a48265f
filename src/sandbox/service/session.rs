//! `session`: begin, look at, end.
//!
//! *Its one idea: either secret starts a user's session, only the admin secret an administrator's*;
//! every session is signed with the admin secret all the same.

use serde_json::Value;

use super::{Service, action, open};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, invalid_ks, optional, required};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::ks::Ks;
use crate::sandbox::params::Kind;

pub(super) const SERVICE: Service = Service {
    name: "session",
    actions: &[
        open(
            "start",
            const {
                &[
                    required("secret", Kind::Text),
                    optional("userId", Kind::Text),
                    optional("type", Kind::Enum(&classes::SESSION_TYPE)),
                    optional("partnerId", Kind::Int),
                    optional("expiry", Kind::Int),
                    optional("privileges", Kind::Text),
                ]
            },
            start,
        ),
        open(
            "startWidgetSession",
            const {
                &[
                    required("widgetId", Kind::Text),
                    optional("expiry", Kind::Int),
                ]
            },
            start_widget_session,
        ),
        open("end", &[], end),
        action(
            "get",
            const { &[optional("session", Kind::Text)] },
            &["SESSION_READ_PERMISSION", "KMC_ACCESS", "KMC_READ_ONLY"],
            get,
        ),
    ],
};

fn start(call: &mut Call<'_>) -> Outcome {
    // The cache in front of the API adds the raw text to the time; PHP 8 dies of that.
    if let Some(Value::String(expiry)) = call.sent.get("expiry")
        && expiry.trim().parse::<f64>().is_err()
    {
        return Err(Failure::Fatal);
    }
    let partner_id = call.args.int("partnerId").unwrap_or(0);
    let kind = call.args.int("type").unwrap_or(0);
    let secret = call.args.text("secret").unwrap_or_default();
    let partner = &call.state.partner;
    let good = secret == partner.admin_secret || (kind == 0 && secret == partner.user_secret);
    if partner_id != partner.id || !good {
        return Err(ApiError::new(error::START_SESSION_ERROR, &[&partner_id]).into());
    }
    let user_id = call.args.text("userId").unwrap_or_default().to_owned();
    let privileges = call.args.text("privileges").unwrap_or_default().to_owned();
    let expiry = call.args.int("expiry");
    Ok(Answer::text(issue(call, user_id, kind, expiry, privileges)))
}

fn start_widget_session(call: &mut Call<'_>) -> Outcome {
    let widget = call.args.text("widgetId").unwrap_or_default();
    let partner_id = call.state.partner.id;
    if widget != format!("_{partner_id}") {
        return Err(ApiError::new(error::INVALID_WIDGET_ID, &[&widget]).into());
    }
    let expiry = call.args.int("expiry");
    let ks = issue(
        call,
        "0".to_owned(),
        0,
        expiry,
        "view:*,widget:1".to_owned(),
    );
    Ok(Answer::Object(Object {
        class: "KalturaStartWidgetSessionResponse",
        fields: vec![
            ("partnerId", Answer::Int(partner_id)),
            ("ks", Answer::text(ks)),
            ("userId", Answer::Int(0)),
        ],
    }))
}

/// Writes a session, for no longer than the account allows.
pub(super) fn issue(
    call: &mut Call<'_>,
    user_id: String,
    kind: i64,
    expiry: Option<i64>,
    privileges: String,
) -> String {
    let longest = call.state.limits.session_seconds;
    let ks = Ks {
        partner_id: call.state.partner.id,
        user_id,
        kind,
        expiry: call.now() + expiry.unwrap_or(longest).min(longest),
        privileges,
    };
    let mut random = [0; 16];
    call.state.random.fill(&mut random);
    let text = ks.seal(&call.state.partner.admin_secret, random);
    call.state.seen_sessions.insert(text.clone());
    text
}

#[expect(clippy::unnecessary_wraps, reason = "an action answers like any other")]
fn end(call: &mut Call<'_>) -> Outcome {
    if !call.session.text.is_empty() {
        call.state.sessions.ended.insert(call.session.text.clone());
    }
    Ok(Answer::Null)
}

fn get(call: &mut Call<'_>) -> Outcome {
    let text = call.args.filled("session").unwrap_or(&call.session.text);
    let ks = Ks::open(text, &call.state.partner.admin_secret).ok_or_else(|| invalid_ks(text))?;
    Ok(Answer::Object(Object {
        class: "KalturaSessionInfo",
        fields: vec![
            ("ks", Answer::Null),
            ("sessionType", Answer::text(ks.kind.to_string())),
            ("partnerId", Answer::text(ks.partner_id.to_string())),
            ("userId", Answer::text(ks.user_id)),
            ("expiry", Answer::text(ks.expiry.to_string())),
            ("privileges", Answer::text(ks.privileges)),
        ],
    }))
}
