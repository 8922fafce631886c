//! Decides whether the server is the one it should be (list-automation §2.1 F-4, F-5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use openssl::sha::sha256;
use outbound_core::reason::Reason;

use super::handshake::{Line, shake};
use super::{HostKey, HostKeyPolicy, Target, Trace};
use crate::error::Failure;

/// Kinds of host keys. A server has one of each at most and shows the one both sides like best;
/// the pinned one may be another.
const KINDS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];

/// A line to a server whose host key is the pinned one, or is accepted by the policy.
pub(super) fn trusted(target: &Target, trace: &Trace) -> Result<(Line, HostKey), Failure> {
    let line = shake(target, None, trace)?;
    let offered = Offered::by(&line)?;
    trace.note(format_args!("host key {offered}"));
    let Some(pinned) = target.pinned else {
        return match target.policy {
            HostKeyPolicy::AcceptNew => {
                let fingerprint = offered.fingerprint();
                Ok((
                    line,
                    HostKey {
                        fingerprint,
                        newly_seen: true,
                    },
                ))
            }
            HostKeyPolicy::Strict => Err(unpinned(target, &offered)),
        };
    };
    if offered.hash == pinned {
        return Ok((line, known(&offered)));
    }
    drop(line);
    let mut seen = vec![offered.to_string()];
    for kind in KINDS {
        if kind.contains(offered.kind.trim_start_matches("ssh-")) {
            continue;
        }
        // A server without a key of this kind ends the key exchange, which says nothing new.
        let Ok(line) = shake(target, Some(kind), trace) else {
            continue;
        };
        let other = Offered::by(&line)?;
        if other.hash == pinned {
            trace.note(format_args!("host key {other}, as pinned"));
            return Ok((line, known(&other)));
        }
        seen.push(other.to_string());
    }
    Err(mismatch(target, &pinned, &seen))
}

/// A host key as the server showed it.
struct Offered {
    kind: String,
    hash: [u8; 32],
}

impl Offered {
    fn by(line: &Line) -> Result<Self, Failure> {
        let (blob, _) = line
            .session
            .host_key()
            .ok_or_else(|| Failure::internal("the key exchange left no host key"))?;
        // The blob starts with its kind as a length and ASCII text. It comes from a stranger.
        let kind = blob
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length) as usize)
            .and_then(|length| blob.get(4..)?.get(..length.min(64)))
            .map(|kind| String::from_utf8_lossy(kind).into_owned())
            .filter(|kind| kind.chars().all(|character| character.is_ascii_graphic()))
            .unwrap_or_else(|| "unknown".to_owned());
        Ok(Self {
            kind,
            hash: sha256(blob),
        })
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.hash)
    }
}

impl std::fmt::Display for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.fingerprint(), self.kind)
    }
}

fn known(offered: &Offered) -> HostKey {
    HostKey {
        fingerprint: offered.fingerprint(),
        newly_seen: false,
    }
}

fn fingerprint(hash: &[u8; 32]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

fn unpinned(target: &Target, offered: &Offered) -> Failure {
    let fingerprint = offered.fingerprint();
    Failure::new(
        Reason::SftpHostkeyUnpinned,
        format!(
            "no host key is pinned for {}:{}, which shows {fingerprint}; if its owner confirms this \
             fingerprint, pin it with outbound.alter_sftp_server(…, host_key_fingerprint => '{fingerprint}')",
            target.host, target.port
        ),
    )
    .with_detail(format!("host key offered: {offered}"))
    .with_hint("ask the server's owner for the fingerprint: without it, anyone on the way could pose as the server")
}

fn mismatch(target: &Target, pinned: &[u8; 32], seen: &[String]) -> Failure {
    Failure::new(
        Reason::SftpHostkey,
        format!(
            "{}:{} does not have the pinned host key; no credentials were sent",
            target.host, target.port
        ),
    )
    .with_detail(format!(
        "pinned: {}; offered: {}",
        fingerprint(pinned),
        seen.join(", ")
    ))
    .with_hint(
        "either the server got a new key or someone poses as it: ask its owner, and pin the new one with \
         outbound.alter_sftp_server(…, host_key_fingerprint => …) only if he confirms it",
    )
}
