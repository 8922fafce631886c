//! Messages that must open: everything GnuPG writes for the account's key.

use outbound_core::job::EncryptionRules;
use outbound_core::reason::Reason;
use outbound_worker::error::Failure;
use outbound_worker::keys;
use outbound_worker::openpgp::{DecryptionKeys, Verified, decrypt, looks_encrypted};
use outbound_worker::secrets::Secrets;

use crate::account::{ACCOUNT, private_dir, secrets};
use crate::gnupg::Gnupg;

/// The account's keys and a partner who knows them.
pub(crate) fn parties() -> (DecryptionKeys, Gnupg) {
    let (_dir, secrets) = secrets();
    let partner = Gnupg::knowing(&keys::pgp_public(&secrets).unwrap().text);
    (DecryptionKeys::load(&secrets).unwrap(), partner)
}

/// Decrypts and keeps the clear text, which counts only with an `Ok`.
pub(crate) fn open(
    keys: &DecryptionKeys,
    rules: &EncryptionRules,
    message: &[u8],
) -> Result<(Vec<u8>, Verified), Failure> {
    let mut clear = Vec::new();
    let verified = decrypt(message, keys, rules, &mut |piece| {
        assert!(piece.len() <= 1 << 20, "pieces stay small");
        clear.extend_from_slice(piece);
        Ok(())
    })?;
    assert_eq!(verified.clear_bytes, clear.len() as u64);
    Ok((clear, verified))
}

/// Lines as in a contact list; `bytes` is a lower limit.
pub(crate) fn contacts(bytes: usize) -> Vec<u8> {
    let mut text = b"id,name,phone\r\n".to_vec();
    let mut number = 1_u64;
    while text.len() < bytes {
        let phone = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000;
        text.extend(format!("{number},Müller {number},+49{phone}\r\n").bytes());
        number += 1;
    }
    text
}

#[test]
fn whatever_gnupg_writes_for_the_account_opens() {
    let (keys, partner) = parties();
    let clear = contacts(300_000);
    for arguments in [
        &[][..],
        &["--armor"],
        &["--compress-algo", "none"],
        &["--compress-algo", "zlib"],
        &[
            "--armor",
            "--comment",
            "with a comment",
            "--compress-algo",
            "none",
        ],
        &["--throw-keyids"],
        &["--cipher-algo", "AES128", "--textmode"],
    ] {
        let message = partner.encrypt(ACCOUNT, arguments, &clear);
        assert!(looks_encrypted(&message), "{arguments:?}");
        let (found, verified) = open(&keys, &EncryptionRules::default(), &message).unwrap();
        assert!(found == clear, "{arguments:?}");
        assert_eq!(verified.signed_by, None);
    }
}

#[test]
fn a_message_far_larger_than_the_buffer_opens_in_pieces() {
    let (keys, partner) = parties();
    let clear = contacts(12 << 20);
    let message = partner.encrypt(ACCOUNT, &[], &clear);
    let (found, _) = open(&keys, &EncryptionRules::default(), &message).unwrap();
    assert!(found == clear);
}

#[test]
fn an_empty_clear_text_opens() {
    let (keys, partner) = parties();
    let message = partner.encrypt(ACCOUNT, &[], b"");
    let (found, _) = open(&keys, &EncryptionRules::default(), &message).unwrap();
    assert!(found.is_empty());
}

#[test]
fn a_message_for_several_recipients_opens() {
    let (keys, partner) = parties();
    partner.make_key("Somebody Else");
    let message = partner.encrypt("Somebody Else", &["--recipient", ACCOUNT], b"for both");
    let (found, _) = open(&keys, &EncryptionRules::default(), &message).unwrap();
    assert_eq!(found, b"for both");
}

#[test]
fn a_signature_of_a_known_partner_is_verified_and_named() {
    let (dir, secrets) = secrets();
    let partner = Gnupg::knowing(&keys::pgp_public(&secrets).unwrap().text);
    partner.make_key("Partner One");
    let signers = dir.path().join("signers");
    std::fs::create_dir(&signers).unwrap();
    std::fs::write(signers.join("partner.asc"), partner.export("Partner One")).unwrap();
    std::fs::write(signers.join("README"), "not a certificate").unwrap();
    let keys = DecryptionKeys::load(&secrets).unwrap();
    let rules = EncryptionRules {
        require_signature: true,
        ..EncryptionRules::default()
    };
    let clear = contacts(3 << 20);
    let message = partner.encrypt(ACCOUNT, &["--sign"], &clear);
    let (found, verified) = open(&keys, &rules, &message).unwrap();
    assert!(found == clear);
    let expected = format!("{} (Partner One)", partner.fingerprint("Partner One"));
    assert_eq!(verified.signed_by, Some(expected));
}

#[test]
fn a_message_for_an_expired_key_still_opens() {
    let past = ["--faked-system-time", "20200301T120000"];
    let own = Gnupg::new();
    let generate = ["--quick-gen-key", "Old", "rsa2048", "encrypt,sign", "30d"];
    own.run(&[&past[..], &generate].concat(), b"");
    let message = own.encrypt("Old", &past, b"from back then");
    let (_dir, keys) = imported(&own.run(&["--export-secret-keys", "Old"], b""), None);
    let (found, _) = open(&keys.unwrap(), &EncryptionRules::default(), &message).unwrap();
    assert_eq!(found, b"from back then");
}

#[test]
fn a_key_from_gnupg_opens_with_its_passphrase_only() {
    let own = Gnupg::new();
    let with = ["--passphrase", "open sesame"];
    let generate = [
        "--quick-gen-key",
        "Guarded",
        "rsa2048",
        "encrypt,sign",
        "never",
    ];
    own.run(&[&with[..], &generate].concat(), b"");
    let exported = own.run(
        &[&with[..], &["--export-secret-keys", "Guarded"]].concat(),
        b"",
    );
    let message = own.encrypt("Guarded", &[], b"hello");

    let (_dir, keys) = imported(&exported, Some("open sesame\n"));
    let (found, _) = open(&keys.unwrap(), &EncryptionRules::default(), &message).unwrap();
    assert_eq!(found, b"hello");
    for wrong in [None, Some("close sesame")] {
        let (_dir, keys) = imported(&exported, wrong);
        let failure = keys.unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(failure.message.contains("passphrase"), "{failure}");
    }
}

fn imported(
    key: &[u8],
    passphrase: Option<&str>,
) -> (tempfile::TempDir, Result<DecryptionKeys, Failure>) {
    let dir = private_dir();
    let secrets = Secrets::open(dir.path()).unwrap();
    secrets.store_new(keys::PGP_KEY, key).unwrap();
    if let Some(passphrase) = passphrase {
        secrets
            .store_new("pgp_passphrase", passphrase.as_bytes())
            .unwrap();
    }
    let keys = DecryptionKeys::load(&secrets);
    (dir, keys)
}
