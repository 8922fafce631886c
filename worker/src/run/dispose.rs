//! The last step of a file: its remote copy is deleted, moved or left, and the ledger is told. It may be
//! repeated after a crash, and never touches a file that is not the one whose rows were published.

use chrono::Utc;
use outbound_core::file_name;
use outbound_core::job::{Disposal, JobRules};
use outbound_core::reason::Reason;

use super::lease;
use super::steps::{Run, Site};
use crate::database::protocol::Disposed;
use crate::error::Failure;
use crate::fault;
use crate::report::FileReport;
use crate::sftp::{RemoteEntry, Removal};

impl Run<'_> {
    /// Deletes or moves the remote file, or leaves it, and tells the ledger.
    pub(super) async fn dispose(
        &self,
        rules: &JobRules,
        site: &Site,
        file_id: i64,
        entry: &RemoteEntry,
        report: &mut FileReport,
    ) -> Result<(), Failure> {
        fault::point("dispose.before");
        let name = file_name::check_remote_name(&entry.name)
            .map_err(|error| Failure::new(Reason::BadFileName, error.to_string()))?;
        // The server knows nothing of leases: a worker that was away for longer than its own must not touch
        // what may be another file of the same name by now.
        lease::beat(self.main, self.claim).await?;
        let disposed = self.dispose_remote(rules, site, name, entry).await?;
        fault::point("dispose.middle");
        self.protocol()
            .file_disposed(self.claim.run_id, self.claim.try_no, file_id, &disposed)
            .await?;
        fault::point("dispose.after");
        let (outcome, moved_to) = match disposed {
            Disposed::Deleted => ("deleted", None),
            Disposed::Moved(path) => ("moved", Some(path)),
            Disposed::Left => ("left", None),
            Disposed::Gone => ("gone", None),
        };
        report.outcome = Some(outcome.to_owned());
        report.moved_to = moved_to;
        Ok(())
    }

    async fn dispose_remote(
        &self,
        rules: &JobRules,
        site: &Site,
        name: &str,
        entry: &RemoteEntry,
    ) -> Result<Disposed, Failure> {
        let (directory, remote_name) = (site.directory.clone(), name.to_owned());
        let disposal = rules
            .files
            .as_ref()
            .map_or(Disposal::Leave, |files| files.disposal());
        if disposal == Disposal::Leave {
            return Ok(Disposed::Left);
        }
        if !self.is_still_there(site, name, entry).await? {
            // Replaced or taken away meanwhile: what is there now is another file, for another run.
            return Ok(Disposed::Gone);
        }
        Ok(match disposal {
            Disposal::Leave => Disposed::Left,
            Disposal::Delete if self.dry_run => Disposed::Deleted,
            Disposal::Delete => {
                match site
                    .remote
                    .act(move |connection| connection.remove(&directory, &remote_name))
                    .await?
                {
                    Removal::Removed => Disposed::Deleted,
                    Removal::Gone => Disposed::Gone,
                }
            }
            Disposal::MoveTo(to) => {
                let zone = self.claim.account.time_zone;
                let (to, now) = (
                    to.trim_end_matches('/').to_owned(),
                    Utc::now().with_timezone(&zone).naive_local(),
                );
                let (folder, dry_run) = (to.clone(), self.dry_run);
                let new_name = site
                    .remote
                    .act(move |connection| match dry_run {
                        true => connection.name_in(&directory, &remote_name, &folder, now),
                        false => connection.rename_into(&directory, &remote_name, &folder, now),
                    })
                    .await?;
                Disposed::Moved(format!("{to}/{new_name}"))
            }
        })
    }

    /// Whether a remote file is the one that was listed.
    async fn is_still_there(
        &self,
        site: &Site,
        name: &str,
        listed: &RemoteEntry,
    ) -> Result<bool, Failure> {
        let (directory, name) = (site.directory.clone(), name.to_owned());
        let now = site
            .remote
            .act(move |connection| connection.entry(&directory, &name))
            .await?;
        Ok(now.is_some_and(|now| now.size == listed.size && now.modified_at == listed.modified_at))
    }
}
