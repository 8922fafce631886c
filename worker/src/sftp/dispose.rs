//! Removes or moves a remote file after its import (list-automation §2.3 F-13 to F-16).
//!
//! Whether that may happen is decided by the caller, who knows what was committed.

use std::path::Path;

use chrono::{NaiveDateTime, TimeDelta};
use outbound_core::file_name::timestamped;
use outbound_core::reason::Reason;
use ssh2::RenameFlags;

use super::Connection;
use super::failures::{Meaning, meaning};
use super::files::{directory, inside};
use crate::error::Failure;

/// Names tried, one second apart, when those before are taken.
const MAX_NAMES: i64 = 60;

/// What removing a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was there and is gone now.
    Removed,
    /// It was gone already.
    Gone,
}

impl Connection {
    /// Removes a file. One that is gone already is no failure: a run may repeat this step.
    pub fn remove(&self, dir: &str, name: &str) -> Result<Removal, Failure> {
        let path = inside(dir, name)?;
        match self.sftp.unlink(&path) {
            Ok(()) => {
                self.trace
                    .note(format_args!("removed {:?}", path.display()));
                Ok(Removal::Removed)
            }
            Err(error) if meaning(&error) == Meaning::Missing => Ok(Removal::Gone),
            Err(error) => Err(self.failed(&format!("cannot remove {:?}", path.display()), &error)),
        }
    }

    /// Moves a file into another directory, absolute or relative to `dir`, and returns its name
    /// there: its own, or with the time `now` before the extension when that is taken.
    ///
    /// Nothing is ever overwritten. Failures: `sftp_path` when the target directory is missing or
    /// the server refuses, `file_changed` when the file is gone, `sftp_connect`.
    pub fn rename_into(
        &self,
        dir: &str,
        name: &str,
        dest_dir: &str,
        now: NaiveDateTime,
    ) -> Result<String, Failure> {
        let source = inside(dir, name)?;
        let folder = directory(dir).join(dest_dir);
        self.require_directory(&folder)?;
        if self.look(&source)?.is_none() {
            return Err(Failure::new(
                Reason::FileChanged,
                format!("{:?} cannot be moved: it is gone", source.display()),
            ));
        }
        let doing = format!(
            "cannot move {:?} to {:?}",
            source.display(),
            folder.display()
        );
        for candidate in candidates(name, now) {
            let path = folder.join(&candidate);
            if self.look(&path)?.is_some() {
                continue;
            }
            // Without the flag for overwriting; servers of protocol version 3 never see flags,
            // and refuse a name that is taken.
            let flags = RenameFlags::ATOMIC | RenameFlags::NATIVE;
            match self.sftp.rename(&source, &path, Some(flags)) {
                Ok(()) => {
                    self.trace.note(format_args!(
                        "moved {:?} to {:?}",
                        source.display(),
                        path.display()
                    ));
                    return Ok(candidate);
                }
                // Someone else took the name in between.
                Err(error)
                    if meaning(&error) == Meaning::Refused && self.look(&path)?.is_some() => {}
                Err(error) => return Err(self.failed(&doing, &error)),
            }
        }
        Err(all_taken(&doing))
    }

    /// The name that [`Self::rename_into`] would give the file now; moves nothing.
    ///
    /// Failures: as there, but for a server that refuses the move itself.
    pub fn name_in(
        &self,
        dir: &str,
        name: &str,
        dest_dir: &str,
        now: NaiveDateTime,
    ) -> Result<String, Failure> {
        let folder = directory(dir).join(dest_dir);
        self.require_directory(&folder)?;
        for candidate in candidates(name, now) {
            if self.look(&folder.join(&candidate))?.is_none() {
                return Ok(candidate);
            }
        }
        Err(all_taken(&format!("cannot move {name:?}")))
    }

    fn require_directory(&self, folder: &Path) -> Result<(), Failure> {
        let doing = format!("cannot move files to {:?}", folder.display());
        let stat = self.sftp.stat(folder).map_err(|error| {
            self.failed(&doing, &error)
                .with_hint("make the directory on the server, or change files.move_after_import_to in the job's rules")
        })?;
        if stat.is_dir() {
            return Ok(());
        }
        Err(Failure::new(
            Reason::SftpPath,
            format!("{doing}: it is not a directory"),
        ))
    }
}

/// The names to try for a file that is moved, in order.
fn candidates(name: &str, now: NaiveDateTime) -> impl Iterator<Item = String> {
    std::iter::once(name.to_owned()).chain(
        (0..MAX_NAMES).map(move |later| timestamped(name, &(now + TimeDelta::seconds(later)))),
    )
}

fn all_taken(doing: &str) -> Failure {
    Failure::new(
        Reason::SftpPath,
        format!("{doing}: every name tried is taken"),
    )
}
