//! A secret folder with the account's keys. They are made once a test run, since that is slow.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use outbound_worker::keys;
use outbound_worker::secrets::Secrets;
use tempfile::TempDir;

pub const ACCOUNT: &str = "Acme Collections Ltd";

/// A new secret folder with all four key files.
pub fn secrets() -> (TempDir, Secrets) {
    static KEYS: OnceLock<Vec<(&'static str, Vec<u8>)>> = OnceLock::new();
    let made = KEYS.get_or_init(|| {
        let dir = private_dir();
        keys::init(&Secrets::open(dir.path()).unwrap(), ACCOUNT).unwrap();
        [
            keys::SSH_KEY,
            keys::SSH_PUBLIC,
            keys::PGP_KEY,
            keys::PGP_PUBLIC,
        ]
        .map(|name| (name, std::fs::read(dir.path().join(name)).unwrap()))
        .into()
    });
    let dir = private_dir();
    let secrets = Secrets::open(dir.path()).unwrap();
    for (name, content) in made {
        secrets.store_new(name, content).unwrap();
    }
    (dir, secrets)
}

/// An empty folder that a secret folder may be.
pub fn private_dir() -> TempDir {
    let mode = Permissions::from_mode(0o700);
    tempfile::Builder::new()
        .permissions(mode)
        .tempdir()
        .unwrap()
}
