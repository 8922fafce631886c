//! Tells a lost connection from an answer that the server gave.

use libssh2_sys as raw;
use outbound_core::reason::Reason;
use ssh2::ErrorCode;

use super::Connection;
use crate::error::Failure;

/// What an error of the library means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is nothing of that name.
    Missing,
    /// The server forbids it.
    Denied,
    /// The server answered something else, often just "failure".
    Refused,
    /// The server no longer answers.
    Lost,
}

pub(super) fn meaning(error: &ssh2::Error) -> Meaning {
    match error.code() {
        ErrorCode::SFTP(raw::LIBSSH2_FX_NO_SUCH_FILE | raw::LIBSSH2_FX_NO_SUCH_PATH) => {
            Meaning::Missing
        }
        ErrorCode::SFTP(raw::LIBSSH2_FX_PERMISSION_DENIED | raw::LIBSSH2_FX_WRITE_PROTECT) => {
            Meaning::Denied
        }
        ErrorCode::SFTP(raw::LIBSSH2_FX_NO_CONNECTION | raw::LIBSSH2_FX_CONNECTION_LOST) => {
            Meaning::Lost
        }
        ErrorCode::SFTP(_) => Meaning::Refused,
        // Raised here, before anything is sent: the text has a NUL in it.
        ErrorCode::Session(raw::LIBSSH2_ERROR_INVAL) => Meaning::Refused,
        ErrorCode::Session(_) => Meaning::Lost,
    }
}

impl Connection {
    /// The failure for an act on a path; `doing` says which ("cannot list …").
    pub(super) fn failed(&self, doing: &str, error: &ssh2::Error) -> Failure {
        self.trace.note(format_args!("{doing}: {error}"));
        let because = match meaning(error) {
            Meaning::Lost => {
                self.lost.set(true);
                return Failure::new(
                    Reason::SftpConnect,
                    format!("{doing}: the connection to {} is lost", self.server),
                )
                .with_detail(error.to_string())
                .retryable();
            }
            Meaning::Missing => "it does not exist on the server",
            Meaning::Denied => "the server does not permit it",
            Meaning::Refused => "the server refuses",
        };
        Failure::new(Reason::SftpPath, format!("{doing}: {because}")).with_detail(error.to_string())
    }
}
