//! Who may look and act: nobody's page but the sandbox's own.
//!
//! *Its one idea: a browser says where a request comes from, and a script does not have to.* A page of
//! another origin is refused, and so is one that only pretends to be of this origin by a name that
//! points here (DNS rebinding): a sandbox is reached by address, as `localhost`, or by a bare host name.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::sent::refused;

/// Lets a request pass, or says why not.
pub(in crate::sandbox) async fn guard(request: Request, next: Next) -> Response {
    match refusal(request.method(), request.headers()) {
        None => next.run(request).await,
        Some(refused) => refused,
    }
}

/// The answer to a request that may not pass.
pub(in crate::sandbox) fn refusal(method: &Method, headers: &HeaderMap) -> Option<Response> {
    objection(method, headers).map(|objection| refused(StatusCode::FORBIDDEN, objection))
}

fn objection(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    if !is_ours(host) {
        return Some("Open the sandbox by its IP address or as localhost, not by another name.");
    }
    if method == Method::GET || method == Method::HEAD {
        return None;
    }
    let from_elsewhere = text("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
        || text(header::ORIGIN.as_str()).is_some_and(|origin| origin != format!("http://{host}"));
    from_elsewhere.then_some("A page of another origin may not act on the sandbox.")
}

/// Whether a name cannot be one that somebody else points here.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || !name.contains('.') || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(method: &Method, pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        objection(method, &headers).is_some()
    }

    #[test]
    fn a_script_may_act() {
        assert!(!refuses(&Method::POST, &[("host", "127.0.0.1:8080")]));
        assert!(!refuses(&Method::POST, &[("host", "sandbox:8080")]));
        assert!(!refuses(&Method::POST, &[("host", "[::1]:8080")]));
    }

    #[test]
    fn the_sandboxs_own_page_may_act() {
        let own = [
            ("host", "localhost:8080"),
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(!refuses(&Method::POST, &own));
    }

    #[test]
    fn a_page_of_another_origin_may_not() {
        let host = ("host", "127.0.0.1:8080");
        assert!(refuses(
            &Method::POST,
            &[host, ("origin", "https://evil.example")]
        ));
        assert!(refuses(&Method::POST, &[host, ("origin", "null")]));
        assert!(refuses(
            &Method::DELETE,
            &[host, ("sec-fetch-site", "cross-site")]
        ));
        assert!(refuses(
            &Method::POST,
            &[host, ("sec-fetch-site", "same-site")]
        ));
    }

    #[test]
    fn a_name_that_somebody_points_here_does_not_even_look() {
        assert!(refuses(&Method::GET, &[("host", "evil.example:8080")]));
    }
}
