//! An HTTPS server with a certificate of its own, which always says the same.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as they do"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

pub(super) struct Server {
    pub(super) url: String,
    pub(super) ca_file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(super) fn start(answer: &Value) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let (config, body) = (Arc::new(config), answer.to_string());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &config, &body);
            }
        });
        Self {
            url,
            ca_file,
            _directory: directory,
        }
    }
}

/// Answers one request; a client that does not trust us goes away before.
fn serve(stream: TcpStream, config: &Arc<ServerConfig>, body: &str) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config)).ok()?, stream);
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.ends_with(b"}}") {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&part[..read]);
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
