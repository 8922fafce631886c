//! The bounds of one record, so that no file can make the worker grow.
//!
//! A file is data from outside. These bounds are far above what a contact list needs, and low
//! enough that the pieces in flight stay within the worker's memory budget.

/// Longest field, in bytes of decoded text; a longer one is `field_too_long`.
pub const MAX_FIELD_BYTES: usize = 1 << 20;

/// Longest record, in bytes of decoded text. A quote still open after so many bytes counts as
/// never closed (`unclosed_quote`); any other longer record is `record_too_long`.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Most fields of a record. A list has at most 200 columns, so anything beyond is noise whose
/// field ends need not be kept: the record is `too_many_columns`.
pub const MAX_FIELDS: usize = 4096;

/// Bytes of raw text kept of a record: what a report of rejected rows can show
/// (8192 characters of at most four bytes).
pub const MAX_RAW_BYTES: usize = 32 << 10;

/// How many bytes may be read in vain behind quotes that are never closed. Ordinary files with
/// such quotes stay far below; a file made of nothing else would cost time quadratic in its size.
pub const MAX_REREAD_BYTES: usize = 1 << 30;

/// Text bytes after which a batch is handed on.
pub const BATCH_BYTES: usize = 512 << 10;

/// Records after which a batch is handed on, however short they are.
pub const BATCH_RECORDS: usize = 8192;
