//! Proves to the server who we are (list-automation §2.2).
//!
//! A server may ask for one proof or for several, in an order of its choice; after each it says
//! what it wants next. A job that names key and password gets in only when the server accepted
//! both: a server that is content with less is set up otherwise than agreed, and is refused.

use std::ffi::{CStr, c_uint};

use libssh2_sys as raw;
use openssl::pkey::PKey;
use outbound_core::job::Authentication;
use outbound_core::reason::Reason;
use ssh2::{ErrorCode, KeyboardInteractivePrompt, MethodType, Prompt, Session};

use super::{Target, Trace};
use crate::error::Failure;
use crate::keys::no_passphrase;
use crate::secrets::Secret;

const PASSWORD: &str = "password";
const PUBLIC_KEY: &str = "publickey";
const INTERACTIVE: &str = "keyboard-interactive";

/// list-automation §2.2 F-11: no SHA-1.
const SIGNATURES: [&str; 2] = ["rsa-sha2-512", "rsa-sha2-256"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Key,
    Password,
}

impl Proof {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "SSH key",
            Self::Password => "password",
        }
    }

    /// The SSH method for this proof among those the server offers.
    fn method(self, offered: &[String]) -> Option<&'static str> {
        let candidates: &[&'static str] = match self {
            Self::Key => &[PUBLIC_KEY],
            // Many servers ask for the password by way of a dialogue.
            Self::Password => &[PASSWORD, INTERACTIVE],
        };
        let offers = |method: &&&'static str| offered.iter().any(|offer| offer == **method);
        candidates.iter().find(offers).copied()
    }
}

/// Goes through the server's demands until it lets us in.
pub(super) fn authenticate(
    session: &Session,
    target: &Target,
    trace: &Trace,
) -> Result<(), Failure> {
    let mut left = match target.authentication {
        Authentication::Password => vec![Proof::Password],
        Authentication::Key => vec![Proof::Key],
        Authentication::KeyAndPassword => vec![Proof::Key, Proof::Password],
    };
    // Looked at before the server is asked, so that a missing secret is not taken for a refusal.
    let key = match left.contains(&Proof::Key) {
        true => Some(private_key(target)?),
        false => None,
    };
    let password = match left.contains(&Proof::Password) {
        true => Some(secret(target.password.as_ref(), "password")?.text()?),
        false => None,
    };
    let mut accepted = Vec::new();
    let mut offered = wanted(session, &target.user).map_err(|error| broken(target, &error))?;
    trace.note(format_args!("the server wants {}", offered.join(" or ")));
    while !session.authenticated() {
        let next = left
            .iter()
            .find_map(|proof| Some((*proof, proof.method(&offered)?)));
        let Some((proof, method)) = next else {
            return Err(not_enough(target, &accepted, &left, &offered));
        };
        let outcome = match (proof, method) {
            (Proof::Key, _) => offer_key(session, &target.user, key.unwrap_or_default()),
            (Proof::Password, INTERACTIVE) => session.userauth_keyboard_interactive(
                &target.user,
                &mut Answer(password.unwrap_or_default()),
            ),
            (Proof::Password, _) => {
                session.userauth_password(&target.user, password.unwrap_or_default())
            }
        };
        if let Err(error) = outcome {
            if !is_refusal(&error) {
                return Err(broken(target, &error));
            }
            // A proof that was accepted as one of several is reported as a refusal; what tells
            // the two apart is that the server no longer asks for it.
            let now = wanted(session, &target.user).unwrap_or_else(|_| offered.clone());
            if !session.authenticated() && (now.is_empty() || proof.method(&now).is_some()) {
                return Err(refused(target, proof, &accepted, &now, &error));
            }
            offered = now;
        }
        trace.note(format_args!("the server accepted the {}", proof.name()));
        left.retain(|other| *other != proof);
        accepted.push(proof);
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::SftpAuth,
        format!(
            "{} lets us in without asking for the {}",
            target.name(),
            names(&left, " and the ")
        ),
    )
    .with_detail(format!("accepted: {}", names(&accepted, ", ")))
    .with_hint(
        "have the server ask for both, or change connection.authentication in the job's rules",
    ))
}

/// Signs with each accepted algorithm in turn: servers announce what they know of, not what they
/// are set up to take.
fn offer_key(session: &Session, user: &str, key: &str) -> Result<(), ssh2::Error> {
    let mut outcome = Ok(());
    for algorithm in SIGNATURES {
        session.method_pref(MethodType::SignAlgo, algorithm)?;
        outcome = session.userauth_pubkey_memory(user, None, key, None);
        match &outcome {
            Err(error) if is_refusal(error) || no_signature(error) => {}
            _ => break,
        }
    }
    outcome
}

fn no_signature(error: &ssh2::Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(raw::LIBSSH2_ERROR_METHOD_NONE | raw::LIBSSH2_ERROR_ALGO_UNSUPPORTED)
    )
}

/// Answers every hidden question of the dialogue with the password.
struct Answer<'a>(&'a str);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt<'p>(&mut self, _: &str, _: &str, prompts: &[Prompt<'p>]) -> Vec<String> {
        let answer = |prompt: &Prompt<'p>| match prompt.echo {
            true => String::new(),
            false => self.0.to_owned(),
        };
        prompts.iter().map(answer).collect()
    }
}

