//! Whether the rules of a job hold together, field by field, and what to say when they do not.

use super::scanned::is_scanned;
use super::{
    Action, AppendType, ConnectionRules, EncryptionRules, FileRules, FormatRules, JobRules,
    MaxRejected, RuleError, Source,
};
use crate::identifier::check_display_name;
use crate::shape::ShapeError;

/// Longest time for which a file can be asked to rest, in seconds.
const MAX_SETTLE_SECONDS: u32 = 86_400;

/// Characters that may stand between fields (list-automation §4.2).
const DELIMITERS: [char; 5] = [',', ';', '|', ':', '\t'];

fn error(field: &str, message: impl Into<String>, hint: &str) -> RuleError {
    RuleError {
        field: field.to_owned(),
        message: message.into(),
        hint: hint.to_owned(),
    }
}

/// Turns what `serde` says about a document into the field and the reason.
pub(super) fn unreadable(failure: &serde_path_to_error::Error<serde_json::Error>) -> RuleError {
    let message = failure.inner().to_string();
    let path = match failure.path().to_string().as_str() {
        "." => String::new(),
        path => path.to_owned(),
    };
    if let Some(name) = between_ticks(&message, "missing field `") {
        let field = match path.as_str() {
            "" => name.to_owned(),
            parent => format!("{parent}.{name}"),
        };
        return error(&field, "is missing", "Add it to the rules.");
    }
    if between_ticks(&message, "unknown field `").is_some() {
        let known = message
            .split_once("expected ")
            .map_or("", |(_, known)| known)
            .replace('`', "");
        return error(
            &path,
            "is not known",
            &format!("Check the spelling; known here: {known}."),
        );
    }
    if path.starts_with("max_rejected") {
        return error(
            &path,
            message,
            "Write {\"rows\": 100} or {\"share\": 0.05}, or leave it out.",
        );
    }
    // The names of number types are the only words of the programming language in these messages.
    let message = ["u32", "u64"].iter().fold(message, |text, number| {
        text.replace(
            &format!("expected {number}"),
            "expected a whole number from 0",
        )
    });
    error(&path, message, "Correct the value.")
}

fn between_ticks<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message
        .strip_prefix(before)
        .and_then(|rest| rest.split_once('`'))
        .map(|(name, _)| name)
}

impl JobRules {
    /// Checks the rules against each other, in the order of the document.
    pub(super) fn check(&self, source: Source) -> Result<(), RuleError> {
        match source {
            Source::Server => {
                let connection = required(self.connection.as_ref(), "connection")?;
                connection.check()?;
                required(self.files.as_ref(), "files")?.check(&connection.directory)?;
            }
            Source::Local => {
                refused(self.connection.is_some(), "connection")?;
                refused(self.files.is_some(), "files")?;
            }
        }
        self.format.check()?;
        self.encryption.check()?;
        match self.action {
            Action::ImportFile => self.check_contact_list()?,
            Action::ImportSuppression => self.check_suppression_list()?,
        }
        match self.max_rejected {
            Some(MaxRejected::Share(share)) if !(0.0..=1.0).contains(&share) => Err(error(
                "max_rejected.share",
                format!("{share} is no share"),
                "Give a number from 0 to 1, for example 0.05 for five per cent.",
            )),
            _ => Ok(()),
        }
    }

    fn check_contact_list(&self) -> Result<(), RuleError> {
        if let Some(name) = &self.target_list {
            check_display_name(name).map_err(|bad| {
                error(
                    "target_list",
                    bad.to_string(),
                    "Name a list, or leave this out to use the stem of the file's name.",
                )
            })?;
        }
        if self.target_suppression_list.is_some() {
            return Err(error(
                "target_suppression_list",
                "is given, but the action import_file fills a contact list",
                "Use target_list, or the action import_suppression.",
            ));
        }
        self.check_columns()
    }

    /// A file for a do-not-contact list has units and nothing else (contact-lists §2.5).
    fn check_suppression_list(&self) -> Result<(), RuleError> {
        const TARGET: &str = "target_suppression_list";
        let name = required(self.target_suppression_list.as_ref(), TARGET)?;
        check_display_name(name)
            .map_err(|bad| error(TARGET, bad.to_string(), "Name a do-not-contact list."))?;
        if !matches!(
            self.append_type,
            AppendType::AppendOnly | AppendType::FlushAndAppend
        ) {
            return Err(error(
                "append_type",
                format!("{} is not for do-not-contact lists", self.append_type),
                "Use append_only or flush_and_append.",
            ));
        }
        let of_contacts = [
            ("target_list", self.target_list.is_some()),
            ("identifier", self.identifier.is_some()),
            ("contact_name", self.contact_name.is_some()),
            ("close_if_all", self.close_if_all),
        ];
        if let Some((field, _)) = of_contacts.into_iter().find(|&(_, given)| given) {
            return Err(error(
                field,
                "is given, but the action import_suppression fills a do-not-contact list",
                "Leave it out: it belongs to contact lists.",
            ));
        }
        if self.columns.is_empty() {
            return Ok(());
        }
        self.list_spec(&[]).check_units().map_err(of_shape)
    }

