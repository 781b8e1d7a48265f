//! A client that sends just what a test says, header by header.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use rollbook::sandbox::Sandbox;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; as a text where it is none.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()))
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> std::io::Result<Reply> {
    send_bytes(sandbox, method, path, headers, body.as_bytes()).await
}

/// Sends one request whose body need not be a text.
pub(crate) async fn send_bytes(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let address = sandbox.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        _ = write!(head, "{name}: {value}\r\n");
    }
    _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Ok(Reply {
        status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    })
}

/// Calls an action with JSON and answers JSON.
pub(crate) async fn call(sandbox: &Sandbox, call: &str, mut params: Value) -> Value {
    let (service, action) = call.split_once('.').unwrap();
    params["format"] = json!(1);
    let path = format!("/api_v3/service/{service}/action/{action}");
    let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
    let reply = send(sandbox, "POST", &path, &headers, &params.to_string()).await;
    reply.unwrap().value()
}

/// A multipart body of fields and files (name of the field, name of the file, content), with its header.
pub(crate) fn multipart(
    fields: &[(&str, &str)],
    files: &[(&str, &str, &[u8])],
) -> ((String, String), Vec<u8>) {
    const BOUNDARY: &str = "----rollbook-7f3a";
    let mut body = Vec::new();
    for (name, value) in fields {
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    for (name, file, content) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
             Content-Type: text/csv\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    (("Content-Type".to_owned(), kind), body)
}

/// Uploads a file as somebody would in the console, waits until it is processed, and answers the job.
pub(crate) async fn upload(sandbox: &Sandbox, file: &Path) -> i64 {
    let ks = sandbox
        .account()
        .session("ruth", 2, "disableentitlement", 3600);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let content = std::fs::read(file).unwrap();
    let (kind, body) = multipart(
        &[("format", "1"), ("ks", &ks)],
        &[("fileData", &name, &content)],
    );
    let path = "/api_v3/service/categoryUser/action/addFromBulkUpload";
    let reply = send_bytes(sandbox, "POST", path, &[kind], &body).await;
    let job = reply.unwrap().value();
    sandbox.account().work(None);
    job["id"].as_i64().unwrap()
}

/// A started sandbox with a session of an administrator who enforces nothing.
pub(crate) async fn start() -> (Sandbox, String) {
    let sandbox = Sandbox::start(rollbook::sandbox::Options {
        job_delay: None,
        ..Default::default()
    })
    .await
    .unwrap();
    let ks = sandbox
        .account()
        .session("admin", 2, "disableentitlement", 86_400);
    (sandbox, ks)
}
