//! The sandbox from outside, past Kaltura's API: what scripts and the page look at and do.
//!
//! *Its one idea: whoever tests a synchroniser needs the other people's hand and the bad day over
//! HTTP, too*, so that a test in any language can have them.
//!
//! Answers are JSON. A body is JSON, or a form; a form is answered with the page it came from.
//! `GET /sandbox` lists all of it with examples ([`LIST`]). Pages of other origins are refused (`guard`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) mod guard;
mod sent;

use self::sent::{Sent, refused};
use super::Server;
use super::account::{Account, Act, Look};
use super::faults::FaultRule;
use super::state::JobKind;

/// What there is, as `GET /sandbox` says it.
const LIST: &str = include_str!("control/list.json");

/// Calls that are shown unless somebody says how many.
const LAST_CALLS: usize = 50;

/// Rows of a page at most.
const LARGEST_PAGE: usize = 1000;

type Shared = State<Arc<Server>>;

/// The routes under `/sandbox`.
pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/sandbox", get(list))
        .route("/sandbox/account", get(account))
        .route("/sandbox/channels", get(channels))
        .route("/sandbox/channels/{channel}", get(channel))
        .route("/sandbox/channels/{channel}/members", get(members))
        .route("/sandbox/users", get(users))
        .route("/sandbox/jobs", get(jobs))
        .route("/sandbox/bulk-uploads", get(bulk_uploads))
        .route("/sandbox/bulk-uploads/{id}/log", get(bulk_log))
        .route("/sandbox/calls", get(calls))
        .route("/sandbox/act", post(act))
        .route("/sandbox/work", post(work))
        .route("/sandbox/index", post(index))
        .route("/sandbox/clock", post(clock))
        .route(
            "/sandbox/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/sandbox/faults/clear", post(clear_faults))
        .route("/sandbox/faults/{id}", delete(end_fault).post(end_fault))
        .route("/sandbox/{*rest}", get(unknown).post(unknown))
        .layer(axum::middleware::from_fn(guard::guard))
}

/// Which rows somebody wants to see.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    q: String,
    page: usize,
    size: usize,
}

impl From<Wanted> for Look {
    fn from(wanted: Wanted) -> Self {
        Self {
            search: wanted.q,
            page: wanted.page,
            size: wanted.size.min(LARGEST_PAGE),
        }
    }
}

fn shown(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn account_of(server: &Arc<Server>) -> Account {
    Account::new(Arc::clone(server))
}

async fn list() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], LIST).into_response()
}

async fn unknown() -> Response {
    refused(
        StatusCode::NOT_FOUND,
        "there is nothing here; GET /sandbox lists what there is",
    )
}

async fn account(State(server): Shared) -> Response {
    shown(&account_of(&server).overview())
}

async fn channels(State(server): Shared, Query(wanted): Query<Wanted>) -> Response {
    shown(&account_of(&server).channels(&wanted.into()))
}

async fn channel(State(server): Shared, Path(id): Path<i64>) -> Response {
    match account_of(&server).channel(id) {
        Some(channel) => shown(&channel),
        None => no_channel(id),
    }
}

async fn members(
    State(server): Shared,
    Path(id): Path<i64>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let account = account_of(&server);
    match account.channel(id) {
        Some(_) => shown(&account.member_rows(id, &wanted.into())),
        None => no_channel(id),
    }
}

fn no_channel(id: i64) -> Response {
    refused(
        StatusCode::NOT_FOUND,
        &format!(
            "there is no channel {id}; /sandbox/channels?q=NAME finds one by name or reference ID"
        ),
    )
}

async fn users(State(server): Shared, Query(wanted): Query<Wanted>) -> Response {
    shown(&account_of(&server).users(&wanted.into()))
}

async fn jobs(State(server): Shared) -> Response {
    shown(&account_of(&server).jobs())
}

async fn bulk_uploads(State(server): Shared, Query(wanted): Query<Wanted>) -> Response {
    shown(&account_of(&server).bulk_uploads(&wanted.into()))
}

async fn bulk_log(State(server): Shared, Path(id): Path<i64>) -> Response {
    let Some(log) = account_of(&server).bulk_log(id) else {
        let why = format!("there is no bulk upload {id}; /sandbox/bulk-uploads lists them");
        return refused(StatusCode::NOT_FOUND, &why);
    };
    // What people wrote stays a text, whatever a browser takes it for.
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=UTF-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, log).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Last {
    last: Option<usize>,
}

async fn calls(State(server): Shared, Query(wanted): Query<Last>) -> Response {
    let calls = &server.calls;
    shown(&json!({
        "requests": calls.requests(),
        "by_action": calls.by_action(),
        "last": calls.recent(wanted.last.unwrap_or(LAST_CALLS)),
    }))
}

async fn act(State(server): Shared, request: Request) -> Response {
    Sent::answer(request, |act: Act| {
        account_of(&server)
            .perform(&act)
            .map_err(|error| format!("{error}."))
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    kind: Option<JobKind>,
}

async fn work(State(server): Shared, request: Request) -> Response {
    Sent::answer(request, |work: Work| {
        let done = account_of(&server).work(work.kind);
        Ok(match done {
            0 => "No background work was waiting.".to_owned(),
            1 => "One piece of background work is done.".to_owned(),
            _ => format!("{done} pieces of background work are done."),
        })
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    lag: Option<SignedDuration>,
    #[serde(default)]
    catch_up: bool,
}

async fn index(State(server): Shared, request: Request) -> Response {
    Sent::answer(request, |index: Index| {
        let account = account_of(&server);
        if index.catch_up {
            account.catch_up();
            return Ok("Lists see everything that was written.".to_owned());
        }
        let lag = index.lag.map(positive).transpose()?;
        account.set_index_lag(lag.filter(|lag| !lag.is_zero()));
        Ok(match index.lag {
            Some(lag) if !lag.is_zero() => format!("Lists see a write {lag:#} later."),
            _ => "Lists see a write at once.".to_owned(),
        })
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: SignedDuration,
}

async fn clock(State(server): Shared, request: Request) -> Response {
    Sent::answer(request, |clock: Advance| {
        server.clock.advance(positive(clock.advance)?);
        Ok(format!("It is {:#} later.", clock.advance))
    })
    .await
}

fn positive(time: SignedDuration) -> Result<Duration, String> {
    Duration::try_from(time).map_err(|_| "A time that is not negative is wanted.".to_owned())
}

async fn faults(State(server): Shared) -> Response {
    shown(&json!({
        "rules": server.faults.rules(),
        "injected": server.faults.injected(),
    }))
}

/// A rule: `{"rule": …}`, or the rule's own words.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct NewFault(Value);

async fn add_fault(State(server): Shared, request: Request) -> Response {
    Sent::answer(request, |NewFault(mut value): NewFault| {
        if let Some(rule) = value.get_mut("rule") {
            value = rule.take();
        }
        let rule: FaultRule = serde_json::from_value(value).map_err(|error| format!("{error}."))?;
        let said = rule.to_string();
        let id = server.faults.add(rule);
        Ok(format!("Fault {id} is in force: {said}"))
    })
    .await
}

async fn clear_faults(State(server): Shared, headers: HeaderMap) -> Response {
    server.faults.clear();
    Sent::done(&headers, "No fault is in force.")
}

async fn end_fault(State(server): Shared, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    if server.faults.remove(id) {
        Sent::done(&headers, &format!("Fault {id} is over."))
    } else {
        refused(StatusCode::NOT_FOUND, &format!("There is no fault {id}."))
    }
}