    fn check_columns(&self) -> Result<(), RuleError> {
        if !self.columns.is_empty() {
            return self.list_spec(&[]).check().map_err(of_shape);
        }
        if self.append_type == AppendType::NewListOnly {
            return Err(error(
                "columns",
                "is empty, so no column of the new list would hold phones, e-mail addresses or \
                 other units to reach a contact at",
                "List the columns of the file, at least one of them with \"contact\": {\"type\": \
                 …, \"inbox\": …}.",
            ));
        }
        let roles = [
            ("identifier", self.identifier.is_some()),
            ("contact_name", self.contact_name.is_some()),
            ("close_if_all", self.close_if_all),
        ];
        match roles.into_iter().find(|&(_, given)| given) {
            Some((field, _)) => Err(error(
                field,
                "is given, but columns is empty",
                "List the columns as well, or leave this out: an existing list keeps its own.",
            )),
            None => Ok(()),
        }
    }
}

fn of_shape(bad: ShapeError) -> RuleError {
    RuleError {
        field: bad.field,
        message: bad.message,
        hint: bad.hint,
    }
}

fn required<'a, T>(value: Option<&'a T>, field: &str) -> Result<&'a T, RuleError> {
    value.ok_or_else(|| error(field, "is missing", "Add it to the rules."))
}

fn refused(given: bool, field: &str) -> Result<(), RuleError> {
    if given {
        Err(error(
            field,
            "is given for a file that lies on this machine",
            "Leave it out: it belongs to jobs that fetch files from a server.",
        ))
    } else {
        Ok(())
    }
}

/// A text of at least one visible character and without control characters.
fn visible(text: &str, field: &str, what: &str) -> Result<(), RuleError> {
    if text.trim().is_empty() {
        return Err(error(field, "is empty", &format!("Give {what}.")));
    }
    printable(text, field)
}

fn printable(text: &str, field: &str) -> Result<(), RuleError> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(error(
            field,
            format!("holds the control character U+{:04X}", u32::from(c)),
            "Remove it.",
        )),
        None => Ok(()),
    }
}

impl ConnectionRules {
    fn check(&self) -> Result<(), RuleError> {
        const SECRET: &str = "connection.password_secret";
        visible(
            &self.server,
            "connection.server",
            "the name of a registered server",
        )?;
        visible(&self.user, "connection.user", "the user on the server")?;
        printable(&self.directory, "connection.directory")?;
        match (&self.password_secret, self.authentication.needs_password()) {
            (None, true) => Err(error(
                SECRET,
                format!(
                    "is missing, and the authentication {} needs it",
                    self.authentication
                ),
                "Name the secret that holds the password; never write the password itself here.",
            )),
            (Some(_), false) => Err(error(
                SECRET,
                format!(
                    "is given, but the authentication {} uses no password",
                    self.authentication
                ),
                "Leave it out, or use the authentication password or key_and_password.",
            )),
            (Some(name), true) if !is_secret_name(name) => Err(error(
                SECRET,
                "is no name of a secret",
                "Use letters, digits, _ - and dots (not first), at most 100 characters; never \
                 write the password itself here.",
            )),
            _ => Ok(()),
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl FileRules {
    /// `scanned` is the directory that the job looks into.
    fn check(&self, scanned: &str) -> Result<(), RuleError> {
        const MOVE_TO: &str = "files.move_after_import_to";
        visible(
            &self.name,
            "files.name",
            "the text that file names are compared with",
        )?;
        if let Some(directory) = &self.move_after_import_to {
            visible(
                directory,
                MOVE_TO,
                "the directory to move files to, or null",
            )?;
            if is_scanned(directory, scanned) {
                return Err(error(
                    MOVE_TO,
                    format!(
                        "\"{directory}\" is the directory that the job looks into, so an imported \
                         file would be found again by the next run"
                    ),
                    "Name another directory on the server, for example \"imported\".",
                ));
            }
        }
        if self.settle_seconds > MAX_SETTLE_SECONDS {
            return Err(error(
                "files.settle_seconds",
                format!("{} is more than a day", self.settle_seconds),
                "Give a number of seconds from 0 to 86400.",
            ));
        }
        Ok(())
    }
}

impl FormatRules {
    fn check(&self) -> Result<(), RuleError> {
        if DELIMITERS.contains(&self.delimiter) {
            return Ok(());
        }
        Err(error(
            "format.delimiter",
            format!("{:?} cannot stand between fields", self.delimiter),
            "Use , ; | : or a tab (\\t).",
        ))
    }
}

impl EncryptionRules {
    fn check(&self) -> Result<(), RuleError> {
        if self.require_signature && !self.required {
            return Err(error(
                "encryption.require_signature",
                "is set, but files in the clear are accepted, and they have no signature",
                "Set encryption.required as well.",
            ));
        }
        for (field, value) in [
            ("encryption.max_ratio", self.max_ratio),
            ("encryption.max_bytes", self.max_bytes),
        ] {
            if value == 0 {
                return Err(error(
                    field,
                    "is 0, which would refuse every file",
                    "Give a number from 1, or leave it out.",
                ));
            }
        }
        Ok(())
    }
}
