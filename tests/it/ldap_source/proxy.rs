//! A network that fails: a proxy before the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// What happens once so many octets of the server's answers have passed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The connection is closed.
    Cut,
    /// Nothing passes any more, and nobody says so.
    Stall,
    /// What follows is not LDAP.
    Garbage,
}

/// Starts a proxy and returns its URL. Each connection fails after so many octets.
pub(super) fn start(port: u16, fault: Fault, after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            std::thread::spawn(move || pass(client, server, fault, after));
        }
    });
    url
}

fn pass(mut client: TcpStream, mut server: TcpStream, fault: Fault, mut left: usize) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut buffer = [0; 4096];
    while left > 0 {
        let most = left.min(buffer.len());
        let Ok(read @ 1..) = server.read(&mut buffer[..most]) else {
            break;
        };
        if client.write_all(&buffer[..read]).is_err() {
            return;
        }
        left -= read;
    }
    match fault {
        Fault::Cut => {}
        Fault::Garbage => drop(client.write_all(&[0x30, 0x03, 0x02, 0x01, 0x05, 0xff, 0xff])),
        Fault::Stall => loop {
            std::thread::park();
        },
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
