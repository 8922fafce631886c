//! One row of a file against the shape of a list: the hot path of an import.
//!
//! [`RowRules`] are made once for a file; [`RowRules::check`] is called for each row and writes
//! its findings into a [`Scratch`] that is used again. Nothing is allocated for a row that is
//! loaded, except what the phone library does inside itself.

use std::borrow::Cow;

use chrono_tz::Tz;
use thiserror::Error;

pub use crate::account::{Account, CharacterSet};
use crate::fields::Fields;
use crate::header::{HeaderError, match_columns};
use crate::reason::Reason;
use crate::shape::{ContactColumn, Shape};
use crate::status::{ContactCode, RecordCode, TypeFacts, derive};
use crate::unit::{ConversationType, UnitRules, UnitType};
use crate::value::{ColumnType, Value, parse};

/// Longest unique identifier, in characters. It is a key of the list's table, and what is longer
/// than a key may be would stop the whole file.
pub const MAX_IDENTIFIER_CHARS: usize = 255;

/// Most characters kept of the text of a unit that is not valid. The cell itself stays whole in
/// its own column.
pub const MAX_INVALID_UNIT_CHARS: usize = 256;

/// Everything needed to check the rows of one file for one list.
#[derive(Debug, Clone)]
pub struct RowRules {
    columns: Vec<Column>,
    contacts: Vec<Contact>,
    identifier: Option<Identifier>,
    units_required: bool,
    fields: usize,
    units: UnitRules,
    zone: Tz,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    column_type: ColumnType,
    field: usize,
    field_number: u32,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    column: usize,
    field: usize,
    contact: ContactColumn,
}

#[derive(Debug, Clone, Copy)]
struct Identifier {
    column: usize,
    field: usize,
}

/// What [`RowRules::check`] finds in a row. The buffers are used again for each row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// One value for each column of the list, in the list's order.
    pub values: Vec<Value>,
    /// The units of the contact, in the list's order.
    pub units: Vec<Unit>,
    /// Text of the units, end to end.
    pub unit_text: String,
    /// What is to be reported although the row is loaded.
    pub reports: Vec<Report>,
}

impl Scratch {
    /// Codes of the contact, as a whole and for calls, email and social media, with records that
    /// were never attempted (contact-lists §5.4).
    #[must_use]
    pub fn codes(&self) -> [ContactCode; 4] {
        let mut types = [TypeFacts::default(); 3];
        for unit in &self.units {
            if let Some(kind) = unit.conversation_type {
                types[kind as usize].add(unit.record_code(), false);
            }
        }
        let (contact, [call, email, social_media]) = derive(&types, false, false, false);
        [contact, call, email, social_media]
    }

    /// Conversation types that the contact has units of, as bits 1, 2 and 4.
    #[must_use]
    pub fn unit_types(&self) -> i16 {
        self.units
            .iter()
            .filter_map(|unit| unit.conversation_type)
            .fold(0, |bits, kind| bits | kind.bit())
    }

    /// The text of a unit: canonical when it is valid, as given otherwise.
    #[must_use]
    pub fn text_of(&self, unit: &Unit) -> &str {
        self.unit_text.get(unit.start..unit.end).unwrap_or("")
    }

    fn clear(&mut self) {
        self.values.clear();
        self.units.clear();
        self.unit_text.clear();
        self.reports.clear();
    }
}

/// Most characters of a value that a message repeats.
const SHOWN_CHARS: usize = 64;

/// One communication unit of a contact; it becomes one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Column of the list that it comes from, from 0.
    pub column: usize,
    /// Type of the unit.
    pub unit_type: UnitType,
    /// Type of the inbox to send from; `None`: no conversation is known for the unit.
    pub conversation_type: Option<ConversationType>,
    /// Inbox to send from; `None` together with the type.
    pub inbox_id: Option<i64>,
    /// Whether the unit is in good form; otherwise its record gets the result `invalid`.
    pub valid: bool,
    /// Byte at which its text starts in [`Scratch::unit_text`].
    pub start: usize,
    /// Byte at which its text ends in [`Scratch::unit_text`].
    pub end: usize,
}

