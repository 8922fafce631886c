//! Rows that are not loaded, and what is to be said about rows that are.
//!
//! A file may consist of nothing but refused rows, so they are kept in the binary form in which
//! they will be copied into `outbound.rejected_row`: in memory at first, in the private spool once
//! they grow (list-automation §4.8 V-4).

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use outbound_core::reason::{Reason, Severity};
use tokio_postgres::Client;

use super::copy::{copy_in, queue_of};
use super::encode::CopyBuffer;
use crate::error::Failure;
use crate::spool::{Spool, SpoolFile};

/// Longest original text kept of a row, in characters.
pub const MAX_ORIGINAL_CHARS: usize = 8192;

const COPY_STATEMENT: &str = "COPY outbound.rejected_row \
    (file_id, line_number, column_name, reason, severity, message, original) \
    FROM STDIN (FORMAT binary)";

/// One refused row or one report about a loaded row.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Physical line on which the row begins, from 1.
    pub line: u64,
    /// Column of the list concerned.
    pub column: Option<&'a str>,
    /// Stable code.
    pub reason: Reason,
    /// Whether the row was refused, or loaded with a warning: with one reason it can be either.
    pub severity: Severity,
    /// What is wrong, in words.
    pub message: &'a str,
    /// The row as it stands in the file.
    pub original: &'a str,
}

/// Gathers entries while a file is read.
pub struct Rejects {
    file_id: i64,
    spool: Spool,
    file: Option<SpoolFile>,
    copy: CopyBuffer,
    counts: BTreeMap<Reason, u64>,
}

impl Rejects {
    /// Nothing rejected yet of file `file_id` (the number in `outbound.import_file`).
    pub fn new(file_id: i64, spool: &Spool) -> Self {
        Self {
            file_id,
            spool: spool.clone(),
            file: None,
            copy: CopyBuffer::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// `storage` when the spool cannot take it.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Failure> {
        *self.counts.entry(entry.reason).or_default() += 1;
        let copy = &mut self.copy;
        copy.row(7);
        copy.int8(self.file_id);
        copy.int8(entry.line.cast_signed());
        match entry.column {
            Some(column) => copy.text(column),
            None => copy.null(),
        }
        copy.text(entry.reason.code());
        copy.text(entry.severity.as_str());
        text(copy, entry.message);
        text(copy, first_chars(entry.original, MAX_ORIGINAL_CHARS));
        if let Some(full) = copy.take_full() {
            let file = match &mut self.file {
                Some(file) => file,
                None => self
                    .file
                    .insert(self.spool.create(&format!("rejects-{}", self.file_id))?),
            };
            file.write_all(&full)
                .map_err(|error| Failure::storage("cannot note a rejected row", &error))?;
        }
        Ok(())
    }

    /// Ends the gathering.
    pub fn seal(self) -> RejectedRows {
        RejectedRows {
            rows: self.copy.rows(),
            counts: self.counts,
            file: self.file,
            tail: self.copy.finish(),
        }
    }
}

/// All rejected rows and reports of one file, ready to be copied.
#[derive(Debug)]
pub struct RejectedRows {
    rows: u64,
    counts: BTreeMap<Reason, u64>,
    file: Option<SpoolFile>,
    tail: Bytes,
}

impl RejectedRows {
    /// Number of entries: refused rows, duplicates and warnings.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Entries for each reason.
    pub fn counts(&self) -> &BTreeMap<Reason, u64> {
        &self.counts
    }

    /// Copies the entries into `outbound.rejected_row`, inside the caller's transaction.
    ///
    /// # Errors
    ///
    /// `database` or `storage`.
    pub async fn send(&self, client: &Client) -> Result<(), Failure> {
        if self.is_empty() {
            return Ok(());
        }
        let file = self.file.as_ref().map(SpoolFile::reader).transpose()?;
        let queue = queue_of(file, self.tail.clone());
        match copy_in(client, COPY_STATEMENT, queue).await? {
            Some(copied) if copied.rows == self.rows => Ok(()),
            _ => Err(Failure::internal("not every rejected row was stored")),
        }
    }
}

/// Writes text from a file, which may hold what Postgres cannot store.
fn text(copy: &mut CopyBuffer, value: &str) {
    if value.contains('\0') {
        copy.text(&value.replace('\0', "\u{FFFD}"));
    } else {
        copy.text(value);
    }
}

/// The first `max` characters.
fn first_chars(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices()
        .nth(max)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn entry(original: &str) -> Entry<'_> {
        Entry {
            line: 2,
            column: Some("phone"),
            reason: Reason::BadValue,
            severity: Severity::Row,
            message: "no",
            original,
        }
    }

    #[test]
    fn few_entries_stay_in_memory_and_many_go_to_the_spool() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(&root.path().join("spool")).unwrap();
        let mut rejects = Rejects::new(7, &spool);
        rejects.add(&entry("a,b")).unwrap();
        assert!(rejects.file.is_none());
        let long = "é".repeat(10_000);
        for _ in 0..200 {
            rejects.add(&entry(&long)).unwrap();
        }
        let sealed = rejects.seal();
        assert_eq!(sealed.len(), 201);
        assert_eq!(sealed.counts(), &BTreeMap::from([(Reason::BadValue, 201)]));
        let mut bytes = Vec::new();
        let mut reader = sealed.file.as_ref().unwrap().reader().unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.extend_from_slice(&sealed.tail);
        assert!(bytes.starts_with(b"PGCOPY\n") && bytes.ends_with(&[0xFF, 0xFF]));
        let kept = 2 * MAX_ORIGINAL_CHARS;
        assert!(bytes.len() > 200 * kept && bytes.len() < 200 * (kept + 200) + 200);
    }

    #[test]
    fn nul_bytes_are_shown_as_something_postgres_can_store() {
        let root = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::new(7, &Spool::open(&root.path().join("spool")).unwrap());
        rejects.add(&entry("a\0b")).unwrap();
        let bytes = rejects.seal().tail;
        let found = bytes
            .windows(5)
            .any(|window| window == "a\u{FFFD}b".as_bytes());
        assert!(found);
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(first_chars("éé", 2), "éé");
        assert_eq!(first_chars("ééé", 2), "éé");
        assert_eq!(first_chars("abc", 2), "ab");
    }
}
