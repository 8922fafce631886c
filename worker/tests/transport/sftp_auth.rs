//! The three authentications, and what is said when one does not work.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use outbound_core::job::Authentication;
use outbound_core::reason::Reason;
use outbound_worker::error::Failure;
use outbound_worker::keys;
use outbound_worker::secrets::Secret;
use outbound_worker::sftp::{Connection, Target};

use crate::account::secrets;
use crate::sftp::target;
use crate::sshd::{Sshd, free_port};

const BOTH: &str = "AuthenticationMethods publickey,password";

/// A server that knows the account's key, and a target that has it.
fn with_key(config: &str, authentication: Authentication) -> (Sshd, Target) {
    let (_dir, secrets) = secrets();
    let server = Sshd::start(config);
    server.authorize(&keys::ssh_public(&secrets).unwrap().text);
    let target = Target {
        authentication,
        private_key: Some(secrets.read(keys::SSH_KEY).unwrap()),
        ..target(&server)
    };
    (server, target)
}

fn works(target: &Target) {
    let (connection, _) = Connection::open(target).unwrap();
    assert_eq!(connection.list("").unwrap().len(), 1);
}

fn refusal(target: &Target) -> Failure {
    let failure = Connection::open(target).unwrap_err();
    assert_eq!(failure.reason, Reason::SftpAuth, "{failure:?}");
    assert!(!failure.retryable);
    failure
}

fn wrong_password() -> Option<Secret> {
    Some(Secret::new("partner", "wrong"))
}

#[test]
fn the_password_lets_in() {
    works(&target(&Sshd::start("PubkeyAuthentication no")));
}

#[test]
fn a_password_asked_for_in_a_dialogue_lets_in() {
    let config = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes";
    works(&target(&Sshd::start(config)));
}

#[test]
fn the_key_lets_in_with_a_modern_signature() {
    for algorithm in ["rsa-sha2-512", "rsa-sha2-256"] {
        let config = format!("PasswordAuthentication no\nPubkeyAcceptedAlgorithms {algorithm}");
        let (_server, target) = with_key(&config, Authentication::Key);
        works(&target);
    }
}

#[test]
fn a_server_that_takes_no_modern_signature_is_refused() {
    let (_server, target) = with_key("PubkeyAcceptedAlgorithms ssh-rsa", Authentication::Key);
    let failure = refusal(&target);
    assert!(failure.message.contains("refused the SSH key"), "{failure}");
}

#[test]
fn key_and_password_let_in_together_in_either_order() {
    for config in [BOTH, "AuthenticationMethods password,publickey"] {
        let (_server, target) = with_key(config, Authentication::KeyAndPassword);
        works(&target);
    }
}

#[test]
fn a_wrong_password_is_named() {
    let server = Sshd::start("");
    let target = Target {
        password: wrong_password(),
        ..target(&server)
    };
    let failure = refusal(&target);
    assert!(
        failure.message.contains("refused the password"),
        "{failure}"
    );
    let detail = failure.detail.unwrap();
    assert!(
        detail.contains("still wants: publickey, password"),
        "{detail}"
    );
}

#[test]
fn a_refused_key_is_named() {
    let (server, target) = with_key("", Authentication::Key);
    server.authorize("");
    let failure = refusal(&target);
    assert!(failure.message.contains("refused the SSH key"), "{failure}");
    assert!(failure.hint.unwrap().contains("outbound keys show ssh"));
}

#[test]
fn with_two_proofs_the_refused_one_is_named() {
    let (server, target) = with_key(BOTH, Authentication::KeyAndPassword);
    let failure = refusal(&Target {
        password: wrong_password(),
        ..target.clone()
    });
    let expected = "accepted the SSH key but refused the password";
    assert!(failure.message.contains(expected), "{failure}");
    server.authorize("");
    let failure = refusal(&target);
    assert!(failure.message.contains("refused the SSH key"), "{failure}");
}

#[test]
fn a_server_that_wants_more_than_the_job_has_says_what() {
    let (_server, target) = with_key(BOTH, Authentication::Key);
    let failure = refusal(&target);
    let expected = "accepted the SSH key and wants more: password";
    assert!(failure.message.contains(expected), "{failure}");
}

#[test]
fn a_server_that_wants_something_else_says_what() {
    let config = "PasswordAuthentication no\nKbdInteractiveAuthentication no";
    let (_server, target) = with_key(config, Authentication::Password);
    let failure = refusal(&target);
    let expected = "does not take the password; it wants publickey";
    assert!(failure.message.contains(expected), "{failure}");
}

#[test]
fn a_server_content_with_one_of_two_proofs_is_refused() {
    let (_server, target) = with_key("", Authentication::KeyAndPassword);
    let failure = refusal(&target);
    let expected = "without asking for the password";
    assert!(failure.message.contains(expected), "{failure}");
}

#[test]
fn a_missing_or_broken_secret_is_not_blamed_on_the_server() {
    let (server, target) = with_key("", Authentication::KeyAndPassword);
    let broken = [
        Target {
            password: None,
            ..target.clone()
        },
        Target {
            private_key: None,
            ..target.clone()
        },
        Target {
            private_key: Some(Secret::new(
                "ssh_key",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n",
            )),
            ..target
        },
    ];
    for target in broken {
        let failure = Connection::open(&target).unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing, "{failure}");
    }
    assert!(!server.log().contains("Failed"), "{}", server.log());
}

#[test]
fn nobody_at_the_address_is_a_connection_failure_that_may_pass() {
    let server = Sshd::start("");
    for (host, port) in [("127.0.0.1", free_port()), ("no-such-host.invalid", 22)] {
        let target = Target {
            host: host.to_owned(),
            port,
            ..target(&server)
        };
        let failure = Connection::open(&target).unwrap_err();
        assert_eq!(failure.reason, Reason::SftpConnect, "{failure}");
        assert!(
            failure.retryable && failure.message.contains(host),
            "{failure}"
        );
    }
}

#[test]
fn a_server_that_says_nothing_or_is_no_ssh_server_is_left_in_time() {
    let server = Sshd::start("");
    for greeting in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut open = Vec::new();
            for client in listener.incoming() {
                let mut client = client.unwrap();
                std::io::Write::write_all(&mut client, greeting.as_bytes()).unwrap();
                open.push(client);
            }
        });
        let started = Instant::now();
        let target = Target {
            port,
            timeout: Duration::from_secs(1),
            ..target(&server)
        };
        let failure = Connection::open(&target).unwrap_err();
        assert_eq!(failure.reason, Reason::SftpConnect, "{failure:?}");
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "{:?}",
            started.elapsed()
        );
    }
}
