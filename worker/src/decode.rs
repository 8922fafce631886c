//! From the clear bytes of a file to records: character set, format, limits.
//!
//! A [`RecordReader`] takes bytes in pieces of any size and hands out [`RecordBatch`]es: the
//! decoded text of many records, the ends of their fields, and for each record its line number
//! and its raw text. The import pipeline sees nothing else of a format, so a further format is a
//! further reader. Where the pieces are cut has no influence on the records.

pub mod batch;
pub mod charset;
pub mod csv;
pub mod limits;

use crate::error::Failure;

pub use batch::{Record, RecordBatch};

/// What a reader needs before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The batch has reached its size: take it and fill another one.
    BatchFull,
    /// Every byte taken in so far is used: give more, or say that there are no more.
    NeedsInput,
    /// The input has ended and every record has been handed out.
    Ended,
}

/// Turns the bytes of one file into records.
///
/// Call [`fill`](Self::fill) until it answers [`Progress::NeedsInput`], then
/// [`feed`](Self::feed) or [`end_of_input`](Self::end_of_input), and so on until
/// [`Progress::Ended`]. The first record of a file is its header.
pub trait RecordReader: Send {
    /// Takes in the next bytes of the file.
    fn feed(&mut self, bytes: &[u8]);

    /// Says that no more bytes follow.
    fn end_of_input(&mut self);

    /// Adds records to `batch` until it is full or the input is used up.
    ///
    /// # Errors
    ///
    /// `format` when the bytes cannot be read as this format at all; a record that breaks a limit
    /// is no error but a record that carries its reason.
    fn fill(&mut self, batch: &mut RecordBatch) -> Result<Progress, Failure>;
}
