//! Listing, fetching, removing and moving on a real OpenSSH server.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use outbound_core::address::parse_fingerprint;
use outbound_core::job::Authentication;
use outbound_core::reason::Reason;
use outbound_worker::error::Failure;
use outbound_worker::secrets::Secret;
use outbound_worker::sftp::{Connection, EntryKind, Fetched, HostKeyPolicy, Removal, Target};

use crate::proxy::{Fault, relay};
use crate::sshd::{PASSWORD, Sshd, USER, run};

/// A target with the right password and host key.
pub(crate) fn target(server: &Sshd) -> Target {
    Target {
        host: "127.0.0.1".to_owned(),
        port: server.port,
        user: USER.to_owned(),
        authentication: Authentication::Password,
        password: Some(Secret::new("partner", format!("{PASSWORD}\n"))),
        private_key: None,
        pinned: Some(parse_fingerprint(&server.fingerprint("ed25519")).unwrap()),
        policy: HostKeyPolicy::Strict,
        timeout: Duration::from_secs(20),
        trace: false,
    }
}

fn connected() -> (Sshd, Connection) {
    let server = Sshd::start("");
    let (connection, _) = Connection::open(&target(&server)).unwrap();
    (server, connection)
}

fn fetch(connection: &Connection, dir: &str, name: &str) -> Result<(Vec<u8>, Fetched), Failure> {
    let mut content = Vec::new();
    let fetched = connection.fetch(dir, name, &mut content, &mut |_| Ok(()))?;
    Ok((content, fetched))
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn a_listing_tells_kinds_sizes_times_and_any_name() {
    let (server, connection) = connected();
    let file = server.put("in/contacts.csv.pgp", b"12345");
    run(Command::new("touch")
        .args(["-d", "2026-02-03 04:05:06 UTC"])
        .arg(&file));
    server.make_dir("in/done");
    symlink("/etc/passwd", server.home().join("in/link")).unwrap();
    run(Command::new("mkfifo").arg(server.home().join("in/pipe")));
    let long = "x".repeat(255);
    let odd: [&[u8]; 4] = [
        b"line\nbreak",
        b"\xff\xfe",
        "\u{202e}gpj.exe".as_bytes(),
        long.as_bytes(),
    ];
    for name in odd {
        fs::write(
            server
                .home()
                .join("in")
                .join(std::ffi::OsStr::from_bytes(name)),
            "",
        )
        .unwrap();
    }
    let entries = connection.list("in").unwrap();
    let find = |name: &[u8]| entries.iter().find(|entry| entry.name == name).unwrap();
    let contacts = find(b"contacts.csv.pgp");
    assert_eq!((contacts.kind, contacts.size), (EntryKind::File, 5));
    assert_eq!(contacts.modified_at, 1_770_091_506);
    assert_eq!(find(b"done").kind, EntryKind::Directory);
    assert_eq!(find(b"link").kind, EntryKind::Symlink);
    assert_eq!(find(b"pipe").kind, EntryKind::Other);
    for name in odd {
        assert_eq!(find(name).kind, EntryKind::File);
    }
    assert_eq!(entries.len(), 8);
}

#[test]
fn the_empty_directory_is_the_users_own_and_absolute_ones_work() {
    let (server, connection) = connected();
    let names = |dir: &str| -> Vec<_> {
        connection
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    };
    assert_eq!(names(""), [b"in"]);
    assert_eq!(names(server.home().to_str().unwrap()), [b"in"]);
}

#[test]
fn a_directory_that_is_missing_closed_or_none_is_a_path_failure() {
    let (server, connection) = connected();
    server.put("in/file", b"");
    let closed = server.home().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    for dir in ["missing", "in/file", "closed"] {
        let failure = connection.list(dir).unwrap_err();
        assert_eq!(failure.reason, Reason::SftpPath, "{dir}: {failure}");
        assert!(
            failure.message.contains(dir) && !failure.retryable,
            "{failure}"
        );
    }
}

#[test]
fn a_file_is_fetched_byte_for_byte_with_its_hash() {
    let (server, connection) = connected();
    for size in [0, 1, 100_000, (5 << 20) + 7] {
        let content = noise(size);
        server.put("in/a.csv", &content);
        let mut steps = Vec::new();
        let mut received = Vec::new();
        let fetched = connection
            .fetch("in", "a.csv", &mut received, &mut |bytes| {
                steps.push(bytes);
                Ok(())
            })
            .unwrap();
        assert!(received == content);
        assert_eq!(fetched.size, size as u64);
        assert_eq!(fetched.sha256, openssl::sha::sha256(&content));
        assert!(steps.is_sorted());
        assert_eq!(steps.last().copied().unwrap_or(0), size as u64);
        let entry = connection.entry("in", "a.csv").unwrap().unwrap();
        assert_eq!(
            (entry.size, entry.modified_at),
            (fetched.size, fetched.modified_at)
        );
    }
    assert_eq!(connection.entry("in", "b.csv").unwrap(), None);
}

#[test]
fn only_regular_files_are_fetched() {
    let (server, connection) = connected();
    symlink("/etc/passwd", server.home().join("in/link")).unwrap();
    run(Command::new("mkfifo").arg(server.home().join("in/pipe")));
    server.make_dir("in/folder");
    for name in ["link", "pipe", "folder"] {
        let failure = fetch(&connection, "in", name).unwrap_err();
        assert_eq!(failure.reason, Reason::NotRegularFile, "{name}: {failure}");
    }
}

#[test]
fn a_name_that_leads_elsewhere_never_reaches_the_server() {
    let (server, connection) = connected();
    server.put("secret", b"x");
    let now = NaiveDate::from_ymd_opt(2026, 1, 2)
        .unwrap()
        .and_hms_opt(3, 4, 5)
        .unwrap();
    for name in ["../secret", "..", "", "a/b", "a\0b", "line\nbreak"] {
        let failures = [
            fetch(&connection, "in", name).unwrap_err(),
            connection.remove("in", name).unwrap_err(),
            connection.rename_into("in", name, "done", now).unwrap_err(),
        ];
        for failure in failures {
            assert_eq!(failure.reason, Reason::BadFileName, "{name:?}: {failure}");
        }
    }
    assert!(server.home().join("secret").exists());
}

#[test]
fn a_file_that_changes_while_it_is_fetched_is_refused() {
    let (server, connection) = connected();
    let path = server.home().join("in/a.csv");
    let other = server.put("in/other", &noise(6 << 20));
    let grow = || {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"more").unwrap();
    };
    let shrink = || {
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(10)
            .unwrap()
    };
    let replace = || fs::rename(&other, &path).unwrap();
    let remove = || fs::remove_file(&path).unwrap();
    let link = || {
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
    };
    let acts: [(&str, &dyn Fn()); 5] = [
        ("grow", &grow),
        ("shrink", &shrink),
        ("replace", &replace),
        ("remove", &remove),
        ("link", &link),
    ];
    for (name, act) in acts {
        let _ = fs::remove_file(&path);
        server.put("in/a.csv", &noise(6 << 20));
        run(Command::new("touch")
            .args(["-d", "2026-02-03 04:05:06 UTC"])
            .arg(&path));
        let mut acted = false;
        let failure = connection
            .fetch("in", "a.csv", &mut std::io::sink(), &mut |_| {
                if !acted {
                    act();
                    acted = true;
                }
                Ok(())
            })
            .unwrap_err();
        let expected = match name {
            "link" => Reason::NotRegularFile,
            _ => Reason::FileChanged,
        };
        assert_eq!(failure.reason, expected, "{name}: {failure:?}");
    }
    let failure = fetch(&connection, "in", "never-there").unwrap_err();
    assert_eq!(failure.reason, Reason::FileChanged, "{failure}");
}

