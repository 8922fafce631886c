//! The stage in the middle: rules, duplicates, and rows for the two tables of a load.
//!
//! Each record becomes one row of the contact table and one row of the detail table for each of
//! its units, or an entry among the rejected rows, or a suspect. Nothing is allocated for a row
//! that is loaded.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use outbound_core::job::MaxRejected;
use outbound_core::reason::{Reason, Severity};
use outbound_core::row::{RowRules, Scratch};
use outbound_core::shape::Shape;
use outbound_core::value::{Decimal, Value};
use tokio::sync::mpsc;

use super::copy::Piece;
use super::counts::LoadCounts;
use super::encode::CopyBuffer;
use super::first_seen::FirstSeen;
use super::rejects::{Entry, Rejects};
use super::source::Stop;
use super::suspects::Suspects;
use crate::decode::Record;
use crate::error::Failure;
use crate::spool::{Spool, SpoolFile};

/// Where one table's COPY bytes go.
pub(super) enum Output {
    /// To a COPY under way.
    Queue(mpsc::Sender<Piece>),
    /// To a spool file, until the connection is free for them.
    Spool(SpoolFile),
}

impl Output {
    fn send(&mut self, bytes: Bytes) -> Result<(), Stop> {
        match self {
            Self::Queue(queue) => queue
                .blocking_send(Piece::Data(bytes))
                .map_err(|_| Stop::Neighbour),
            Self::Spool(file) => file.write_all(&bytes).map_err(|error| {
                Stop::Failed(Failure::storage(
                    "cannot spool rows for the database",
                    &error,
                ))
            }),
        }
    }

    /// Ends the stream; gives the spool file, if it is one.
    pub(super) fn end(mut self, rest: CopyBuffer) -> Result<Option<SpoolFile>, Stop> {
        self.send(rest.finish())?;
        match self {
            Self::Queue(queue) => queue
                .blocking_send(Piece::End)
                .map(|()| None)
                .map_err(|_| Stop::Neighbour),
            Self::Spool(file) => Ok(Some(file)),
        }
    }
}

/// Checks, counts and encodes the records of one file.
pub(super) struct Rows {
    rules: RowRules,
    shape: Arc<Shape>,
    scratch: Scratch,
    contact: CopyBuffer,
    detail: CopyBuffer,
    /// Only with an identifier can rows be duplicates.
    duplicates: Option<Duplicates>,
    pub(super) rejects: Rejects,
    pub(super) counts: LoadCounts,
    /// Limit that is checked at each refused row.
    max_rejected: Option<MaxRejected>,
}

/// What is known of identifiers seen so far.
struct Duplicates {
    seen: FirstSeen,
    suspects: Suspects,
}

impl Rows {
    pub(super) fn new(
        rules: RowRules,
        shape: Arc<Shape>,
        file_id: i64,
        spool: &Spool,
        max_rejected: Option<MaxRejected>,
    ) -> Self {
        Self {
            duplicates: shape.identifier.map(|_| Duplicates {
                seen: FirstSeen::new(),
                suspects: Suspects::new(file_id, spool),
            }),
            rules,
            shape,
            scratch: Scratch::default(),
            contact: CopyBuffer::new(),
            detail: CopyBuffer::new(),
            rejects: Rejects::new(file_id, spool),
            counts: LoadCounts::default(),
            max_rejected,
        }
    }

