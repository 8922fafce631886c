//! `outbound serve`: the daemon. It is woken by NOTIFY and looks by itself as well, since a lease that
//! ends tells nobody. One run at a time; start several daemons for more.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Failure;
use crate::report::Outcome;
use crate::run::Worker;
use crate::settings::Settings;

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
    let listen = |kind| {
        signal(kind)
            .map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("told to stop: the run under way is ended first");
        stop.send_replace(true);
    });
    tracing::info!(worker = worker.name(), "serving");
    let mut pause = Duration::from_secs(1);
    while !*stopped.borrow() {
        let served = worker
            .serve_connected(Duration::from_secs(args.poll), stopped.clone())
            .await;
        let Err(failure) = served else { break };
        if !failure.retryable {
            return Err(failure);
        }
        tracing::warn!(%failure, pause = pause.as_secs(), "the database is away; trying again");
        let mut wake = stopped.clone();
        tokio::select! { () = tokio::time::sleep(pause) => {}, _ = wake.wait_for(|stop| *stop) => {} }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(Outcome::Done)
}
