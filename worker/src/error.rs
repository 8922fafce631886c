//! The one error type of the worker.
//!
//! Every part answers with a [`Failure`]: a stable code that the database keeps and people search
//! for, a sentence that says what happened, and, where there is something to do about it, a hint.
//! A failure also says whether trying again later may help, because only the place where it
//! arises can tell a dropped connection from a wrong password.

use std::io;

use outbound_core::reason::Reason;
use rustix::io::Errno;

/// Why a run, a file or a command did not succeed.
///
/// Messages never hold secrets: they reach the journal, job activity and terminals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct Failure {
    /// Stable code; its severity says whether a row, a file or the whole run fails.
    pub reason: Reason,
    /// One sentence without a full stop at its end.
    pub message: String,
    /// Facts that help to find the cause: what the other side said, sizes, key ids.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// True when the same try may succeed later with nothing changed by anyone.
    pub retryable: bool,
}

impl Failure {
    /// A failure that trying again does not cure.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            detail: None,
            hint: None,
            retryable: false,
        }
    }

    /// Adds the facts behind the message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks the failure as one that may pass by itself.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// A local input or output error; `doing` names the act and its object ("cannot write …").
    ///
    /// A full disk, an exceeded quota or file-size limit is `storage` and may pass; anything else
    /// is `storage` too, since the local file system is all that the worker touches this way.
    pub fn storage(doing: &str, error: &io::Error) -> Self {
        let failure = Self::new(Reason::Storage, format!("{doing}: {error}"));
        if is_disk_full(error) {
            failure
                .with_hint("free space on the disk that holds the spool, or set OUTBOUND_SPOOL to a larger one")
                .retryable()
        } else {
            failure
        }
    }

    /// A failure that can only come from a mistake in this program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }
}

/// True when a write failed for want of room: disk full, quota used up, file-size limit reached.
pub fn is_disk_full(error: &io::Error) -> bool {
    [Errno::NOSPC, Errno::DQUOT, Errno::FBIG]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_its_message_and_its_code() {
        let failure = Failure::new(Reason::SftpAuth, "the server refused the password");
        assert_eq!(
            failure.to_string(),
            "the server refused the password (sftp_auth)"
        );
    }

    #[test]
    fn a_full_disk_may_pass_and_a_missing_permission_does_not() {
        let full = io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        assert!(Failure::storage("cannot write", &full).retryable);
        let quota = io::Error::from_raw_os_error(Errno::DQUOT.raw_os_error());
        assert!(Failure::storage("cannot write", &quota).retryable);
        let denied = io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        assert!(!Failure::storage("cannot write", &denied).retryable);
    }
}