fn secret<'t>(secret: Option<&'t Secret>, what: &str) -> Result<&'t Secret, Failure> {
    secret.ok_or_else(|| {
        Failure::new(
            Reason::SecretMissing,
            format!("the job's authentication needs a {what}, and none is given"),
        )
    })
}

/// The private key's text, after a look at whether it is one: the library calls a broken key an
/// authentication failure.
fn private_key(target: &Target) -> Result<&str, Failure> {
    let secret = secret(target.private_key.as_ref(), "private key")?;
    let text = secret.text()?;
    let openssh = text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----");
    if openssh || PKey::private_key_from_pem_callback(text.as_bytes(), no_passphrase).is_ok() {
        return Ok(text);
    }
    Err(Failure::new(
        Reason::SecretMissing,
        format!(
            "the secret {:?} is not a private key in PEM form without a passphrase",
            secret.name()
        ),
    )
    .with_hint("outbound keys init makes one"))
}

/// The methods that the server would accept next. Empty once it has let us in.
fn wanted(session: &Session, user: &str) -> Result<Vec<String>, ssh2::Error> {
    let methods = {
        let mut guard = session.raw();
        let handle: *mut raw::LIBSSH2_SESSION = &mut *guard;
        let length = c_uint::try_from(user.len()).unwrap_or(c_uint::MAX);
        // The crate's own wrapper panics when the server's list is not UTF-8.
        // SAFETY: the guard keeps the session locked and alive; `user` is valid for `length`
        // bytes, which the library copies; the list it returns is NUL-terminated and stays valid
        // until the next call on the session, which the guard prevents until it is copied here.
        unsafe {
            let list = raw::libssh2_userauth_list(handle, user.as_ptr().cast(), length);
            (!list.is_null()).then(|| CStr::from_ptr(list).to_string_lossy().into_owned())
        }
    };
    match methods {
        Some(methods) => Ok(methods
            .split(',')
            .filter(|method| !method.is_empty() && method.chars().all(|c| c.is_ascii_graphic()))
            .map(str::to_owned)
            .collect()),
        None if session.authenticated() => Ok(Vec::new()),
        None => Err(ssh2::Error::last_session_error(session).unwrap_or_else(ssh2::Error::unknown)),
    }
}

fn is_refusal(error: &ssh2::Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(
            raw::LIBSSH2_ERROR_AUTHENTICATION_FAILED
                | raw::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED
                | raw::LIBSSH2_ERROR_PASSWORD_EXPIRED
        )
    )
}

/// The dialogue itself failed: nothing was accepted or refused.
fn broken(target: &Target, error: &ssh2::Error) -> Failure {
    let name = target.name();
    let failure = match error.code() {
        _ if no_signature(error) => Failure::new(
            Reason::SftpAlgorithm,
            format!("{name} accepts no signature algorithm for SSH keys that is accepted here"),
        )
        .with_hint("the server's administrator has to enable rsa-sha2-512 or rsa-sha2-256"),
        ErrorCode::Session(
            raw::LIBSSH2_ERROR_FILE
            | raw::LIBSSH2_ERROR_KEYFILE_AUTH_FAILED
            | raw::LIBSSH2_ERROR_INVAL,
        ) => Failure::new(
            Reason::SftpAuth,
            format!("the user name or the private key for {name} cannot be used"),
        ),
        _ => Failure::new(
            Reason::SftpConnect,
            format!("the connection to {name} broke while logging in"),
        )
        .retryable(),
    };
    failure.with_detail(error.to_string())
}

fn refused(
    target: &Target,
    proof: Proof,
    accepted: &[Proof],
    wants: &[String],
    error: &ssh2::Error,
) -> Failure {
    let so_far = match accepted {
        [] => String::new(),
        _ => format!("accepted the {} but ", names(accepted, " and the ")),
    };
    Failure::new(
        Reason::SftpAuth,
        format!("{} {so_far}refused the {}", target.name(), proof.name()),
    )
    .with_detail(format!("the server still wants: {}; {error}", list(wants)))
    .with_hint(match proof {
        Proof::Key => "the server must have the key that `outbound keys show ssh` prints",
        Proof::Password => "check the user name and the password in the secret folder",
    })
}

/// Nothing that we have is what the server wants.
fn not_enough(target: &Target, accepted: &[Proof], left: &[Proof], wants: &[String]) -> Failure {
    let message = match accepted {
        [] => format!(
            "{} does not take the {}; it wants {}",
            target.name(),
            names(left, " or the "),
            list(wants)
        ),
        _ => format!(
            "{} accepted the {} and wants more: {}",
            target.name(),
            names(accepted, " and the "),
            list(wants)
        ),
    };
    Failure::new(Reason::SftpAuth, message)
        .with_detail(format!("the server still wants: {}", list(wants)))
        .with_hint("change connection.authentication in the job's rules to what the server wants")
}

fn names(proofs: &[Proof], between: &str) -> String {
    let names: Vec<_> = proofs.iter().map(|proof| proof.name()).collect();
    names.join(between)
}

fn list(wants: &[String]) -> String {
    match wants {
        [] => "nothing we know of".to_owned(),
        _ => wants.join(", "),
    }
}
