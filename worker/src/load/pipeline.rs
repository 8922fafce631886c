//! One file from its bytes to complete, indexed load tables.
//!
//! Call [`Reading::open`]; show [`Reading::header`] to the database, which answers with the shape
//! of the list and opens a load; call [`Reading::load`]; then copy the rejected rows and publish,
//! in one transaction. Until that publication nothing of the file can be seen. Whatever fails, the
//! transactions of both tables are rolled back before the failure is handed on, and every thread
//! ends: each waits only on its neighbours in the chain, and a neighbour that goes closes its ends
//! of the queues.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use outbound_core::job::MaxRejected;
use outbound_core::reason::Reason;
use outbound_core::row::{Account, RowRules};
use outbound_core::shape::Shape;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::copy::{Copied, Piece, QUEUE, copy_in, queue_of};
use super::counts::{LoadCounts, Stopwatch, Timings};
use super::rejects::RejectedRows;
use super::rows::{Output, Rows, within};
use super::settle::settle;
use super::sink::{Sink, Statements, Target};
use super::source::{self, Input, Link, Stages, Stop};
use crate::decode::RecordBatch;
use crate::error::Failure;
use crate::fault;
use crate::spool::Spool;

/// Records between two looks at what has gathered for the database.
const FLUSH_RECORDS: usize = 64;

/// Where a file goes and under which rules.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Number of the load, from `outbound.begin_load`.
    pub load_id: i64,
    /// Number of the file in `outbound.import_file`.
    pub file_id: i64,
    /// What the list looks like, from `outbound.begin_load`.
    pub shape: Shape,
    /// The account's settings, from `outbound.claim_run`.
    pub account: Account,
    /// Limit of the job's rules.
    pub max_rejected: Option<MaxRejected>,
    /// Where rejected rows and suspects wait.
    pub spool: Spool,
}

/// A file whose load tables are complete and committed, but not yet published.
#[derive(Debug)]
pub struct Loaded<V> {
    /// For `outbound.publish`.
    pub counts: LoadCounts,
    /// To be sent in the transaction of `outbound.publish`.
    pub rejects: RejectedRows,
    /// For the report.
    pub timings: Timings,
    /// What the source said of the bytes.
    pub verdict: V,
}

/// A file that was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct LoadError {
    /// Why.
    pub failure: Failure,
    /// How far it came, for `outbound.file_failed`.
    pub counts: LoadCounts,
    /// What was refused until then; `None` when nothing was read or the database failed.
    pub rejects: Option<RejectedRows>,
}

impl From<Failure> for Box<LoadError> {
    fn from(failure: Failure) -> Self {
        Box::new(LoadError {
            failure,
            counts: LoadCounts::default(),
            rejects: None,
        })
    }
}

/// A file whose header has been read; the rest waits.
pub struct Reading<V> {
    stages: Stages<V>,
    header: Vec<String>,
    first: RecordBatch,
}

/// The middle stage when it has done its part.
pub(super) struct Pass {
    pub(super) rows: Rows,
    pub(super) detail: Output,
    pub(super) result: Result<(), Stop>,
    pub(super) busy: Duration,
}

/// Both tables without keys, as far as the contact side knows.
struct Filled<V> {
    rows: Rows,
    /// Rows of the detail table that wait for a free connection.
    detail: Option<crate::spool::SpoolFile>,
    timings: Timings,
    verdict: V,
}

