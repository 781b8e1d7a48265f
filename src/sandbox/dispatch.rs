//! From a request to an answer: find the action, read its arguments, check the session, run it.
//!
//! *Its one idea: the order of checks is part of the interface.* Service, action, session text,
//! partner, arguments, validity of the session, permission, and only then the action itself
//! (`KalturaDispatcher.php`); a client sees the first that fails.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value};

use super::Server;
use super::access::Permissions;
use super::answer::Answer;
use super::calls::Answered;
use super::error::{self, ApiError, Failure};
use super::faults::AskedCall;
use super::ks::Ks;
use super::params::{Param, Record, int, plain};
use super::service::{self, Action};
use super::state::State;

mod multirequest;
mod shape;
mod validity;

use multirequest::multirequest;
use shape::{is_list, shorten, show_only};
use validity::check;

pub(super) use validity::invalid_ks;

/// A partner every installation has: known, and nobody's business.
const TEMPLATE_PARTNER: i64 = 99;

/// What an action makes of a call.
pub(super) type Outcome = Result<Answer, Failure>;

/// A request, decoded.
#[derive(Debug)]
pub(super) struct Request {
    /// All parameters, nested.
    pub(super) params: Map<String, Value>,
    /// The path it came to.
    pub(super) path: String,
    /// The host it was sent to.
    pub(super) host: String,
    /// Where it came from.
    pub(super) peer: IpAddr,
    /// When it came.
    pub(super) began: Instant,
}

/// One call of an action, ready to run.
pub(super) struct Call<'a> {
    /// The account.
    pub(super) state: &'a mut State,
    /// Who asks.
    pub(super) session: Session,
    /// The arguments.
    pub(super) args: Record,
    /// The parameters as they were sent.
    pub(super) sent: &'a Map<String, Value>,
    /// The host it was sent to.
    pub(super) host: &'a str,
    /// The present, in milliseconds.
    pub(super) now_ms: i64,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Session {
    /// What the session says; nothing without one.
    pub(super) ks: Option<Ks>,
    /// The session as it was sent.
    pub(super) text: String,
    /// What it may do.
    pub(super) permissions: Permissions,
    /// Whether it is Kaltura's own worker, whom owners and inheritance do not keep from deleting.
    pub(super) is_worker: bool,
}

impl Session {
    /// The user of the session; empty for none.
    pub(super) fn user_id(&self) -> &str {
        self.ks.as_ref().map_or("", |ks| &ks.user_id)
    }

    /// Whether it is an administrator's.
    pub(super) fn is_admin(&self) -> bool {
        self.is_worker || self.ks.as_ref().is_some_and(|ks| ks.kind >= 1)
    }
}

impl Call<'_> {
    /// The present, in seconds.
    pub(super) fn now(&self) -> i64 {
        self.now_ms / 1000
    }

    /// Service and action, as they were sent.
    pub(super) fn name(&self) -> String {
        let text = |name: &str| self.sent.get(name).map(plain).unwrap_or_default();
        format!("{}.{}", text("service"), text("action"))
    }
}

/// Answers a request, single or multiple. Fails as a whole only where PHP itself would die.
pub(super) fn answer(server: &Server, request: &Request) -> Outcome {
    let now_ms = server.clock.now_ms();
    let mut accounts = server.lock();
    for account in &mut accounts {
        account.work_due(now_ms);
        account.index_due(now_ms);
    }
    let mut accounts: Vec<&mut State> = accounts.iter_mut().map(|guard| &mut **guard).collect();
    let service = plain(request.params.get("service").unwrap_or(&Value::Null));
    let answer = if service.eq_ignore_ascii_case("multirequest") {
        multirequest(server, request, &mut accounts, now_ms)
    } else {
        match single(server, request, &request.params, &mut accounts, now_ms) {
            Err(Failure::Api(error)) => Ok(Answer::Error(error)),
            other => other,
        }
    };
    // What the request wrote reaches the search engine when the request is over, not before.
    for account in &mut accounts {
        account.index_due(now_ms);
    }
    server.save(accounts[0]);
    answer
}

fn single(
    server: &Server,
    request: &Request,
    sent: &Map<String, Value>,
    accounts: &mut [&mut State],
    now_ms: i64,
) -> Outcome {
    let mut user = String::new();
    let (service, action, found) = match find(sent) {
        Ok(found) => found,
        Err(failure) => {
            let call = format!(
                "{}.{}",
                sent.get("service").map(plain).unwrap_or_default(),
                sent.get("action").map(plain).unwrap_or_default()
            );
            let outcome = Err(failure);
            note(server, request, sent, &call, user, &outcome, now_ms);
            return outcome;
        }
    };
    let name = format!("{}.{}", found.0, found.1.name);
    server.calls.count(&name);
    let outcome = run(
        server,
        request,
        sent,
        accounts,
        now_ms,
        (&service, &action, &name, found.1),
        &mut user,
    );
    note(server, request, sent, &name, user, &outcome, now_ms);
    if let Some(write) = found.1.writes_membership {
        server
            .calls
            .note_write(write, sent, &outcome, now_ms / 1000);
    }
    outcome
}

/// Remembers a call for those who watch.
fn note(
    server: &Server,
    request: &Request,
    sent: &Map<String, Value>,
    call: &str,
    user: String,
    outcome: &Outcome,
    now_ms: i64,
) {
    server.calls.note_call(Answered {
        call,
        sent,
        user,
        outcome: match outcome {
            Ok(_) => "ok".to_owned(),
            Err(Failure::Api(error)) => error.code.to_string(),
            Err(Failure::Fatal) => "PHP has died".to_owned(),
        },
        began: request.began,
        now_ms,
    });
}

