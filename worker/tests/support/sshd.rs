//! A throw-away OpenSSH server on loop-back with one user, `partner`.
//!
//! Needs root: the server gets a mount namespace of its own in which `/etc/passwd` and
//! `/etc/shadow` know the user, so that the machine's own users stay untouched.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const USER: &str = "partner";
pub const PASSWORD: &str = "Wüstenrot 7 \"quoted\"";
const UID: u32 = 64_321;

pub struct Sshd {
    dir: TempDir,
    child: Child,
    pub port: u16,
}

impl Sshd {
    /// Starts a server that takes passwords and keys, with more lines of configuration.
    ///
    /// `sshd` takes the first value it meets for a setting, so `config` comes first.
    pub fn start(config: &str) -> Self {
        Self::with_keys(&["ed25519", "ecdsa"], config)
    }

    /// The same with host keys of these types.
    pub fn with_keys(types: &[&str], config: &str) -> Self {
        fs::create_dir_all("/run/sshd").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        open_to_all(&root);
        let home = root.join("home");
        fs::create_dir_all(home.join("in")).unwrap();
        fs::write(root.join("authorized_keys"), "").unwrap();
        for path in [&home, &home.join("in")] {
            chown(path, Some(UID), Some(UID)).unwrap();
        }
        let mut host_keys = String::new();
        for kind in types {
            let path = root.join(format!("host_{kind}"));
            run(Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-t", kind, "-f"])
                .arg(&path));
            host_keys.push_str(&format!("HostKey {}\n", path.display()));
        }
        let hash = run(Command::new("openssl").args(["passwd", "-6", PASSWORD]));
        let user = format!("{USER}:x:{UID}:{UID}::{}:/bin/sh\n", home.display());
        add_line("/etc/passwd", &root.join("passwd"), &user);
        add_line(
            "/etc/shadow",
            &root.join("shadow"),
            &format!("{USER}:{}:19000::::::\n", hash.trim()),
        );
        let at = root.display();
        // A port found free may be taken by the time sshd wants it: then try the next.
        for _ in 0..5 {
            let port = free_port();
            fs::write(
                root.join("config"),
                format!(
                    "{config}\nPort {port}\nListenAddress 127.0.0.1\n{host_keys}\
                     AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nPidFile none\n\
                     UsePAM no\nLogLevel VERBOSE\nSubsystem sftp internal-sftp\n\
                     MaxStartups 100\nMaxAuthTries 10\n"
                ),
            )
            .unwrap();
            let mut child = Command::new("unshare")
                .args(["--mount", "sh", "-c"])
                .arg(format!(
                    "mount --bind {at}/passwd /etc/passwd && mount --bind {at}/shadow /etc/shadow && \
                     exec /usr/sbin/sshd -D -f {at}/config -E {at}/log"
                ))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            if is_up(&mut child, port) {
                return Self { dir, child, port };
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        panic!("sshd did not start");
    }

    /// The user's home directory, where relative remote paths start; `in` is there.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Puts a file of the user's at a path relative to the home directory.
    pub fn put(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.home().join(path);
        fs::write(&path, content).unwrap();
        chown(&path, Some(UID), Some(UID)).unwrap();
        path
    }

    /// Makes a directory of the user's.
    pub fn make_dir(&self, path: &str) -> PathBuf {
        let path = self.home().join(path);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(UID), Some(UID)).unwrap();
        path
    }

    /// Lets the holder of a key in.
    pub fn authorize(&self, public_line: &str) {
        fs::write(self.dir.path().join("authorized_keys"), public_line).unwrap();
    }

    /// A host key's fingerprint as OpenSSH's own tool prints it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let path = self.dir.path().join(format!("host_{kind}.pub"));
        let line = run(Command::new("ssh-keygen").arg("-lf").arg(path));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Sessions of the server end with their connections.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is_up(child: &mut Child, port: u16) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) && child.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn add_line(from: &str, to: &Path, line: &str) {
    let text = fs::read_to_string(from).unwrap();
    fs::write(to, format!("{}\n{line}", text.trim_end())).unwrap();
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs a command that must succeed and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
