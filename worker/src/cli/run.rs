//! `outbound run JOB`: asks for a run and carries it out here, for shells and DAG tasks. If a daemon
//! is faster and takes the run, this command waits for its end and reports that.

use std::time::Duration;

use super::present;
use crate::database::protocol::Protocol;
use crate::error::Failure;
use crate::report::Outcome;
use crate::report::RunReport;
use crate::run::Worker;
use crate::settings::Settings;

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
    if args.dry_run {
        return Ok(present(
            &worker.rehearse_job(&args.job).await?,
            settings.json,
        ));
    }
    let session = worker.connect().await?;
    worker.register_keys(&session).await?;
    let protocol = Protocol::new(session.client());
    let run = protocol.run_now(&args.job, None, None).await?;
    let report = match worker.claim(&session, Some(run)).await? {
        Some(claim) => worker.carry_out(claim).await?,
        None => loop {
            // Refused when claimed (its rules no longer hold), skipped, or taken by a daemon.
            let status = worker.status(&session, run).await?;
            if status.state == "finished" {
                break RunReport::of_status(&status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        },
    };
    Ok(present(&report, settings.json))
}