impl Unit {
    /// Code of the record it becomes: P without a conversation, U when it is in bad form, else C
    /// (contact-lists §7.2 R01-R03).
    #[must_use]
    pub const fn record_code(&self) -> RecordCode {
        match (self.conversation_type, self.valid) {
            (None, _) => RecordCode::Purged,
            (Some(_), true) => RecordCode::Callable,
            (Some(_), false) => RecordCode::Uncallable,
        }
    }
}

/// Something to report about a row that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Stable code, of severity warning.
    pub reason: Reason,
    /// Column of the list, from 0; `None` when the row as a whole is meant.
    pub column: Option<usize>,
    /// Field of the file, from 0; `None` when the row as a whole is meant.
    pub field: Option<usize>,
}

impl Report {
    /// What is reported, in words.
    #[must_use]
    pub fn message(&self, shape: &Shape, fields: Fields<'_>) -> Cow<'static, str> {
        let contact = self
            .column
            .and_then(|column| shape.columns.get(column))
            .and_then(|column| column.contact);
        match (contact, self.field.and_then(|field| fields.get(field))) {
            (Some(contact), Some(value)) => not_valid(value, contact.unit_type).into(),
            _ => "the contact has no valid unit".into(),
        }
    }
}

fn not_valid(value: &str, unit_type: UnitType) -> String {
    let shown: String = value.trim().chars().take(SHOWN_CHARS).collect();
    format!("\"{shown}\" is not a valid {}", unit_type.words())
}

/// Why a row is refused whose units are all bad, or missing.
fn without_unit(s: &Scratch) -> Refused {
    let first = s.units.first();
    Refused {
        reason: Reason::NoValidDevice,
        column: first.map(|unit| unit.column),
        message: first.map_or(Cow::Borrowed("the row has no unit"), |unit| {
            not_valid(s.text_of(unit), unit.unit_type).into()
        }),
    }
}

/// A row that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Field of the file that holds the unique identifier; `None`: a running number is used.
    pub identifier_field: Option<usize>,
}

/// A row that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refused {
    /// Stable code, of severity row; `no_valid_device` where units are required.
    pub reason: Reason,
    /// Column of the list, from 0; `None` when the row as a whole is meant.
    pub column: Option<usize>,
    /// What is wrong, and what was expected.
    pub message: Cow<'static, str>,
}

impl RowRules {
    /// Matches the columns of a file to those of a list.
    ///
    /// # Errors
    /// Those of [`match_columns`]; `rule` when the account's country is unknown.
    pub fn new(shape: &Shape, names: &[String], account: &Account) -> Result<Self, HeaderError> {
        let matched = match_columns(shape, names)?;
        let units = UnitRules::new(&account.default_country).map_err(|error| HeaderError {
            reason: Reason::Rule,
            message: format!("the default country of the account cannot be used: {error}"),
            detail: format!("The account is \"{}\".", account.name),
            hint: "Correct the default country in the account's settings.".to_owned(),
        })?;
        let columns: Vec<Column> = shape
            .columns
            .iter()
            .zip(&matched)
            .map(|(column, &field)| Column {
                name: column.name.clone(),
                column_type: column.column_type,
                field,
                // A header has at most MAX_COLUMNS names.
                field_number: u32::try_from(field).unwrap_or(u32::MAX),
            })
            .collect();
        let contacts = shape
            .columns
            .iter()
            .zip(&matched)
            .enumerate()
            .filter_map(|(column, (spec, &field))| {
                spec.contact.map(|contact| Contact {
                    column,
                    field,
                    contact,
                })
            })
            .collect();
        let identifier = shape.identifier.and_then(|column| {
            matched
                .get(column)
                .map(|&field| Identifier { column, field })
        });
        Ok(Self {
            columns,
            contacts,
            identifier,
            units_required: shape.units_required,
            fields: names.len(),
            units,
            zone: account.time_zone,
        })
    }

