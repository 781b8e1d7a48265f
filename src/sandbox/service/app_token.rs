//! `appToken`: sessions without the account's secret.
//!
//! *Its one idea: what an administrator wrote into the token wins over what its bearer asks for*;
//! only a shorter life may be asked.

use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::{Service, action, session};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page};
use crate::sandbox::ks::hex;
use crate::sandbox::params::{Kind, Record};
use crate::sandbox::state::AppToken;

/// `status` of a token that works.
const TOKEN_ACTIVE: i64 = 2;
/// `status` of a token that was deleted.
const TOKEN_DELETED: i64 = 3;

pub(super) const SERVICE: Service = Service {
    name: "appToken",
    actions: &[
        action(
            "add",
            const { &[required("appToken", Kind::Object(&classes::APP_TOKEN))] },
            &["APP_TOKEN_ADD"],
            add,
        ),
        action(
            "get",
            const { &[required("id", Kind::Text)] },
            &["APP_TOKEN_BASE"],
            |call| {
                let at = find(call)?;
                Ok(view(call, &call.state.tokens[at]))
            },
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::APP_TOKEN_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            &["APP_TOKEN_BASE"],
            list,
        ),
        action(
            "update",
            const {
                &[
                    required("id", Kind::Text),
                    required("appToken", Kind::Object(&classes::APP_TOKEN)),
                ]
            },
            &["APP_TOKEN_UPDATE"],
            update,
        ),
        action(
            "delete",
            const { &[required("id", Kind::Text)] },
            &["APP_TOKEN_DELETE"],
            delete,
        ),
        action(
            "startSession",
            const {
                &[
                    required("id", Kind::Text),
                    required("tokenHash", Kind::Text),
                    optional("userId", Kind::Text),
                    optional("type", Kind::Enum(&classes::SESSION_TYPE)),
                    optional("expiry", Kind::Int),
                    optional("sessionPrivileges", Kind::Text),
                ]
            },
            &["BASE_USER_SESSION_PERMISSION", "WIDGET_SESSION_PERMISSION"],
            start_session,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call.args.record("appToken").cloned().unwrap_or_default();
    if let Some(refused) = sent.refused(&classes::APP_TOKEN, true, |_| None) {
        return Err(refused.into());
    }
    let Some(user_id) = sent.filled("sessionUserId") else {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"sessionUserId"]).into());
    };
    let now = call.now();
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let random = &mut call.state.random;
    let name: String = (0..8)
        .map(|_| char::from(letters[random.usize(..letters.len())]))
        .collect();
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let token = AppToken {
        id: format!("0_{name}"),
        token: hex(&bytes),
        created: now,
        updated: now,
        status: TOKEN_ACTIVE,
        expiry: sent.int("expiry").unwrap_or(0),
        kind: sent.int("sessionType").unwrap_or(0),
        user_id: user_id.to_owned(),
        duration: sent
            .int("sessionDuration")
            .unwrap_or(call.state.limits.session_seconds),
        privileges: sent.text("sessionPrivileges").map(str::to_owned),
        hash: sent.text("hashType").unwrap_or("SHA1").to_owned(),
        description: sent.text("description").map(str::to_owned),
    };
    let answer = view(call, &token);
    call.state.tokens.push(token);
    Ok(answer)
}

fn find(call: &Call<'_>) -> Result<usize, ApiError> {
    let id = call.args.text("id").unwrap_or_default();
    call.state
        .tokens
        .iter()
        .position(|token| token.id == id && token.status != TOKEN_DELETED)
        .ok_or_else(|| ApiError::new(error::APP_TOKEN_ID_NOT_FOUND, &[&id]))
}

fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let limits = &call.state.limits;
    let page = Page::of(call.args.record("pager"), limits.default_page_size, limits)?;
    let status = OneOf::of(filter, "status", limits);
    let mut found: Vec<&AppToken> = call
        .state
        .tokens
        .iter()
        .filter(|token| token.status != TOKEN_DELETED && status.has(token.status))
        .filter(|token| filter.filled("idEqual").is_none_or(|id| id == token.id))
        .filter(|token| {
            filter
                .filled("idIn")
                .is_none_or(|ids| ids.split(',').any(|id| id == token.id))
        })
        .filter(|token| {
            filter
                .filled("sessionUserIdEqual")
                .is_none_or(|id| id.eq_ignore_ascii_case(&token.user_id))
        })
        .collect();
    // Tokens have no numbers: their texts are the primary key, and so the order.
    found.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = page.cut(&found).iter().map(|token| view(call, token));
    Ok(Answer::page(
        "KalturaAppTokenListResponse",
        found.len(),
        Some(rows.collect()),
    ))
}

