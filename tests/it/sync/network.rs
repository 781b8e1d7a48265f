//! Networks that fail, between the program and its servers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A proxy before an LDAP server, which cuts each connection after so many octets of answers.
pub(super) struct Wire {
    pub(super) url: String,
    passed: Arc<AtomicUsize>,
}

impl Wire {
    pub(super) fn start(port: u16, cut_after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let passed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&passed);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let count = Arc::clone(&count);
                std::thread::spawn(move || pass(client, server, cut_after, &count));
            }
        });
        Self { url, passed }
    }

    /// The octets of answers that have passed, of all connections.
    pub(super) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, mut left: usize, count: &AtomicUsize) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 4096];
    while left > 0 {
        let most = left.min(buffer.len());
        let Ok(read @ 1..) = server.read(&mut buffer[..most]) else {
            break;
        };
        count.fetch_add(read, Ordering::SeqCst);
        left -= read;
        if client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The connection is cut before the server sees it.
    CutBefore,
    /// The connection is cut after the server has done it.
    CutAfter,
    /// The server does it, and its answer is empty.
    Empty,
    /// A front end answers in its place, too busy.
    Busy,
}

/// A proxy before the account, which spoils the requests that write, from a certain one on.
pub(super) struct Front {
    pub(super) url: String,
    spoiled: Arc<AtomicUsize>,
}

impl Front {
    /// Spoils `times` requests that hold a call to write, after `spare` of them.
    pub(super) fn start(target: &str, fate: Fate, spare: usize, times: usize) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let writes = Arc::new(AtomicUsize::new(0));
        let spoiled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&spoiled);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, writes) = (target.clone(), Arc::clone(&writes));
                let count = Arc::clone(&count);
                std::thread::spawn(move || {
                    serve(client, &target, |request| {
                        let text = String::from_utf8_lossy(request);
                        let is_write = ["add", "update", "delete", "activate", "deactivate"]
                            .iter()
                            .any(|action| text.contains(&format!("\"action\":\"{action}\"")));
                        if !is_write {
                            return None;
                        }
                        let number = writes.fetch_add(1, Ordering::SeqCst);
                        let is_meant = (spare..spare + times).contains(&number);
                        count.fetch_add(usize::from(is_meant), Ordering::SeqCst);
                        is_meant.then_some(fate)
                    })
                });
            }
        });
        Self { url, spoiled }
    }

    /// How many requests were spoilt.
    pub(super) fn spoiled(&self) -> usize {
        self.spoiled.load(Ordering::SeqCst)
    }
}

/// Passes requests on, one after the other, until one is cut.
fn serve(mut client: TcpStream, target: &str, fate: impl Fn(&[u8]) -> Option<Fate>) -> Option<()> {
    let mut server = TcpStream::connect(target).ok()?;
    loop {
        let request = message(&mut client)?;
        let answer = |text: &str| {
            format!("HTTP/1.1 {text}\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n")
        };
        match fate(&request) {
            Some(Fate::CutBefore) => return None,
            Some(Fate::Busy) => client
                .write_all(answer("503 Service Unavailable").as_bytes())
                .ok()?,
            other => {
                server.write_all(&request).ok()?;
                let response = message(&mut server)?;
                match other {
                    Some(Fate::CutAfter) => return None,
                    Some(Fate::Empty) => client.write_all(answer("200 OK").as_bytes()).ok()?,
                    _ => client.write_all(&response).ok()?,
                }
            }
        }
    }
}

/// Reads one message with a length.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Some(bytes);
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}
