//! The rules of a job: one JSON document that says which files become which list, and how.
//!
//! A document is read in two steps. What was typed becomes [`JobRules`], where unknown keys,
//! missing keys and values of a wrong kind are found; then the rules are checked against each
//! other. It happens when a job is saved and again when it runs, because what a job refers to may
//! be gone by then (list-automation §1.1 J-1, J-8; §3).
//!
//! ```json
//! {
//!   "action": "import_file",
//!   "connection": {"server": "partner", "user": "acme", "authentication": "key", "directory": "in"},
//!   "files": {"operation": "contains", "name": "contacts"},
//!   "encryption": {"required": true},
//!   "append_type": "new_list_only",
//!   "columns": [
//!     {"name": "client id"},
//!     {"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}}
//!   ],
//!   "identifier": "client id"
//! }
//! ```

mod check;
mod scanned;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::CharacterSet;
use crate::file_name::NameOperator;
use crate::identifier::header_key;
use crate::shape::{ColumnSpec, ShapeSpec};
use crate::text_enum::text_enum;
use crate::value::ColumnType;

text_enum! {
    /// What a job does (list-automation §3.1).
    pub enum Action("action") {
        /// A file becomes a contact list, or is added to one.
        ImportFile = "import_file",
        /// The units in a file go on a do-not-contact list (contact-lists §2.5).
        ImportSuppression = "import_suppression",
    }
}

text_enum! {
    /// How the SFTP server knows us (list-automation §2.2).
    pub enum Authentication("authentication") {
        /// User and password.
        Password = "password",
        /// User and SSH key.
        Key = "key",
        /// User, SSH key and password; the server must accept both.
        KeyAndPassword = "key_and_password",
    }
}

impl Authentication {
    /// Whether a password is part of it.
    #[must_use]
    pub const fn needs_password(self) -> bool {
        matches!(self, Self::Password | Self::KeyAndPassword)
    }
}

text_enum! {
    /// What happens to the list that a file is for (list-automation §3.4).
    pub enum AppendType("append type") {
        /// A new list is made.
        NewListOnly = "new_list_only",
        /// New contacts are added; existing ones stay as they are.
        AppendOnly = "append_only",
        /// New contacts are added; existing ones are replaced.
        AppendAndUpdate = "append_and_update",
        /// The list is emptied, then filled.
        FlushAndAppend = "flush_and_append",
    }
}

text_enum! {
    /// Format of a file (list-automation §4.2).
    pub enum FileFormat("file format") {
        /// Delimited text with a header row.
        Csv = "csv",
    }
}

/// Where the files of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An SFTP server: `connection` and `files` are required.
    Server,
    /// A file given by hand: `connection` and `files` are refused.
    Local,
}

/// The rules of a job. [`JobRules::parse`] makes rules that hold together; what `serde` makes of a
/// document has only been read, not checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with the rules of a job")]
pub struct JobRules {
    /// What the job does.
    pub action: Action,
    /// SFTP connection; for [`Source::Server`] only.
    #[serde(default)]
    pub connection: Option<ConnectionRules>,
    /// Which files are taken, and what becomes of them; for [`Source::Server`] only.
    #[serde(default)]
    pub files: Option<FileRules>,
    /// Format of the files.
    #[serde(default)]
    pub format: FormatRules,
    /// Encryption of the files.
    #[serde(default)]
    pub encryption: EncryptionRules,
    /// What happens to the list.
    pub append_type: AppendType,
    /// Name of the list; `None`: the stem of the file's name (list-automation §3.4 A-3).
    #[serde(default)]
    pub target_list: Option<String>,
    /// Name of the do-not-contact list; for [`Action::ImportSuppression`] only.
    #[serde(default)]
    pub target_suppression_list: Option<String>,
    /// Columns of a list that the job makes; empty when it only adds to existing lists.
    #[serde(default)]
    pub columns: Vec<ColumnSpec>,
    /// Name of the column whose value identifies the contact.
    #[serde(default)]
    pub identifier: Option<String>,
    /// Name of the column that holds the contact's name.
    #[serde(default)]
    pub contact_name: Option<String>,
    /// Whether a contact is closed only when all its types are (contact-lists §7.3).
    #[serde(default)]
    pub close_if_all: bool,
    /// How many refused rows make the file fail as a whole; `None`: only a file without any
    /// acceptable row fails.
    #[serde(default)]
    pub max_rejected: Option<MaxRejected>,
}

/// The SFTP connection of a job (list-automation §2.1, §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ConnectionRules {
    /// Name of a server that an administrator registered (F-3).
    pub server: String,
    /// User on the server (F-6).
    pub user: String,
    /// How the server knows us.
    pub authentication: Authentication,
    /// Name of the secret that holds the password; needed for the two authentications with one.
    #[serde(default)]
    pub password_secret: Option<String>,
    /// Directory to scan, below the server's own when it is relative; empty: the server's own.
    #[serde(default)]
    pub directory: String,
    /// Whether SFTP events are logged (F-7).
    #[serde(default)]
    pub trace: bool,
}

