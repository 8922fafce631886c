//! A worker and its runs: what `run`, `serve` and `import` share.
//!
//! A run is claimed with a lease and kept by heart-beats on a connection of its own. When a beat says
//! that the run is no longer owned, the work is dropped where it stands: the database refuses what such
//! a worker still sends, and another one goes on. A dry run does everything on one connection in one
//! transaction and rolls it back.

mod files;
mod lease;
mod remote;
mod steps;

use std::path::Path;
use std::time::Duration;

use outbound_core::job::{JobRules, Source};
use outbound_core::reason::Reason;
use serde_json::Value;
use tokio::sync::watch;

use crate::database::conninfo::ConnectOptions;
use crate::database::protocol::{ClaimedRun, Protocol, RUN_CHANNEL, RunStatus};
use crate::database::{Databases, Session, execute};
use crate::error::Failure;
use crate::keys;
use crate::report::RunReport;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::spool::Spool;

use self::steps::{Progress, Run};

/// Where files of a run come from.
enum Origin<'a> {
    /// The job's SFTP server.
    Server,
    /// This local file.
    Local(&'a Path),
}

/// This process as the database sees it, with what it needs for every run.
pub struct Worker {
    name: String,
    databases: Databases,
    secrets: Secrets,
    spool: Spool,
}