#[test]
fn a_file_that_is_closed_to_us_is_a_path_failure() {
    let (server, connection) = connected();
    let path = server.home().join("in/closed");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let failure = fetch(&connection, "in", "closed").unwrap_err();
    assert_eq!(failure.reason, Reason::SftpPath, "{failure}");
}

#[test]
fn a_full_disk_is_a_storage_failure_and_the_connection_stays_usable() {
    let (server, connection) = connected();
    server.put("in/a.csv", &noise(100_000));
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failure = connection
        .fetch("in", "a.csv", &mut full, &mut |_| Ok(()))
        .unwrap_err();
    assert_eq!(failure.reason, Reason::Storage);
    assert!(failure.retryable, "{failure:?}");
    fetch(&connection, "in", "a.csv").unwrap();
}

#[test]
fn a_failure_of_progress_ends_the_fetch_and_comes_back_as_it_is() {
    let (server, connection) = connected();
    server.put("in/a.csv", b"x");
    let cancelled = Failure::new(Reason::Storage, "the run was cancelled");
    let failure = connection
        .fetch("in", "a.csv", &mut std::io::sink(), &mut |_| {
            Err(cancelled.clone())
        })
        .unwrap_err();
    assert_eq!(failure, cancelled);
}

#[test]
fn a_lost_connection_is_a_partial_transfer_that_may_be_tried_again() {
    let server = Sshd::start("");
    server.put("in/a.csv", &noise(30 << 20));
    for fault in [Fault::CutAfter(10 << 20), Fault::StallAfter(10 << 20)] {
        let target = Target {
            port: relay(server.port, fault),
            timeout: Duration::from_secs(2),
            ..target(&server)
        };
        let (connection, _) = Connection::open(&target).unwrap();
        let started = Instant::now();
        let failure = fetch(&connection, "in", "a.csv").unwrap_err();
        assert_eq!(failure.reason, Reason::SftpPartial, "{failure:?}");
        assert!(failure.retryable);
        assert_eq!(
            connection.list("in").unwrap_err().reason,
            Reason::SftpConnect
        );
        drop(connection);
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "{:?}",
            started.elapsed()
        );
    }
}

