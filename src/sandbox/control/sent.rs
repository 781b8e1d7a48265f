//! Bodies that come as JSON or as a form, and answers in kind.
//!
//! *Its one idea: a form of a page without a script and a script's JSON are the same request*; only
//! what goes back differs.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::sandbox::page;

/// The largest body that is read.
const LARGEST_BODY: usize = 1 << 20;

/// Fields of forms that are numbers.
const NUMBERS: [&str; 2] = ["channel", "users_per_category"];

/// A body that was read.
pub(super) struct Sent;

impl Sent {
    /// Reads a body, does what it asks for, and answers with what was done or why not.
    pub(super) async fn answer<T: DeserializeOwned>(
        request: Request,
        act: impl FnOnce(T) -> Result<String, String>,
    ) -> Response {
        let headers = request.headers().clone();
        let Ok(body) = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await else {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "That is too long.");
        };
        // `curl -d '{…}'` calls what it sends a form.
        let is_json = body.trim_ascii_start().starts_with(b"{");
        let wants_page = wants_page(&headers) && !is_json;
        let value = if is_form(&headers) && !is_json {
            Ok(form(&body))
        } else if body.is_empty() {
            Ok(json!({}))
        } else {
            serde_json::from_slice(&body)
        };
        let done = value
            .and_then(serde_json::from_value)
            .map_err(|error| format!("{error}. GET /sandbox shows examples."))
            .and_then(act);
        match done {
            Ok(_) if wants_page => Redirect::to(&back(&headers)).into_response(),
            Ok(done) => said(&done),
            Err(error) if wants_page => page::refusal(&error, &back(&headers)),
            Err(error) => refused(StatusCode::BAD_REQUEST, &error),
        }
    }

    /// Answers that something was done: with the page it came from, or with a sentence.
    pub(super) fn done(headers: &HeaderMap, done: &str) -> Response {
        if wants_page(headers) {
            return Redirect::to(&back(headers)).into_response();
        }
        said(done)
    }
}

fn said(done: &str) -> Response {
    let body = json!({ "done": done }).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Says why something was not done.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    let body = json!({ "error": why }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn is_form(headers: &HeaderMap) -> bool {
    text(headers, header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded")
}

/// Whether a browser without a script is asking.
fn wants_page(headers: &HeaderMap) -> bool {
    is_form(headers) && !text(headers, header::ACCEPT).starts_with("application/json")
}

/// The page a form came from, on this server.
fn back(headers: &HeaderMap) -> String {
    let referer = text(headers, header::REFERER);
    let origin = format!("http://{}", text(headers, header::HOST));
    match referer.strip_prefix(&origin) {
        Some(path) if path.starts_with('/') && !path.starts_with("//") => path.to_owned(),
        _ => "/".to_owned(),
    }
}

/// A form as an object. An empty field was not filled in.
fn form(body: &[u8]) -> Value {
    let fields = form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty());
    let fields: Map<String, Value> = fields
        .map(|(name, value)| {
            let number = value.parse::<i64>().ok();
            let number = number.filter(|_| NUMBERS.contains(&&*name));
            let flag = (name == "catch_up").then_some(true);
            let value = match (number, flag) {
                (Some(number), _) => number.into(),
                (_, Some(flag)) => flag.into(),
                _ => value.trim().into(),
            };
            (name.into_owned(), value)
        })
        .collect();
    Value::Object(fields)
}
