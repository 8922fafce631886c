//! The private keys that open messages and the certificates that check their signatures.
//!
//! Every private key in `pgp_key` counts, expired and retired ones too: a partner may have
//! encrypted before a change reached him. Certificates of partners are the files in the folder
//! `signers` inside the secret folder; each is checked when it is read, so that one the policy
//! refuses shows at once and not at the first signed transfer.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use outbound_core::reason::Reason;
use sequoia_openpgp as openpgp;

use openpgp::cert::{Cert, CertParser};
use openpgp::crypto::{KeyPair, Password};
use openpgp::packet::Key;
use openpgp::packet::key::{SecretParts, UnspecifiedRole};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::{KeyHandle, KeyID};

use crate::error::Failure;
use crate::keys::PGP_KEY;
use crate::secrets::Secrets;

/// Optional secret: opens private keys that are themselves protected.
const PASSPHRASE: &str = "pgp_passphrase";
/// Folder of partners' certificates inside the secret folder.
const SIGNERS: &str = "signers";

/// Everything needed to open messages and check who wrote them.
#[derive(Clone)]
pub struct DecryptionKeys {
    keys: Vec<OwnKey>,
    signers: Vec<Cert>,
}

#[derive(Clone)]
pub(super) struct OwnKey {
    pub(super) cert: Cert,
    pub(super) pair: KeyPair,
    handle: KeyHandle,
}

impl OwnKey {
    pub(super) fn answers_to(&self, recipient: &KeyHandle) -> bool {
        self.handle.aliases(recipient)
    }
}

impl fmt::Debug for DecryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKeys({})", self.own_ids())
    }
}

impl DecryptionKeys {
    /// Reads the private keys (`pgp_key`, with `pgp_passphrase` if they are protected) and the
    /// partners' certificates (`signers/*.asc`, `*.pgp`, `*.gpg`).
    ///
    /// Fails with `secret_missing` when a file is missing, no OpenPGP, protected by another
    /// passphrase or refused by the policy.
    pub fn load(secrets: &Secrets) -> Result<Self, Failure> {
        let secret = secrets
            .read(PGP_KEY)
            .map_err(|failure| match failure.hint {
                Some(_) => failure.with_hint("outbound keys init"),
                None => failure,
            })?;
        let passphrase = match secrets.read_if_present(PASSPHRASE)? {
            Some(secret) => Some(Password::from(secret.text()?)),
            None => None,
        };
        let certs = parse(secret.bytes(), PGP_KEY)?;
        Self::from_certs(
            certs,
            passphrase.as_ref(),
            read_signers(&secrets.dir().join(SIGNERS))?,
        )
    }

    /// The same from certificates at hand.
    pub fn from_certs(
        own: Vec<Cert>,
        passphrase: Option<&Password>,
        signers: Vec<Cert>,
    ) -> Result<Self, Failure> {
        let mut keys = Vec::new();
        for cert in &own {
            // No policy here: what was ever ours may open messages.
            for amalgamation in cert.keys().secret() {
                let key = amalgamation.key().clone();
                if key.pk_algo().for_encryption() {
                    let handle = key.fingerprint().into();
                    let cert = cert.clone();
                    keys.push(OwnKey {
                        cert,
                        pair: unlock(key, passphrase)?,
                        handle,
                    });
                }
            }
        }
        if keys.is_empty() {
            return Err(Failure::new(
                Reason::SecretMissing,
                format!("the secret {PGP_KEY:?} holds no private key that can decrypt"),
            ));
        }
        Ok(Self { keys, signers })
    }

    pub(super) fn own(&self) -> &[OwnKey] {
        &self.keys
    }

    pub(super) fn signers(&self) -> &[Cert] {
        &self.signers
    }

    /// Key ids that partners can encrypt to, for messages.
    pub(super) fn own_ids(&self) -> String {
        let ids: Vec<_> = self
            .keys
            .iter()
            .map(|key| KeyID::from(&key.handle).to_hex())
            .collect();
        ids.join(", ")
    }
}

fn unlock(
    key: Key<SecretParts, UnspecifiedRole>,
    passphrase: Option<&Password>,
) -> Result<KeyPair, Failure> {
    let id = key.keyid().to_hex();
    let unusable = |why: &str| {
        Failure::new(
            Reason::SecretMissing,
            format!("the private OpenPGP key {id} {why}"),
        )
        .with_hint(format!("store its passphrase as the secret {PASSPHRASE:?}"))
    };
    let key = if key.secret().is_encrypted() {
        let passphrase = passphrase.ok_or_else(|| unusable("is protected by a passphrase"))?;
        key.decrypt_secret(passphrase)
            .map_err(|_| unusable("does not open with the passphrase given"))?
    } else {
        key
    };
    key.into_keypair()
        .map_err(|error| unusable("cannot be used").with_detail(error.to_string()))
}

fn parse(bytes: &[u8], name: &str) -> Result<Vec<Cert>, Failure> {
    let certs: Result<Vec<Cert>, _> = match CertParser::from_bytes(bytes) {
        Ok(parser) => parser.collect(),
        Err(error) => Err(error),
    };
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        Ok(_) => Err(not_openpgp(name)),
        Err(error) => Err(not_openpgp(name).with_detail(error.to_string())),
    }
}

fn not_openpgp(name: &str) -> Failure {
    Failure::new(
        Reason::SecretMissing,
        format!("{name} is not an OpenPGP certificate or key"),
    )
}

fn read_signers(folder: &Path) -> Result<Vec<Cert>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Reason::SecretMissing,
            format!(
                "cannot read the partners' certificates in {}: {error}",
                folder.display()
            ),
        )
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "asc" || extension == "pgp" || extension == "gpg")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let policy = StandardPolicy::new();
    let mut signers = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        for cert in parse(&fs::read(&path).map_err(unreadable)?, &name)? {
            if let Err(error) = cert.with_policy(&policy, None) {
                return Err(Failure::new(
                    Reason::SecretMissing,
                    format!("the certificate {} in {name} is not acceptable", cert.fingerprint()),
                )
                .with_detail(openpgp_chain(&error))
                .with_hint("ask the partner for a certificate that does not rest on outdated algorithms such as SHA-1"));
            }
            signers.push(cert);
        }
    }
    Ok(signers)
}

/// An error of the library with its causes, outermost first.
fn openpgp_chain<E: AsRef<dyn std::error::Error + Send + Sync>>(error: &E) -> String {
    super::failures::chain(error.as_ref())
}
