//! Moves files between an SFTP server and the spool (list-automation §2).
//!
//! The host key is checked after the key exchange and before any credential leaves this machine.
//! Every step has a time limit. All calls block: use a [`Connection`] on a thread of its own, its
//! drop included, since that says good-bye to the server.
//!
//! Paths: a directory is absolute, or relative to the directory the server puts the user in; the
//! empty text is that directory. A name is one file's name without any directory.

mod algorithms;
mod auth;
mod dispose;
mod failures;
mod files;
mod handshake;
mod host_key;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use outbound_core::job::Authentication;
use outbound_core::reason::Reason;
use serde::{Deserialize, Serialize};
use ssh2::{Session, Sftp};

use crate::error::Failure;
use crate::secrets::Secret;

pub use self::dispose::Removal;
pub use self::files::{EntryKind, Fetched, RemoteEntry};

/// What to do about a server's host key (list-automation §2.1 F-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKeyPolicy {
    /// Only a pinned key is good.
    #[default]
    Strict,
    /// The first key seen is good and gets pinned; from then on only that one is.
    AcceptNew,
}

/// Where to connect to, as whom, and what to trust.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User on the server.
    pub user: String,
    /// Which proofs the server has to accept; with two, both.
    pub authentication: Authentication,
    /// The password, where the authentication has one.
    pub password: Option<Secret>,
    /// The private key in PEM form, where the authentication has one.
    pub private_key: Option<Secret>,
    /// SHA-256 of the host key that the server must have.
    pub pinned: Option<[u8; 32]>,
    /// What to do without a pinned key.
    pub policy: HostKeyPolicy,
    /// Longest wait for the server in one step.
    pub timeout: Duration,
    /// Log every step at level info instead of debug (list-automation §2.1 F-7).
    pub trace: bool,
}

impl Target {
    /// `user@host:port`, for messages.
    fn name(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }
}

/// The host key that the server proved to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `SHA256:` and base64 without padding, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// True when nothing was pinned and the policy let it pass: pin it now.
    pub newly_seen: bool,
}

/// An open, authenticated SFTP connection.
pub struct Connection {
    // Before the session, because values are dropped in this order.
    sftp: Sftp,
    session: Session,
    socket: TcpStream,
    server: String,
    trace: Trace,
    lost: Cell<bool>,
}

impl Connection {
    /// Connects, checks the host key, authenticates and opens SFTP.
    ///
    /// Failures: `sftp_connect` (retryable), `sftp_algorithm`, `sftp_hostkey`,
    /// `sftp_hostkey_unpinned`, `sftp_auth`, `secret_missing`.
    pub fn open(target: &Target) -> Result<(Self, HostKey), Failure> {
        let trace = Trace {
            enabled: target.trace,
            server: target.name(),
        };
        trace.note(format_args!("connecting"));
        let (line, host_key) = host_key::trusted(target, &trace)?;
        auth::authenticate(&line.session, target, &trace)?;
        let sftp = line.session.sftp().map_err(|error| {
            Failure::new(
                Reason::SftpConnect,
                format!("{} lets us in but offers no SFTP", target.name()),
            )
            .with_detail(error.to_string())
        })?;
        trace.note(format_args!("SFTP is open"));
        Ok((
            Self {
                sftp,
                session: line.session,
                socket: line.socket,
                server: target.name(),
                trace,
                lost: Cell::new(false),
            },
            host_key,
        ))
    }
}

impl Drop for Connection {
    /// Says good-bye. To a server that is gone nothing is said, because waiting for its answer
    /// would take the full time limit several times over.
    fn drop(&mut self) {
        if self.lost.get() {
            // It may be closed already: that is as good.
            let _ = self.socket.shutdown(Shutdown::Both);
        } else if let Err(error) = self.session.disconnect(None, "done", None) {
            self.trace
                .note(format_args!("could not say good-bye: {error}"));
        } else {
            self.trace.note(format_args!("disconnected"));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.server)
    }
}

/// Version of the libssh2 that is linked in, as `1.11.1`.
pub fn library_version() -> String {
    unsafe extern "C" {
        fn libssh2_version(required: c_int) -> *const c_char;
    }
    // SAFETY: this is the library's declared signature; for a required version of 0 it returns a
    // constant, NUL-terminated text, and it needs no initialisation.
    let version = unsafe { CStr::from_ptr(libssh2_version(0)) };
    version.to_string_lossy().into_owned()
}

/// The log of a connection's steps; secrets are never handed to it.
#[derive(Debug)]
struct Trace {
    enabled: bool,
    server: String,
}

impl Trace {
    fn note(&self, step: fmt::Arguments<'_>) {
        if self.enabled {
            tracing::info!(server = %self.server, "{step}");
        } else {
            tracing::debug!(server = %self.server, "{step}");
        }
    }
}
