//! One request to the server: sent once, at the agreed pace, and read with suspicion.
//!
//! *Its one idea: an answer is a body with status 200, in JSON unless a log was asked for, or it is a
//! fault.* What follows from a fault is decided above, since it depends on whether the request only
//! asked.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Traffic;
use super::api_error::ApiError;
use super::bulk::{JobId, JobLog};
use super::error::{Fault, KalturaError};
use super::wire::{self, Call, LogRequest, Login, Multirequest, Upload};
use crate::config;
use crate::plan::gate::Fence;

/// A call's answer: what it returned, or the error it met.
pub(super) type Answer = Result<Value, ApiError>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Below the five seconds after which Apache closes a connection by default: a write that meets the
/// closing is one of unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const MORE_TIME_PER_CALL: Duration = Duration::from_millis(500);
const CSV: HeaderValue = HeaderValue::from_static("text/csv");
/// Far more than the longest answers: twenty pages of a list, the log of a thousand rows.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

pub(super) struct Transport {
    http: reqwest::Client,
    /// The address up to and with `/service/`.
    base: String,
    timeout: Duration,
    pace: DefaultDirectRateLimiter,
    slots: Semaphore,
    requests: AtomicU64,
    calls: AtomicU64,
}

impl Transport {
    pub(super) fn new(config: &config::Kaltura) -> Result<Self, KalturaError> {
        let per_second = NonZeroU32::new(config.requests_per_second).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            http: http_client(config)?,
            base: format!("{}/api_v3/service/", config.url.trim_end_matches('/')),
            timeout: config.timeout.0,
            pace: RateLimiter::direct(Quota::per_second(per_second)),
            slots: Semaphore::new(config.concurrency.max(1)),
            requests: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        })
    }

    /// Sends calls in one request. The answers may be fewer than the calls.
    pub(super) async fn multirequest(
        &self,
        ks: &str,
        calls: &[&Call],
        fence: Option<&Fence>,
    ) -> Result<Vec<Answer>, Fault> {
        let body = Multirequest { ks, calls }.to_bytes()?;
        let more = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let timeout = self.timeout + MORE_TIME_PER_CALL * more;
        match self
            .post("multirequest", body, calls.len(), timeout, fence)
            .await?
        {
            Value::Array(answers) => Ok(answers.into_iter().map(answer).collect()),
            // An error instead of a list of answers concerns every call.
            other => match answer(other) {
                Err(error) => Ok(calls.iter().map(|_| Err(error.clone())).collect()),
                Ok(_) => Err(Fault::Mismatch {
                    calls: calls.len(),
                    answers: 1,
                }),
            },
        }
    }

    /// Sends a call that makes a session.
    pub(super) async fn login(&self, login: &Login<'_>) -> Result<Answer, Fault> {
        let body = serde_json::to_vec(login).map_err(Fault::Unwritable)?;
        self.post(login.path(), body, 1, self.timeout, None)
            .await
            .map(answer)
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
        }
    }

    /// Hands in a file.
    pub(super) async fn upload(
        &self,
        ks: &str,
        upload: &Upload<'_>,
        fence: &Fence,
    ) -> Result<Answer, Fault> {
        let fields = upload.fields(ks).map_err(Fault::Unwritable)?;
        let file = Part::bytes(upload.content.to_vec())
            .file_name(upload.name.to_owned())
            .headers(HeaderMap::from_iter([(CONTENT_TYPE, CSV)]));
        let form = Form::new()
            .text(Upload::FIELDS, fields)
            .part(Upload::FILE, file);
        let path = upload.path();
        let request = self.request(path).multipart(form);
        let reply = self
            .send(path, request, 1, self.timeout, Some(fence))
            .await?;
        reply.json().map(answer)
    }

    /// Fetches the log of a job.
    pub(super) async fn job_log(
        &self,
        ks: &str,
        job: JobId,
    ) -> Result<Result<JobLog, ApiError>, Fault> {
        let body = serde_json::to_vec(&LogRequest::new(ks, job)).map_err(Fault::Unwritable)?;
        let path = LogRequest::PATH;
        let request = self.json_request(path, body);
        let reply = self.send(path, request, 1, self.timeout, None).await?;
        wire::read_log(&reply.content_type, reply.body)
    }

    async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        calls: usize,
        timeout: Duration,
        fence: Option<&Fence>,
    ) -> Result<Value, Fault> {
        let request = self.json_request(path, body);
        self.send(path, request, calls, timeout, fence)
            .await?
            .json()
    }

    fn json_request(&self, path: &str, body: Vec<u8>) -> RequestBuilder {
        self.request(path)
            // Bare: with a charset the server takes the body for no JSON and ignores it.
            .header(CONTENT_TYPE, "application/json")
            .body(body)
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base))
    }

    async fn send(
        &self,
        path: &str,
        request: RequestBuilder,
        calls: usize,
        timeout: Duration,
        fence: Option<&Fence>,
    ) -> Result<Reply, Fault> {
        // The semaphore is never closed, so there is always a slot to be had.
        let _slot = self.slots.acquire().await.ok();
        self.pace.until_ready().await;
        if let Some(fence) = fence
            && !fence.is_open().await
        {
            return Err(Fault::Withdrawn);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.calls
            .fetch_add(u64::try_from(calls).unwrap_or_default(), Ordering::Relaxed);
        let begun = Instant::now();

        let classify = |error: reqwest::Error| {
            let error = error.without_url();
            if error.is_connect() {
                Fault::Connect(error)
            } else if error.is_timeout() {
                Fault::TimedOut(timeout)
            } else {
                Fault::Cut(error)
            }
        };
        let mut response = request.timeout(timeout).send().await.map_err(classify)?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            let shown = value.chars().filter(|c| !c.is_control()).take(80);
            Some(shown.collect::<String>())
        };
        let server_log_id = header("X-Kaltura-Session");
        let content_type = header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(classify)? {
            if body.len() + part.len() > LARGEST_ANSWER {
                return Err(Fault::TooLarge(LARGEST_ANSWER));
            }
            body.extend_from_slice(&part);
        }
        tracing::debug!(
            path,
            calls,
            status,
            answer_bytes = body.len(),
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            server_log_id,
            "asked Kaltura"
        );
        if status == 200 {
            Ok(Reply { content_type, body })
        } else {
            Err(Fault::Status(status))
        }
    }
}

