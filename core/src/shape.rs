//! The columns of a contact list and their roles.
//!
//! [`ShapeSpec`] is what a person asks for, with names; [`Shape`] is what the database made of it,
//! with identifiers. A specification is checked here before anything is created
//! (contact-lists §2.1, §2.3).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identifier::{check_display_name, header_key, is_reserved};
use crate::reason::Reason;
use crate::unit::{ConversationType, UnitType};
use crate::value::ColumnType;

/// Most columns a list may have (contact-lists §2.3, column limit).
pub const MAX_COLUMNS: usize = 200;

/// What columns are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A contact list.
    Contacts,
    /// A do-not-contact list.
    Units,
}

/// One column of a list, as a person asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Name, as in the header row.
    pub name: String,
    /// Type of the values.
    #[serde(rename = "type", default = "text")]
    pub column_type: ColumnType,
    /// Set when the column holds communication units.
    #[serde(default)]
    pub contact: Option<ContactSpec>,
}

const fn text() -> ColumnType {
    ColumnType::Text
}

/// What makes a column a contact column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactSpec {
    /// Type of the units in it.
    #[serde(rename = "type")]
    pub unit_type: UnitType,
    /// Name of the inbox to send from; `None` only for `conversation_id`, whose inbox is found
    /// from the conversation, and for do-not-contact lists.
    #[serde(default)]
    pub inbox: Option<String>,
}

/// The columns of a list and their roles, as a person asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeSpec {
    /// Columns in order.
    pub columns: Vec<ColumnSpec>,
    /// Name of the column whose value identifies the contact; `None`: a running number does.
    #[serde(default)]
    pub identifier: Option<String>,
    /// Name of the column that holds the name of the contact.
    #[serde(default)]
    pub contact_name: Option<String>,
    /// Whether a contact is closed only when all its types are (contact-lists §7.3).
    #[serde(default)]
    pub close_if_all: bool,
}

/// A shape that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct ShapeError {
    /// Stable code: a `header_…` one for names, `rule` for the rest.
    pub reason: Reason,
    /// JSON path of the field, for example `columns[2].contact.inbox`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ShapeSpec {
    /// Checks the shape: 1 to [`MAX_COLUMNS`] columns with names that differ, none of them
    /// `sys_…`; at least one contact column, each of type `text` and with an inbox (unless it
    /// holds conversation ids); identifier and contact name are columns.
    ///
    /// Whether the inboxes exist is for the database to say.
    ///
    /// # Errors
    /// [`ShapeError`] with the first field that is wrong.
    pub fn check(&self) -> Result<(), ShapeError> {
        self.check_for(Purpose::Contacts)
    }

    /// Checks the columns of files for a do-not-contact list: as [`check`](Self::check), but
    /// nothing is sent, so no column has an inbox; and nothing but units is kept, so every column
    /// is text (contact-lists §2.5).
    ///
    /// # Errors
    /// [`ShapeError`] with the first field that is wrong.
    pub fn check_units(&self) -> Result<(), ShapeError> {
        self.check_for(Purpose::Units)
    }

    fn check_for(&self, purpose: Purpose) -> Result<(), ShapeError> {
        let error = |reason, field: String, message: String, hint: &str| {
            Err(ShapeError {
                reason,
                field,
                message,
                hint: hint.to_owned(),
            })
        };
        if self.columns.len() > MAX_COLUMNS {
            return error(
                Reason::HeaderTooMany,
                "columns".to_owned(),
                format!(
                    "{} columns are too many: a list has at most {MAX_COLUMNS}",
                    self.columns.len()
                ),
                "Leave out the columns that are not needed.",
            );
        }
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(self.columns.len());
        for (i, column) in self.columns.iter().enumerate() {
            let path = format!("columns[{i}].name");
            let key = header_key(&column.name);
            if key.is_empty() {
                return error(
                    Reason::HeaderEmpty,
                    path,
                    "the column has no name".to_owned(),
                    "Give it a name with at least one letter or digit.",
                );
            }
            if let Err(bad) = check_display_name(&column.name) {
                return error(Reason::Rule, path, bad.to_string(), "Choose another name.");
            }
            if is_reserved(&column.name) {
                return error(
                    Reason::HeaderReserved,
                    path,
                    format!("the column name \"{}\" is reserved", column.name),
                    "Rename it: names that start with sys_ belong to the list itself.",
                );
            }
            if let Some(first) = seen.insert(key, i) {
                return error(
                    Reason::HeaderDuplicate,
                    path,
                    format!(
                        "the column name \"{}\" stands twice, first in columns[{first}]",
                        column.name
                    ),
                    "Rename one of them: case, blanks, _ and - do not tell names apart.",
                );
            }
            match purpose {
                Purpose::Contacts => column.check_contact(i)?,
                Purpose::Units => column.check_unit(i)?,
            }
        }
        if !self.columns.iter().any(|column| column.contact.is_some()) {
            return error(
                Reason::Rule,
                "columns".to_owned(),
                "no column holds phones, e-mail addresses or other units to reach a contact at"
                    .to_owned(),
                match purpose {
                    Purpose::Contacts => {
                        "Mark at least one column with \"contact\": {\"type\": …, \"inbox\": …}."
                    }
                    Purpose::Units => "Mark at least one column with \"contact\": {\"type\": …}.",
                },
            );
        }
        for (field, role) in [
            ("identifier", &self.identifier),
            ("contact_name", &self.contact_name),
        ] {
            if let Some(name) = role
                && !seen.contains_key(&header_key(name))
            {
                return error(
                    Reason::Rule,
                    field.to_owned(),
                    format!("there is no column \"{name}\""),
                    "Name one of the columns, or leave this out.",
                );
            }
        }
        Ok(())
    }

    /// Index of the column with this name, compared by [`header_key`].
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        let key = header_key(name);
        self.columns
            .iter()
            .position(|column| header_key(&column.name) == key)
    }
}

