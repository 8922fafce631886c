//! `keys init` and the public halves, seen by OpenSSH's and GnuPG's own tools.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use outbound_core::reason::Reason;
use outbound_worker::keys;

use crate::account::{ACCOUNT, private_dir, secrets};
use crate::gnupg::Gnupg;
use crate::sshd::run;

#[test]
fn the_key_files_are_private() {
    let (dir, _secrets) = secrets();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
    }
}

#[test]
fn keys_are_never_overwritten() {
    let (dir, secrets) = secrets();
    for kept in [
        keys::SSH_KEY,
        keys::SSH_PUBLIC,
        keys::PGP_KEY,
        keys::PGP_PUBLIC,
    ] {
        for name in [
            keys::SSH_KEY,
            keys::SSH_PUBLIC,
            keys::PGP_KEY,
            keys::PGP_PUBLIC,
        ] {
            if name != kept {
                let _ = fs::remove_file(dir.path().join(name));
            }
        }
        fs::write(dir.path().join(kept), "precious").unwrap();
        let failure = keys::init(&secrets, ACCOUNT).unwrap_err();
        assert!(failure.message.contains("never overwritten"), "{failure}");
        assert_eq!(fs::read(dir.path().join(kept)).unwrap(), b"precious");
    }
}

#[test]
fn openssh_reads_the_public_key_as_rsa_4096_with_the_same_fingerprint() {
    let (dir, secrets) = secrets();
    let public = keys::ssh_public(&secrets).unwrap();
    assert_eq!(
        public.text,
        fs::read_to_string(dir.path().join(keys::SSH_PUBLIC)).unwrap()
    );
    let path = dir.path().join("copied.pub");
    fs::write(&path, &public.text).unwrap();
    let line = run(Command::new("ssh-keygen").arg("-lf").arg(path));
    assert!(
        line.starts_with(&format!("4096 {} ", public.fingerprint)),
        "{line}"
    );
    assert!(
        line.contains("outbound@Acme-Collections-Ltd (RSA)"),
        "{line}"
    );
}

#[test]
fn gnupg_can_encrypt_to_the_certificate_which_has_no_end() {
    let (_dir, secrets) = secrets();
    let public = keys::pgp_public(&secrets).unwrap();
    assert!(
        public
            .text
            .starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    );
    let partner = Gnupg::knowing(&public.text);
    assert_eq!(partner.fingerprint(ACCOUNT), public.fingerprint);
    let listing = partner.run(&["--with-colons", "--list-keys", ACCOUNT], b"");
    let listing = String::from_utf8(listing).unwrap();
    for kind in ["pub:", "sub:"] {
        let line = listing.lines().find(|line| line.starts_with(kind)).unwrap();
        let fields: Vec<_> = line.split(':').collect();
        assert_eq!(
            (fields[2], fields[3], fields[6]),
            ("4096", "1", ""),
            "{line}"
        );
    }
    assert!(!partner.encrypt(ACCOUNT, &[], b"hello").is_empty());
}

#[test]
fn a_missing_key_names_the_command_that_makes_it() {
    let dir = private_dir();
    let secrets = outbound_worker::secrets::Secrets::open(dir.path()).unwrap();
    for failure in [
        keys::ssh_public(&secrets).unwrap_err(),
        keys::pgp_public(&secrets).unwrap_err(),
    ] {
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert_eq!(failure.hint.as_deref(), Some("outbound keys init"));
    }
}

#[test]
fn the_openpgp_key_is_never_taken_for_the_ssh_key() {
    let (dir, secrets) = secrets();
    fs::copy(
        dir.path().join(keys::PGP_KEY),
        dir.path().join(keys::SSH_KEY),
    )
    .unwrap();
    assert_eq!(
        keys::ssh_public(&secrets).unwrap_err().reason,
        Reason::SecretMissing
    );
}
