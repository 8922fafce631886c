//! The account's own key pairs: one for SFTP, one for OpenPGP.
//!
//! The two are made apart and never stand in for each other (list-automation §2.2 F-9, F-10,
//! §13 E-4). Both live in the secret folder: `ssh_key` (PEM) and `pgp_key` (armoured), each with
//! its public half beside it for people to copy. The public halves that the program shows are
//! derived from the private ones, so they cannot disagree with what the worker uses.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use openssl::bn::BigNumRef;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use outbound_core::reason::Reason;
use sequoia_openpgp as openpgp;

use openpgp::Profile;
use openpgp::cert::{Cert, CertBuilder, CipherSuite};
use openpgp::parse::Parse;
use openpgp::serialize::SerializeInto;
use openpgp::types::KeyFlags;

use crate::error::Failure;
use crate::secrets::{Secret, Secrets};

/// Secret that holds the private SSH key (PEM).
pub const SSH_KEY: &str = "ssh_key";
/// The public SSH key beside it, one line.
pub const SSH_PUBLIC: &str = "ssh_key.pub";
/// Secret that holds the OpenPGP certificate with its private keys.
pub const PGP_KEY: &str = "pgp_key";
/// The public OpenPGP certificate beside it, armoured.
pub const PGP_PUBLIC: &str = "pgp_key.asc";

/// list-automation §2.2 F-9.
const RSA_BITS: u32 = 4096;

/// The half of a key pair that partners get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// One `authorized_keys` line, or an armoured OpenPGP certificate; ends with a line break.
    pub text: String,
    /// `SHA256:` and base64 for SSH, upper-case hexadecimal digits for OpenPGP.
    pub fingerprint: String,
}

/// Makes both key pairs. Takes some seconds: three RSA keys of 4096 bits.
///
/// Refuses to run when any of the four files is there, so that no key that partners rely on is
/// ever lost.
pub fn init(secrets: &Secrets, account: &str) -> Result<(), Failure> {
    for name in [SSH_KEY, SSH_PUBLIC, PGP_KEY, PGP_PUBLIC] {
        let path = secrets.dir().join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(
                Reason::Rule,
                format!("{} exists: keys are never overwritten", path.display()),
            )
            .with_hint(
                "to change keys, move the old ones away first; partners need the new public halves",
            ));
        }
    }
    let account = account.trim();
    if account.is_empty() || account.chars().any(char::is_control) {
        return Err(Failure::new(
            Reason::Rule,
            "the account's name must not be blank or hold control characters",
        ));
    }

    let ssh = Rsa::generate(RSA_BITS)
        .and_then(PKey::from_rsa)
        .map_err(|error| Failure::internal(format!("cannot make an RSA key: {error}")))?;
    let pem = ssh
        .private_key_to_pem_pkcs8()
        .map(zeroize::Zeroizing::new)
        .map_err(|error| Failure::internal(format!("cannot write an RSA key: {error}")))?;
    let ssh_public = ssh_public_half(&ssh, account)?;
    let cert = pgp_cert(account)
        .map_err(|error| Failure::internal(format!("cannot make an OpenPGP key: {error}")))?;
    let armoured = cert
        .as_tsk()
        .armored()
        .to_vec()
        .map(zeroize::Zeroizing::new)
        .map_err(|error| Failure::internal(format!("cannot write an OpenPGP key: {error}")))?;
    let pgp_public = pgp_public_half(&cert)?;

    secrets.store_new(SSH_KEY, &pem)?;
    secrets.store_new(SSH_PUBLIC, ssh_public.text.as_bytes())?;
    secrets.store_new(PGP_KEY, &armoured)?;
    secrets.store_new(PGP_PUBLIC, pgp_public.text.as_bytes())
}