fn update(call: &mut Call<'_>) -> Outcome {
    let at = find(call)?;
    let sent = call.args.record("appToken").cloned().unwrap_or_default();
    if let Some(refused) = sent.refused(&classes::APP_TOKEN, false, |_| None) {
        return Err(refused.into());
    }
    let now = call.now();
    let token = &mut call.state.tokens[at];
    let text = |name: &str| sent.text(name).map(str::to_owned);
    token.expiry = sent.int("expiry").unwrap_or(token.expiry);
    token.kind = sent.int("sessionType").unwrap_or(token.kind);
    token.duration = sent.int("sessionDuration").unwrap_or(token.duration);
    token.user_id = text("sessionUserId").unwrap_or_else(|| token.user_id.clone());
    token.hash = text("hashType").unwrap_or_else(|| token.hash.clone());
    token.privileges = text("sessionPrivileges").or_else(|| token.privileges.clone());
    token.description = text("description").or_else(|| token.description.clone());
    token.updated = now;
    Ok(view(call, &call.state.tokens[at]))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let at = find(call)?;
    let token = &mut call.state.tokens[at];
    token.status = TOKEN_DELETED;
    let id = token.id.clone();
    // All sessions of a token carry its id, and end with it.
    call.state.sessions.ended_ids.insert(id);
    Ok(Answer::Null)
}

fn start_session(call: &mut Call<'_>) -> Outcome {
    let now = call.now();
    let at = find(call)?;
    let token = call.state.tokens[at].clone();
    if token.status != TOKEN_ACTIVE {
        return Err(ApiError::new(error::APP_TOKEN_NOT_ACTIVE, &[&token.id]).into());
    }
    if token.expiry != 0 && token.expiry <= now {
        return Err(ApiError::new(error::APP_TOKEN_EXPIRED, &[&token.id]).into());
    }
    let proof = digest(
        &token.hash,
        &format!("{}{}", call.session.text, token.token),
    );
    // Compared as text: upper-case digits are another text.
    if call.args.text("tokenHash") != Some(proof.as_str()) {
        return Err(ApiError::new(error::INVALID_APP_TOKEN_HASH, &[]).into());
    }
    let mut privileges = format!("sessionid:{id},apptoken:{id}", id = token.id);
    if let Some(own) = token.privileges.as_deref().filter(|own| !own.is_empty()) {
        privileges = format!("{privileges},{own}");
    }
    let asked = call.args.int("expiry").unwrap_or(token.duration);
    let mut life = asked.min(token.duration);
    if token.expiry != 0 {
        life = life.min(token.expiry - now);
    }
    let user_id = token.user_id.clone();
    let ks = session::issue(call, user_id, token.kind, Some(life), privileges.clone());
    Ok(Answer::Object(Object {
        class: "KalturaSessionInfo",
        fields: vec![
            ("ks", Answer::text(ks)),
            ("sessionType", Answer::Int(token.kind)),
            ("partnerId", Answer::text(call.state.partner.id.to_string())),
            ("userId", Answer::text(token.user_id)),
            ("expiry", Answer::Int(now + life)),
            ("privileges", Answer::text(privileges)),
        ],
    }))
}

fn digest(kind: &str, text: &str) -> String {
    match kind {
        "MD5" => hex(&Md5::digest(text)),
        "SHA256" => hex(&Sha256::digest(text)),
        "SHA512" => hex(&Sha512::digest(text)),
        _ => hex(&Sha1::digest(text)),
    }
}

fn view(call: &Call<'_>, token: &AppToken) -> Answer {
    Answer::Object(Object {
        class: "KalturaAppToken",
        fields: vec![
            ("id", Answer::text(&*token.id)),
            ("token", Answer::text(&*token.token)),
            ("partnerId", Answer::Int(call.state.partner.id)),
            ("createdAt", Answer::Int(token.created)),
            ("updatedAt", Answer::Int(token.updated)),
            ("status", Answer::Int(token.status)),
            (
                "expiry",
                Answer::maybe_int(Some(token.expiry).filter(|expiry| *expiry != 0)),
            ),
            ("sessionType", Answer::Int(token.kind)),
            ("sessionUserId", Answer::text(&*token.user_id)),
            ("sessionDuration", Answer::Int(token.duration)),
            (
                "sessionPrivileges",
                Answer::maybe(token.privileges.as_deref()),
            ),
            ("hashType", Answer::text(&*token.hash)),
            ("description", Answer::maybe(token.description.as_deref())),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The session of the API notes with the token `0011…ff`.
    #[test]
    fn the_proof_is_the_digest_of_session_and_token() {
        let ks = "djJ8MTAxfFrtYJRRp0EGQ4_LZREXbAHf8f7SvMBhBJu2K-jZR9iKUKP_IuEQLWx545IFFoVbklvLDGCUlj7hzHe3nJvftC8RGph77-ZiRG8-tXaa7_2Kgw_n4zy-IQ9DRpmLBVNTEA3PCMINkZkUvsE9Tb7k_Xc=";
        let text = format!("{ks}00112233445566778899aabbccddeeff");
        assert_eq!(
            digest("SHA1", &text),
            "b021b06a1e50e888cd77ccbdd3921713beb350dd"
        );
        assert_eq!(digest("MD5", &text), "f68b1d492fcd8db28458c5135bfd1bdc");
        assert_eq!(
            digest("SHA256", &text),
            "55816a400bc27d57a485efd9bad4e2e7eefb9a1b6146174a69e1ed06b3d58e3b"
        );
    }
}
