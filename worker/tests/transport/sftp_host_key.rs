//! Host keys: nothing is told to a server that is not the right one.

use outbound_core::address::parse_fingerprint;
use outbound_core::reason::Reason;
use outbound_worker::sftp::{Connection, HostKeyPolicy, Target};

use crate::sftp::target;
use crate::sshd::Sshd;

/// No user name, let alone a password, reached the server.
fn assert_nothing_told(server: &Sshd) {
    let log = server.log();
    assert!(!log.contains("partner") && !log.contains("Failed"), "{log}");
}

#[test]
fn the_pinned_key_is_accepted_whatever_its_type() {
    let server = Sshd::with_keys(&["ed25519", "ecdsa", "rsa"], "");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let fingerprint = server.fingerprint(kind);
        let target = Target {
            pinned: Some(parse_fingerprint(&fingerprint).unwrap()),
            ..target(&server)
        };
        let (_connection, host_key) = Connection::open(&target).unwrap();
        assert_eq!(host_key.fingerprint, fingerprint);
        assert!(!host_key.newly_seen);
    }
}

#[test]
fn another_key_than_the_pinned_one_ends_it_before_anything_is_told() {
    let server = Sshd::start("");
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        let target = Target {
            pinned: Some([7; 32]),
            policy,
            ..target(&server)
        };
        let failure = Connection::open(&target).unwrap_err();
        assert_eq!(failure.reason, Reason::SftpHostkey);
        let detail = failure.detail.unwrap();
        for kind in ["ed25519", "ecdsa"] {
            assert!(detail.contains(&server.fingerprint(kind)), "{detail}");
        }
    }
    assert_nothing_told(&server);
}

#[test]
fn without_a_pinned_key_a_strict_target_shows_the_fingerprint_and_how_to_pin_it() {
    let server = Sshd::with_keys(&["ed25519"], "");
    let target = Target {
        pinned: None,
        ..target(&server)
    };
    let failure = Connection::open(&target).unwrap_err();
    assert_eq!(failure.reason, Reason::SftpHostkeyUnpinned);
    assert!(
        failure.message.contains(&server.fingerprint("ed25519")),
        "{failure}"
    );
    assert!(failure.message.contains("alter_sftp_server"), "{failure}");
    assert_nothing_told(&server);
}

#[test]
fn a_first_key_is_accepted_and_reported_where_the_policy_says_so() {
    let server = Sshd::with_keys(&["ed25519"], "");
    let target = Target {
        pinned: None,
        policy: HostKeyPolicy::AcceptNew,
        ..target(&server)
    };
    let (_connection, host_key) = Connection::open(&target).unwrap();
    assert!(host_key.newly_seen);
    assert_eq!(host_key.fingerprint, server.fingerprint("ed25519"));
}

#[test]
fn an_outdated_algorithm_is_named() {
    for (config, subject, name) in [
        ("HostKeyAlgorithms ssh-rsa", "host key", "ssh-rsa"),
        (
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "key exchange",
            "sntrup761",
        ),
    ] {
        let server = Sshd::with_keys(&["ed25519", "rsa"], config);
        let failure = Connection::open(&target(&server)).unwrap_err();
        assert_eq!(failure.reason, Reason::SftpAlgorithm, "{failure:?}");
        assert!(
            failure.message.contains(subject) && failure.message.contains(name),
            "{failure}"
        );
    }
}
