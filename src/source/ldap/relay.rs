//! A connection on which no more comes in than somebody waits for.
//!
//! *Its one idea: who reads sets the pace.* The LDAP library reads as fast as a server sends: it keeps each entry until
//! it is asked for, and a message until all of it is there, however much it claims to be. So its bytes come by a relay
//! in this process, which passes on nothing while no operation waits, and ends a connection on which one answer grows
//! beyond all measure. It knows nothing of TLS, which is between the library and the server.

use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use ldap3::StdStream;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// More than any answer to one question: a group of a million members has about 100 MB.
const MOST_BYTES: u64 = 128 << 20;
/// What is passed on at once.
const CHUNK: usize = 64 << 10;

/// Who waits for the server, and how much has come since the last answer.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<State>);

#[derive(Default)]
struct State {
    waiting: AtomicUsize,
    since_answer: AtomicU64,
    somebody_waits: Notify,
    end: OnceLock<String>,
}

/// Counts as somebody who waits.
struct Waiter<'m>(&'m Meter);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Meter {
    /// Awaits an operation. What is there already is taken without a byte from the server.
    pub(super) async fn wait<T>(&self, operation: impl Future<Output = T>) -> T {
        let mut operation = pin!(operation);
        let at_once = poll_fn(|context| Poll::Ready(operation.as_mut().poll(context))).await;
        let answer = match at_once {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                self.0.waiting.fetch_add(1, Ordering::AcqRel);
                let _waiter = Waiter(self);
                self.0.somebody_waits.notify_one();
                operation.await
            }
        };
        self.0.since_answer.store(0, Ordering::Release);
        answer
    }

    /// Why the relay ended the connection, or lost it.
    pub(super) fn end(&self) -> Option<&str> {
        self.0.end.get().map(String::as_str)
    }

    async fn demand(&self) {
        while self.0.waiting.load(Ordering::Acquire) == 0 {
            self.0.somebody_waits.notified().await;
        }
    }

    /// Passes on what the server sends. Ends with the reason, where the server has not ended the connection.
    async fn pass_on(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.demand().await;
            let read = from.read(&mut chunk).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let before = self.0.since_answer.fetch_add(read as u64, Ordering::AcqRel);
            if before + read as u64 > MOST_BYTES {
                return Err(io::Error::other(format!(
                    "the server sent more than {} MiB in answer to one question, and was not listened to any longer",
                    MOST_BYTES >> 20
                )));
            }
            to.write_all(&chunk[..read]).await?;
        }
    }

    async fn relay(
        self,
        server: impl AsyncRead + AsyncWrite,
        library: impl AsyncRead + AsyncWrite,
    ) {
        let (from_server, mut to_server) = split(server);
        let (mut from_library, to_library) = split(library);
        let (from_server, to_library) = (pin!(from_server), pin!(to_library));
        let up = async {
            copy(&mut from_library, &mut to_server).await?;
            to_server.shutdown().await
        };
        tokio::select! {
            down = self.pass_on(from_server, to_library) => {
                if let Err(error) = down {
                    let _ = self.0.end.set(error.to_string());
                }
            }
            _ = up => {}
        }
    }
}

/// Connects to a server, and answers the end of the relay that the LDAP library is to use.
pub(super) async fn connect(url: &str, meter: &Meter) -> io::Result<StdStream> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "ldapi" {
        let path = percent_decode_str(host).decode_utf8_lossy();
        let server = UnixStream::connect(&*path).await?;
        let (library, ours) = UnixStream::pair()?;
        tokio::spawn(meter.clone().relay(server, ours));
        return library.into_std().map(StdStream::Unix);
    }
    let host = if host.is_empty() { "localhost" } else { host };
    let default = if url.scheme() == "ldaps" { 636 } else { 389 };
    let port = url.port().unwrap_or(default);
    let server = TcpStream::connect(format!("{host}:{port}")).await?;
    let (library, ours) = pair().await?;
    for stream in [&server, &library, &ours] {
        stream.set_nodelay(true)?;
    }
    tokio::spawn(meter.clone().relay(server, ours));
    library.into_std().map(StdStream::Tcp)
}

/// Two ends of one connection within this process.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let one = TcpStream::connect(listener.local_addr()?).await?;
    loop {
        let (other, from) = listener.accept().await?;
        // Whoever else has found the port is not let in.
        if from == one.local_addr()? {
            return Ok((one, other));
        }
    }
}
