//! An HTTP server that says what a test wants, fault or answer, and remembers what it was asked.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as they do"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(super) enum Play {
    /// Answers with JSON.
    Json(Value),
    /// Answers with a status and a body.
    Raw(u16, &'static str),
    /// Answers with a text that is no JSON, and its type.
    Text(&'static str, String),
    /// Reads the request, and closes the connection.
    Cut,
    /// Reads the request, and says nothing for so long.
    Slow(Duration),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) content_type: String,
    /// A text where it is no JSON.
    pub(super) body: Value,
}

type Script = dyn Fn(usize, &Asked) -> Play + Send + Sync;

/// The server, for as long as the test runs.
pub(super) struct Scripted {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    /// Starts with a script: from the number of the request (from zero) and the request to a play.
    pub(super) async fn start(
        script: impl Fn(usize, &Asked) -> Play + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&script)));
            }
        });
        Self { url, asked }
    }

    /// What has been asked.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, script: Arc<Script>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let asked = read(&mut stream).await?;
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let json = "application/json";
        let (status, content_type, body) = match script(number, &asked) {
            Play::Json(body) => (200, json, body.to_string()),
            Play::Raw(status, body) => (status, json, body.to_owned()),
            Play::Text(content_type, body) => (200, content_type, body),
            Play::Cut => return None,
            Play::Slow(pause) => {
                tokio::time::sleep(pause).await;
                return None;
            }
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut content_type) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => value.clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    Some(Asked {
        path,
        content_type,
        body: serde_json::from_slice(&body).unwrap_or_else(|_| text()),
    })
}

/// Answers each call of a multirequest.
pub(super) fn each(asked: &Asked, answer: impl Fn(&Value) -> Value) -> Value {
    (1..)
        .map_while(|n: usize| asked.body.get(n.to_string()))
        .map(answer)
        .collect()
}

/// An error in the API's form.
pub(super) fn error(code: &str, message: &str, args: &Value) -> Value {
    json!({"code": code, "message": message, "objectType": "KalturaAPIException", "args": args})
}

/// An answer of the real server.
pub(super) fn recorded(name: &str) -> Value {
    let all: Value =
        serde_json::from_str(include_str!("../../fixtures/client/recorded.json")).unwrap();
    let response = all[name]["response"].clone();
    assert!(!response.is_null(), "there is no recording named {name:?}");
    response
}