impl ColumnSpec {
    fn check_unit(&self, i: usize) -> Result<(), ShapeError> {
        let error = |field: &str, message: &str, hint: &str| {
            Err(ShapeError {
                reason: Reason::Rule,
                field: format!("columns[{i}].{field}"),
                message: format!("the column \"{}\" {message}", self.name),
                hint: hint.to_owned(),
            })
        };
        if self.column_type != ColumnType::Text {
            return error(
                "type",
                "is for a do-not-contact list, which keeps units only",
                "Leave the type out.",
            );
        }
        if self
            .contact
            .as_ref()
            .is_some_and(|contact| contact.inbox.is_some())
        {
            return error(
                "contact.inbox",
                "has an inbox, and nothing is sent from a do-not-contact list",
                "Leave the inbox out.",
            );
        }
        Ok(())
    }

    fn check_contact(&self, i: usize) -> Result<(), ShapeError> {
        let Some(contact) = &self.contact else {
            return Ok(());
        };
        let error = |field: String, message: String, hint: &str| {
            Err(ShapeError {
                reason: Reason::Rule,
                field,
                message,
                hint: hint.to_owned(),
            })
        };
        if self.column_type != ColumnType::Text {
            return error(
                format!("columns[{i}].type"),
                format!(
                    "the contact column \"{}\" has type {}, which would lose a + or a leading zero",
                    self.name, self.column_type
                ),
                "Use the type text for contact columns.",
            );
        }
        let named = contact
            .inbox
            .as_deref()
            .is_some_and(|inbox| !inbox.trim().is_empty());
        if !named && contact.unit_type != UnitType::ConversationId {
            return error(
                format!("columns[{i}].contact.inbox"),
                format!(
                    "the contact column \"{}\" has no inbox to send from",
                    self.name
                ),
                "Name an inbox whose type fits the units.",
            );
        }
        Ok(())
    }
}

/// One column of a list that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name, as in the header row of the first file.
    pub name: String,
    /// Identifier of the table's column.
    pub identifier: String,
    /// Type of the values.
    pub column_type: ColumnType,
    /// Set when the column holds communication units.
    #[serde(default)]
    pub contact: Option<ContactColumn>,
}

/// What the units of a contact column are, and where they are sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactColumn {
    /// Type of the units in the column.
    pub unit_type: UnitType,
    /// Inbox to send from; `None` for conversation ids, whose inbox is found from the conversation.
    pub inbox_id: Option<i64>,
    /// Type of the conversations of that inbox; `None` together with it.
    pub conversation_type: Option<ConversationType>,
}

