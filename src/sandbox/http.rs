//! HTTP as Kaltura speaks it: every body into one tree of parameters, one tree into every format.
//!
//! *Its one idea: what the server does not understand it ignores.* A body of the wrong content type,
//! malformed JSON, an unknown field: the request is as if they were not there, and the error, if any,
//! is about what is then missing.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Multipart, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::Server;
use super::answer::{Answer, to_json, to_php, to_xml};
use super::calls::Answered;
use super::connection::Peer;
use super::dispatch::{self, Request};
use super::error::Failure;
use super::faults::{Asked, TransportFault};
use super::params::{plain, put, upload};
use super::{control, page};

/// The routes of the server: what people see, and the API everywhere else.
pub(super) fn router(server: Arc<Server>) -> Router {
    control::routes()
        .merge(page::routes())
        .fallback(handle)
        .layer(DefaultBodyLimit::disable())
        .with_state(server)
}

pub(super) async fn handle(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> Response {
    let began = Instant::now();
    server.calls.request();
    if request.method() == Method::OPTIONS {
        return finish(text("text/html; charset=UTF-8", String::new()));
    }
    let path = request.uri().path().to_owned();
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default().to_owned();
    let params = decode(request).await;
    let asked = (!server.faults.is_quiet()).then(|| Asked::of(&params));
    if let Some(asked) = &asked {
        tokio::time::sleep(server.faults.wait(asked)).await;
    }
    let fault = asked
        .as_ref()
        .and_then(|asked| server.faults.transport(asked));
    if let (Some(asked), Some(fault)) = (&asked, fault) {
        server.calls.note_call(Answered {
            call: &asked.name(),
            sent: &params,
            user: String::new(),
            outcome: fault.to_string(),
            began,
            now_ms: server.clock.now_ms(),
        });
    }
    match fault {
        Some(TransportFault::CutBefore) => return broken(&peer),
        Some(TransportFault::TimeoutBefore(time)) => {
            tokio::time::sleep(time).await;
            return broken(&peer);
        }
        Some(TransportFault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let page = format!("<html><body><h1>{status}</h1></body></html>");
            return (status, [(header::CONTENT_TYPE, "text/html")], page).into_response();
        }
        _ => {}
    }
    let request = Request {
        params,
        path,
        host,
        peer: peer.ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        began,
    };
    let outcome = dispatch::answer(&server, &request);
    match fault {
        Some(TransportFault::CutAfter) => broken(&peer),
        Some(TransportFault::TimeoutAfter(time)) => {
            tokio::time::sleep(time).await;
            broken(&peer)
        }
        Some(TransportFault::Empty) => finish(text("text/html; charset=UTF-8", String::new())),
        _ => match outcome {
            Ok(answer) => respond(&server, &request.params, &answer, began),
            // PHP has died: no body, and none of the headers the API sets.
            Err(Failure::Fatal | Failure::Api(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        },
    }
}

/// No answer: the connection breaks before its first byte.
fn broken(peer: &Peer) -> Response {
    peer.cut();
    Response::default()
}

/// Writes an answer in the format that was asked for; XML when none was.
fn respond(
    server: &Server,
    params: &Map<String, Value>,
    answer: &Answer,
    began: Instant,
) -> Response {
    if let Answer::File(file) = answer {
        let body = ([(header::CONTENT_TYPE, file.kind)], file.content.clone());
        return finish(with_headers(
            server,
            body.into_response(),
            file.error.clone(),
        ));
    }
    let format = params.get("format").map(plain).unwrap_or_default();
    let callback = params.get("callback").map(plain).unwrap_or_default();
    let mut kaltura = is_forbidden(answer).then(|| "error-SERVICE_FORBIDDEN".to_owned());
    let html = "text/html; charset=UTF-8";
    let response = match format.as_str() {
        "1" => text("application/json", to_json(answer)),
        "2" | "" => text(
            "text/xml;charset=UTF-8",
            to_xml(answer, began.elapsed().as_secs_f64()),
        ),
        "3" => text(html, to_php(answer)),
        "9" if callback.is_empty() => {
            kaltura = Some("error- MANDATORY_PARAMETER_MISSING".to_owned());
            text(html, String::new())
        }
        "9" => text(
            "application/javascript",
            format!("{callback}({});", to_json(answer)),
        ),
        _ => {
            kaltura = Some("error- UNKNOWN_RESPONSE_FORMAT".to_owned());
            text(html, String::new())
        }
    };
    finish(with_headers(server, response, kaltura))
}

/// Adds the headers that each answer of the API has, and the one that says what went wrong.
fn with_headers(server: &Server, mut response: Response, kaltura: Option<String>) -> Response {
    let headers = response.headers_mut();
    let session = format!("{}, {}", fastrand::u32(..), server.clock.now());
    for (name, value) in [("x-kaltura-session", Some(session)), ("x-kaltura", kaltura)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate, post-check=0, pre-check=0"),
    );
    response
}

/// Whether a call, or one of several, was not open to its session.
fn is_forbidden(answer: &Answer) -> bool {
    match answer {
        Answer::Error(error) => error.code == "SERVICE_FORBIDDEN",
        Answer::List(answers) => answers.iter().any(is_forbidden),
        _ => false,
    }
}

fn text(kind: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn finish(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}

/// Reads all parameters of a request: the body's, over them the query's, over them the path's.
async fn decode(request: axum::extract::Request) -> Map<String, Value> {
    let uri = request.uri().clone();
    let mut params = body(request).await;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        put(&mut params, &name, Value::String(value.into_owned()));
    }
    let path = uri.path();
    let pairs = path.strip_prefix("/api_v3").unwrap_or(path);
    let pairs = pairs.strip_prefix("/index.php").unwrap_or(pairs);
    let mut parts = pairs.split('/').filter(|part| !part.is_empty());
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        put(&mut params, name, Value::String(value));
    }
    params
}

async fn body(request: axum::extract::Request) -> Map<String, Value> {
    let kind = content_type(request.headers()).to_owned();
    let kind = kind.as_str();
    if kind.eq_ignore_ascii_case("application/json") {
        return json(&bytes(request).await);
    }
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let body = bytes(request).await;
        let mut params = Map::new();
        for (name, value) in form_urlencoded::parse(&body) {
            put(&mut params, &name, Value::String(value.into_owned()));
        }
        return params;
    }
    if essence.eq_ignore_ascii_case("multipart/form-data") {
        return multipart(request).await;
    }
    Map::new()
}

fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

async fn bytes(request: axum::extract::Request) -> Bytes {
    let body: Body = request.into_body();
    axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default()
}

/// A JSON body: an object, or nothing. Keys with colons nest as they do in forms.
fn json(body: &[u8]) -> Map<String, Value> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Map::new();
    };
    if !members.keys().any(|key| key.contains(':')) {
        return members;
    }
    let mut params = Map::new();
    for (key, value) in members {
        put(&mut params, &key, value);
    }
    params
}

/// A multipart body: its fields, and those of the one that is called `json`.
async fn multipart(request: axum::extract::Request) -> Map<String, Value> {
    let mut params = Map::new();
    let Ok(mut parts) = Multipart::from_request(request, &()).await else {
        return params;
    };
    while let Ok(Some(part)) = parts.next_field().await {
        let name = part.name().unwrap_or_default().to_owned();
        // PHP keeps the last part of a path only (`rfc1867.c`).
        let name_of_file = |path: &str| path.rsplit(['/', '\\']).next().map(str::to_owned);
        let file = part.file_name().and_then(name_of_file);
        let content = part.bytes().await.unwrap_or_default();
        match file {
            Some(file) => {
                put(&mut params, &name, upload(file, &content));
            }
            None if name == "json" => {
                for (key, value) in json(&content) {
                    put(&mut params, &key, value);
                }
            }
            None => {
                let text = String::from_utf8_lossy(&content).into_owned();
                put(&mut params, &name, Value::String(text));
            }
        }
    }
    params
}
