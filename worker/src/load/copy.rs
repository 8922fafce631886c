//! COPY IN from a queue of ready-made bytes.
//!
//! A COPY whose sink is dropped stores nothing; so the stream is finished only when the queue
//! says that everything has come. A queue that just breaks off means that a stage before has
//! failed, and the failure is told there.

use std::fs::File;
use std::io::Read;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use super::encode::CHUNK_BYTES;
use crate::database;
use crate::error::Failure;

/// Chunks that may wait in a queue. With the chunk size, this bounds the memory of a stage.
pub const QUEUE: usize = 4;

/// One step of a byte stream between stages.
#[derive(Debug)]
pub enum Piece {
    /// The next bytes.
    Data(Bytes),
    /// Everything has come.
    End,
    /// No more can come.
    Failed(Failure),
}

/// What a finished COPY did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Rows stored.
    pub rows: u64,
    /// Time spent sending, without waiting for bytes.
    pub busy: Duration,
}

/// Sends the queue through a COPY statement and drops it in the end, so that whoever fills it
/// never waits in vain. `None` when the queue broke off: the COPY was given
/// up and its transaction cannot be committed any more.
///
/// # Errors
///
/// The failure that came with the queue, or what the database said.
pub async fn copy_in(
    client: &Client,
    statement: &str,
    mut queue: mpsc::Receiver<Piece>,
) -> Result<Option<Copied>, Failure> {
    let sink = client
        .copy_in::<_, Bytes>(statement)
        .await
        .map_err(|error| database::failure("cannot start to copy rows", &error))?;
    let mut sink = pin!(sink);
    let mut busy = Duration::ZERO;
    loop {
        let piece = queue.recv().await;
        let started = Instant::now();
        match piece {
            Some(Piece::Data(bytes)) => {
                // An error of the statement itself is told at the end: the server takes in the
                // rest and forgets it. Only a lost connection shows here.
                sink.send(bytes)
                    .await
                    .map_err(|error| database::failure("cannot copy rows", &error))?;
                busy += started.elapsed();
            }
            Some(Piece::End) => {
                let rows = sink
                    .as_mut()
                    .finish()
                    .await
                    .map_err(|error| database::failure("cannot copy rows", &error))?;
                busy += started.elapsed();
                return Ok(Some(Copied { rows, busy }));
            }
            Some(Piece::Failed(failure)) => return Err(failure),
            None => return Ok(None),
        }
    }
}

/// A queue filled from a file and then from `tail`, on a thread of its own.
pub fn queue_of(file: Option<File>, tail: Bytes) -> mpsc::Receiver<Piece> {
    let (pieces, queue) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let last = match read_all(file, &pieces) {
            Ok(false) => return,
            Ok(true) if pieces.blocking_send(Piece::Data(tail)).is_err() => return,
            Ok(true) => Piece::End,
            Err(error) => Piece::Failed(Failure::storage("cannot read a spool file", &error)),
        };
        // Whoever reads the queue may have gone; then nobody misses this piece.
        let _gone = pieces.blocking_send(last);
    });
    queue
}

/// Sends a file piece by piece; false when nobody takes the pieces any more.
fn read_all(file: Option<File>, pieces: &mpsc::Sender<Piece>) -> std::io::Result<bool> {
    let Some(mut file) = file else {
        return Ok(true);
    };
    loop {
        let mut bytes = BytesMut::zeroed(CHUNK_BYTES);
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return Ok(true);
        }
        bytes.truncate(read);
        if pieces.blocking_send(Piece::Data(bytes.freeze())).is_err() {
            return Ok(false);
        }
    }
}
