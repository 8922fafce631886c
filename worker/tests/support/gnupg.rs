//! GnuPG as the partner: a home folder of its own, keys without passphrases.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

pub struct Gnupg {
    home: TempDir,
}

impl Gnupg {
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        Self { home }
    }

    /// A partner who has imported a certificate.
    pub fn knowing(certificate: &str) -> Self {
        let partner = Self::new();
        partner.run(&["--import"], certificate.as_bytes());
        partner
    }

    /// Runs `gpg` with these arguments and this input, and returns its output.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home.path())
            .args([
                "--batch",
                "--yes",
                "--quiet",
                "--no-tty",
                "--trust-model",
                "always",
            ])
            .args(["--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = thread::scope(|scope| {
            // A gpg that fails early does not read its input to the end.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {errors}");
        output.stdout
    }

    /// Makes a key pair that can sign and decrypt.
    pub fn make_key(&self, user: &str) {
        self.run(
            &["--quick-gen-key", user, "rsa2048", "default", "never"],
            b"",
        );
        let fingerprint = self.fingerprint(user);
        self.run(
            &[
                "--quick-add-key",
                &fingerprint,
                "rsa2048",
                "encrypt",
                "never",
            ],
            b"",
        );
    }

    /// The primary key's fingerprint.
    pub fn fingerprint(&self, user: &str) -> String {
        let listing = self.run(&["--with-colons", "--list-keys", user], b"");
        let listing = String::from_utf8(listing).unwrap();
        let line = listing
            .lines()
            .find(|line| line.starts_with("fpr:"))
            .unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// The public certificate, armoured.
    pub fn export(&self, user: &str) -> Vec<u8> {
        self.run(&["--armor", "--export", user], b"")
    }

    /// Encrypts for a user, with more arguments.
    pub fn encrypt(&self, user: &str, arguments: &[&str], clear: &[u8]) -> Vec<u8> {
        let mut all = vec!["--recipient", user];
        all.extend(arguments);
        all.push("--encrypt");
        self.run(&all, clear)
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        // The agent would go by itself, some time after its folder.
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .status();
    }
}
