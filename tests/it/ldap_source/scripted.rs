//! A server that says what a test wants it to say, for what slapd never does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ldap3::asn1::{PL, StructureTag, parse_tag};

/// A search as it came in.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) attributes: Vec<String>,
    /// The filter's encoding, in which values can be found.
    pub(super) filter: String,
    id: Vec<u8>,
}

/// A running server.
pub(super) struct Scripted {
    pub(super) url: String,
    /// The searches that it was asked.
    pub(super) asked: Arc<Mutex<Vec<Search>>>,
    /// Whether it was told to stop a search.
    pub(super) abandoned: Arc<AtomicBool>,
    /// Bytes that it could send.
    pub(super) sent: Arc<AtomicU64>,
}

/// Starts a server that lets everybody in and answers searches with what the function returns:
/// messages from [`Search::entry`] and [`Search::done`].
pub(super) fn start<A: IntoIterator<Item = Vec<u8>>>(
    answer: impl Fn(&Search) -> A + Send + Sync + 'static,
) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let abandoned = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let (log, flag, answer) = (asked.clone(), abandoned.clone(), Arc::new(answer));
    let count = sent.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (log, flag, answer) = (log.clone(), flag.clone(), answer.clone());
            let count = count.clone();
            std::thread::spawn(move || serve(client, &log, (&flag, &count), &*answer));
        }
    });
    Scripted {
        url,
        asked,
        abandoned,
        sent,
    }
}

fn serve<A: IntoIterator<Item = Vec<u8>>>(
    mut client: TcpStream,
    log: &Mutex<Vec<Search>>,
    (abandoned, sent): (&AtomicBool, &AtomicU64),
    answer: &dyn Fn(&Search) -> A,
) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..read]);
        while let Ok((rest, message)) = parse_tag(&buffer) {
            let rest = rest.to_vec();
            buffer = rest;
            let mut parts = parts(message).into_iter();
            let id = octets(parts.next().unwrap());
            let operation = parts.next().unwrap();
            let mut write = |message: Vec<u8>| {
                sent.fetch_add(message.len() as u64, Ordering::SeqCst);
                client.write_all(&message).is_ok()
            };
            let goes_on = match operation.id {
                // Bind, with success.
                0 => write(message_of(&id, &result(0x61, 0))),
                3 => {
                    let search = search(id, operation);
                    log.lock().unwrap().push(search.clone());
                    answer(&search).into_iter().all(write)
                }
                16 => {
                    abandoned.store(true, Ordering::SeqCst);
                    true
                }
                _ => true,
            };
            if !goes_on {
                return;
            }
        }
    }
}

fn search(id: Vec<u8>, operation: StructureTag) -> Search {
    let mut parts = parts(operation).into_iter();
    let base = text(octets(parts.next().unwrap()));
    let filter = parts.nth(5).unwrap();
    let attributes = self::parts(parts.next().unwrap());
    Search {
        base,
        filter: format!("{:?}", readable(&filter)),
        attributes: attributes.into_iter().map(|a| text(octets(a))).collect(),
        id,
    }
}

fn readable(tag: &StructureTag) -> Vec<String> {
    match &tag.payload {
        PL::P(octets) => vec![String::from_utf8_lossy(octets).into_owned()],
        PL::C(parts) => parts.iter().flat_map(readable).collect(),
    }
}

impl Search {
    /// An entry with these attributes.
    pub(super) fn entry(&self, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let attributes: Vec<u8> = attributes
            .iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|v| encoded(0x04, v)).collect();
                let inner = [encoded(0x04, name.as_bytes()), encoded(0x31, &values)].concat();
                encoded(0x30, &inner)
            })
            .collect();
        let inner = [encoded(0x04, dn.as_bytes()), encoded(0x30, &attributes)].concat();
        message_of(&self.id, &encoded(0x64, &inner))
    }

    /// The end of the search, with this result code.
    pub(super) fn done(&self, code: u8) -> Vec<u8> {
        message_of(&self.id, &result(0x65, code))
    }

    /// The end of a page, with the cookie for the next one.
    pub(super) fn page(&self, cookie: &[u8]) -> Vec<u8> {
        let value = encoded(0x30, &[encoded(0x02, &[0]), encoded(0x04, cookie)].concat());
        let control = [
            encoded(0x04, b"1.2.840.113556.1.4.319"),
            encoded(0x04, &value),
        ]
        .concat();
        let controls = encoded(0xa0, &encoded(0x30, &control));
        message_of(&self.id, &[result(0x65, 0), controls].concat())
    }

    /// The first bytes of a message that claims to be this long.
    pub(super) fn claim(length: u32) -> Vec<u8> {
        [&[0x30, 0x84], length.to_be_bytes().as_slice()].concat()
    }

    /// A message whose operation nobody knows.
    pub(super) fn nonsense(&self) -> Vec<u8> {
        message_of(&self.id, &encoded(0x7e, b""))
    }
}

fn result(tag: u8, code: u8) -> Vec<u8> {
    let inner = [
        encoded(0x0a, &[code]),
        encoded(0x04, b""),
        encoded(0x04, b""),
    ]
    .concat();
    encoded(tag, &inner)
}

fn message_of(id: &[u8], rest: &[u8]) -> Vec<u8> {
    encoded(0x30, &[encoded(0x02, id), rest.to_vec()].concat())
}

fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], length.as_slice(), content].concat()
}

fn parts(tag: StructureTag) -> Vec<StructureTag> {
    tag.expect_constructed().unwrap()
}

fn octets(tag: StructureTag) -> Vec<u8> {
    tag.expect_primitive().unwrap()
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap()
}