/// An answer with status 200.
struct Reply {
    content_type: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(self) -> Result<Value, Fault> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::Empty);
        }
        serde_json::from_slice(&self.body).map_err(|_| Fault::NotJson)
    }
}

fn answer(value: Value) -> Answer {
    match ApiError::from_answer(&value) {
        Some(error) => Err(error),
        None => Ok(value),
    }
}

fn http_client(config: &config::Kaltura) -> Result<reqwest::Client, KalturaError> {
    let setup = |problem: String| KalturaError::Setup { problem };
    // Once for the whole process; a second time is refused, and means no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = ClientConfig::builder()
        .with_root_certificates(roots(config)?)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some((proxy, source)) = config.proxy_used() {
        let exceptions = reqwest::NoProxy::from_env().filter(|_| config.proxy.is_none());
        let proxy = reqwest::Proxy::all(proxy).map_err(|_| {
            setup(format!(
                "the proxy of {source} is no address that can be used"
            ))
        })?;
        tracing::info!(source, "Kaltura is reached through a proxy");
        builder = builder.proxy(proxy.no_proxy(exceptions));
    }
    builder
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // A redirected POST may become a GET without its body.
        .redirect(Policy::none())
        .build()
        .map_err(|error| setup(error.to_string()))
}

fn roots(config: &config::Kaltura) -> Result<RootCertStore, KalturaError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &config.ca_file {
        let unusable = |problem: &dyn std::fmt::Display| KalturaError::Setup {
            problem: format!(
                "`kaltura.ca_file` ({}) cannot be used: {problem}",
                path.display()
            ),
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        if roots.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        return Ok(roots);
    }
    if config.url.starts_with("https:") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(KalturaError::Setup {
                problem:
                    "this system has no certificate authorities; install its CA certificates, \
                          or name a file in `kaltura.ca_file`"
                        .to_owned(),
            });
        }
    }
    Ok(roots)
}
