//! Messages that must not open, each with its own code.

use std::fs;

use outbound_core::job::EncryptionRules;
use outbound_core::reason::Reason;
use outbound_worker::error::Failure;
use outbound_worker::keys;
use outbound_worker::openpgp::{DecryptionKeys, decrypt, looks_encrypted};

use crate::account::{ACCOUNT, secrets};
use crate::gnupg::Gnupg;
use crate::openpgp::{contacts, open, parties};

fn refusal(keys: &DecryptionKeys, message: &[u8]) -> Failure {
    open(keys, &EncryptionRules::default(), message).unwrap_err()
}

#[test]
fn a_clear_file_is_not_encrypted() {
    let (keys, partner) = parties();
    partner.make_key("Signer");
    let stored = partner.run(&["--store"], b"id,phone\r\n1,2\r\n");
    let signed = partner.run(&["--sign"], b"id,phone\r\n1,2\r\n");
    let armoured = partner.run(&["--armor", "--sign"], &contacts(5 << 20));
    let cleartext = partner.run(&["--clear-sign"], b"id,phone\r\n1,2\r\n");
    let certificate = partner.export("Signer");
    let files: [&[u8]; 8] = [
        b"id,phone\r\n1,2\r\n",
        b"\xef\xbb\xbfid,phone\r\n1,2\r\n",
        b"\xfcber,phone\r\n1,2\r\n",
        &stored,
        &signed,
        &armoured,
        &cleartext,
        &certificate,
    ];
    for file in files {
        let failure = refusal(&keys, file);
        let start = String::from_utf8_lossy(&file[..20.min(file.len())]).into_owned();
        assert_eq!(failure.reason, Reason::NotEncrypted, "{start:?}: {failure}");
    }
    assert!(!looks_encrypted(b"id,phone\r\n"));
    assert!(!looks_encrypted(b""));
}

#[test]
fn a_file_of_no_bytes_is_empty() {
    let (keys, _partner) = parties();
    assert_eq!(refusal(&keys, b"").reason, Reason::FileEmpty);
}

#[test]
fn a_message_for_others_names_their_key_ids_and_ours() {
    let (keys, partner) = parties();
    partner.make_key("Somebody Else");
    let failure = refusal(&keys, &partner.encrypt("Somebody Else", &[], b"secret"));
    assert_eq!(failure.reason, Reason::PgpNoKey);
    let listing = partner.run(&["--with-colons", "--list-keys", "Somebody Else"], b"");
    let listing = String::from_utf8(listing).unwrap();
    let encryption = listing.lines().filter(|line| line.starts_with("sub:"));
    let ids: Vec<_> = encryption
        .map(|line| line.split(':').nth(4).unwrap())
        .collect();
    assert!(
        ids.iter().any(|id| failure.message.contains(id)),
        "{failure} {ids:?}"
    );
    assert!(failure.detail.unwrap().starts_with("this account's keys: "));
}

#[test]
fn a_message_for_a_password_is_for_no_key() {
    let (keys, partner) = parties();
    let message = partner.run(&["--symmetric", "--passphrase", "x"], b"secret");
    let failure = refusal(&keys, &message);
    assert_eq!(failure.reason, Reason::PgpNoKey);
    assert!(failure.message.contains("password"), "{failure}");
}

#[test]
fn one_changed_byte_anywhere_is_never_believed() {
    let (keys, partner) = parties();
    let clear = contacts(4 << 20);
    for compression in ["none", "zip"] {
        let message = partner.encrypt(ACCOUNT, &["--compress-algo", compression], &clear);
        let length = message.len();
        // The first packet, up to byte 527 or so, is the session key; then comes the data.
        for place in [0, 1, 2, 3, 5, 12, 20, 300, 530, 533, 540, 560] {
            let failure = refusal(&keys, &changed(&message, place));
            let known = matches!(
                failure.reason,
                Reason::PgpIntegrity
                    | Reason::PgpNoKey
                    | Reason::PgpDecrypt
                    | Reason::PgpTruncated
                    | Reason::NotEncrypted
            );
            assert!(known, "at {place}: {failure}");
        }
        for place in [length / 4, length / 2, length - 30, length - 10, length - 1] {
            let failure = refusal(&keys, &changed(&message, place));
            assert_eq!(
                failure.reason,
                Reason::PgpIntegrity,
                "{compression} at {place}: {failure:?}"
            );
        }
    }
}

fn changed(message: &[u8], place: usize) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[place] ^= 0x01;
    changed
}

#[test]
fn a_message_cut_off_anywhere_is_truncated() {
    let (keys, partner) = parties();
    let clear = contacts(4 << 20);
    for arguments in [
        &["--compress-algo", "none"][..],
        &["--compress-algo", "zip"],
        &["--armor"],
        &["--armor", "--compress-algo", "none"],
    ] {
        let message = partner.encrypt(ACCOUNT, arguments, &clear);
        let length = message.len();
        for place in [
            100,
            527,
            600,
            700,
            5000,
            length / 2,
            length - 1000,
            length - 60,
        ] {
            let failure = refusal(&keys, &message[..place]);
            assert_eq!(
                failure.reason,
                Reason::PgpTruncated,
                "{arguments:?} at {place}: {failure:?}"
            );
        }
    }
    let message = partner.encrypt(ACCOUNT, &[], &clear);
    for missing in 1..30 {
        let failure = refusal(&keys, &message[..message.len() - missing]);
        assert_eq!(
            failure.reason,
            Reason::PgpTruncated,
            "{missing} missing: {failure:?}"
        );
    }
}