/// The public half of the SSH key, as a line for `authorized_keys`.
pub fn ssh_public(secrets: &Secrets) -> Result<PublicKey, Failure> {
    let secret = read_key(secrets, SSH_KEY)?;
    let key = PKey::private_key_from_pem_callback(secret.bytes(), no_passphrase)
        .map_err(|_| not_a_key(SSH_KEY, "an RSA key in PEM form without a passphrase"))?;
    // The comment is only a label; the one given at the key's making is in the public file.
    let stored = secrets.read_if_present(SSH_PUBLIC)?;
    let comment = stored.as_ref().and_then(|line| {
        let line = line.text().ok()?;
        line.splitn(3, ' ').nth(2)?.strip_prefix("outbound@")
    });
    ssh_public_half(&key, comment.unwrap_or("outbound"))
}

/// The public half of the OpenPGP certificate, armoured.
pub fn pgp_public(secrets: &Secrets) -> Result<PublicKey, Failure> {
    let secret = read_key(secrets, PGP_KEY)?;
    let cert = Cert::from_bytes(secret.bytes())
        .map_err(|error| not_a_key(PGP_KEY, "an OpenPGP key").with_detail(error.to_string()))?;
    pgp_public_half(&cert)
}

fn read_key(secrets: &Secrets, name: &str) -> Result<Secret, Failure> {
    match secrets.read_if_present(name)? {
        Some(secret) => Ok(secret),
        None => Err(Failure::new(
            Reason::SecretMissing,
            format!("there is no {name} in {}", secrets.dir().display()),
        )
        .with_hint("outbound keys init")),
    }
}

fn not_a_key(name: &str, wanted: &str) -> Failure {
    Failure::new(
        Reason::SecretMissing,
        format!("the secret {name:?} is not {wanted}"),
    )
}

/// Keeps OpenSSL from asking for a passphrase on the terminal.
pub(crate) fn no_passphrase(_: &mut [u8]) -> Result<usize, openssl::error::ErrorStack> {
    Ok(0)
}

/// RFC 4253 §6.6: the key blob is the strings "ssh-rsa", e and n, the numbers as `mpint`.
fn ssh_public_half(key: &PKey<Private>, account: &str) -> Result<PublicKey, Failure> {
    let rsa = key
        .rsa()
        .map_err(|_| not_a_key(SSH_KEY, "an RSA key (list-automation §2.2 F-9)"))?;
    let mut blob = Vec::with_capacity(600);
    push_string(&mut blob, b"ssh-rsa");
    push_string(&mut blob, &mpint(rsa.e()));
    push_string(&mut blob, &mpint(rsa.n()));
    let label: String = account
        .chars()
        .map(|character| {
            if character.is_whitespace() {
                '-'
            } else {
                character
            }
        })
        .collect();
    Ok(PublicKey {
        text: format!("ssh-rsa {} outbound@{label}\n", STANDARD.encode(&blob)),
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&blob))),
    })
}

fn push_string(blob: &mut Vec<u8>, bytes: &[u8]) {
    // Key numbers are some hundred bytes long: the length always fits.
    blob.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    blob.extend_from_slice(bytes);
}

/// Two's complement, so a positive number whose top bit is set gets a zero byte in front.
fn mpint(number: &BigNumRef) -> Vec<u8> {
    let mut bytes = number.to_vec();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    bytes
}

/// RSA, version 4 and without expiry: what every OpenPGP program of a partner can encrypt to.
///
/// The certificate says that it takes integrity-protected messages of version 1 (MDC) only,
/// which GnuPG 2.2 writes.
fn pgp_cert(account: &str) -> openpgp::Result<Cert> {
    let encryption = KeyFlags::empty()
        .set_transport_encryption()
        .set_storage_encryption();
    let (cert, _revocation) = CertBuilder::new()
        .set_profile(Profile::RFC4880)?
        .set_cipher_suite(CipherSuite::RSA4k)
        .set_validity_period(None)
        .add_userid(account)
        .add_subkey(encryption, None, None)
        .generate()?;
    Ok(cert)
}

fn pgp_public_half(cert: &Cert) -> Result<PublicKey, Failure> {
    let public = cert.clone().strip_secret_key_material();
    let text = public
        .armored()
        .to_vec()
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Failure::internal("cannot write an OpenPGP certificate"))?;
    Ok(PublicKey {
        text,
        fingerprint: cert.fingerprint().to_hex(),
    })
}