#[test]
fn removing_twice_is_no_failure() {
    let (server, connection) = connected();
    let path = server.put("in/a.csv", b"x");
    assert_eq!(connection.remove("in", "a.csv").unwrap(), Removal::Removed);
    assert!(!path.exists());
    assert_eq!(connection.remove("in", "a.csv").unwrap(), Removal::Gone);
}

#[test]
fn what_may_not_be_removed_is_a_path_failure() {
    let (server, connection) = connected();
    let closed = server.home().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("a.csv"), "x").unwrap();
    let failure = connection.remove("closed", "a.csv").unwrap_err();
    assert_eq!(failure.reason, Reason::SftpPath, "{failure}");
}

#[test]
fn a_moved_file_keeps_its_name_or_gets_a_time_but_never_overwrites() {
    let (server, connection) = connected();
    server.make_dir("in/done");
    let absolute = server.make_dir("archive");
    let now = NaiveDate::from_ymd_opt(2026, 1, 2)
        .unwrap()
        .and_hms_opt(3, 4, 5)
        .unwrap();
    let mut names = Vec::new();
    for (content, dest) in [
        ("1", "done"),
        ("2", "done"),
        ("3", "done"),
        ("4", absolute.to_str().unwrap()),
    ] {
        server.put("in/a.csv", content.as_bytes());
        let name = connection.rename_into("in", "a.csv", dest, now).unwrap();
        let folder = if content == "4" {
            absolute.clone()
        } else {
            server.home().join("in/done")
        };
        assert_eq!(fs::read_to_string(folder.join(&name)).unwrap(), content);
        assert!(!server.home().join("in/a.csv").exists());
        names.push(name);
    }
    assert_eq!(names[0], "a.csv");
    assert!(
        names[1].contains("20260102") && names[1].ends_with(".csv"),
        "{names:?}"
    );
    assert_ne!(names[1], names[2]);
    assert_eq!(names[3], "a.csv");
    assert_eq!(
        fs::read_dir(server.home().join("in/done")).unwrap().count(),
        3
    );
}

#[test]
fn a_move_needs_its_directory_and_its_file() {
    let (server, connection) = connected();
    let path = server.put("in/a.csv", b"x");
    let now = NaiveDate::from_ymd_opt(2026, 1, 2)
        .unwrap()
        .and_hms_opt(3, 4, 5)
        .unwrap();
    server.put("in/file", b"");
    for dest in ["missing", "file"] {
        let failure = connection
            .rename_into("in", "a.csv", dest, now)
            .unwrap_err();
        assert_eq!(failure.reason, Reason::SftpPath, "{failure}");
    }
    assert!(path.exists());
    let failure = connection
        .rename_into("in", "gone.csv", "", now)
        .unwrap_err();
    assert_eq!(failure.reason, Reason::FileChanged, "{failure}");
}

#[test]
fn the_trace_tells_every_step_and_no_secret() {
    let server = Sshd::start("");
    server.put("in/a.csv", b"x");
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for trace in [false, true] {
            assert_eq!(log.text(), "", "without the switch nothing is logged");
            let target = Target {
                trace,
                ..target(&server)
            };
            let (connection, _) = Connection::open(&target).unwrap();
            connection.list("in").unwrap();
            fetch(&connection, "in", "a.csv").unwrap();
            connection.remove("in", "a.csv").unwrap();
            if !trace {
                server.put("in/a.csv", b"x");
            }
        }
    });
    let text = log.text();
    let steps = [
        "connecting",
        "keys exchanged",
        "host key SHA256:",
        "accepted the password",
    ];
    let more = [
        "SFTP is open",
        "listed \"in\"",
        "fetched \"in/a.csv\"",
        "removed",
        "disconnected",
    ];
    for step in steps.iter().chain(&more) {
        assert!(text.contains(step), "{step}: {text}");
    }
    assert!(
        !text.contains(PASSWORD) && !text.contains("quoted"),
        "{text}"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_librarys_version_is_known_and_recent() {
    let version = outbound_worker::sftp::library_version();
    let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
    assert!(version.starts_with("1.") && minor >= 11, "{version}");
}