impl<V: Send + 'static> Reading<V> {
    /// Starts to read a file and waits for its header.
    ///
    /// # Errors
    ///
    /// `file_empty` without any record; `format` for a header that cannot be read; `rule` for an
    /// impossible delimiter; whatever the source fails with.
    pub async fn open(input: Input<V>) -> Result<Self, Failure> {
        let mut stages = source::start(input)?;
        let first = match stages.batches.recv().await {
            Some(Link::Next(batch)) => batch,
            Some(Link::End) => {
                return Err(Failure::new(Reason::FileEmpty, "the file is empty"));
            }
            None => {
                let (_, failure, _) = verdict_of(stages.source, stages.parse).await;
                return Err(failure.unwrap_or_else(broken));
            }
        };
        let header = match first.get(0) {
            Some(record) if record.refused.is_none() => (0..record.fields.len())
                .filter_map(|field| record.fields.get(field))
                .map(str::to_owned)
                .collect(),
            record => {
                let why = record.and_then(|record| record.refused);
                return Err(
                    Failure::new(Reason::Format, "the header row cannot be read")
                        .with_detail(why.map_or("", Reason::code))
                        .with_hint("check the file's quotes and the delimiter of the job"),
                );
            }
        };
        Ok(Self {
            stages,
            header,
            first,
        })
    }

    /// The names in the header row, as they are written.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Fills and indexes the tables of a load, and commits them where `target` is a pair.
    ///
    /// # Errors
    ///
    /// `no_rows`, `no_acceptable_row`, `max_rejected`; header reasons; whatever the source fails
    /// with, before anything is committed; `storage`, `database`.
    pub async fn load(
        self,
        target: Target<'_>,
        plan: &LoadPlan,
    ) -> Result<Loaded<V>, Box<LoadError>> {
        fault::point("stage.before");
        let sink = Sink::open(target).await?;
        match self.fill(&sink, plan).await {
            Ok(loaded) => {
                sink.commit().await?;
                fault::point("stage.after");
                Ok(loaded)
            }
            Err(error) => {
                sink.abort().await;
                Err(error)
            }
        }
    }

    async fn fill(self, sink: &Sink<'_>, plan: &LoadPlan) -> Result<Loaded<V>, Box<LoadError>> {
        let rules = RowRules::new(&plan.shape, &self.header, &plan.account).map_err(|error| {
            Failure::new(error.reason, error.message)
                .with_detail(error.detail)
                .with_hint(error.hint)
        })?;
        let shape = Arc::new(plan.shape.clone());
        let rows = Rows::new(rules, shape, plan.file_id, &plan.spool, plan.max_rejected);
        let statements = sink.create_tables(plan.load_id).await?;
        let (filled, copied) = if sink.is_pair() {
            let (pieces, queue) = mpsc::channel(QUEUE);
            let detail = async {
                let copied = copy_in(sink.detail(), &statements.detail, queue).await;
                copied.map_err(Box::<LoadError>::from)
            };
            let contact = self.fill_contact(rows, sink, &statements, Output::Queue(pieces), plan);
            let (copied, filled) = tokio::try_join!(detail, contact)?;
            (filled, copied)
        } else {
            let file = plan.spool.create(&format!("detail-{}", plan.file_id))?;
            let mut filled = self
                .fill_contact(rows, sink, &statements, Output::Spool(file), plan)
                .await?;
            let file = filled.detail.take();
            let reader = file.as_ref().map(|file| file.reader()).transpose()?;
            let queue = queue_of(reader, bytes::Bytes::new());
            (
                filled,
                copy_in(sink.detail(), &statements.detail, queue).await?,
            )
        };
        finish(filled, copied, sink, plan).await
    }

    /// Everything but the COPY of the detail table.
    async fn fill_contact(
        self,
        rows: Rows,
        sink: &Sink<'_>,
        statements: &Statements,
        detail: Output,
        plan: &LoadPlan,
    ) -> Result<Filled<V>, Box<LoadError>> {
        let Stages {
            source,
            parse,
            batches,
            empties,
        } = self.stages;
        let first = self.first;
        let mut timings = Timings::default();
        let contact = sink.contact();
        let (pass, copied) = run_pass(contact, &statements.contact, move |mut contact| {
            let mut clock = Stopwatch::default();
            let (mut rows, mut detail) = (rows, detail);
            let mut chain = Chain {
                rows: &mut rows,
                contact: &mut contact,
                detail: &mut detail,
                clock: &mut clock,
            };
            let result = chain
                .run(first, batches, &empties)
                .and_then(|()| contact.end(rows.take_contact()).map(drop));
            Pass {
                rows,
                detail,
                result,
                busy: clock.total(),
            }
        })
        .await?;
        let (verdict, failure, busy) = verdict_of(source, parse).await;
        (timings.source, timings.decode) = busy;
        timings.check = pass.busy;
        let Pass {
            mut rows,
            mut detail,
            result,
            ..
        } = pass;
        let failure = failure.or_else(|| stopped(result)).or(match copied {
            Ok(Some(copied)) => {
                timings.copy = copied.busy;
                None
            }
            Ok(None) => Some(broken()),
            Err(failure) => Some(failure),
        });
        let Some(verdict) = verdict.filter(|_| failure.is_none()) else {
            return Err(lost(rows, failure.unwrap_or_else(broken)));
        };
        if rows.counts.rows_read == 0 {
            let failure = Failure::new(Reason::NoRows, "the file has a header and no rows");
            return Err(lost(rows, failure));
        }
        (rows, detail) = settle(rows, detail, contact, statements, plan, &mut timings).await?;
        let ended = tokio::task::spawn_blocking(move || {
            let rest = rows.take_detail();
            (rows, detail.end(rest))
        });
        let (rows, ended) = ended.await.map_err(|_| panicked())?;
        match ended {
            Ok(detail) => Ok(Filled {
                rows,
                detail,
                timings,
                verdict,
            }),
            Err(stop) => Err(lost(rows, stopped(Err(stop)).unwrap_or_else(broken))),
        }
    }
}

