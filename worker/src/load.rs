//! From records to rows in the load tables (list-automation §4.8, contact-lists §2.3).
//!
//! One import is a chain of stages, each on its own thread and joined to the next by a short
//! queue, so that memory stays the same however long the file is:
//!
//! bytes (read or decrypted) → records → checked and encoded rows → two COPY streams → keys and
//! indexes.
//!
//! [`pipeline`] ties the stages together; the other modules are its parts.

pub mod copy;
pub mod counts;
pub mod encode;
pub mod first_seen;
pub mod pipeline;
pub mod rejects;
mod rows;
mod settle;
pub mod sink;
pub mod source;
pub mod suspects;

pub use counts::{LoadCounts, Timings};
pub use pipeline::{LoadError, LoadPlan, Loaded, Reading};
pub use rejects::RejectedRows;
pub use sink::Target;
pub use source::{ByteSource, Input};
