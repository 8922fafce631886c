//! Keeping a claimed run: a heart-beat on a connection of its own, so that a long COPY or index build on
//! the others does not hold it up.

use std::time::Duration;

use outbound_core::reason::Reason;

use crate::database::Session;
use crate::database::protocol::{ClaimedRun, Protocol};
use crate::error::Failure;

/// How long a run is owned after the last beat.
pub(super) const LENGTH: Duration = Duration::from_secs(120);

/// Time between two beats: several may be lost before the run is.
const EVERY: Duration = Duration::from_secs(20);

/// Beats until the run is no longer owned, or the connection is gone, and says which.
pub(super) async fn keep(session: &Session, claim: &ClaimedRun) -> Failure {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(failure) = beat(session, claim).await {
            return failure;
        }
    }
}

/// Beats once.
///
/// # Errors
/// `worker_lost` when the run is no longer owned; `database`
pub(super) async fn beat(session: &Session, claim: &ClaimedRun) -> Result<(), Failure> {
    let protocol = Protocol::new(session.client());
    if protocol
        .heartbeat(claim.run_id, claim.try_no, LENGTH)
        .await?
    {
        return Ok(());
    }
    Err(Failure::new(
        Reason::WorkerLost,
        format!("run {} has another owner now", claim.run_id),
    ))
}