#[test]
fn what_stands_behind_a_message_makes_it_no_message() {
    let (keys, partner) = parties();
    let message = partner.encrypt(ACCOUNT, &[], b"one");
    for behind in [
        &message[..],
        b"\xcb\x05b\x00\x00\x00\x00\x00",
        b"plain text",
    ] {
        open(
            &keys,
            &EncryptionRules::default(),
            &[&message, behind].concat(),
        )
        .unwrap_err();
    }
}

#[test]
fn encryption_without_integrity_protection_is_refused() {
    let (keys, partner) = parties();
    let message = partner.encrypt(ACCOUNT, &["--compress-algo", "none"], &contacts(1000));
    // The session key's packet is 3 + 524 bytes; behind it, the old kind of encrypted data.
    let mut old = message[..527].to_vec();
    old.extend([0xc9, 0xff, 0, 0, 4, 0]);
    old.extend([0x55; 1024]);
    let failure = refusal(&keys, &old);
    assert_eq!(failure.reason, Reason::PgpIntegrity, "{failure:?}");
    assert!(
        failure.message.contains("without integrity protection"),
        "{failure}"
    );
}

#[test]
fn a_strangers_signature_is_refused() {
    let (keys, partner) = parties();
    partner.make_key("Stranger");
    let message = partner.encrypt(ACCOUNT, &["--sign"], b"hello");
    let failure = refusal(&keys, &message);
    assert_eq!(failure.reason, Reason::PgpSignature);
    assert!(
        failure.message.contains(&partner.fingerprint("Stranger")),
        "{failure}"
    );
}

#[test]
fn a_signature_that_is_not_valid_is_refused_though_the_signer_is_known() {
    let (dir, secrets) = secrets();
    let partner = Gnupg::knowing(&keys::pgp_public(&secrets).unwrap().text);
    partner.make_key("Partner");
    fs::create_dir(dir.path().join("signers")).unwrap();
    fs::write(
        dir.path().join("signers/partner.asc"),
        partner.export("Partner"),
    )
    .unwrap();
    let keys = DecryptionKeys::load(&secrets).unwrap();
    // Signed in the year 2060: no signature is valid before it was made.
    let arguments = ["--faked-system-time", "20600101T000000", "--sign"];
    let message = partner.encrypt(ACCOUNT, &arguments, b"hello");
    let failure = refusal(&keys, &message);
    assert_eq!(failure.reason, Reason::PgpSignature, "{failure:?}");
    assert!(failure.message.contains("not valid"), "{failure}");
}

#[test]
fn a_missing_signature_is_refused_where_one_is_required() {
    let (keys, partner) = parties();
    let rules = EncryptionRules {
        require_signature: true,
        ..EncryptionRules::default()
    };
    let message = partner.encrypt(ACCOUNT, &[], b"hello");
    let failure = open(&keys, &rules, &message).unwrap_err();
    assert_eq!(failure.reason, Reason::PgpSignature);
}

#[test]
fn a_partners_certificate_resting_on_sha_1_is_refused_when_it_is_read() {
    let (dir, secrets) = secrets();
    let partner = Gnupg::new();
    let generate = ["--quick-gen-key", "Old School", "rsa2048", "sign", "never"];
    partner.run(
        &[&["--cert-digest-algo", "SHA1"][..], &generate].concat(),
        b"",
    );
    fs::create_dir(dir.path().join("signers")).unwrap();
    fs::write(
        dir.path().join("signers/old.asc"),
        partner.export("Old School"),
    )
    .unwrap();
    let failure = DecryptionKeys::load(&secrets).unwrap_err();
    assert_eq!(failure.reason, Reason::SecretMissing);
    assert!(failure.message.contains("old.asc"), "{failure}");
}

#[test]
fn a_bomb_is_stopped_by_its_ratio_and_by_its_size() {
    let (keys, partner) = parties();
    let zeros = vec![b'0'; 70 << 20];
    let bomb = partner.encrypt(ACCOUNT, &["--compress-algo", "zip"], &zeros);
    assert!(bomb.len() < 1 << 20);
    let mut received = 0;
    let default = EncryptionRules::default();
    let failure = decrypt(bomb.as_slice(), &keys, &default, &mut |piece| {
        received += piece.len();
        Ok(())
    })
    .unwrap_err();
    assert_eq!(failure.reason, Reason::CompressionBomb, "{failure:?}");
    assert!(received <= 66 << 20, "{received}");

    let small = EncryptionRules {
        max_bytes: 5 << 20,
        ..EncryptionRules::default()
    };
    let failure = open(&keys, &small, &bomb).unwrap_err();
    assert_eq!(failure.reason, Reason::TooLarge);

    let patient = EncryptionRules {
        max_ratio: 100_000,
        ..EncryptionRules::default()
    };
    assert_eq!(open(&keys, &patient, &bomb).unwrap().0.len(), zeros.len());
}

#[test]
fn a_small_file_may_compress_as_well_as_it_likes() {
    let (keys, partner) = parties();
    let zeros = vec![b'0'; 20 << 20];
    let message = partner.encrypt(ACCOUNT, &["--compress-algo", "zip"], &zeros);
    open(&keys, &EncryptionRules::default(), &message).unwrap();
}

#[test]
fn a_failure_of_the_sink_ends_the_work_and_comes_back_as_it_is() {
    let (keys, partner) = parties();
    let message = partner.encrypt(ACCOUNT, &[], &contacts(4 << 20));
    let mut calls = 0;
    let failure = decrypt(
        message.as_slice(),
        &keys,
        &EncryptionRules::default(),
        &mut |_| {
            calls += 1;
            Err(Failure::new(
                Reason::MaxRejected,
                "too many rows were refused",
            ))
        },
    )
    .unwrap_err();
    assert_eq!((failure.reason, calls), (Reason::MaxRejected, 1));
}
