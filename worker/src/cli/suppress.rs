//! `outbound suppress FILE --list NAME`: the units in a local file go on a do-not-contact list, through
//! the very pipeline of a job with the action `import_suppression`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::import::{max_rejected, usage};
use super::present;
use crate::error::Failure;
use crate::report::Outcome;
use crate::run::Worker;
use crate::settings::Settings;
use crate::stop::Stop;
use outbound_core::job::{Action, AppendType};

/// Arguments of `outbound suppress`.
#[derive(Debug, clap::Args)]
pub struct SuppressArgs {
    /// The file: CSV with a header row, or such a file encrypted with OpenPGP (with --encrypted).
    pub file: PathBuf,
    /// Name of the do-not-contact list; it is made if it does not exist.
    #[arg(long)]
    pub list: String,
    /// Column whose cells are put on the list: COLUMN=TYPE, where TYPE is phone, email, conversation_id, messenger_id or username. May be left out once a file was put on the list: it keeps to the columns of that one.
    #[arg(long, value_name = "COLUMN=TYPE")]
    pub unit: Vec<String>,
    /// append_only, or flush_and_append to empty the list first.
    #[arg(long, default_value = "append_only")]
    pub append: AppendType,
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
    /// Do everything, then undo it: nothing changes in the database.
    #[arg(long)]
    pub dry_run: bool,
}

/// Puts the units in one local file on a do-not-contact list.
///
/// # Errors
/// What kept the import from starting; a file that failed is a report, not an error.
pub async fn suppress(settings: &Settings, args: SuppressArgs) -> Result<Outcome, Failure> {
    let rules = rules(&args)?;
    let worker = Worker::open(settings)?;
    let stop = Stop::listen()?;
    let report = worker
        .import_local(&args.file, rules, args.dry_run, &stop)
        .await?;
    Ok(present(&report, settings.json))
}

/// The rules document that the flags stand for.
fn rules(args: &SuppressArgs) -> Result<Value, Failure> {
    let columns = args.unit.iter().map(|text| {
        let (column, unit_type) = text
            .split_once('=')
            .ok_or_else(|| usage("--unit", text, "COLUMN=TYPE"))?;
        Ok(json!({"name": column, "contact": {"type": unit_type}}))
    });
    Ok(json!({
        "action": Action::ImportSuppression.as_str(),
        "append_type": args.append.as_str(),
        "target_suppression_list": args.list,
        "columns": columns.collect::<Result<Vec<Value>, Failure>>()?,
        "format": {"type": "csv", "delimiter": args.delimiter, "character_set": args.character_set},
        "encryption": {"required": args.encrypted, "require_signature": args.require_signature},
        "max_rejected": max_rejected(args.max_rejected.as_deref())?,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;
    use outbound_core::job::{JobRules, Source};

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(flags: &[&str]) -> Result<Value, Failure> {
        let line = ["outbound", "suppress", "out.csv", "--list", "Opted out"];
        match Cli::parse_from(line.iter().chain(flags)).command {
            Command::Suppress(args) => rules(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_stand_for_rules_that_hold_together() {
        let document = parsed(&["--unit", "phone=phone", "--unit", "mail=email"]).unwrap();
        let rules = JobRules::parse(&document, Source::Local).unwrap();
        assert_eq!(rules.append_type, AppendType::AppendOnly);
        assert_eq!(rules.columns.len(), 2);
        let none = parsed(&["--append", "flush_and_append"]).unwrap();
        assert!(JobRules::parse(&none, Source::Local).is_ok());
        assert!(parsed(&["--unit", "phone"]).is_err());
    }
}
