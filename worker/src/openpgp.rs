//! Decrypts what partners send, as a stream (list-automation §13).
//!
//! Clear text leaves this module before the end of the message has been seen: an OpenPGP message
//! proves its integrity only with its last bytes. So whatever the sink does must be undone unless
//! [`decrypt`] returns [`Verified`]; nothing may be published before (§13 E-6, E-7).
//!
//! Refused: clear files, messages without integrity protection, manipulated and cut-off ones,
//! signatures that do not verify against a certificate in `<secrets>/signers`, and messages that
//! swell beyond the limits. The rules are those of the library's standard policy, which cannot be
//! switched off.

mod failures;
mod framing;
mod helper;
mod keys;

use std::io::{self, Read};
use std::sync::Mutex;

use outbound_core::job::EncryptionRules;
use outbound_core::reason::Reason;
use sequoia_openpgp as openpgp;

use openpgp::armor;
use openpgp::parse::Parse;
use openpgp::parse::stream::DecryptorBuilder;
use openpgp::policy::StandardPolicy;

use crate::error::Failure;

pub use self::keys::DecryptionKeys;

use self::failures::translate;
use self::framing::{FramingReader, Observed};
use self::helper::Helper;

/// Clear text is held back and handed out in pieces of this size. Two pieces are in memory.
const BUFFER_BYTES: usize = 1 << 20;

/// Below this much clear text a high ratio is no danger, and quite usual.
const RATIO_FROM_BYTES: u64 = 64 << 20;

/// A message was decrypted to its end and every check held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Fingerprint and name of the signer; with several, separated by commas. `None`: not signed.
    pub signed_by: Option<String>,
    /// Bytes of clear text given to the sink.
    pub clear_bytes: u64,
}

/// Decrypts one message, binary or armoured, and gives its clear text to `sink` piece by piece.
///
/// The sink's pieces are to be believed only when this returns [`Verified`]. A failure of the
/// sink ends the work and is returned as it is. Memory stays at a few megabytes whatever the size
/// of the message.
///
/// Failures: `file_empty`, `not_encrypted`, `pgp_no_key`, `pgp_integrity`, `pgp_truncated`,
/// `pgp_signature`, `pgp_decrypt` (malformed, or an algorithm that is refused),
/// `compression_bomb`, `too_large`, `storage` (the input cannot be read).
pub fn decrypt(
    input: impl Read + Send,
    keys: &DecryptionKeys,
    rules: &EncryptionRules,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Verified, Failure> {
    let observed = Observed::default();
    let input = Shareable(Mutex::new(input));
    let (first, input) = peek(input)?;
    if first.is_empty() {
        return Err(Failure::new(Reason::FileEmpty, "the file is empty"));
    }
    if !looks_encrypted(&first) {
        return Err(failures::not_encrypted());
    }
    let armoured = first[0] & 0x80 == 0;
    let input = observed.counted(input);
    let policy = StandardPolicy::new();
    let helper = Helper::new(keys, rules, observed.clone());
    let built = if armoured {
        let binary = armor::Reader::from_reader(
            input,
            armor::ReaderMode::Tolerant(Some(armor::Kind::Message)),
        );
        DecryptorBuilder::from_reader(FramingReader::new(binary, observed.clone()))
    } else {
        DecryptorBuilder::from_reader(FramingReader::new(input, observed.clone()))
    };
    let opened = built.and_then(|builder| {
        builder
            .buffer_size(BUFFER_BYTES)
            .with_policy(&policy, None, helper)
    });
    let mut message = opened.map_err(|error| translate(error.as_ref(), &observed))?;

    let mut clear_bytes = 0;
    let mut piece = vec![0; BUFFER_BYTES];
    loop {
        let count = match message.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The reader must not be touched again after an error.
            Err(error) => return Err(translate(&error, &observed)),
        };
        if count == 0 {
            break;
        }
        clear_bytes += count as u64;
        check_size(clear_bytes, observed.bytes_read(), rules)?;
        sink(&piece[..count])?;
    }
    if !message.message_processed() || observed.ended_early() {
        return Err(failures::truncated());
    }
    Ok(Verified {
        signed_by: message.into_helper().into_signers(),
        clear_bytes,
    })
}

/// True when a file that starts like this is an OpenPGP message or an armoured one.
///
/// Binary messages start with a packet that may open an encrypted message; the text of a
/// contact list starts with a letter, a quote or a byte-order mark and is never taken for one.
pub fn looks_encrypted(first_bytes: &[u8]) -> bool {
    match first_bytes.first() {
        None => false,
        Some(first) if first & 0x80 != 0 => {
            matches!(
                framing::packet_tag(*first),
                // Session keys, encrypted data with and without integrity protection, marker, AEAD.
                Some(1 | 3 | 9 | 10 | 18 | 20)
            ) && !first_bytes.starts_with(&[0xef, 0xbb, 0xbf])
        }
        Some(_) => {
            const ARMOUR: &[u8] = b"-----BEGIN PGP MESSAGE-----";
            first_bytes
                .windows(ARMOUR.len())
                .take(1024)
                .any(|window| window == ARMOUR)
        }
    }
}

/// Refuses a message that swells beyond the limits.
fn check_size(clear: u64, read: u64, rules: &EncryptionRules) -> Result<(), Failure> {
    if clear > rules.max_bytes {
        return Err(Failure::new(
            Reason::TooLarge,
            format!("the file decrypts to more than {} bytes", rules.max_bytes),
        )
        .with_hint("raise encryption.max_bytes in the job's rules if such files are expected"));
    }
    if clear > RATIO_FROM_BYTES && clear / read.max(1) > rules.max_ratio {
        return Err(Failure::new(
            Reason::CompressionBomb,
            format!(
                "the file swells to more than {} times its size",
                rules.max_ratio
            ),
        )
        .with_detail(format!(
            "{clear} bytes of clear text came from {read} bytes of the file"
        ))
        .with_hint("raise encryption.max_ratio in the job's rules if such files are expected"));
    }
    Ok(())
}

/// Reads the first bytes and puts them back in front.
fn peek<R: Read>(mut input: R) -> Result<(Vec<u8>, impl Read + use<R>), Failure> {
    let mut first = vec![0; 2048];
    let mut filled = 0;
    while filled < first.len() {
        match input.read(&mut first[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::storage("cannot read the encrypted file", &error)),
        }
    }
    first.truncate(filled);
    let again = io::Cursor::new(first.clone()).chain(input);
    Ok((first, again))
}

/// Makes a reader that only one thread uses at a time acceptable to the parser, which asks for
/// `Sync`: access goes through `&mut self`, so the lock is never taken.
struct Shareable<R>(Mutex<R>);

impl<R: Read> Read for Shareable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.get_mut() {
            Ok(reader) => reader.read(buffer),
            Err(poisoned) => poisoned.into_inner().read(buffer),
        }
    }
}
