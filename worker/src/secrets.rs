//! Passwords and private keys: where they are kept and how they are read.
//!
//! The database knows a secret's *name* only (list-automation §13 E-8). The worker resolves the
//! name here: a file of that name in the secret folder, in the shape of Docker and Kubernetes
//! secrets, or else the environment variable `OUTBOUND_SECRET_<NAME>` (upper case, `.` and `-`
//! written as `_`). A folder or file that other users could read is refused rather than used, so
//! that a slip in its permissions shows at once.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use outbound_core::reason::Reason;
use zeroize::Zeroizing;

use crate::error::Failure;

/// Far above any key or password; a larger file is something else.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// Permission bits that let anyone but the owner at a file.
const OTHERS: u32 = 0o077;

/// A secret's content; wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct Secret {
    name: String,
    bytes: Zeroizing<Vec<u8>>,
}

impl Secret {
    /// A secret from somewhere else than the secret folder; `name` is used in messages.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: Zeroizing::new(bytes.into()),
        }
    }

    /// Name under which it was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content as text without its final line break, which editors and `echo` add.
    ///
    /// Fails with `secret_missing` when it is not UTF-8 text, is empty or holds a NUL.
    pub fn text(&self) -> Result<&str, Failure> {
        let text =
            std::str::from_utf8(&self.bytes).map_err(|_| self.unusable("it is not UTF-8 text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(self.unusable("it is empty"));
        }
        if text.contains('\0') {
            return Err(self.unusable("it contains a NUL character"));
        }
        Ok(text)
    }

    fn unusable(&self, why: &str) -> Failure {
        Failure::new(
            Reason::SecretMissing,
            format!("the secret {:?} cannot be used: {why}", self.name),
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.name)
    }
}

/// The secret folder.
#[derive(Debug, Clone)]
pub struct Secrets {
    dir: PathBuf,
}

impl Secrets {
    /// Opens a secret folder after checking that it is ours and closed to everybody else.
    ///
    /// A folder that does not exist is accepted: secrets may all come from the environment, and
    /// `keys init` creates it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Failure> {
        let secrets = Self { dir: dir.into() };
        match fs::metadata(&secrets.dir) {
            Ok(metadata) if !metadata.is_dir() => Err(Failure::new(
                Reason::SecretMissing,
                format!("{} is not a folder", secrets.dir.display()),
            )),
            Ok(metadata) => {
                check_private(&secrets.dir, &metadata, "700")?;
                Ok(secrets)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(secrets),
            Err(error) => Err(Failure::new(
                Reason::SecretMissing,
                format!(
                    "cannot look at the secret folder {}: {error}",
                    secrets.dir.display()
                ),
            )),
        }
    }

    /// The folder's path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads one secret: its file, or else its environment variable.
    pub fn read(&self, name: &str) -> Result<Secret, Failure> {
        self.read_if_present(name)?.ok_or_else(|| {
            Failure::new(
                Reason::SecretMissing,
                format!("there is no secret named {name:?}"),
            )
            .with_hint(format!(
                "write it to {} with mode 600, or set {}",
                self.dir.join(name).display(),
                variable(name)
            ))
        })
    }

    /// Like [`Secrets::read`], with `None` for a secret that is nowhere.
    pub fn read_if_present(&self, name: &str) -> Result<Option<Secret>, Failure> {
        self.resolve(name, |variable| std::env::var_os(variable))
    }

    fn resolve(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Option<Secret>, Failure> {
        check_name(name)?;
        if let Some(bytes) = self.read_file(name)? {
            return Ok(Some(Secret {
                name: name.to_owned(),
                bytes,
            }));
        }
        Ok(environment(&variable(name)).map(|value| Secret::new(name, value.into_encoded_bytes())))
    }

    fn read_file(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let path = self.dir.join(name);
        let unreadable = |error: std::io::Error| {
            Failure::new(
                Reason::SecretMissing,
                format!("cannot read the secret {}: {error}", path.display()),
            )
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        // Checked on the open file: what was looked at is what is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > MAX_SECRET_BYTES {
            return Err(Failure::new(
                Reason::SecretMissing,
                format!("{} is not a file of at most 1 MiB", path.display()),
            ));
        }
        check_private(&path, &metadata, "600")?;
        // Room for everything at once, since growing would leave copies behind in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES as usize + 1));
        file.take(MAX_SECRET_BYTES)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        Ok(Some(bytes))
    }

    /// Stores a new secret with mode 600; an existing one is never replaced.
    ///
    /// The content appears under its name only when it is complete and on the disk.
    pub fn store_new(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        check_name(name)?;
        let path = self.dir.join(name);
        let store = || -> std::io::Result<()> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.dir)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(content)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&path).map_err(|error| error.error)?;
            File::open(&self.dir)?.sync_all()
        };
        store().map_err(|error| {
            Failure::storage(
                &format!("cannot write the secret {}", path.display()),
                &error,
            )
        })
    }
}

