//! Finds out which algorithm a server and this worker have not in common.
//!
//! libssh2 says only that the key exchange failed. What the server offers is sent in the clear at
//! the start of every connection (RFC 4253 §7.1), so a second connection reads it and compares.

use std::io::{BufRead, BufReader, Read, Write};

use outbound_core::reason::Reason;
use ssh2::{MethodType, Session};

use super::Target;
use super::handshake::dial;
use crate::error::Failure;

/// The lists in the server's message, in their order, as far as they matter.
const LISTS: [(&str, MethodType); 6] = [
    ("key exchange", MethodType::Kex),
    ("host key", MethodType::HostKey),
    ("encryption", MethodType::CryptCs),
    ("encryption", MethodType::CryptSc),
    ("integrity", MethodType::MacCs),
    ("integrity", MethodType::MacSc),
];

/// RFC 4253 §6.1 lets packets be this long; the first one always is far shorter.
const MAX_PACKET: u32 = 35_000;
/// Lines of greeting before the version, then the message number of the lists.
const MAX_GREETING: usize = 64;
const KEXINIT: u8 = 20;

/// The failure that names the missing algorithm, if that is what is wrong.
pub(super) fn explain(target: &Target, session: &Session) -> Option<Failure> {
    let offers = offers(target)?;
    for ((subject, method), offered) in LISTS.into_iter().zip(&offers) {
        let supported = session.supported_algs(method).ok()?;
        if offered
            .iter()
            .any(|name| supported.contains(&name.as_str()))
        {
            continue;
        }
        return Some(
            Failure::new(
                Reason::SftpAlgorithm,
                format!(
                    "{}:{} offers no {subject} algorithm that is accepted here, only {}",
                    target.host,
                    target.port,
                    offered.join(", ")
                ),
            )
            .with_detail(format!("accepted here: {}", supported.join(", ")))
            .with_hint("the server's administrator has to enable a current algorithm"),
        );
    }
    None
}

fn offers(target: &Target) -> Option<Vec<Vec<String>>> {
    let socket = dial(target).ok()?;
    socket.set_read_timeout(Some(target.timeout)).ok()?;
    socket.set_write_timeout(Some(target.timeout)).ok()?;
    (&socket).write_all(b"SSH-2.0-outbound\r\n").ok()?;
    read_offers(BufReader::new(&socket))
}

fn read_offers(mut stream: impl BufRead) -> Option<Vec<Vec<String>>> {
    let mut lines = 0;
    loop {
        let mut line = Vec::new();
        stream
            .by_ref()
            .take(8192)
            .read_until(b'\n', &mut line)
            .ok()?;
        lines += 1;
        if line.starts_with(b"SSH-") {
            break;
        }
        if line.is_empty() || lines > MAX_GREETING {
            return None;
        }
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    if length > MAX_PACKET {
        return None;
    }
    let mut packet = vec![0; length as usize];
    stream.read_exact(&mut packet).ok()?;
    // One byte of padding length, the message number, 16 random bytes, then the lists.
    if packet.get(1) != Some(&KEXINIT) {
        return None;
    }
    let mut rest = packet.get(18..)?;
    let mut lists = Vec::new();
    for _ in LISTS {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let names = tail.get(..length)?;
        rest = tail.get(length..)?;
        lists.push(
            String::from_utf8_lossy(names)
                .split(',')
                .filter(|name| name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic()))
                .take(50)
                .map(str::to_owned)
                .collect(),
        );
    }
    Some(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(lists: &[&str]) -> Vec<u8> {
        let mut payload = vec![4, KEXINIT];
        payload.extend([7; 16]);
        for list in lists {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        let mut bytes = b"Welcome\r\nSSH-2.0-Old_1.0\r\n".to_vec();
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn the_lists_are_read_past_a_greeting() {
        let bytes = greeting(&["a,b", "ssh-rsa", "c", "d", "e", "f"]);
        let lists = read_offers(bytes.as_slice()).unwrap();
        assert_eq!(lists[0], ["a", "b"]);
        assert_eq!(lists[1], ["ssh-rsa"]);
    }

    #[test]
    fn a_stranger_who_sends_nonsense_is_not_believed() {
        let whole = greeting(&["a", "b", "c", "d", "e", "f"]);
        for cut in 0..whole.len() {
            assert!(read_offers(&whole[..cut]).is_none());
        }
        assert!(read_offers(&b"SSH-2.0-x\n\xff\xff\xff\xff"[..]).is_none());
        assert!(read_offers("x\n".repeat(1000).as_bytes()).is_none());
    }
}
