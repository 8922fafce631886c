//! A TCP relay in front of a server that goes bad after some bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// What happens once the server has sent so many bytes.
#[derive(Clone, Copy)]
pub enum Fault {
    /// The connection is cut.
    CutAfter(u64),
    /// Nothing more comes, but the connection stays open.
    StallAfter(u64),
}

/// Relays to `port` on loop-back and returns the relay's own port.
pub fn relay(port: u16, fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(from, to, None));
            thread::spawn(move || pass(server, client, Some(fault)));
        }
    });
    own
}

fn pass(mut from: TcpStream, mut to: TcpStream, fault: Option<Fault>) {
    let mut buffer = [0; 16 * 1024];
    let mut passed = 0;
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        passed += count as u64;
        match fault {
            Some(Fault::CutAfter(limit)) if passed > limit => break,
            Some(Fault::StallAfter(limit)) if passed > limit => continue,
            _ => {}
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
