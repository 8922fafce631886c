//! What an import counts and how long its stages worked.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Counts of one file, in the words of `outbound.publish`.
///
/// `rows_read = contacts + rejected + duplicates + filtered` always holds; the database refuses
/// to publish anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LoadCounts {
    /// Records of the file without header and blank lines.
    pub rows_read: u64,
    /// Rows refused, each with its reason.
    pub rejected: u64,
    /// Rows dropped because an earlier row of the file has the same identifier.
    pub duplicates: u64,
    /// Rows left out by a selection.
    pub filtered: u64,
    /// Rows in the contact table of the load.
    pub contacts: u64,
    /// Rows in the detail table of the load.
    pub records: u64,
    /// Reports about rows that were loaded.
    pub warnings: u64,
}

/// Time each stage was at work, without its waits for the stages before and behind it.
///
/// The stages run at the same time, so the figures do not add up to the time of the import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading or decrypting.
    pub source: Duration,
    /// Character set and format.
    pub decode: Duration,
    /// Rules, duplicates, encoding.
    pub check: Duration,
    /// COPY of both tables, together.
    pub copy: Duration,
    /// Keys and indexes of both tables.
    pub index: Duration,
}

/// Adds up the time between starts and stops.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    total: Duration,
}

impl Stopwatch {
    /// Runs `work` on the clock.
    pub(super) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.total += started.elapsed();
        result
    }

    pub(super) fn total(&self) -> Duration {
        self.total
    }
}