    /// Takes in the next record of the file.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.counts.rows_read += 1;
        if !self.passes(record)? {
            return Ok(());
        }
        if let Some(Duplicates { seen, suspects }) = &mut self.duplicates {
            let identifier = self.rules.identifier(record.fields).unwrap_or_default();
            if !seen.is_new(identifier) {
                return suspects.add(record);
            }
        }
        self.load(record)
    }

    /// Loads a suspect that turned out to be the first of its identifier.
    pub(super) fn load_suspect(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        // It passed the checks when it was set aside; this fills the scratch again.
        if self.rules.check(record.fields, &mut self.scratch).is_err() {
            return Err(Failure::internal(
                "a row was checked twice with two results",
            ));
        }
        self.load(record)
    }

    /// Reports a suspect whose identifier stands further up in the file.
    pub(super) fn drop_duplicate(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.counts.duplicates += 1;
        let identifier = self.rules.identifier(record.fields).unwrap_or_default();
        let shown: Cow<'_, str> = match identifier.char_indices().nth(64) {
            Some((end, _)) => format!("{}…", &identifier[..end]).into(),
            None => identifier.into(),
        };
        let message = format!("an earlier row of the file has the identifier \"{shown}\"");
        self.reject(
            record,
            self.shape.identifier,
            (Reason::DuplicateClientId, Severity::Row),
            &message,
        )
    }

    /// The rules of the file.
    pub(super) fn rules(&self) -> &RowRules {
        &self.rules
    }

    /// Hands on what has gathered, if it is enough.
    pub(super) fn flush(&mut self, contact: &mut Output, detail: &mut Output) -> Result<(), Stop> {
        if let Some(full) = self.contact.take_full() {
            contact.send(full)?;
        }
        if let Some(full) = self.detail.take_full() {
            detail.send(full)?;
        }
        Ok(())
    }

    /// The contact rows gathered; later ones begin a new stream.
    pub(super) fn take_contact(&mut self) -> CopyBuffer {
        std::mem::take(&mut self.contact)
    }

    /// The detail rows gathered; later ones begin a new stream.
    pub(super) fn take_detail(&mut self) -> CopyBuffer {
        std::mem::take(&mut self.detail)
    }

    /// The suspects, if there can be any; none are gathered after this.
    pub(super) fn take_suspects(&mut self) -> Option<Suspects> {
        self.duplicates.take().map(|duplicates| duplicates.suspects)
    }

    /// Checks a record into the scratch; false when it is refused.
    fn passes(&mut self, record: &Record<'_>) -> Result<bool, Failure> {
        let (reason, column, message) = match record.refused {
            Some(reason) => (reason, None, Cow::Borrowed(reader_message(reason))),
            None => match self.rules.check(record.fields, &mut self.scratch) {
                Ok(_) => return Ok(true),
                Err(refused) => (refused.reason, refused.column, refused.message),
            },
        };
        self.counts.rejected += 1;
        self.reject(record, column, (reason, Severity::Row), &message)?;
        self.check_limit()?;
        Ok(false)
    }

    /// A number of rows is a limit at any time; a share means something at the end only.
    fn check_limit(&self) -> Result<(), Failure> {
        match self.max_rejected {
            Some(limit @ MaxRejected::Rows(_)) => within(limit, &self.counts),
            _ => Ok(()),
        }
    }

    fn reject(
        &mut self,
        record: &Record<'_>,
        column: Option<usize>,
        (reason, severity): (Reason, Severity),
        message: &str,
    ) -> Result<(), Failure> {
        let column = column.and_then(|column| self.shape.columns.get(column));
        self.rejects.add(&Entry {
            line: record.line,
            column: column.map(|column| column.name.as_str()),
            reason,
            severity,
            message,
            original: record.raw,
        })
    }

    /// Writes the rows of the record that was checked last.
    fn load(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.counts.contacts += 1;
        self.write_contact(record);
        self.write_records(record);
        if record.undecodable > 0 {
            let message = format!(
                "{} byte sequences are no text in the character set of the file and became U+FFFD",
                record.undecodable
            );
            self.warn(record, None, Reason::Undecodable, &message)?;
        }
        for index in 0..self.scratch.reports.len() {
            let report = self.scratch.reports[index];
            let message = report.message(&self.shape, record.fields);
            self.warn(record, report.column, report.reason, &message)?;
        }
        Ok(())
    }

    fn warn(
        &mut self,
        record: &Record<'_>,
        column: Option<usize>,
        reason: Reason,
        message: &str,
    ) -> Result<(), Failure> {
        self.counts.warnings += 1;
        self.reject(record, column, (reason, Severity::Warning), message)
    }

    fn write_contact(&mut self, record: &Record<'_>) {
        let Self {
            shape,
            scratch,
            contact,
            counts,
            rules,
            ..
        } = self;
        contact.row((7 + shape.columns.len()) as i16);
        contact.int4(shape.list_id);
        match rules.identifier(record.fields) {
            Some(identifier) => contact.text(identifier),
            None => contact.number_text(counts.contacts),
        }
        for status in scratch.codes() {
            contact.code(code(status.as_str()));
        }
        contact.int2(scratch.unit_types());
        for value in &scratch.values {
            match *value {
                Value::Null => contact.null(),
                Value::Text { field } => contact.text(text_of(record, field)),
                Value::Integer(number) => contact.int8(number),
                Value::Numeric { field } => match Decimal::parse(text_of(record, field)) {
                    Some(decimal) => contact.numeric(&decimal),
                    None => contact.null(),
                },
                Value::Boolean(value) => contact.boolean(value),
                Value::Date(days) => contact.date(days),
                Value::Timestamptz(microseconds) => contact.timestamptz(microseconds),
            }
        }
    }

    fn write_records(&mut self, record: &Record<'_>) {
        let Self {
            shape,
            scratch,
            detail,
            counts,
            rules,
            ..
        } = self;
        for unit in &scratch.units {
            counts.records += 1;
            detail.row(10);
            detail.int4(shape.list_id);
            detail.int8(shape.last_record_id + counts.records.cast_signed());
            match rules.identifier(record.fields) {
                Some(identifier) => detail.text(identifier),
                None => detail.number_text(counts.contacts),
            }
            detail.text(scratch.text_of(unit));
            detail.text(unit.unit_type.as_str());
            match shape.columns.get(unit.column) {
                Some(column) => detail.text(&column.name),
                None => detail.null(),
            }
            match unit.conversation_type {
                Some(conversation_type) => detail.text(conversation_type.as_str()),
                None => detail.null(),
            }
            match unit.inbox_id {
                Some(inbox_id) => detail.int8(inbox_id),
                None => detail.null(),
            }
            detail.code(code(unit.record_code().as_str()));
            match shape.invalid_result_id {
                Some(result) if !unit.valid => detail.int8(result),
                _ => detail.null(),
            }
        }
    }
}

/// Fails when more rows were refused than the job permits.
pub(super) fn within(limit: MaxRejected, counts: &LoadCounts) -> Result<(), Failure> {
    if !limit.exceeded(counts.rejected, counts.rows_read) {
        return Ok(());
    }
    let permitted = match limit {
        MaxRejected::Rows(rows) => format!("{rows} rows"),
        MaxRejected::Share(share) => format!("{} % of the rows", share * 100.0),
    };
    Err(Failure::new(
        Reason::MaxRejected,
        format!(
            "{} of {} rows were refused, the job permits {permitted}",
            counts.rejected, counts.rows_read
        ),
    )
    .with_hint("see outbound.rejected_row for the rows, or raise max_rejected in the job's rules"))
}

fn code(text: &str) -> u8 {
    text.as_bytes().first().copied().unwrap_or(b'F')
}

fn text_of<'a>(record: &Record<'a>, field: u32) -> &'a str {
    record.fields.get(field as usize).unwrap_or("")
}

fn reader_message(reason: Reason) -> &'static str {
    match reason {
        Reason::UnclosedQuote => "a quote opened in this line is never closed",
        Reason::FieldTooLong => "a field is longer than 1 MiB",
        Reason::RecordTooLong => "the row is longer than 16 MiB",
        _ => "the row has too many fields",
    }
}
