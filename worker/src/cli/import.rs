//! `outbound import FILE --list NAME`: a local file through the very pipeline of a job. The flags become
//! the same rules document, checked by the database as a job's are.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::present;
use crate::error::Failure;
use crate::report::Outcome;
use crate::run::Worker;
use crate::settings::Settings;
use crate::stop::Stop;
use outbound_core::job::AppendType;
use outbound_core::reason::Reason;
use outbound_core::unit::UnitType;

/// Arguments of `outbound import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// What to import.
    #[command(flatten)]
    pub what: FileArgs,
    /// Do everything, then undo it: nothing changes in the database.
    #[arg(long)]
    pub dry_run: bool,
}

/// A local file, and what is to become of it.
#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// The file: CSV with a header row, or such a file encrypted with OpenPGP (with --encrypted).
    pub file: PathBuf,
    /// Name of the contact list.
    #[arg(long)]
    pub list: String,
    /// new_list_only, append_only, append_and_update or flush_and_append.
    #[arg(long, default_value = "new_list_only")]
    pub append: AppendType,
    /// Contact column of a NEW list: COLUMN=TYPE:INBOX, where TYPE is phone, email, messenger_id or username, or COLUMN=conversation_id; an existing list keeps its own columns.
    #[arg(long, value_name = "COLUMN=TYPE:INBOX")]
    pub contact: Vec<String>,
    /// Type of another column of a NEW list: COLUMN=TYPE, where TYPE is text, integer, numeric, boolean, date or timestamptz; an existing list keeps its own columns.
    #[arg(long, value_name = "COLUMN=TYPE")]
    pub column: Vec<String>,
    /// Column of a NEW list whose value identifies the contact; without it, contacts are numbered. An existing list keeps its own identifier.
    #[arg(long)]
    pub identifier: Option<String>,
    /// Column of a NEW list that holds the contact's name; an existing list keeps its own.
    #[arg(long)]
    pub contact_name: Option<String>,
    /// Close a contact only when all its conversation types succeeded.
    #[arg(long)]
    pub close_if_all: bool,
    /// The file is encrypted for the worker's key; a clear file is refused.
    #[arg(long)]
    pub encrypted: bool,
    /// Refuse a file without a signature of a known signer.
    #[arg(long, requires = "encrypted")]
    pub require_signature: bool,
    /// utf-8, iso-8859-1 or windows-1252; default: the account's.
    #[arg(long)]
    pub character_set: Option<String>,
    /// Character between fields.
    #[arg(long, default_value = ",")]
    pub delimiter: char,
    /// Fail the file when more rows than this are refused: a number, or a share like 5%.
    #[arg(long, value_name = "ROWS|SHARE%")]
    pub max_rejected: Option<String>,
}

/// Imports one local file.
///
/// # Errors
/// What kept the import from starting; a file that failed is a report, not an error.
pub async fn import(settings: &Settings, args: ImportArgs) -> Result<Outcome, Failure> {
    let worker = Worker::open(settings)?;
    let stop = Stop::listen()?;
    let report = worker
        .import_local(&args.what.file, rules(&args.what)?, args.dry_run, &stop)
        .await?;
    Ok(present(&report, settings.json))
}

/// The rules document that the flags stand for.
pub(super) fn rules(args: &FileArgs) -> Result<Value, Failure> {
    let mut columns: Vec<Value> = Vec::new();
    for text in &args.contact {
        let (column, unit) = text
            .split_once('=')
            .ok_or_else(|| usage("--contact", text, "COLUMN=TYPE:INBOX"))?;
        let contact = match unit.split_once(':') {
            Some((unit_type, inbox)) => json!({"type": unit_type, "inbox": inbox}),
            // Its inbox is that of the conversation.
            None if unit == UnitType::ConversationId.as_str() => json!({"type": unit}),
            None => return Err(usage("--contact", text, "COLUMN=TYPE:INBOX")),
        };
        columns.push(json!({"name": column, "contact": contact}));
    }
    for text in &args.column {
        let (column, column_type) = text
            .split_once('=')
            .ok_or_else(|| usage("--column", text, "COLUMN=TYPE"))?;
        columns.push(json!({"name": column, "type": column_type}));
    }
    let mut rules = Map::new();
    rules.insert("action".to_owned(), json!("import_file"));
    rules.insert("append_type".to_owned(), json!(args.append.as_str()));
    rules.insert("target_list".to_owned(), json!(args.list));
    rules.insert("columns".to_owned(), json!(columns));
    rules.insert("identifier".to_owned(), json!(args.identifier));
    rules.insert("contact_name".to_owned(), json!(args.contact_name));
    rules.insert("close_if_all".to_owned(), json!(args.close_if_all));
    rules.insert(
        "format".to_owned(),
        json!({"type": "csv", "delimiter": args.delimiter, "character_set": args.character_set}),
    );
    rules.insert(
        "encryption".to_owned(),
        json!({"required": args.encrypted, "require_signature": args.require_signature}),
    );
    rules.insert(
        "max_rejected".to_owned(),
        max_rejected(args.max_rejected.as_deref())?,
    );
    Ok(Value::Object(rules))
}

/// `100` or `5%` as the rules have it.
pub(super) fn max_rejected(text: Option<&str>) -> Result<Value, Failure> {
    let Some(text) = text else {
        return Ok(Value::Null);
    };
    let wrong = || {
        usage(
            "--max-rejected",
            text,
            "a number of rows such as 100, or a share such as 5%",
        )
    };
    match text.strip_suffix('%') {
        Some(share) => share
            .trim()
            .parse::<f64>()
            .map(|share| json!({"share": share / 100.0}))
            .map_err(|_| wrong()),
        None => text
            .parse::<u64>()
            .map(|rows| json!({"rows": rows}))
            .map_err(|_| wrong()),
    }
}

pub(super) fn usage(flag: &str, given: &str, form: &str) -> Failure {
    Failure::new(Reason::Rule, format!("{flag} {given}: not understood"))
        .with_hint(format!("write {form}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_limit_of_refused_rows_is_a_number_or_a_share() {
        assert_eq!(max_rejected(None).unwrap(), Value::Null);
        assert_eq!(max_rejected(Some("100")).unwrap(), json!({"rows": 100}));
        assert_eq!(max_rejected(Some("5%")).unwrap(), json!({"share": 0.05}));
        assert!(max_rejected(Some("many")).is_err());
    }
}
