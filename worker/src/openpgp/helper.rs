//! Answers the parser's questions: which session key, which certificates, is the whole all right.

use outbound_core::job::EncryptionRules;
use outbound_core::reason::Reason;
use sequoia_openpgp as openpgp;

use openpgp::crypto::SessionKey;
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::PacketParser;
use openpgp::parse::stream::{
    DecryptionHelper, MessageLayer, MessageStructure, VerificationError, VerificationHelper,
};
use openpgp::types::SymmetricAlgorithm;
use openpgp::{Cert, KeyHandle, Packet};

use crate::error::Failure;

use super::failures::{integrity, not_encrypted};
use super::framing::Observed;
use super::keys::{DecryptionKeys, OwnKey};

/// A message for some hundred recipients stays below; a flood of packets does not.
const MAX_PACKETS: usize = 2000;

/// Holds what one message's processing needs to know and learns.
pub(super) struct Helper<'a> {
    keys: &'a DecryptionKeys,
    require_signature: bool,
    packets: usize,
    observed: Observed,
    signers: Vec<String>,
}

impl<'a> Helper<'a> {
    pub(super) fn new(
        keys: &'a DecryptionKeys,
        rules: &EncryptionRules,
        observed: Observed,
    ) -> Self {
        Self {
            keys,
            require_signature: rules.require_signature,
            packets: 0,
            observed,
            signers: Vec::new(),
        }
    }

    /// Who signed the message, once it was checked.
    pub(super) fn into_signers(self) -> Option<String> {
        (!self.signers.is_empty()).then(|| self.signers.join(", "))
    }

    /// Tries one of our keys on one encrypted session key.
    fn try_key(
        pkesk: &PKESK,
        own: &OwnKey,
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> bool {
        let mut pair = own.pair.clone();
        pkesk
            .decrypt(&mut pair, algorithm)
            .is_some_and(|(algorithm, session_key)| decrypt(algorithm, &session_key))
    }
}

impl DecryptionHelper for Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        skesks: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        let mut addressed = false;
        for pkesk in pkesks {
            let recipient = pkesk.recipient();
            for own in self.keys.own() {
                // A hidden recipient may be any of us.
                let ours = recipient
                    .as_ref()
                    .is_none_or(|recipient| own.answers_to(recipient));
                if !ours || own.pair.public().pk_algo() != pkesk.pk_algo() {
                    continue;
                }
                addressed |= recipient.is_some();
                if Self::try_key(pkesk, own, algorithm, decrypt) {
                    self.observed.note_opened();
                    return Ok(Some(own.cert.clone()));
                }
            }
        }
        if addressed {
            return Err(integrity(
                "the message is for this account's key, but its first part is damaged",
            )
            .into());
        }
        Err(no_key(pkesks, skesks, self.keys).into())
    }
}

impl VerificationHelper for Helper<'_> {
    fn inspect(&mut self, parser: &PacketParser<'_>) -> openpgp::Result<()> {
        self.packets += 1;
        if self.packets > MAX_PACKETS {
            return Err(Failure::new(
                Reason::PgpDecrypt,
                format!("the message has more than {MAX_PACKETS} packets"),
            )
            .into());
        }
        match &parser.packet {
            // Clear text that no encryption stands around.
            Packet::Literal(_) if !self.observed.was_opened() => Err(not_encrypted().into()),
            // The library leaves such a packet closed, and takes the message for a malformed one.
            Packet::CompressedData(data) if !data.algo().is_supported() => {
                Err(openpgp::Error::UnsupportedCompressionAlgorithm(data.algo()).into())
            }
            _ => Ok(()),
        }
    }

    fn get_certs(&mut self, _ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(self.keys.signers().to_vec())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else {
                continue;
            };
            for result in results {
                match result {
                    Ok(good) => {
                        let cert = good.ka.cert();
                        let name = cert.userids().next().map(|user| {
                            String::from_utf8_lossy(user.userid().value()).into_owned()
                        });
                        self.signers.push(match name {
                            Some(name) => format!("{} ({name})", cert.fingerprint()),
                            None => cert.fingerprint().to_string(),
                        });
                    }
                    // Every signature has to verify: nobody looks at a warning in a night run.
                    Err(error) => return Err(bad_signature(&error).into()),
                }
            }
        }
        if self.require_signature && self.signers.is_empty() {
            return Err(Failure::new(
                Reason::PgpSignature,
                "the message is not signed, but the job requires a signature",
            )
            .with_hint("ask the partner to sign, or set encryption.require_signature to false")
            .into());
        }
        Ok(())
    }
}

/// The message is for others.
fn no_key(pkesks: &[PKESK], skesks: &[SKESK], keys: &DecryptionKeys) -> Failure {
    let recipients: Vec<String> = pkesks
        .iter()
        .map(|pkesk| match pkesk.recipient() {
            Some(recipient) => openpgp::KeyID::from(recipient).to_hex(),
            None => "hidden".to_owned(),
        })
        .collect();
    let failure = if recipients.is_empty() && !skesks.is_empty() {
        Failure::new(
            Reason::PgpNoKey,
            "the file is encrypted with a password and not for a key",
        )
    } else {
        Failure::new(
            Reason::PgpNoKey,
            format!(
                "the file is encrypted for a key that is not here: {}",
                recipients.join(", ")
            ),
        )
    };
    failure
        .with_detail(format!("this account's keys: {}", keys.own_ids()))
        .with_hint("give the partner this account's certificate: outbound keys show pgp")
}

fn bad_signature(error: &VerificationError<'_>) -> Failure {
    match error {
        VerificationError::MissingKey { sig } => {
            let issuer = sig
                .get_issuers()
                .first()
                .map_or_else(|| "an unnamed key".to_owned(), ToString::to_string);
            Failure::new(
                Reason::PgpSignature,
                format!("the message is signed by a stranger: {issuer}"),
            )
            .with_hint("if the signer is right, put the certificate into the folder `signers` inside the secret folder")
        }
        other => Failure::new(Reason::PgpSignature, "the message's signature is not valid")
            .with_detail(other.to_string()),
    }
}
