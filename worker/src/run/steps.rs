//! The steps of one run, in order: list, then for each file fetch, load, publish, dispose; then the end.
//! A failure that concerns one file is noted at that file and the others go on; a failure that concerns
//! the run (connection, rights, storage) ends it.

use std::sync::Mutex;
use std::time::Instant;

use outbound_core::file_name;
use outbound_core::job::{JobRules, Source};
use outbound_core::reason::{Reason, Severity};

use super::files::Arrived;
use super::remote::{self, Remote};
use super::{Origin, Worker};
use crate::database::protocol::{
    ClaimedRun, Decision, FileKind, ListedFile, PlannedFile, Protocol,
};
use crate::database::{Session, execute};
use crate::error::Failure;
use crate::fault;
use crate::report::{FileReport, RunReport, Seconds};
use crate::sftp::{EntryKind, RemoteEntry};

/// One run under way.
pub(super) struct Run<'a> {
    pub(super) worker: &'a Worker,
    pub(super) claim: &'a ClaimedRun,
    pub(super) main: &'a Session,
    pub(super) dry_run: bool,
    /// How many of the first contacts of each file the report shows; only a trial can tell.
    pub(super) sample: Option<i32>,
    started: Instant,
    /// What is known so far: kept outside the steps, so that a run that breaks off still reports it.
    progress: Mutex<Progress>,
}

/// What is known of a run so far.
#[derive(Default)]
pub(super) struct Progress {
    files: Vec<FileReport>,
    seconds: Seconds,
    /// How the steps ended, once they have: only the end of the run is left to say.
    outcome: Option<Result<(), Failure>>,
}

