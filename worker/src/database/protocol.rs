//! The functions of the extension that the worker calls, with their types.
//!
//! Decisions are data: a refused file or a run that is someone else's is an answer of the
//! function, not an error. The one error with a meaning of its own is SQLSTATE OB409, the call of
//! a try that no longer owns its run: it comes as reason `worker_lost`, and the worker stops
//! quietly.

use std::time::Duration;

use outbound_core::account::Account;
use outbound_core::reason::Reason;
use outbound_core::shape::Shape;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::{FromSqlOwned, ToSql};

use super::failure;
use crate::error::Failure;
use crate::load::LoadCounts;
use crate::sftp::HostKeyPolicy;

/// Channel on which the database tells that something is queued.
pub const RUN_CHANNEL: &str = "outbound_run";
/// Channel on which the database tells that a run is finished; the payload is its number.
pub const FINISHED_CHANNEL: &str = "outbound_run_finished";

/// A run, as claimed.
#[derive(Debug, Clone, Deserialize)]
pub struct ClaimedRun {
    /// Number of the run.
    pub run_id: i64,
    /// Number of this worker's go at it; fences every later call.
    #[serde(rename = "try")]
    pub try_no: i32,
    /// Name of the job; `None` for a local import.
    pub job: Option<String>,
    /// The job's rules, to be read with `outbound_core::job::JobRules`.
    pub rules: Value,
    /// The SFTP server; `None` for a local import.
    pub server: Option<ServerDocument>,
    /// The account's settings.
    pub account: Account,
}

/// An SFTP server as registered.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerDocument {
    /// Its name in jobs.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Directory that jobs start from.
    pub directory: Option<String>,
    /// Pinned fingerprint, `SHA256:…`.
    pub host_key_fingerprint: Option<String>,
    /// What to do with a key that is not pinned yet.
    pub host_key_policy: HostKeyPolicy,
}

/// One entry of a remote directory, as reported to the database.
#[derive(Debug, Clone, Serialize)]
pub struct ListedFile {
    /// Name, or a safe display form when `refused` is set.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970-01-01 UTC.
    pub modified_at: i64,
    /// What it is.
    pub kind: FileKind,
    /// Why the worker will not touch it whatever the rules say, for example `bad_file_name`.
    pub refused: Option<Reason>,
}

/// What a remote entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Other,
}

/// What to do with one entry of the listing.
#[derive(Debug, Clone, Deserialize)]
pub struct PlannedFile {
    /// Place in the listing, from 0.
    pub index: usize,
    /// What to do.
    pub decision: Decision,
    /// Number of the file in `outbound.import_file`; set unless it is skipped.
    pub file_id: Option<i64>,
    /// Why it is skipped.
    pub reason: Option<Reason>,
    /// The same in words, where there is more to say than the reason.
    #[serde(default)]
    pub message: Option<String>,
}

/// What to do with a remote file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Import it.
    Take,
    /// It was published before; only what becomes of the remote file is left to do.
    Dispose,
    /// Leave it.
    Skip,
}

/// What to do with a fetched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchDecision {
    /// Load it.
    Load,
    /// A file with the same content was imported before, and the job ignores such.
    KnownContent,
}

/// Answer to the header of a file.
#[derive(Debug, Clone)]
pub enum LoadDecision {
    /// Load it.
    Load(Box<OpenedLoad>),
    /// The file is refused.
    Refused(Failure),
}

/// A load that was opened.
#[derive(Debug, Clone, Deserialize)]
pub struct OpenedLoad {
    /// Its number.
    pub load_id: i64,
    /// What the list looks like.
    pub shape: Shape,
    /// True when the loaded tables become the list's own.
    pub fresh: bool,
}

/// The two tables of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadPart {
    /// One row a contact.
    Contact,
    /// One row a unit.
    Detail,
}

/// The counts of a published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Contacts that are new in the list.
    pub added: u64,
    /// Contacts of the list that were replaced.
    pub updated: u64,
    /// Those of `updated` whose data was the same already.
    pub unchanged: u64,
    /// Rows dropped because their contact is there already.
    pub duplicates: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Rows left out by a selection.
    pub filtered: u64,
    /// Rows of the file.
    pub rows_read: u64,
    /// Records (units) added.
    pub records_added: u64,
    /// Records (units) removed.
    pub records_removed: u64,
    /// Name of the list.
    pub list: String,
    /// Its contact table in schema `outbound_list`; `None` for a do-not-contact list.
    pub table: Option<String>,
}

/// The first contacts that a file made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Names of the user columns.
    pub columns: Vec<String>,
    /// The contacts, in the order of the file.
    pub rows: Vec<SampleContact>,
}

/// One contact of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleContact {
    /// Its identifier in the list.
    pub id: String,
    /// Its code.
    pub status: String,
    /// Its values, in the order of the columns.
    pub values: Vec<Value>,
    /// Its records, in their order.
    pub records: Vec<SampleRecord>,
}

/// One record of a contact of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// The unit.
    pub unit: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub unit_type: String,
    /// Column it comes from.
    pub column: String,
    /// Conversation type; none when its conversation is missing.
    pub conversation_type: Option<String>,
    /// Name of the inbox; none when its conversation is missing.
    pub inbox: Option<String>,
    /// Its code.
    pub status: String,
}

/// What became of a remote file after its import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposed {
    /// It was removed.
    Deleted,
    /// It was moved to this path.
    Moved(String),
    /// It was left in place.
    Left,
    /// It was not there any more.
    Gone,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedRun {
    /// `success`, `no_match`, `partial` or `failure`.
    pub result: String,
    /// Stable code of the first failure.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
    /// The facts behind the message.
    #[serde(default)]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

/// State of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStatus {
    /// Number of the run.
    pub run_id: i64,
    /// Name of the job; `None` for a local import.
    pub job: Option<String>,
    /// `queued`, `running` or `finished`.
    pub state: String,
    /// Set when finished.
    pub result: Option<String>,
    /// Stable code of the failure.
    pub reason: Option<String>,
    /// In words.
    pub message: Option<String>,
}

/// The contact table of a load, qualified; the number makes the name, so it needs no quotes.
pub fn load_table(load_id: i64) -> String {
    format!("outbound_list.sys_load_{load_id}")
}

/// The extension's functions on one connection, in whatever transaction it is.
#[derive(Clone, Copy)]
pub struct Protocol<'a> {
    client: &'a Client,
}

mod calls;
