//! Lists a directory and fetches files from it.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use libssh2_sys as raw;
use openssl::sha::Sha256;
use outbound_core::file_name::{check_remote_name, display_name};
use outbound_core::reason::Reason;
use ssh2::{ErrorCode, FileStat, FileType};

use super::Connection;
use super::failures::{Meaning, meaning};
use crate::error::Failure;

/// libssh2 keeps requests for four times the buffer in flight, 8 MiB at most: on a long line
/// the buffer's size is the speed.
const BUFFER_BYTES: usize = 2 << 20;

/// More entries than this is a directory that nobody tends, or a server that wants our memory.
const MAX_ENTRIES: usize = 250_000;

/// What a name in a remote directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file: the only kind that is ever fetched.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it points to.
    Symlink,
    /// A pipe, a device, a socket, or something the server does not say.
    Other,
}

impl EntryKind {
    /// `file`, `directory`, `symlink` or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Other => "other",
        }
    }

    fn of(stat: &FileStat) -> Self {
        match stat.file_type() {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Other,
        }
    }
}

/// One entry of a remote directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEntry {
    /// The name's bytes as the server sent them; nothing about them has been checked.
    pub name: Vec<u8>,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change, in seconds since 1970, UTC.
    pub modified_at: i64,
    /// What it is; links are not followed.
    pub kind: EntryKind,
}

impl RemoteEntry {
    fn new(name: Vec<u8>, stat: &FileStat) -> Self {
        Self {
            name,
            size: stat.size.unwrap_or(0),
            modified_at: stat
                .mtime
                .map_or(0, |time| i64::try_from(time).unwrap_or(i64::MAX)),
            kind: EntryKind::of(stat),
        }
    }
}

/// A file that was fetched whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes written.
    pub size: u64,
    /// SHA-256 of these bytes.
    pub sha256: [u8; 32],
    /// The remote file's time of change, the same before and after; seconds since 1970, UTC.
    pub modified_at: i64,
}