/// The remote side of a run.
pub(super) struct Site {
    pub(super) remote: Remote,
    pub(super) directory: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        claim: &'a ClaimedRun,
        main: &'a Session,
        dry_run: bool,
    ) -> Self {
        Self {
            worker,
            claim,
            main,
            dry_run,
            sample: None,
            started: Instant::now(),
            progress: Mutex::default(),
        }
    }

    /// A run whose transaction its caller rolls back.
    pub(super) fn trial(
        worker: &'a Worker,
        claim: &'a ClaimedRun,
        main: &'a Session,
        sample: Option<i32>,
    ) -> Self {
        Self {
            sample,
            ..Self::new(worker, claim, main, true)
        }
    }

    /// What is known of the run, once its connection is of no use any more.
    pub(super) fn into_progress(self) -> Progress {
        self.progress.into_inner().unwrap_or_default()
    }

    /// Ends a run that broke off for `failure`, on another connection than it began on. A run whose steps
    /// had all ended is as good as they were.
    pub(super) async fn end_of(
        mut self,
        progress: Progress,
        failure: Failure,
    ) -> Result<RunReport, Failure> {
        let broke_off = match progress.outcome.clone() {
            Some(outcome) => outcome.err(),
            None => Some(failure.clone()),
        };
        self.progress = Mutex::new(progress);
        let mut report = self.finish(broke_off.as_ref()).await.map_err(|_| failure)?;
        report.retryable = broke_off.is_some_and(|failure| failure.retryable);
        Ok(report)
    }

    /// Carries the run out and ends it.
    pub(super) async fn to_its_end(&self, origin: &Origin<'_>) -> Result<RunReport, Failure> {
        let outcome = self.steps(origin).await;
        let failure = outcome.clone().err();
        if let Some(failure) = &failure {
            tracing::warn!(
                run = self.claim.run_id,
                %failure,
                detail = failure.detail.as_deref(),
                hint = failure.hint.as_deref(),
                "run failed"
            );
            if failure.reason == Reason::WorkerLost || failure.reason == Reason::Database {
                return Err(failure.clone());
            }
        }
        if let Ok(mut progress) = self.progress.lock() {
            progress.outcome = Some(outcome);
        }
        fault::point("finish.before");
        let mut report = self.finish(failure.as_ref()).await?;
        report.retryable = failure.is_some_and(|failure| failure.retryable);
        Ok(report)
    }

    /// Ends the run in the database and makes its report.
    pub(super) async fn finish(&self, failure: Option<&Failure>) -> Result<RunReport, Failure> {
        let finished = self
            .protocol()
            .finish_run(self.claim.run_id, self.claim.try_no, failure)
            .await?;
        let mut progress = self
            .progress
            .lock()
            .map_err(|_| Failure::internal("the run's progress is lost"))?;
        let mut seconds = progress.seconds;
        seconds.total = self.started.elapsed().as_secs_f64();
        let files = std::mem::take(&mut progress.files);
        Ok(RunReport::of_run(
            self.claim.run_id,
            self.claim.job.clone(),
            self.dry_run,
            finished,
            files,
            seconds,
        ))
    }

    async fn steps(&self, origin: &Origin<'_>) -> Result<(), Failure> {
        let source = match origin {
            Origin::Server => Source::Server,
            Origin::Local(_) => Source::Local,
        };
        let rules = JobRules::parse(&self.claim.rules, source)
            .map_err(|error| Failure::new(Reason::Rule, error.to_string()).with_hint(error.hint))?;
        match origin {
            Origin::Server => self.server_steps(&rules).await,
            Origin::Local(path) => {
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let metadata = path.metadata().map_err(|error| {
                    Failure::storage(&format!("cannot look at {}", path.display()), &error)
                })?;
                let modified = metadata
                    .modified()
                    .ok()
                    .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let listed = ListedFile {
                    name: name.clone(),
                    size: metadata.len(),
                    modified_at: modified.map_or(0, |since| since.as_secs().cast_signed()),
                    kind: FileKind::File,
                    refused: None,
                };
                for plan in self
                    .protocol()
                    .plan_files(self.claim.run_id, self.claim.try_no, &[listed])
                    .await?
                {
                    let Some(file_id) = plan.file_id else {
                        continue;
                    };
                    self.take(&rules, Arrived::local(file_id, name.clone(), path), None)
                        .await?;
                }
                Ok(())
            }
        }
    }

    async fn server_steps(&self, rules: &JobRules) -> Result<(), Failure> {
        let site = self.connect(rules).await?;
        fault::point("list.before");
        let directory = site.directory.clone();
        let entries = site
            .remote
            .act(move |connection| connection.list(&directory))
            .await?;
        let plans = self
            .protocol()
            .plan_files(self.claim.run_id, self.claim.try_no, &listing(&entries))
            .await?;
        fault::point("list.after");
        let mut first_failure = None;
        for plan in plans {
            let Some(entry) = entries.get(plan.index) else {
                continue;
            };
            match self.follow(rules, &site, entry, plan).await {
                // One file that could not be disposed of: its rows are in the list, the next run tries again.
                Err(failure) if concerns_one_path(&failure) => {
                    first_failure = first_failure.or(Some(failure))
                }
                other => other?,
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    /// Connects to the job's server, and pins its host key where that is the policy and it is new.
    async fn connect(&self, rules: &JobRules) -> Result<Site, Failure> {
        let (Some(connection), Some(server)) = (&rules.connection, &self.claim.server) else {
            return Err(Failure::new(Reason::Rule, "the job names no server"));
        };
        let target = remote::target(connection, server, &self.worker.secrets)?;
        let (remote, host_key) = Remote::open(target).await?;
        if host_key.newly_seen {
            tracing::info!(
                server = server.name,
                fingerprint = host_key.fingerprint,
                "first host key seen: pinned"
            );
            self.protocol()
                .pin_host_key(self.claim.run_id, self.claim.try_no, &host_key.fingerprint)
                .await?;
        }
        Ok(Site {
            remote,
            directory: remote::directory(connection, server),
        })
    }

    /// Does with one listed file what the database decided.
    async fn follow(
        &self,
        rules: &JobRules,
        site: &Site,
        entry: &RemoteEntry,
        plan: PlannedFile,
    ) -> Result<(), Failure> {
        let shown = file_name::display_name(&entry.name);
        match (
            plan.decision,
            plan.file_id,
            file_name::check_remote_name(&entry.name),
        ) {
            (Decision::Take, Some(file_id), Ok(name)) => {
                match self.fetch(site, file_id, name).await {
                    Ok(arrived) => self.take(rules, arrived, Some((site, entry))).await,
                    Err(failure) => {
                        self.file_failed(
                            file_id,
                            shown,
                            failure,
                            &crate::load::LoadCounts::default(),
                            None,
                        )
                        .await
                    }
                }
            }
            (Decision::Dispose, Some(file_id), Ok(_)) => {
                // Published by an earlier run that did not come to this step.
                let mut report = FileReport::refused(shown, "disposed", None, None);
                self.dispose(rules, site, file_id, entry, &mut report)
                    .await?;
                self.add_file(report);
                Ok(())
            }
            _ => {
                if plan.reason != Some(Reason::NoMatchName) {
                    let reason = plan.reason.map(|reason| reason.code().to_owned());
                    self.add_file(FileReport::refused(shown, "skipped", reason, plan.message));
                }
                Ok(())
            }
        }
    }

    /// Notes that a file failed, with what was refused in it; only a failure of the run is handed on.
    pub(super) async fn file_failed(
        &self,
        file_id: i64,
        name: String,
        failure: Failure,
        counts: &crate::load::LoadCounts,
        rejects: Option<crate::load::RejectedRows>,
    ) -> Result<(), Failure> {
        let of_the_run = failure.reason.severity() == Severity::Run && !concerns_one_path(&failure);
        if failure.reason == Reason::WorkerLost || failure.reason == Reason::Database {
            return Err(failure);
        }
        self.begin().await?;
        let mut report = FileReport::failed(name, &failure);
        if let Some(rejects) = rejects {
            report.reasons = super::files::reasons(&rejects);
            rejects.send(self.main.client()).await?;
        }
        self.protocol()
            .file_failed(
                self.claim.run_id,
                self.claim.try_no,
                file_id,
                &failure,
                Some(counts),
            )
            .await?;
        self.commit().await?;
        tracing::warn!(
            file = report.name,
            %failure,
            detail = failure.detail.as_deref(),
            hint = failure.hint.as_deref(),
            "file failed"
        );
        self.add_file(report);
        if of_the_run { Err(failure) } else { Ok(()) }
    }

    /// The calls of the protocol, on the run's own connection.
    pub(super) fn protocol(&self) -> Protocol<'_> {
        Protocol::new(self.main.client())
    }

    /// Begins a transaction; inside a dry run's one transaction, a part that can be undone alone.
    pub(super) async fn begin(&self) -> Result<(), Failure> {
        execute(
            self.main.client(),
            if self.dry_run {
                "SAVEPOINT part"
            } else {
                "BEGIN"
            },
        )
        .await
    }

    pub(super) async fn commit(&self) -> Result<(), Failure> {
        execute(
            self.main.client(),
            if self.dry_run {
                "RELEASE SAVEPOINT part"
            } else {
                "COMMIT"
            },
        )
        .await
    }

    pub(super) async fn roll_back(&self) -> Result<(), Failure> {
        execute(
            self.main.client(),
            if self.dry_run {
                "ROLLBACK TO SAVEPOINT part"
            } else {
                "ROLLBACK"
            },
        )
        .await
    }

    pub(super) fn add_file(&self, report: FileReport) {
        if let Ok(mut progress) = self.progress.lock() {
            progress.files.push(report);
        }
    }

    pub(super) fn add_seconds(&self, add: impl FnOnce(&mut Seconds)) {
        if let Ok(mut progress) = self.progress.lock() {
            add(&mut progress.seconds);
        }
    }
}

/// Whether a failure is about one remote path, so that the other files can go on.
fn concerns_one_path(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::SftpPath | Reason::FileChanged)
}

/// A directory as the database reads it. Names are made safe to store; those that could not be told
/// from others that way carry the reason for refusing them.
fn listing(entries: &[RemoteEntry]) -> Vec<ListedFile> {
    entries
        .iter()
        .map(|entry| {
            let checked = file_name::check_remote_name(&entry.name);
            ListedFile {
                name: checked.as_ref().map_or_else(
                    |_| file_name::display_name(&entry.name),
                    |name| (*name).to_owned(),
                ),
                size: entry.size,
                modified_at: entry.modified_at,
                kind: match entry.kind {
                    EntryKind::File => FileKind::File,
                    EntryKind::Directory => FileKind::Directory,
                    EntryKind::Symlink => FileKind::Symlink,
                    EntryKind::Other => FileKind::Other,
                },
                refused: checked.err().map(|_| Reason::BadFileName),
            }
        })
        .collect()
}