/// Accepts `A-Z a-z 0-9 _ . -`, not starting with a dot, at most 100 characters: a plain file name.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if plain && (1..=100).contains(&name.len()) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Failure::new(
        Reason::SecretMissing,
        format!("{name:?} is not a name for a secret"),
    )
    .with_hint("use letters, digits, '_', '-' and '.', with no folder in front"))
}

fn variable(name: &str) -> String {
    let mut variable = String::from("OUTBOUND_SECRET_");
    variable.extend(name.chars().map(|character| match character {
        '.' | '-' => '_',
        other => other.to_ascii_uppercase(),
    }));
    variable
}

/// Refuses what others may read or write, and what belongs to someone other than us or root.
pub(crate) fn check_private(path: &Path, metadata: &Metadata, mode: &str) -> Result<(), Failure> {
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us && metadata.uid() != 0 {
        return Err(Failure::new(
            Reason::SecretMissing,
            format!("{} belongs to another user", path.display()),
        )
        .with_hint(format!(
            "chown it to the user that runs the worker (uid {us})"
        )));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(Failure::new(
            Reason::SecretMissing,
            format!(
                "{} is open to other users (mode {:o})",
                path.display(),
                metadata.mode() & 0o7777
            ),
        )
        .with_hint(format!("chmod {mode} {}", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, Secrets) {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o700);
        let secrets = Secrets::open(dir.path()).unwrap();
        (dir, secrets)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_stored_secret_is_private_and_reads_back_without_its_line_break() {
        let (dir, secrets) = folder();
        secrets.store_new("partner.password", b"s3cret\n").unwrap();
        let mode = fs::metadata(dir.path().join("partner.password"))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let secret = secrets.read("partner.password").unwrap();
        assert_eq!(secret.text().unwrap(), "s3cret");
        assert_eq!(secret.bytes(), b"s3cret\n");
    }

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let secret = Secret::new("password", "hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(\"password\")");
    }

    #[test]
    fn an_existing_secret_is_not_replaced() {
        let (_dir, secrets) = folder();
        secrets.store_new("password", b"first").unwrap();
        secrets.store_new("password", b"second").unwrap_err();
        assert_eq!(secrets.read("password").unwrap().bytes(), b"first");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let (dir, secrets) = folder();
        secrets.store_new("password", b"x").unwrap();
        set_mode(&dir.path().join("password"), 0o640);
        let failure = secrets.read("password").unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(failure.hint.unwrap().starts_with("chmod 600 "));
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o750);
        let failure = Secrets::open(dir.path()).unwrap_err();
        assert!(failure.message.contains("mode 750"), "{failure}");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (dir, secrets) = folder();
        secrets.store_new("password", b"x").unwrap();
        // Only root can give files away; elsewhere there is nothing to test.
        let path = dir.path().join("password");
        if std::os::unix::fs::chown(&path, Some(4321), None).is_ok() {
            assert!(
                secrets
                    .read("password")
                    .unwrap_err()
                    .message
                    .contains("another user")
            );
        }
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let (_dir, secrets) = folder();
        for name in ["../x", "a/b", "", ".", "..", ".hidden", "a b", "ü", "a\0b"] {
            let failure = secrets.read(name).unwrap_err();
            assert!(
                failure.message.contains("is not a name"),
                "{name:?}: {failure}"
            );
        }
    }

    #[test]
    fn the_environment_answers_when_there_is_no_file() {
        let (_dir, secrets) = folder();
        let environment = |variable: &str| {
            (variable == "OUTBOUND_SECRET_ACME_SFTP_PW").then(|| "from env".into())
        };
        let secret = secrets
            .resolve("acme-sftp.pw", environment)
            .unwrap()
            .unwrap();
        assert_eq!(secret.text().unwrap(), "from env");
        secrets.store_new("acme-sftp.pw", b"from file").unwrap();
        let secret = secrets
            .resolve("acme-sftp.pw", environment)
            .unwrap()
            .unwrap();
        assert_eq!(secret.text().unwrap(), "from file");
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let (_dir, secrets) = folder();
        let failure = secrets.read("partner").unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(failure.hint.unwrap().contains("OUTBOUND_SECRET_PARTNER"));
    }

    #[test]
    fn an_empty_or_binary_secret_is_no_password() {
        assert!(Secret::new("p", "\n").text().is_err());
        assert!(Secret::new("p", vec![0xff, 0xfe]).text().is_err());
        assert!(Secret::new("p", "a\0b").text().is_err());
    }
}
