//! Being told to stop: SIGINT and SIGTERM, as something to wait for. A daemon ends the run under way
//! first; a command in the foreground drops its work and ends its run as interrupted.

use std::future::{Future, pending};

use outbound_core::reason::Reason;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::Failure;

/// Knows whether this process was told to stop, and by which signal.
pub struct Stop {
    told: watch::Receiver<Option<&'static str>>,
}

impl Stop {
    /// Listens from now on; the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// `internal` when the system does not let us listen.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))
        };
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            tracing::info!(signal = name, "told to stop");
            tell.send_replace(Some(name));
        });
        Ok(Self { told })
    }

    /// Never tells: for work that is ended first.
    #[must_use]
    pub fn never() -> Self {
        Self {
            told: watch::channel(None).1,
        }
    }

    /// Whether the process was told to stop.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told.borrow().is_some()
    }

    /// Waits for the signal and names it.
    pub async fn told(&self) -> &'static str {
        let mut told = self.told.clone();
        let name = told.wait_for(Option::is_some).await.map(|name| *name);
        match name {
            Ok(Some(name)) => name,
            // Nobody is left to tell.
            _ => pending().await,
        }
    }

    /// Waits for the signal and says what it means for a run.
    pub async fn interrupted(&self) -> Failure {
        let name = self.told().await;
        Failure::new(Reason::Interrupted, format!("told to stop by {name}"))
            .with_hint("run it again")
            .retryable()
    }

    /// Does the work, or drops it where it stands when told to stop.
    ///
    /// # Errors
    /// Those of the work, or `interrupted`.
    pub async fn unless_told<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            failure = self.interrupted() => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn work_is_dropped_when_the_process_is_told_to_stop() {
        let (tell, told) = watch::channel(None);
        let stop = Stop { told };
        assert_eq!(stop.unless_told(async { Ok(1) }).await.unwrap(), 1);
        assert!(!stop.is_told());
        tell.send_replace(Some("SIGTERM"));
        let failure = stop.unless_told(pending::<Result<(), _>>()).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.reason, Reason::Interrupted);
        assert!(failure.retryable);
        assert!(failure.message.contains("SIGTERM"));
        assert!(stop.is_told());
    }

    #[tokio::test]
    async fn work_that_is_ended_first_is_never_told() {
        let stop = Stop::never();
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, stop.told()).await.is_err());
    }
}
