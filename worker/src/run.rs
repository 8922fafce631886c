//! A worker and its runs: what `run`, `serve` and `import` share.
//!
//! A run is claimed with a lease and kept by heart-beats on a connection of its own. When a beat says
//! that the run is no longer owned, the work is dropped where it stands: the database refuses what such
//! a worker still sends, and another one goes on. A dry run does everything on one connection in one
//! transaction and rolls it back.

mod dispose;
mod files;
mod lease;
mod remote;
mod steps;

use std::path::Path;
use std::time::Duration;

use outbound_core::job::{JobRules, Source};
use outbound_core::reason::Reason;
use serde_json::Value;

use crate::database::conninfo::ConnectOptions;
use crate::database::protocol::{ClaimedRun, Protocol, RUN_CHANNEL, RunStatus};
use crate::database::{Databases, Session, execute};
use crate::error::Failure;
use crate::keys;
use crate::report::RunReport;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::spool::Spool;
use crate::stop::Stop;

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

impl Drop for Worker {
    /// An interrupted transfer may still hold its file, on a thread that ends with the process only.
    fn drop(&mut self) {
        self.spool.clear();
    }
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

    /// Asks for a run of a job and takes it, in one transaction: a process that dies in between leaves
    /// nothing behind. The claim is empty when the run was refused or skipped, or another worker has it.
    ///
    /// # Errors
    /// `database`
    pub async fn ask_for_run(
        &self,
        session: &Session,
        job: &str,
    ) -> Result<(i64, Option<ClaimedRun>), Failure> {
        execute(session.client(), "BEGIN").await?;
        let run = Protocol::new(session.client())
            .run_now(job, None, None)
            .await?;
        self.claim_and_commit(session, run).await
    }

    async fn claim_and_commit(
        &self,
        session: &Session,
        run: i64,
    ) -> Result<(i64, Option<ClaimedRun>), Failure> {
        let claim = self.claim(session, Some(run)).await?;
        execute(session.client(), "COMMIT").await?;
        Ok((run, claim))
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

    /// Carries a claimed run of a job out, to its end; or ends it as interrupted when told to stop.
    ///
    /// # Errors
    /// Only when the run could not be ended: the database is away, or the run has another owner now.
    pub async fn carry_out(&self, claim: ClaimedRun, stop: &Stop) -> Result<RunReport, Failure> {
        self.carry_out_from(claim, &Origin::Server, stop).await
    }

    async fn carry_out_from(
        &self,
        claim: ClaimedRun,
        origin: &Origin<'_>,
        stop: &Stop,
    ) -> Result<RunReport, Failure> {
        tracing::info!(
            run = claim.run_id,
            job = claim.job.as_deref().unwrap_or("import"),
            "run claimed"
        );
        let (main, beating) = (self.connect().await?, self.connect().await?);
        // Frozen between the end of a publication and its COMMIT, this process would hold up its successor.
        execute(
            main.client(),
            "SET idle_in_transaction_session_timeout = '2min'",
        )
        .await?;
        let run = Run::new(self, &claim, &main, false);
        let report = tokio::select! {
            report = run.to_its_end(origin) => report,
            failure = lease::keep(&beating, &claim) => Err(failure),
            failure = stop.interrupted() => Err(failure),
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

    /// Ends a run whose work broke off, so that nobody has to wait for its lease. What was published
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
    pub async fn rehearse_job(&self, job: &str, stop: &Stop) -> Result<RunReport, Failure> {
        let main = stop.unless_told(self.connect()).await?;
        let trial = async {
            execute(main.client(), "BEGIN").await?;
            let run = Protocol::new(main.client()).dry_run(job).await?;
            self.rehearse(&main, run, &Origin::Server, None).await
        };
        let report = stop.unless_told(trial).await;
        main.abort().await;
        report
    }

    async fn rehearse(
        &self,
        main: &Session,
        run: i64,
        origin: &Origin<'_>,
        sample: Option<i32>,
    ) -> Result<RunReport, Failure> {
        match self.claim(main, Some(run)).await? {
            Some(claim) => {
                Run::trial(self, &claim, main, sample)
                    .to_its_end(origin)
                    .await
            }
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
        stop: &Stop,
    ) -> Result<RunReport, Failure> {
        if dry_run {
            return self.rehearse_local(file, rules, None, stop).await;
        }
        check_local(file, &rules)?;
        let main = stop.unless_told(self.connect()).await?;
        let origin = Origin::Local(file);
        // In one transaction: nobody else could take the run of a process that died in between.
        let entered = async {
            execute(main.client(), "BEGIN").await?;
            let run = Protocol::new(main.client())
                .start_import(&rules, None, false)
                .await?;
            self.claim_and_commit(&main, run).await
        };
        match stop.unless_told(entered).await? {
            (_, Some(claim)) => self.carry_out_from(claim, &origin, stop).await,
            (run, None) => Ok(RunReport::of_status(&self.status(&main, run).await?)),
        }
    }

    /// Does all that importing one local file by these rules would do, and undoes it; with `sample`, the
    /// report shows so many of the first contacts.
    ///
    /// # Errors
    /// What kept the trial from its end; a file that failed is in the report.
    pub async fn rehearse_local(
        &self,
        file: &Path,
        rules: Value,
        sample: Option<i32>,
        stop: &Stop,
    ) -> Result<RunReport, Failure> {
        check_local(file, &rules)?;
        let main = stop.unless_told(self.connect()).await?;
        let trial = async {
            execute(main.client(), "BEGIN").await?;
            let run = Protocol::new(main.client())
                .start_import(&rules, None, true)
                .await?;
            self.rehearse(&main, run, &Origin::Local(file), sample)
                .await
        };
        let report = stop.unless_told(trial).await;
        main.abort().await;
        report
    }

    /// Takes queued runs on this connection until told to stop.
    ///
    /// # Errors
    /// `database`, when the connection is lost.
    pub async fn serve_connected(
        &self,
        mut session: Session,
        poll: Duration,
        stop: &Stop,
    ) -> Result<(), Failure> {
        Protocol::new(session.client()).listen(RUN_CHANNEL).await?;
        self.register_keys(&session).await?;
        while !stop.is_told() {
            match self.claim(&session, None).await? {
                // A run under way is ended first.
                Some(claim) => match self.carry_out(claim, &Stop::never()).await {
                    Ok(report) => tracing::info!(
                        run = report.run_id,
                        result = report.result,
                        message = report.message.as_deref().unwrap_or_default(),
                        "run ended"
                    ),
                    Err(failure) => tracing::error!(
                        %failure,
                        detail = failure.detail.as_deref(),
                        hint = failure.hint.as_deref(),
                        "run given up"
                    ),
                },
                None => tokio::select! {
                    woken = session.notification() => {
                        if woken.is_none() {
                            return Err(Failure::new(Reason::Database, "the database connection is lost").retryable());
                        }
                    }
                    () = tokio::time::sleep(poll) => {}
                    _ = stop.told() => {}
                },
            }
        }
        Ok(())
    }
}

/// Refuses what cannot be imported before anything is asked of the database.
fn check_local(file: &Path, rules: &Value) -> Result<(), Failure> {
    if !file.is_file() {
        return Err(Failure::new(
            Reason::NotRegularFile,
            format!("{} is not a regular file", file.display()),
        )
        .with_hint("name a CSV file with a header row"));
    }
    JobRules::parse(rules, Source::Local)
        .map(drop)
        .map_err(|error| Failure::new(Reason::Rule, error.to_string()).with_hint(error.hint))
}
