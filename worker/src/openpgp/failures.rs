//! Turns the library's errors into the worker's codes.

use std::error::Error as StdError;
use std::io;

use outbound_core::reason::Reason;
use sequoia_openpgp as openpgp;

use crate::error::Failure;

use super::framing::Observed;

/// A clear file where an encrypted one must be (list-automation §13 E-1).
pub(super) fn not_encrypted() -> Failure {
    Failure::new(
        Reason::NotEncrypted,
        "the file is not encrypted, but the job accepts encrypted files only",
    )
    .with_hint("ask the partner to encrypt to this account's key (outbound keys show pgp)")
}

/// A message that ends before its end.
pub(super) fn truncated() -> Failure {
    Failure::new(
        Reason::PgpTruncated,
        "the encrypted message ends too early: a part of the file is missing",
    )
    .with_hint("ask the partner to send the file again")
}

/// A message whose content is not what the sender wrote, or that cannot prove that it is.
pub(super) fn integrity(message: &str) -> Failure {
    Failure::new(Reason::PgpIntegrity, message)
        .with_hint("ask the partner to send the file again; if it repeats, find out who changes it")
}

/// The failure behind an error of the library.
pub(super) fn translate(
    error: &(dyn StdError + Send + Sync + 'static),
    seen: &Observed,
) -> Failure {
    let detail = chain(error);
    let mut early_end = false;
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(failure) = current.downcast_ref::<Failure>() {
            return failure.clone();
        }
        if let Some(library) = current.downcast_ref::<openpgp::Error>()
            && let Some(failure) = known(library, seen)
        {
            return failure.with_detail(detail);
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            early_end |= io.kind() == io::ErrorKind::UnexpectedEof;
            // An I/O error's source skips the very error it wraps.
            if let Some(inner) = io.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        cause = current.source();
    }
    if seen.input_failed() {
        return Failure::new(Reason::Storage, "cannot read the encrypted file").with_detail(detail);
    }
    if seen.ended_early() || (early_end && !seen.was_opened()) {
        return truncated().with_detail(detail);
    }
    if seen.was_opened() {
        // The lengths outside are right and what is inside makes no sense.
        return integrity("the encrypted message was changed after it was written")
            .with_detail(detail);
    }
    Failure::new(
        Reason::PgpDecrypt,
        "the file is not a well-formed OpenPGP message",
    )
    .with_detail(detail)
}

fn known(error: &openpgp::Error, seen: &Observed) -> Option<Failure> {
    match error {
        _ if seen.ended_early() => Some(truncated()),
        openpgp::Error::PolicyViolation(..) if seen.unprotected() => Some(
            Failure::new(
                Reason::PgpIntegrity,
                "the message is encrypted without integrity protection, so anyone may have changed it",
            )
            .with_hint("ask the partner to use an OpenPGP program that protects messages (MDC or AEAD)"),
        ),
        openpgp::Error::ManipulatedMessage => {
            Some(integrity("the encrypted message was changed after it was written"))
        }
        openpgp::Error::UnsupportedSymmetricAlgorithm(_)
        | openpgp::Error::UnsupportedAEADAlgorithm(_)
        | openpgp::Error::UnsupportedCompressionAlgorithm(_) => Some(
            Failure::new(
                Reason::PgpDecrypt,
                format!("the message uses an algorithm that is not supported: {error}"),
            )
            .with_hint("ask the partner for AES-256 and ZIP or ZLIB compression"),
        ),
        openpgp::Error::PolicyViolation(what, _) => Some(
            Failure::new(
                Reason::PgpDecrypt,
                format!("the message uses an algorithm that is not secure: {what}"),
            )
            .with_hint("ask the partner for AES-256 and SHA-256 or better"),
        ),
        _ => None,
    }
}

/// An error with its causes, outermost first.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let more = current.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = current.source();
    }
    text
}
