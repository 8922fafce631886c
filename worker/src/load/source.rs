//! The first two stages: bytes, and the records in them.
//!
//! The bytes come from a closure that reads or decrypts and pushes what it gets; it runs on a
//! thread of its own, and its own verdict (a signature, a size) counts at the end: nothing that it
//! pushed is believed before it has returned without error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use outbound_core::row::CharacterSet;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::counts::Stopwatch;
use crate::decode::csv::CsvReader;
use crate::decode::{Progress, RecordBatch, RecordReader};
use crate::error::Failure;

/// Takes the next clear bytes; an error means that the import is over and the source shall stop.
pub type PushBytes<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

/// Pushes the clear bytes of a file, start to end, and gives its verdict on them.
pub type ByteSource<V> = Box<dyn FnOnce(&mut PushBytes<'_>) -> Result<V, Failure> + Send>;

/// A file to be read.
pub struct Input<V> {
    /// Where its bytes come from.
    pub source: ByteSource<V>,
    /// How its bytes become text.
    pub character_set: CharacterSet,
    /// What separates its fields.
    pub delimiter: u8,
}

/// Largest piece of bytes that waits between the stages; larger ones are split.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces, and batches, that may wait.
const QUEUE: usize = 3;

/// A step of the chain; a chain that breaks off without `End` has failed further up.
pub(super) enum Link<T> {
    Next(T),
    End,
}

/// Why a stage stopped before its end.
pub(super) enum Stop {
    /// It found something wrong itself.
    Failed(Failure),
    /// A neighbour is gone, and knows why.
    Neighbour,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How the source ended.
pub(super) struct SourceEnd<V> {
    pub(super) verdict: Result<V, Stop>,
    pub(super) busy: Duration,
}

/// How the parser ended.
pub(super) struct ParseEnd {
    pub(super) result: Result<(), Stop>,
    pub(super) busy: Duration,
}

/// The two stages at work.
pub(super) struct Stages<V> {
    pub(super) source: JoinHandle<SourceEnd<V>>,
    pub(super) parse: JoinHandle<ParseEnd>,
    pub(super) batches: mpsc::Receiver<Link<RecordBatch>>,
    /// Gives batches back to the parser.
    pub(super) empties: std_mpsc::Sender<RecordBatch>,
}

/// Starts both stages.
pub(super) fn start<V: Send + 'static>(input: Input<V>) -> Result<Stages<V>, Failure> {
    let reader = CsvReader::new(input.character_set, input.delimiter)?;
    let (bytes, byte_queue) = mpsc::channel(QUEUE);
    let (batches, batch_queue) = mpsc::channel(QUEUE);
    let (empties, empty_queue) = std_mpsc::channel();
    Ok(Stages {
        source: tokio::task::spawn_blocking(move || run_source(input.source, &bytes)),
        parse: tokio::task::spawn_blocking(move || {
            run_parser(Box::new(reader), byte_queue, &batches, &empty_queue)
        }),
        batches: batch_queue,
        empties,
    })
}

fn run_source<V>(source: ByteSource<V>, bytes: &mpsc::Sender<Link<Vec<u8>>>) -> SourceEnd<V> {
    let started = Instant::now();
    let mut waiting = Stopwatch::default();
    let left = Arc::new(AtomicBool::new(false));
    let result = source(&mut |pushed| {
        for piece in pushed.chunks(PIECE_BYTES) {
            let sent = waiting.time(|| bytes.blocking_send(Link::Next(piece.to_vec())));
            if sent.is_err() {
                left.store(true, Ordering::Relaxed);
                return Err(Failure::internal("the import has stopped"));
            }
        }
        Ok(())
    });
    let busy = started.elapsed().saturating_sub(waiting.total());
    let verdict = match result {
        // Whatever the source makes of a push that failed, it is not the cause.
        Err(_) if left.load(Ordering::Relaxed) => Err(Stop::Neighbour),
        Err(failure) => Err(Stop::Failed(failure)),
        Ok(verdict) => match bytes.blocking_send(Link::End) {
            Ok(()) => Ok(verdict),
            Err(_) => Err(Stop::Neighbour),
        },
    };
    SourceEnd { verdict, busy }
}

fn run_parser(
    mut reader: Box<dyn RecordReader>,
    mut bytes: mpsc::Receiver<Link<Vec<u8>>>,
    batches: &mpsc::Sender<Link<RecordBatch>>,
    empties: &std_mpsc::Receiver<RecordBatch>,
) -> ParseEnd {
    let mut clock = Stopwatch::default();
    let result = parse(reader.as_mut(), &mut bytes, batches, empties, &mut clock);
    ParseEnd {
        result,
        busy: clock.total(),
    }
}

fn parse(
    reader: &mut dyn RecordReader,
    bytes: &mut mpsc::Receiver<Link<Vec<u8>>>,
    batches: &mpsc::Sender<Link<RecordBatch>>,
    empties: &std_mpsc::Receiver<RecordBatch>,
    clock: &mut Stopwatch,
) -> Result<(), Stop> {
    let send = |link| batches.blocking_send(link).map_err(|_| Stop::Neighbour);
    let mut batch = RecordBatch::default();
    loop {
        match clock.time(|| reader.fill(&mut batch))? {
            Progress::BatchFull => {
                let mut empty = empties.try_recv().unwrap_or_default();
                empty.clear();
                send(Link::Next(std::mem::replace(&mut batch, empty)))?;
            }
            Progress::NeedsInput => match bytes.blocking_recv().ok_or(Stop::Neighbour)? {
                Link::Next(piece) => clock.time(|| reader.feed(&piece)),
                Link::End => clock.time(|| reader.end_of_input()),
            },
            Progress::Ended => {
                if !batch.is_empty() {
                    send(Link::Next(batch))?;
                }
                return send(Link::End);
            }
        }
    }
}
