//! The page at `/`: a person watches a synchronisation happen, and does what other people do.
//!
//! *Its one idea: the page is plain HTML that a script only keeps fresh.* Everything can be read, and
//! every act done, without the script; with it nothing has to be reloaded.
//!
//! `/` shows channels, `/?channel=ID` the members of one, `/?view=users` the users, `/?view=bulk`
//! the files that were handed in, `/?view=trouble` faults, clock and workers; the last calls and the waiting work stand beside each.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::account::{
    Account, BulkStatus, BulkUploadView, ChannelView, JobView, JoinPolicy, Level, Look, MemberRow,
    Method, Overview, Rows, Status, UserView,
};
use super::calls::CallRecord;
use super::connection::Peer;
use super::control::guard;
use super::faults::ActiveFault;
use super::{JobKind, Server, http};

mod written;

/// Calls that are shown.
const CALLS: usize = 20;

/// What a browser may load here, and from where: the page's own style and script, nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page's routes. `/` is the API's, too, when it is asked for a service.
pub(super) fn routes() -> Router<Arc<Server>> {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move {
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (headers, text)
        })
    };
    let files = Router::new()
        .route(
            "/sandbox/page.css",
            file("text/css; charset=utf-8", include_str!("page/page.css")),
        )
        .route(
            "/sandbox/page.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("page/page.js"),
            ),
        );
    Router::new()
        .route("/", get(show).fallback(http::handle))
        .merge(files)
}

/// What somebody wants to see.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    view: String,
    channel: Option<i64>,
    q: String,
    page: usize,
}

#[derive(Template)]
#[template(path = "sandbox/page.html")]
struct Page {
    account: Overview,
    requests: u64,
    view: View,
    look: Look,
    calls: Vec<CallRecord>,
    jobs: Vec<JobView>,
    faults: Vec<ActiveFault>,
}

enum View {
    Channels(Rows<ChannelView>),
    Members(ChannelView, Rows<MemberRow>),
    Users(Rows<UserView>),
    BulkUploads(Rows<BulkUploadView>),
    Trouble,
    Gone,
}

#[derive(Template)]
#[template(path = "sandbox/refusal.html")]
struct Refusal<'a> {
    why: &'a str,
    back: &'a str,
}

async fn show(
    state: State<Arc<Server>>,
    peer: ConnectInfo<Peer>,
    Query(wanted): Query<Wanted>,
    request: Request<Body>,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "service") {
        return http::handle(state, peer, request).await;
    }
    let State(server) = state;
    if let Some(refused) = guard::refusal(request.method(), request.headers()) {
        return refused;
    }
    let account = Account::new(Arc::clone(&server));
    let look = Look {
        search: wanted.q.trim().to_owned(),
        page: wanted.page,
        size: 0,
    };
    let view = match (wanted.channel, wanted.view.as_str()) {
        (Some(id), _) => account.channel(id).map_or(View::Gone, |channel| {
            View::Members(channel, account.member_rows(id, &look))
        }),
        (None, "users") => View::Users(account.users(&look)),
        (None, "bulk") => View::BulkUploads(account.bulk_uploads(&look)),
        (None, "trouble") => View::Trouble,
        (None, _) => View::Channels(account.channels(&look)),
    };
    let page = Page {
        account: account.overview(),
        requests: server.calls.requests(),
        view,
        look,
        calls: server.calls.recent(CALLS),
        jobs: account.jobs(),
        faults: server.faults.rules(),
    };
    respond(StatusCode::OK, &page)
}

/// Says to a browser without a script why something was not done.
pub(super) fn refusal(why: &str, back: &str) -> Response {
    respond(StatusCode::BAD_REQUEST, &Refusal { why, back })
}

fn respond(status: StatusCode, page: &impl Template) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match page.render() {
        Ok(page) => (status, headers, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the sandbox's page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Page {
    fn heading(&self) -> &str {
        match &self.view {
            View::Channels(_) => "Channels",
            View::Members(channel, _) => &channel.name,
            View::Users(_) => "Users",
            View::BulkUploads(_) => "Bulk uploads",
            View::Trouble => "Trouble",
            View::Gone => "Gone",
        }
    }

    /// Which of the tabs this is.
    fn tab(&self) -> &str {
        match &self.view {
            View::Users(_) => "users",
            View::BulkUploads(_) => "bulk",
            View::Trouble => "trouble",
            _ => "channels",
        }
    }

    /// The address of another page of the same rows.
    fn at(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        match &self.view {
            View::Members(channel, _) => _ = query.append_pair("channel", &channel.id.to_string()),
            View::Users(_) | View::BulkUploads(_) => _ = query.append_pair("view", self.tab()),
            _ => {}
        }
        if !self.look.search.is_empty() {
            query.append_pair("q", &self.look.search);
        }
        query.append_pair("page", &page.to_string());
        format!("/?{}", query.finish())
    }
}
