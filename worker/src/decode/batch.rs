//! Many records in a few flat buffers.
//!
//! A batch holds the text of its records back to back, without one allocation for a field or a
//! record, and its buffers are used again for later batches.

use outbound_core::fields::Fields;
use outbound_core::reason::Reason;

use super::limits::{BATCH_BYTES, BATCH_RECORDS, MAX_RAW_BYTES};

/// Records in file order.
#[derive(Debug, Default)]
pub struct RecordBatch {
    text: String,
    ends: Vec<usize>,
    raw: String,
    spans: Vec<Span>,
}

/// Where a record begins in the buffers of its batch; it ends where the next one begins.
#[derive(Debug, Clone, Copy)]
struct Span {
    text: usize,
    ends: usize,
    raw: usize,
    line: u64,
    undecodable: u32,
    refused: Option<Reason>,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Physical line on which the record begins, from 1; line breaks in quotes count.
    pub line: u64,
    /// The record as it stands in the file, decoded, without its line end; its start if it is
    /// very long.
    pub raw: &'a str,
    /// Its fields; empty when the reader refused the record.
    pub fields: Fields<'a>,
    /// Byte sequences that the character set does not know, each replaced by U+FFFD.
    pub undecodable: u32,
    /// Why the reader refused the record: `unclosed_quote`, `field_too_long`, `record_too_long`
    /// or `too_many_columns`.
    pub refused: Option<Reason>,
}

impl RecordBatch {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// True when it is time to hand the batch on.
    pub fn is_full(&self) -> bool {
        self.spans.len() >= BATCH_RECORDS
            || self.text.len() >= BATCH_BYTES
            || self.raw.len() >= 2 * BATCH_BYTES
    }

    /// Adds a record. Of a refused one the fields are not kept, and of the raw text no more than
    /// [`MAX_RAW_BYTES`].
    pub fn push(&mut self, record: &Record<'_>) {
        self.spans.push(Span {
            text: self.text.len(),
            ends: self.ends.len(),
            raw: self.raw.len(),
            line: record.line,
            undecodable: record.undecodable,
            refused: record.refused,
        });
        self.raw.push_str(cut(record.raw, MAX_RAW_BYTES));
        if record.refused.is_none() {
            self.text.push_str(record.fields.text);
            self.ends.extend_from_slice(record.fields.ends);
        }
    }

    /// Forgets the records and keeps the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.raw.clear();
        self.spans.clear();
    }

    /// Record `index`; `None` past the end.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        let span = self.spans.get(index)?;
        let next = self.spans.get(index + 1);
        let text_end = next.map_or(self.text.len(), |next| next.text);
        let ends_end = next.map_or(self.ends.len(), |next| next.ends);
        let raw_end = next.map_or(self.raw.len(), |next| next.raw);
        Some(Record {
            line: span.line,
            raw: &self.raw[span.raw..raw_end],
            fields: Fields {
                text: &self.text[span.text..text_end],
                ends: &self.ends[span.ends..ends_end],
            },
            undecodable: span.undecodable,
            refused: span.refused,
        })
    }

    /// The records in file order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// The longest start of `text` that has at most `max` bytes and ends between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    &text[..text.floor_char_boundary(max)]
}
