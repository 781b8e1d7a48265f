//! Whether a session is still good.
//!
//! *Its one idea: every way in which a session is over has the same code and another reason.*

use super::Request;
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::ks::Ks;
use crate::sandbox::params::leading_int;
use crate::sandbox::state::State;

/// A session that was written by the account may still be over. The reason stands where the text
/// of the session stands when it cannot be read at all.
pub(super) fn check(
    state: &mut State,
    ks: &Ks,
    text: &str,
    request: &Request,
    now: i64,
) -> Result<(), Failure> {
    if !state.seen_sessions.contains(text) {
        state.seen_sessions.insert(text.to_owned());
    }
    let sessions = &state.sessions;
    let together = ks.privilege("sessionid");
    let fault = if sessions.ended.contains(text)
        || together.is_some_and(|id| sessions.ended_ids.contains(id))
    {
        Some("LOGOUT")
    } else if ks.expiry <= now || sessions.expired.contains(text) {
        Some("EXPIRED")
    } else if let Some(limit) = ks.privilege("actionslimit") {
        let used = state.sessions.uses.entry(text.to_owned()).or_default();
        *used += 1;
        (*used > leading_int(limit)).then_some("EXCEEDED_ACTIONS_LIMIT")
    } else {
        None
    };
    let ip = ks.privilege("iprestrict");
    let uri = ks.privilege("urirestrict");
    let fault = fault
        .or_else(|| {
            let outside =
                ip.is_some_and(|ip| !ip.split('/').any(|ip| ip == request.peer.to_string()));
            outside.then_some("EXCEEDED_RESTRICTED_IP")
        })
        .or_else(|| {
            let outside =
                uri.is_some_and(|uris| !uris.split('|').any(|uri| fits(uri, &request.path)));
            outside.then_some("EXCEEDED_RESTRICTED_URI")
        });
    fault.map_or(Ok(()), |reason| Err(invalid_ks(reason).into()))
}

fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

/// `INVALID_KS` with the session, or the reason, in `KSID`.
pub(in crate::sandbox) fn invalid_ks(id: &str) -> ApiError {
    let mut error = ApiError::new(error::INVALID_KS, &[&id, &"-1", &"INVALID_STR"]);
    if let Some((_, shown)) = error.args.first_mut() {
        id.clone_into(shown);
    }
    error
}