impl Connection {
    /// Lists a directory without its sub-directories' content, in no particular order.
    ///
    /// Failures: `sftp_path` when it is missing, closed to us or no directory; `sftp_connect`.
    pub fn list(&self, dir: &str) -> Result<Vec<RemoteEntry>, Failure> {
        let path = directory(dir);
        let doing = format!("cannot list the directory {:?}", path.display());
        let mut handle = self
            .sftp
            .opendir(&path)
            .map_err(|error| self.failed(&doing, &error))?;
        let mut entries = Vec::new();
        loop {
            let (name, stat) = match handle.readdir() {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::Session(raw::LIBSSH2_ERROR_FILE) => break,
                Err(error) => return Err(self.failed(&doing, &error)),
            };
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Err(Failure::new(
                    Reason::SftpPath,
                    format!(
                        "the directory {:?} has more than {MAX_ENTRIES} entries",
                        path.display()
                    ),
                )
                .with_hint("have delivered files deleted or moved after their import"));
            }
            entries.push(RemoteEntry::new(name.into_os_string().into_vec(), &stat));
        }
        handle
            .close()
            .map_err(|error| self.failed(&doing, &error))?;
        self.trace.note(format_args!(
            "listed {:?}: {} entries",
            path.display(),
            entries.len()
        ));
        Ok(entries)
    }

    /// One entry as it is now, `None` when there is none. Links are not followed.
    pub fn entry(&self, dir: &str, name: &str) -> Result<Option<RemoteEntry>, Failure> {
        let path = inside(dir, name)?;
        let stat = self.look(&path)?;
        Ok(stat.map(|stat| RemoteEntry::new(name.as_bytes().to_vec(), &stat)))
    }

    pub(super) fn look(&self, path: &Path) -> Result<Option<FileStat>, Failure> {
        match self.sftp.lstat(path) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if meaning(&error) == Meaning::Missing => Ok(None),
            Err(error) => Err(self.failed(&format!("cannot look at {:?}", path.display()), &error)),
        }
    }

    /// Copies a regular file into `out` and calls `progress` with the bytes so far.
    ///
    /// The protocol has no way to open a file without following links. So the name is looked at
    /// before and after, and the open file as well: all three must agree on kind, size and time
    /// of change, and as many bytes must have come.
    ///
    /// Failures: `not_regular_file`; `file_changed` (it grew, shrank, was replaced or is gone);
    /// `sftp_partial` when the connection is lost in between (retryable); `sftp_path`;
    /// `bad_file_name`; `storage` when `out` cannot be written; whatever `progress` says.
    pub fn fetch(
        &self,
        dir: &str,
        name: &str,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64) -> Result<(), Failure>,
    ) -> Result<Fetched, Failure> {
        let path = inside(dir, name)?;
        let before = self.regular(&path)?;
        let doing = format!("cannot open {:?}", path.display());
        let mut file = match self.sftp.open(&path) {
            Ok(file) => file,
            Err(error) if meaning(&error) == Meaning::Missing => {
                return Err(changed(&path, "it is gone"));
            }
            Err(error) => return Err(self.failed(&doing, &error)),
        };
        let opened = file.stat().map_err(|error| self.failed(&doing, &error))?;
        if !same(&before, &opened) {
            return Err(changed(&path, "it was replaced while it was opened"));
        }
        self.trace.note(format_args!(
            "fetching {:?}: {} bytes",
            path.display(),
            before.size
        ));

        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size = 0;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken_off(&path, size, before.size, &error)),
            };
            size += count as u64;
            if size > before.size {
                return Err(changed(&path, "it grew while it was fetched"));
            }
            hash.update(&buffer[..count]);
            out.write_all(&buffer[..count])
                .map_err(|error| Failure::storage("cannot write a fetched file", &error))?;
            progress(size)?;
        }
        out.flush()
            .map_err(|error| Failure::storage("cannot write a fetched file", &error))?;

        let doing = format!("cannot close {:?}", path.display());
        let open_still = file.stat().map_err(|error| self.failed(&doing, &error))?;
        file.close().map_err(|error| self.failed(&doing, &error))?;
        let after = self.regular(&path)?;
        if after != before || !same(&before, &open_still) {
            return Err(changed(&path, "it changed while it was fetched"));
        }
        if size != before.size {
            return Err(Failure::new(
                Reason::SftpPartial,
                format!(
                    "{:?} came in part only: {size} of {} bytes",
                    path.display(),
                    before.size
                ),
            )
            .retryable());
        }
        self.trace
            .note(format_args!("fetched {:?}", path.display()));
        Ok(Fetched {
            size,
            sha256: hash.finish(),
            modified_at: before.modified_at,
        })
    }

    /// The entry of a name that must be a regular file.
    fn regular(&self, path: &Path) -> Result<RemoteEntry, Failure> {
        let stat = self
            .look(path)?
            .ok_or_else(|| changed(path, "it is gone"))?;
        let entry = RemoteEntry::new(Vec::new(), &stat);
        if entry.kind != EntryKind::File {
            return Err(Failure::new(
                Reason::NotRegularFile,
                format!(
                    "{:?} is not a regular file but a {}",
                    path.display(),
                    entry.kind.as_str()
                ),
            ));
        }
        Ok(entry)
    }

    fn broken_off(&self, path: &Path, size: u64, whole: u64, error: &io::Error) -> Failure {
        self.lost.set(true);
        self.trace
            .note(format_args!("lost the connection at {size} bytes: {error}"));
        Failure::new(
            Reason::SftpPartial,
            format!(
                "the connection to {} was lost after {size} of {whole} bytes of {:?}",
                self.server,
                path.display()
            ),
        )
        .with_detail(error.to_string())
        .retryable()
    }
}

fn same(entry: &RemoteEntry, stat: &FileStat) -> bool {
    let other = RemoteEntry::new(Vec::new(), stat);
    *entry == other
}

fn changed(path: &Path, how: &str) -> Failure {
    Failure::new(
        Reason::FileChanged,
        format!("{:?} is not settled: {how}", path.display()),
    )
    .with_hint("partners should write to a name ending in .part and rename it when it is whole")
}

/// A directory's path; the empty text is the user's own directory.
pub(super) fn directory(dir: &str) -> PathBuf {
    match dir {
        "" => PathBuf::from("."),
        _ => PathBuf::from(dir),
    }
}

/// The path of a name in a directory, once the name is known to stay in it.
pub(super) fn inside(dir: &str, name: &str) -> Result<PathBuf, Failure> {
    match check_remote_name(name.as_bytes()) {
        Ok(name) => Ok(Path::new(dir).join(name)),
        Err(error) => Err(Failure::new(
            Reason::BadFileName,
            format!(
                "the remote name {} is not safe: {error}",
                display_name(name.as_bytes())
            ),
        )),
    }
}