/// The middle stage at work.
struct Chain<'a> {
    rows: &'a mut Rows,
    contact: &'a mut Output,
    detail: &'a mut Output,
    clock: &'a mut Stopwatch,
}

impl Chain<'_> {
    fn run(
        &mut self,
        first: RecordBatch,
        mut batches: mpsc::Receiver<Link<RecordBatch>>,
        empties: &std_mpsc::Sender<RecordBatch>,
    ) -> Result<(), Stop> {
        // The first record is the header.
        self.take(&first, 1)?;
        fault::point("stage.middle");
        loop {
            match batches.blocking_recv().ok_or(Stop::Neighbour)? {
                Link::End => return Ok(()),
                Link::Next(batch) => {
                    self.take(&batch, 0)?;
                    // A parser that has ended needs no more empty batches.
                    let _ended = empties.send(batch);
                }
            }
        }
    }

    fn take(&mut self, batch: &RecordBatch, skip: usize) -> Result<(), Stop> {
        let mut records = batch.iter().skip(skip).peekable();
        while records.peek().is_some() {
            self.clock.time(|| {
                let mut some = records.by_ref().take(FLUSH_RECORDS);
                some.try_for_each(|record| self.rows.take(&record))
            })?;
            self.rows.flush(self.contact, self.detail)?;
        }
        Ok(())
    }
}

/// Runs a blocking pass that fills the contact table, and its COPY. Both always come to an end:
/// when one of them fails, the other finds its end of the queue closed.
pub(super) async fn run_pass(
    client: &Client,
    statement: &str,
    pass: impl FnOnce(Output) -> Pass + Send + 'static,
) -> Result<(Pass, Result<Option<Copied>, Failure>), Box<LoadError>> {
    let (pieces, queue) = mpsc::channel::<Piece>(QUEUE);
    let pass = tokio::task::spawn_blocking(move || pass(Output::Queue(pieces)));
    let (pass, copied) = tokio::join!(pass, copy_in(client, statement, queue));
    Ok((pass.map_err(|_| panicked())?, copied))
}

/// The last checks, then keys and indexes.
async fn finish<V>(
    filled: Filled<V>,
    detail: Option<Copied>,
    sink: &Sink<'_>,
    plan: &LoadPlan,
) -> Result<Loaded<V>, Box<LoadError>> {
    let Filled {
        rows,
        mut timings,
        verdict,
        ..
    } = filled;
    let counts = rows.counts;
    let records = detail.map_or(0, |copied| copied.rows);
    timings.copy += detail.map_or(Duration::ZERO, |copied| copied.busy);
    let failure = if counts.contacts == 0 {
        Some(Failure::new(
            Reason::NoAcceptableRow,
            format!(
                "none of the {} rows of the file is acceptable",
                counts.rows_read
            ),
        ))
    } else if let Some(Err(failure)) = plan.max_rejected.map(|limit| within(limit, &counts)) {
        Some(failure)
    } else if records != counts.records {
        Some(Failure::internal(
            "the detail table took another number of rows",
        ))
    } else {
        None
    };
    if let Some(failure) = failure {
        return Err(lost(rows, failure));
    }
    let started = Instant::now();
    sink.index(plan.load_id).await?;
    timings.index = started.elapsed();
    Ok(Loaded {
        counts,
        rejects: rows.rejects.seal(),
        timings,
        verdict,
    })
}

/// What the first two stages say: the verdict or the failure, and how long they worked.
async fn verdict_of<V>(
    source: JoinHandle<source::SourceEnd<V>>,
    parse: JoinHandle<source::ParseEnd>,
) -> (Option<V>, Option<Failure>, (Duration, Duration)) {
    let (Ok(source), Ok(parse)) = tokio::join!(source, parse) else {
        return (None, Some(panicked()), Default::default());
    };
    let busy = (source.busy, parse.busy);
    let parsed = stopped(parse.result);
    match source.verdict {
        Ok(verdict) => (Some(verdict), parsed, busy),
        Err(stop) => (None, stopped(Err(stop)).or(parsed), busy),
    }
}

/// The failure of a stage, if it is its own.
pub(super) fn stopped(result: Result<(), Stop>) -> Option<Failure> {
    match result {
        Err(Stop::Failed(failure)) => Some(failure),
        Ok(()) | Err(Stop::Neighbour) => None,
    }
}

pub(super) fn lost(rows: Rows, failure: Failure) -> Box<LoadError> {
    Box::new(LoadError {
        failure,
        counts: rows.counts,
        rejects: Some(rows.rejects.seal()),
    })
}

pub(super) fn broken() -> Failure {
    Failure::internal("the stages of an import fell apart without a cause")
}

fn panicked() -> Failure {
    Failure::internal("a stage of the import panicked")
}

#[cfg(test)]
mod tests;