    /// Checks one row and writes its values, units and reports into `s`; what `s` held before is
    /// forgotten, and what it holds after a refusal means nothing.
    ///
    /// In this order (contact-lists §2.3, list-automation §4.7, §4.8): number of fields, unique
    /// identifier, values, units. A blank cell makes no unit; the same unit (type, canonical
    /// form, inbox) twice makes one, from the first column; a unit that is not valid is kept as
    /// given and reported; a contact without any valid unit is loaded and reported, unless units
    /// are required.
    ///
    /// # Errors
    /// [`Refused`] with `too_few_columns`, `too_many_columns`, `empty_client_id`, `bad_value` or
    /// `bad_date`; `no_valid_device` where units are required.
    pub fn check(&self, fields: Fields<'_>, s: &mut Scratch) -> Result<Checked, Refused> {
        s.clear();
        self.check_length(fields)?;
        self.check_identifier(fields)?;
        for (i, column) in self.columns.iter().enumerate() {
            let raw = fields.get(column.field).unwrap_or("");
            let value =
                parse(column.column_type, raw, column.field_number, self.zone).map_err(|bad| {
                    Refused {
                        reason: bad.reason,
                        column: Some(i),
                        message: format!("column \"{}\": expected {}", column.name, bad.expected)
                            .into(),
                    }
                })?;
            s.values.push(value);
        }
        for contact in &self.contacts {
            self.add_unit(contact, fields, s);
        }
        if !self.contacts.is_empty() && !s.units.iter().any(|unit| unit.valid) {
            if self.units_required {
                return Err(without_unit(s));
            }
            s.reports.push(Report {
                reason: Reason::NoValidDevice,
                column: None,
                field: None,
            });
        }
        Ok(Checked {
            identifier_field: self.identifier.map(|identifier| identifier.field),
        })
    }

    /// The unique identifier of a row, trimmed; `None` when the list has no identifier column or
    /// the row is too short. Identifiers are compared with case (list-automation §4.8 V-3).
    #[must_use]
    pub fn identifier<'a>(&self, fields: Fields<'a>) -> Option<&'a str> {
        self.identifier
            .and_then(|identifier| fields.get(identifier.field))
            .map(str::trim)
    }

    fn check_length(&self, fields: Fields<'_>) -> Result<(), Refused> {
        let reason = match fields.len().cmp(&self.fields) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => Reason::TooFewColumns,
            std::cmp::Ordering::Greater => Reason::TooManyColumns,
        };
        Err(Refused {
            reason,
            column: None,
            message: format!(
                "the row has {} fields and the header has {}",
                fields.len(),
                self.fields
            )
            .into(),
        })
    }

    fn check_identifier(&self, fields: Fields<'_>) -> Result<(), Refused> {
        let Some(identifier) = self.identifier else {
            return Ok(());
        };
        let text = fields.get(identifier.field).unwrap_or("").trim();
        if text.is_empty() {
            return Err(Refused {
                reason: Reason::EmptyClientId,
                column: Some(identifier.column),
                message: Cow::Borrowed("the unique identifier is empty"),
            });
        }
        // The length in bytes settles most rows without counting characters.
        if text.len() > MAX_IDENTIFIER_CHARS && text.chars().count() > MAX_IDENTIFIER_CHARS {
            return Err(Refused {
                reason: Reason::BadValue,
                column: Some(identifier.column),
                message: format!(
                    "the unique identifier is longer than {MAX_IDENTIFIER_CHARS} characters"
                )
                .into(),
            });
        }
        Ok(())
    }

    fn add_unit(&self, from: &Contact, fields: Fields<'_>, s: &mut Scratch) {
        let text = fields.get(from.field).unwrap_or("").trim();
        if text.is_empty() {
            return;
        }
        let ContactColumn {
            unit_type,
            inbox_id,
            conversation_type,
        } = from.contact;
        let start = s.unit_text.len();
        let valid = self
            .units
            .normalize_into(unit_type, text, &mut s.unit_text)
            .is_ok();
        if !valid {
            let end = text
                .char_indices()
                .nth(MAX_INVALID_UNIT_CHARS)
                .map_or(text.len(), |(at, _)| at);
            s.unit_text.push_str(text.get(..end).unwrap_or(text));
        }
        let unit = Unit {
            column: from.column,
            unit_type,
            conversation_type,
            inbox_id,
            valid,
            start,
            end: s.unit_text.len(),
        };
        let known = s.units.iter().any(|other| {
            other.unit_type == unit_type
                && other.inbox_id == inbox_id
                && s.text_of(other) == s.text_of(&unit)
        });
        if known {
            s.unit_text.truncate(start);
            return;
        }
        s.units.push(unit);
        if !valid {
            s.reports.push(Report {
                reason: Reason::BadDevice,
                column: Some(from.column),
                field: Some(from.field),
            });
        }
    }
}

#[cfg(test)]
mod tests;