fn run(
    server: &Server,
    request: &Request,
    sent: &Map<String, Value>,
    accounts: &mut [&mut State],
    now_ms: i64,
    (service, action, name, found): (&str, &str, &str, &'static Action),
    user: &mut String,
) -> Outcome {
    let forbidden = || {
        // The name of a plugin's service comes back in lower case.
        let service = if service.contains('_') {
            service.to_lowercase()
        } else {
            service.to_owned()
        };
        let asked = || format!("{service}->{action}");
        let name = found.alias_of.map_or_else(asked, str::to_owned);
        ApiError::new(error::SERVICE_FORBIDDEN, &[&name])
    };
    let partners: Vec<i64> = accounts.iter().map(|account| account.partner.id).collect();
    let asked = sent
        .get("partnerId")
        .or_else(|| sent.get("p"))
        .filter(|value| !plain(value).is_empty())
        .map(int);
    let text = sent.get("ks").map(plain).unwrap_or_default();

    let (mut at, ks) = if text.is_empty() {
        let at = asked.and_then(|id| partners.iter().position(|known| *known == id));
        (at.unwrap_or(0), None)
    } else {
        let opened = Ks::claimed_partner(&text)
            .and_then(|id| partners.iter().position(|known| *known == id))
            .and_then(|at| {
                let ks = Ks::open(&text, &accounts[at].partner.admin_secret)?;
                Some((at, Some(ks)))
            });
        opened.ok_or_else(|| invalid_ks(&text))?
    };
    if let Some(ks) = &ks {
        user.clone_from(&ks.user_id);
    }
    if let Some(asked) = asked {
        if !partners.contains(&asked) && asked != TEMPLATE_PARTNER {
            let blocked = error::SERVICE_FORBIDDEN_CONTENT_BLOCKED;
            return Err(ApiError::new(blocked, &[]).into());
        }
        if let Some(known) = partners.iter().position(|id| *id == asked)
            && name == "session.start"
        {
            at = known;
        } else if ks.is_some() && asked != partners[at] {
            return Err(forbidden().into());
        }
    }
    let args = Record::of_action(found.params, sent, now_ms / 1000)?;
    let state = &mut *accounts[at];
    let asked = (!server.faults.is_quiet()).then(|| AskedCall::of(name, sent));
    if let Some(ks) = &ks {
        if asked
            .as_ref()
            .is_some_and(|asked| server.faults.expires_sessions(asked))
        {
            state.seen_sessions.insert(text.clone());
            state.expire_sessions();
        }
        check(state, ks, &text, request, now_ms / 1000)?;
    }
    let permissions = Permissions::of(ks.as_ref(), state)?;
    let open = found.open_to.is_none_or(|names| permissions.allow(names));
    if !open {
        return Err(forbidden().into());
    }
    if let Some(error) = asked
        .as_ref()
        .and_then(|asked| server.faults.error_for(asked))
    {
        return Err(error.into());
    }
    let lag = asked
        .as_ref()
        .and_then(|asked| server.faults.index_lag(asked));
    state.index.delay_call(lag);
    let mut call = Call {
        state,
        session: Session {
            ks,
            text,
            permissions,
            is_worker: false,
        },
        args,
        sent,
        host: &request.host,
        now_ms,
    };
    let outcome = (found.run)(&mut call);
    call.state.index.delay_call(None);
    let mut answer = outcome?;
    if let Some(asked) = &asked
        && is_list(&answer)
        && let Some(lost) = server.faults.lost_rows(asked)
    {
        shorten(&mut answer, lost);
    }
    if let Some(Value::Object(profile)) = sent.get("responseProfile") {
        show_only(&mut answer, profile);
    }
    Ok(answer)
}

/// Calls an action (`categoryUser.add`) as Kaltura's own worker: past sessions, permissions and faults,
/// with entitlement off. What was written reaches the search engine at once, as after any request.
pub(super) fn as_worker(
    state: &mut State,
    name: &str,
    mut sent: Map<String, Value>,
    now_ms: i64,
) -> Outcome {
    let (service, action) = name.split_once('.').unwrap_or_default();
    sent.insert("service".to_owned(), service.into());
    sent.insert("action".to_owned(), action.into());
    let (_, _, (_, found)) = find(&sent)?;
    let args = Record::of_action(found.params, &sent, now_ms / 1000)?;
    let mut call = Call {
        state,
        session: Session {
            ks: None,
            text: String::new(),
            permissions: Permissions::Administrator,
            is_worker: true,
        },
        args,
        sent: &sent,
        host: "",
        now_ms,
    };
    let outcome = (found.run)(&mut call);
    state.index_due(now_ms);
    outcome
}

type Found = (&'static str, &'static Action);

fn find(sent: &Map<String, Value>) -> Result<(String, String, Found), Failure> {
    let service = sent.get("service").map(plain).unwrap_or_default();
    let action = sent.get("action").map(plain).unwrap_or_default();
    if service.is_empty() {
        return Err(ApiError::new(error::SERVICE_NOT_SPECIFIED, &[]).into());
    }
    let known = service::ALL
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(&service))
        .ok_or_else(|| ApiError::new(error::SERVICE_DOES_NOT_EXISTS, &[&service]))?;
    let found = known
        .actions
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(&action))
        .ok_or_else(|| {
            // A service that is there answers in lower case.
            let (action, service) = (action.to_lowercase(), service.to_lowercase());
            ApiError::new(error::ACTION_DOES_NOT_EXISTS, &[&action, &service])
        })?;
    Ok((service, action, (known.name, found)))
}

/// A parameter the action refuses to run without.
pub(super) const fn required(name: &'static str, kind: super::params::Kind) -> Param {
    Param {
        name,
        kind,
        required: true,
    }
}

/// A parameter that may be left out.
pub(super) const fn optional(name: &'static str, kind: super::params::Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
    }
}
