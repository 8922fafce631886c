//! `outbound run JOB`: asks for a run and carries it out here, for shells and DAG tasks. If a daemon
//! is faster and takes the run, this command waits for its end and reports that.

use std::time::Duration;

use super::present;
use crate::database::Session;
use crate::error::Failure;
use crate::report::Outcome;
use crate::report::RunReport;
use crate::run::Worker;
use crate::settings::Settings;
use crate::stop::Stop;

/// How often the state of a run that another worker took is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `outbound run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Name of the job.
    pub job: String,
    /// Do everything, then undo it: nothing changes in the database or on the server.
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs one job.
///
/// # Errors
/// What kept the run from being asked for; a run that failed is a report, not an error.
pub async fn run(settings: &Settings, args: RunArgs) -> Result<Outcome, Failure> {
    let worker = Worker::open(settings)?;
    let stop = Stop::listen()?;
    let report = if args.dry_run {
        worker.rehearse_job(&args.job, &stop).await?
    } else {
        let session = stop.unless_told(worker.connect()).await?;
        let asked = async {
            worker.register_keys(&session).await?;
            worker.ask_for_run(&session, &args.job).await
        };
        match stop.unless_told(asked).await? {
            (_, Some(claim)) => worker.carry_out(claim, &stop).await?,
            (run, None) => {
                stop.unless_told(end_elsewhere(&worker, &session, run))
                    .await?
            }
        }
    };
    Ok(present(&report, settings.json))
}

/// Waits for the end of a run that was refused when claimed (its rules no longer hold), skipped, or
/// taken by a daemon.
async fn end_elsewhere(worker: &Worker, session: &Session, run: i64) -> Result<RunReport, Failure> {
    loop {
        let status = worker.status(session, run).await?;
        if status.state == "finished" {
            return Ok(RunReport::of_status(&status));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
