//! `outbound serve`: the daemon. It is woken by NOTIFY and looks by itself as well, since a lease that
//! ends tells nobody. One run at a time; start several daemons for more.

use std::time::Duration;

use crate::error::Failure;
use crate::report::Outcome;
use crate::run::Worker;
use crate::settings::Settings;
use crate::stop::Stop;

/// Pause after the database was lost, doubled as long as it stays away.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause after the database was lost.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Arguments of `outbound serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Seconds between two looks at the queue when nothing wakes the worker.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub poll: u64,
}

/// Takes queued runs until told to stop; a run under way is ended first.
///
/// # Errors
/// Only what is wrong with the set-up; a database that is away is waited for.
pub async fn serve(settings: &Settings, args: ServeArgs) -> Result<Outcome, Failure> {
    let worker = Worker::open(settings)?;
    let stop = Stop::listen()?;
    tracing::info!(worker = worker.name(), "serving");
    let mut pause = SHORTEST_PAUSE;
    while !stop.is_told() {
        let served = match worker.connect().await {
            Ok(session) => {
                pause = SHORTEST_PAUSE;
                worker
                    .serve_connected(session, Duration::from_secs(args.poll), &stop)
                    .await
            }
            Err(failure) => Err(failure),
        };
        let Err(failure) = served else { break };
        if !failure.retryable {
            return Err(failure);
        }
        tracing::warn!(%failure, pause = pause.as_secs(), "the database is away; trying again");
        tokio::select! { () = tokio::time::sleep(pause) => {}, _ = stop.told() => {} }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(Outcome::Done)
}
