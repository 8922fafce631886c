//! The private work folder for files on their way into the database.
//!
//! A fetched file waits here until it is loaded (list-automation §2.3 F-18, §13 E-7). Files are
//! named by us, never by the partner, with mode 600 inside a folder of mode 700, and go when the
//! value that owns them is dropped. A killed worker cannot clean up after itself; so every worker
//! has a folder of its own, held by a file lock that dies with the process, and the next start
//! removes each folder whose lock is free.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outbound_core::reason::Reason;
use rustix::fs::{FlockOperation, flock};

use crate::error::Failure;
use crate::secrets::check_private;

/// Starts the names of the workers' folders; anything else in the spool is left alone.
const PREFIX: &str = "worker-";
/// Locked while a folder is made or swept, so that no one sweeps a folder not yet locked.
const GATE: &str = ".gate";
/// Locked as long as the worker lives.
const ALIVE: &str = ".alive";

/// This worker's part of the spool. Clones share it; the last one to go removes it.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    _alive: File,
}

impl Spool {
    /// Opens the spool folder, making it if need be, and removes what dead workers left in it.
    ///
    /// Fails with `storage` when the folder cannot be made or others may read it.
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::storage(&format!("cannot use the spool {}", root.display()), &error)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(failed)?;
        check_private(root, &fs::metadata(root).map_err(failed)?, "700").map_err(|failure| {
            Failure {
                reason: Reason::Storage,
                ..failure
            }
        })?;
        let gate = lock_file(&root.join(GATE)).map_err(failed)?;
        flock(&gate, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        sweep(root).map_err(failed)?;
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(root)
            .map_err(failed)?;
        let alive = lock_file(&dir.path().join(ALIVE)).map_err(failed)?;
        flock(&alive, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                dir: dir.keep(),
                _alive: alive,
            }),
        })
    }

    /// This worker's folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Removes this worker's part with all files in it, also those that are still held: for the end of
    /// a process whose transfers may hang.
    pub fn clear(&self) {
        self.inner.remove();
    }

    /// Makes an empty file. `name` is ours (letters, digits, `-`, `_`) and not in use.
    pub fn create(&self, name: &str) -> Result<SpoolFile, Failure> {
        let ours = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(ours) {
            return Err(Failure::internal(format!(
                "{name:?} is not a spool file's name"
            )));
        }
        let path = self.inner.dir.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::storage("cannot make a spool file", &error))?;
        Ok(SpoolFile {
            path,
            file,
            _spool: self.clone(),
        })
    }
}

impl Inner {
    /// What is gone already is as good as removed.
    fn remove(&self) {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove this worker's spool folder; the next start will");
            }
            _ => {}
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A file in the spool: write it, then read it as often as needed. Dropping it removes it.
#[derive(Debug)]
pub struct SpoolFile {
    path: PathBuf,
    file: File,
    _spool: Spool,
}

impl SpoolFile {
    /// Opens the file for reading, from its start.
    pub fn reader(&self) -> Result<File, Failure> {
        File::open(&self.path).map_err(|error| Failure::storage("cannot read a spool file", &error))
    }

    /// Where the file is, as long as this value lives.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn size(&self) -> Result<u64, Failure> {
        let metadata = self.file.metadata();
        let metadata =
            metadata.map_err(|error| Failure::storage("cannot look at a spool file", &error))?;
        Ok(metadata.len())
    }
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove a spool file");
            }
            _ => {}
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Removes the folders of workers that are no more. Called with the gate locked.
fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let free = match File::open(entry.path().join(ALIVE)) {
            Ok(alive) => flock(&alive, FlockOperation::NonBlockingLockExclusive).is_ok(),
            // Its worker died before it could lock it, or was half through removing it.
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if free {
            tracing::info!(folder = %entry.path().display(), "removing what a dead worker left behind");
            match fs::remove_dir_all(entry.path()) {
                // A worker that ends right now removes its folder itself.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => done?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn private_dir() -> tempfile::TempDir {
        let mode = Permissions::from_mode(0o700);
        tempfile::Builder::new()
            .permissions(mode)
            .tempdir()
            .unwrap()
    }

    fn entries(dir: &Path) -> usize {
        let visible = |entry: &io::Result<fs::DirEntry>| {
            !entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with('.')
        };
        fs::read_dir(dir).unwrap().filter(visible).count()
    }

    #[test]
    fn folders_and_files_are_private() {
        let root = private_dir();
        let spool = Spool::open(&root.path().join("a/b")).unwrap();
        let file = spool.create("file-7").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&root.path().join("a/b")), 0o700);
        assert_eq!(mode(spool.dir()), 0o700);
        assert_eq!(mode(file.path()), 0o600);
    }

    #[test]
    fn what_was_written_can_be_read_twice_and_is_gone_when_dropped() {
        let root = private_dir();
        let spool = Spool::open(root.path()).unwrap();
        let mut file = spool.create("file-7").unwrap();
        file.write_all(b"clear text").unwrap();
        assert_eq!(file.size().unwrap(), 10);
        for _ in 0..2 {
            let mut text = String::new();
            file.reader().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "clear text");
        }
        drop(file);
        assert_eq!(entries(spool.dir()), 0);
        drop(spool);
        assert_eq!(entries(root.path()), 0);
    }

    #[test]
    fn a_start_removes_what_dead_workers_left_and_nothing_of_the_living() {
        let root = private_dir();
        let living = Spool::open(root.path()).unwrap();
        let kept = living.create("file-1").unwrap();
        let dead = root.path().join("worker-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(ALIVE), "").unwrap();
        fs::write(dead.join("file-2"), "left behind").unwrap();
        fs::create_dir(root.path().join("worker-never-locked")).unwrap();
        fs::write(root.path().join("someone-elses"), "").unwrap();

        let second = Spool::open(root.path()).unwrap();

        assert!(!dead.exists());
        assert!(kept.path().exists());
        assert!(root.path().join("someone-elses").exists());
        drop(second);
        assert_eq!(
            entries(root.path()),
            2,
            "the living worker's folder and the stranger"
        );
    }

    #[test]
    fn a_spool_that_others_may_read_is_refused() {
        let root = private_dir();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let failure = Spool::open(root.path()).unwrap_err();
        assert_eq!(failure.reason, Reason::Storage);
    }

    #[test]
    fn a_cleared_spool_is_gone_though_a_file_of_it_is_held() {
        let root = private_dir();
        let spool = Spool::open(root.path()).unwrap();
        let mut file = spool.create("held").unwrap();
        file.write_all(b"half of it").unwrap();
        spool.clear();
        assert!(!file.path().exists());
        assert!(!spool.dir().exists());
    }

    #[test]
    fn a_spool_files_name_cannot_leave_the_folder() {
        let root = private_dir();
        let spool = Spool::open(root.path()).unwrap();
        for name in ["", "..", "a/b", ".alive"] {
            assert_eq!(spool.create(name).unwrap_err().reason, Reason::Internal);
        }
    }
}