impl Worker {
    /// Reads the settings and opens secret folder and spool; connects to nothing yet.
    ///
    /// # Errors
    /// What is wrong with the set-up.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let options = ConnectOptions::from_environment(settings.database.as_deref())?;
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name: format!("{host}:{}", std::process::id()),
            databases: Databases::new(options),
            secrets: Secrets::open(&settings.secrets)?,
            spool: Spool::open(&settings.spool)?,
        })
    }

    /// Host and process number: what the activity shows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// `database`
    pub async fn connect(&self) -> Result<Session, Failure> {
        self.databases.connect().await
    }

    /// Makes the public halves of the worker's keys known, as far as there are keys.
    ///
    /// # Errors
    /// `database`, or a key that cannot be read.
    pub async fn register_keys(&self, session: &Session) -> Result<(), Failure> {
        for (kind, file, read) in [
            (
                "ssh",
                keys::SSH_KEY,
                keys::ssh_public as fn(&Secrets) -> Result<keys::PublicKey, Failure>,
            ),
            ("pgp", keys::PGP_KEY, keys::pgp_public),
        ] {
            if self.secrets.read_if_present(file)?.is_some() {
                let key = read(&self.secrets)?;
                Protocol::new(session.client())
                    .register_public_key(kind, &key.text, &key.fingerprint)
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes a queued run: the one named, or the oldest.
    ///
    /// # Errors
    /// `database`
    pub async fn claim(
        &self,
        session: &Session,
        run: Option<i64>,
    ) -> Result<Option<ClaimedRun>, Failure> {
        Protocol::new(session.client())
            .claim_run(&self.name, run, lease::LENGTH)
            .await
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// `database`, also when there is no such run any more.
    pub async fn status(&self, session: &Session, run: i64) -> Result<RunStatus, Failure> {
        Protocol::new(session.client())
            .run_status(run)
            .await?
            .ok_or_else(|| {
                Failure::new(
                    Reason::Database,
                    format!("run {run} is no longer in the history"),
                )
            })
    }

    /// Carries a claimed run of a job out, to its end.
    ///
    /// # Errors
    /// Only when the run could not be ended: the database is away, or the run has another owner now.
    pub async fn carry_out(&self, claim: ClaimedRun) -> Result<RunReport, Failure> {
        self.carry_out_from(claim, &Origin::Server).await
    }

    async fn carry_out_from(
        &self,
        claim: ClaimedRun,
        origin: &Origin<'_>,
    ) -> Result<RunReport, Failure> {
        tracing::info!(
            run = claim.run_id,
            job = claim.job.as_deref().unwrap_or("import"),
            "run claimed"
        );
        let (main, beating) = (self.connect().await?, self.connect().await?);
        let run = Run::new(self, &claim, &main, false);
        let report = tokio::select! {
            report = run.to_its_end(origin) => report,
            failure = lease::keep(&beating, &claim) => Err(failure),
        };
        match report {
            Err(failure) if failure.reason != Reason::WorkerLost => {
                let progress = run.into_progress();
                // What the run was doing may still hold locks that ending it needs.
                main.abort().await;
                self.end_on_a_new_connection(&claim, progress, failure)
                    .await
            }
            other => other,
        }
    }

    /// Ends a run whose connection broke, so that nobody has to wait for its lease. What was published
    /// stays published; the files know.
    async fn end_on_a_new_connection(
        &self,
        claim: &ClaimedRun,
        progress: Progress,
        failure: Failure,
    ) -> Result<RunReport, Failure> {
        let Ok(session) = self.connect().await else {
            return Err(failure);
        };
        let run = Run::new(self, claim, &session, false);
        run.end_of(progress, failure).await
    }

    /// Does all that a run of the job would do, and undoes it.
    ///
    /// # Errors
    /// What kept the trial from its end.
    pub async fn rehearse_job(&self, job: &str) -> Result<RunReport, Failure> {
        let main = self.connect().await?;
        execute(main.client(), "BEGIN").await?;
        let run = Protocol::new(main.client()).dry_run(job).await?;
        let report = self.rehearse(&main, run, &Origin::Server).await;
        main.abort().await;
        report
    }

    async fn rehearse(
        &self,
        main: &Session,
        run: i64,
        origin: &Origin<'_>,
    ) -> Result<RunReport, Failure> {
        match self.claim(main, Some(run)).await? {
            Some(claim) => Run::new(self, &claim, main, true).to_its_end(origin).await,
            None => Ok(RunReport::of_status(&self.status(main, run).await?)),
        }
    }

    /// Imports one local file by these rules.
    ///
    /// # Errors
    /// What kept the import from its end; a file that failed is in the report.
    pub async fn import_local(
        &self,
        file: &Path,
        rules: Value,
        dry_run: bool,
    ) -> Result<RunReport, Failure> {
        if !file.is_file() {
            return Err(Failure::new(
                Reason::NotRegularFile,
                format!("{} is not a regular file", file.display()),
            )
            .with_hint("name a CSV file with a header row"));
        }
        JobRules::parse(&rules, Source::Local)
            .map_err(|error| Failure::new(Reason::Rule, error.to_string()).with_hint(error.hint))?;
        let main = self.connect().await?;
        let origin = Origin::Local(file);
        if dry_run {
            execute(main.client(), "BEGIN").await?;
            let run = Protocol::new(main.client())
                .start_import(&rules, None, true)
                .await?;
            let report = self.rehearse(&main, run, &origin).await;
            main.abort().await;
            return report;
        }
        let run = Protocol::new(main.client())
            .start_import(&rules, None, false)
            .await?;
        match self.claim(&main, Some(run)).await? {
            Some(claim) => self.carry_out_from(claim, &origin).await,
            None => Ok(RunReport::of_status(&self.status(&main, run).await?)),
        }
    }

    /// Takes queued runs on one connection until told to stop.
    ///
    /// # Errors
    /// `database`, when the connection is lost.
    pub async fn serve_connected(
        &self,
        poll: Duration,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let mut session = self.connect().await?;
        Protocol::new(session.client()).listen(RUN_CHANNEL).await?;
        self.register_keys(&session).await?;
        while !*stopped.borrow() {
            match self.claim(&session, None).await? {
                Some(claim) => match self.carry_out(claim).await {
                    Ok(report) => tracing::info!(
                        run = report.run_id,
                        result = report.result,
                        message = report.message.as_deref().unwrap_or_default(),
                        "run ended"
                    ),
                    Err(failure) => tracing::error!(%failure, "run given up"),
                },
                None => tokio::select! {
                    woken = session.notification() => {
                        if woken.is_none() {
                            return Err(Failure::new(Reason::Database, "the database connection is lost").retryable());
                        }
                    }
                    () = tokio::time::sleep(poll) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                },
            }
        }
        Ok(())
    }
}