/// Which files of the directory are taken, and what becomes of them (list-automation §2.3, §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct FileRules {
    /// How names are compared (file format operation).
    pub operation: NameOperator,
    /// What names are compared with (file name format).
    pub name: String,
    /// Whether case counts.
    #[serde(default)]
    pub case_sensitive: bool,
    /// Whether a name that the job imported before is skipped (F-12).
    #[serde(default)]
    pub ignore_duplicates: bool,
    /// Whether the remote file is removed after its import.
    #[serde(default = "delete_by_default")]
    pub delete_after_import: bool,
    /// Directory to which the remote file is moved after its import; wins over removal (F-13).
    #[serde(default)]
    pub move_after_import_to: Option<String>,
    /// Seconds for which nobody may have written to a file before it is taken (F-17).
    #[serde(default = "default_settle_seconds")]
    pub settle_seconds: u32,
}

const fn delete_by_default() -> bool {
    true
}

const fn default_settle_seconds() -> u32 {
    60
}

/// What becomes of a remote file after its import was committed (list-automation §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposal<'a> {
    /// It is removed.
    Delete,
    /// It is moved to this directory.
    MoveTo(&'a str),
    /// It stays, and is found again by the next run.
    Leave,
}

impl FileRules {
    /// What becomes of the remote file after its import; moving wins over removal (F-13).
    #[must_use]
    pub fn disposal(&self) -> Disposal<'_> {
        match &self.move_after_import_to {
            Some(directory) => Disposal::MoveTo(directory),
            None if self.delete_after_import => Disposal::Delete,
            None => Disposal::Leave,
        }
    }
}

/// Format of the files (list-automation §4.2, §4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct FormatRules {
    /// Kind of file.
    #[serde(rename = "type")]
    pub format: FileFormat,
    /// Character between fields: `,` `;` `|` `:` or a tab. Always ASCII once checked.
    pub delimiter: char,
    /// Character set; `None`: the account's.
    pub character_set: Option<CharacterSet>,
}

impl Default for FormatRules {
    fn default() -> Self {
        Self {
            format: FileFormat::Csv,
            delimiter: ',',
            character_set: None,
        }
    }
}

/// Encryption of the files (list-automation §13 E-1, E-6, E-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct EncryptionRules {
    /// Whether files in the clear are refused.
    pub required: bool,
    /// Whether files without a good signature of a known signer are refused.
    pub require_signature: bool,
    /// Most bytes of clear text for each byte of the encrypted file.
    pub max_ratio: u64,
    /// Most bytes of clear text of one file.
    pub max_bytes: u64,
}

impl Default for EncryptionRules {
    fn default() -> Self {
        Self {
            required: false,
            require_signature: false,
            max_ratio: 200,
            max_bytes: 16 << 30,
        }
    }
}

/// How many refused rows make a file fail as a whole: `{"rows": 100}` or `{"share": 0.05}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "{\"rows\": N} or {\"share\": 0 to 1}"
)]
pub enum MaxRejected {
    /// More rows than this.
    Rows(u64),
    /// A larger share of the rows read than this, from 0 to 1.
    Share(f64),
}

impl MaxRejected {
    /// Whether more rows were refused than permitted. A share can only be judged at the end of the
    /// file; a number of rows at any time.
    #[must_use]
    pub fn exceeded(&self, rejected: u64, rows_read: u64) -> bool {
        match *self {
            Self::Rows(most) => rejected > most,
            // Counts of rows are far below 2^52, where an f64 is exact.
            Self::Share(most) => rejected as f64 > most * rows_read as f64,
        }
    }
}

/// Rules that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct RuleError {
    /// JSON path of the field, for example `columns[2].contact.inbox`; empty when the document as
    /// a whole is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl JobRules {
    /// Reads a document and checks the rules against each other.
    ///
    /// # Errors
    /// [`RuleError`] with the first field that is unknown, missing, of a wrong kind, or
    /// contradicts another.
    pub fn parse(document: &serde_json::Value, source: Source) -> Result<Self, RuleError> {
        let rules: Self = serde_path_to_error::deserialize(document)
            .map_err(|error| check::unreadable(&error))?;
        rules.check(source)?;
        Ok(rules)
    }

    /// What people ask of a list that a file with this header makes: its columns in the order of the
    /// header, as the rules have them or else as text. A column that the rules name and the header
    /// lacks comes last; matching the header against the list then says that it is missing.
    #[must_use]
    pub fn list_spec(&self, header: &[String]) -> ShapeSpec {
        let text = |name: &String| ColumnSpec {
            name: name.clone(),
            column_type: ColumnType::Text,
            contact: None,
        };
        let same = |a: &str, b: &str| header_key(a) == header_key(b);
        let mut declared = self.columns.clone();
        let mut columns: Vec<ColumnSpec> = header
            .iter()
            .map(|name| {
                let place = declared.iter().position(|column| same(&column.name, name));
                place.map_or_else(|| text(name), |place| declared.remove(place))
            })
            .collect();
        columns.append(&mut declared);
        for role in self.identifier.iter().chain(&self.contact_name) {
            if !columns.iter().any(|column| same(&column.name, role)) {
                columns.push(text(role));
            }
        }
        ShapeSpec {
            columns,
            identifier: self.identifier.clone(),
            contact_name: self.contact_name.clone(),
            close_if_all: self.close_if_all,
        }
    }
}

#[cfg(test)]
mod tests;