/// A list that exists, as the database describes it to whoever fills it. Keys that are not known
/// here are left alone: a newer extension may say more than an older worker needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Number of the list.
    pub list_id: i32,
    /// Columns in the order of the table.
    pub columns: Vec<Column>,
    /// Index of the column whose value identifies the contact.
    #[serde(default)]
    pub identifier: Option<usize>,
    /// Index of the column that holds the contact's name.
    #[serde(default)]
    pub contact_name: Option<usize>,
    /// Attempt result that an invalid unit is loaded with (list-automation §4.7 T-7).
    #[serde(default)]
    pub invalid_result_id: Option<i64>,
    /// Number of the list's latest record; the records of a load are numbered from the next one on.
    #[serde(default)]
    pub last_record_id: i64,
    /// Whether a row without a valid unit is refused instead of loaded: true for a do-not-contact
    /// list, to which a row is nothing but its units (contact-lists §2.5).
    #[serde(default)]
    pub units_required: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn spec(document: serde_json::Value) -> ShapeSpec {
        serde_json::from_value(document).unwrap()
    }

    fn good() -> ShapeSpec {
        spec(json!({
            "columns": [
                {"name": "Client Id"},
                {"name": "Phone", "contact": {"type": "phone", "inbox": "Voice"}},
                {"name": "Balance", "type": "numeric"},
                {"name": "Chat", "contact": {"type": "conversation_id"}}
            ],
            "identifier": "client_id",
            "contact_name": null
        }))
    }

    #[test]
    fn a_good_shape_passes_and_has_text_columns_by_default() {
        let shape = good();
        assert_eq!(shape.check(), Ok(()));
        assert_eq!(shape.columns[0].column_type, ColumnType::Text);
        assert_eq!(shape.column_index("CLIENT-ID"), Some(0));
        assert_eq!(shape.column_index("name"), None);
        assert!(!shape.close_if_all);
    }

    #[test]
    fn unknown_keys_are_refused_in_what_people_write() {
        let odd = json!({"columns": [{"name": "a", "kind": "text"}]});
        assert!(serde_json::from_value::<ShapeSpec>(odd).is_err());
    }

    #[test]
    fn each_contradiction_names_its_field() {
        type Change = fn(&mut ShapeSpec);
        let cases: [(&str, Reason, Change); 10] = [
            ("columns[0].name", Reason::HeaderEmpty, |s| {
                s.columns[0].name = " ".into()
            }),
            ("columns[0].name", Reason::Rule, |s| {
                s.columns[0].name = "a\u{7}".into()
            }),
            ("columns[0].name", Reason::HeaderReserved, |s| {
                s.columns[0].name = "sys_id".into()
            }),
            ("columns[2].name", Reason::HeaderDuplicate, |s| {
                s.columns[2].name = "PHONE".into()
            }),
            ("columns[1].type", Reason::Rule, |s| {
                s.columns[1].column_type = ColumnType::Integer
            }),
            ("columns[1].contact.inbox", Reason::Rule, |s| {
                s.columns[1].contact.as_mut().unwrap().inbox = Some(" ".into());
            }),
            ("columns", Reason::Rule, |s| {
                s.columns.iter_mut().for_each(|c| c.contact = None)
            }),
            ("columns", Reason::Rule, |s| s.columns.clear()),
            ("identifier", Reason::Rule, |s| {
                s.identifier = Some("id".into())
            }),
            ("contact_name", Reason::Rule, |s| {
                s.contact_name = Some("name".into())
            }),
        ];
        for (field, reason, change) in cases {
            let mut shape = good();
            change(&mut shape);
            let error = shape.check().unwrap_err();
            assert_eq!(
                (error.field.as_str(), error.reason),
                (field, reason),
                "{error}"
            );
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn columns_of_units_have_neither_inbox_nor_type() {
        let units = spec(json!({"columns": [
            {"name": "Phone", "contact": {"type": "phone"}}, {"name": "Why"}
        ]}));
        assert_eq!(units.check_units(), Ok(()));
        assert_eq!(units.check().unwrap_err().field, "columns[0].contact.inbox");
        for (wrong, field) in [
            (
                json!({"name": "Phone", "contact": {"type": "phone", "inbox": "Voice"}}),
                "columns[0].contact.inbox",
            ),
            (
                json!({"name": "Phone", "type": "integer", "contact": {"type": "phone"}}),
                "columns[0].type",
            ),
            (json!({"name": "Phone"}), "columns"),
            (
                json!({"name": "sys_x", "contact": {"type": "phone"}}),
                "columns[0].name",
            ),
        ] {
            let error = spec(json!({"columns": [wrong]})).check_units().unwrap_err();
            assert_eq!(
                (error.field.as_str(), error.hint.is_empty()),
                (field, false)
            );
        }
    }

    #[test]
    fn a_list_has_at_most_two_hundred_columns() {
        let mut shape = good();
        let more = (0..197).map(|i| ColumnSpec {
            name: format!("c{i}"),
            column_type: ColumnType::Text,
            contact: None,
        });
        shape.columns.extend(more);
        assert_eq!(shape.check().unwrap_err().reason, Reason::HeaderTooMany);
        shape.columns.pop();
        assert_eq!(shape.check(), Ok(()));
    }

    #[test]
    fn a_shape_reads_what_the_database_writes() {
        let shape: Shape = serde_json::from_value(json!({
            "list_id": 7,
            "columns": [{
                "name": "Phone", "identifier": "phone", "column_type": "text",
                "contact": {"unit_type": "phone", "inbox_id": 3, "conversation_type": "call"}
            }],
            "identifier": null, "contact_name": null, "invalid_result_id": 8, "later": true
        }))
        .unwrap();
        assert_eq!(shape.list_id, 7);
        assert_eq!(shape.columns[0].contact.unwrap().inbox_id, Some(3));
        assert_eq!(shape.invalid_result_id, Some(8));
    }
}
