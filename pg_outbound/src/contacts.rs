//! Contacts given in SQL, checked by the very row rules of a file import.
//!
//! They come and go as text: numbers of jsonb have any length, and reading them into a number of the
//! machine would change them.

use std::collections::{BTreeMap, HashSet};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use outbound_core::fields::Fields;
use outbound_core::reason::{Reason, Severity};
use outbound_core::row::{Account, RowRules, Scratch};
use outbound_core::shape::Shape;
use outbound_core::unit::ConversationType;
use outbound_core::value::Value as Typed;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::{invalid, own_document, raise};

/// The moment from which Postgres, and so core, counts days and microseconds.
const EPOCH: NaiveDateTime = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(day) => day.and_time(NaiveTime::MIN),
    None => NaiveDateTime::MIN,
};

/// Columns of the contact's codes, in the order in which core gives them.
const CODE_COLUMNS: [&str; 4] = [
    "sys_status",
    "sys_status_call",
    "sys_status_email",
    "sys_status_social_media",
];

/// The cells of one contact by column name, each as it was written.
type Cells<'a> = BTreeMap<String, &'a RawValue>;

/// What becomes of the given contacts.
#[derive(Default, Serialize)]
struct Outcome<'a> {
    counts: Counts,
    contacts: Vec<Value>,
    records: Vec<Value>,
    reported: Vec<Reported<'a>>,
}

/// The counts that a worker gives for a file.
#[derive(Default, Serialize)]
struct Counts {
    rows_read: usize,
    rejected: usize,
    duplicates: usize,
    filtered: usize,
    contacts: usize,
    records: usize,
    warnings: usize,
}

/// What is said about a contact.
#[derive(Serialize)]
struct Reported<'a> {
    row: usize,
    column: Option<String>,
    reason: &'static str,
    severity: &'static str,
    message: String,
    original: &'a RawValue,
}

/// Checks contacts (the JSON text of an array of objects by column name) against a list and returns, as
/// JSON text, the rows of its two tables, what was reported, and the counts. Numbers keep their digits.
///
/// # Errors
/// Raises `invalid_parameter_value` when it is no array of objects, or an object names an unknown column.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_contacts(shape: JsonB, account: JsonB, contacts: Option<&str>) -> String {
    let shape: Shape = own_document("the shape of the list", shape.0);
    let account: Account = own_document("the account", account.0);
    let names: Vec<String> = shape
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let rules = RowRules::new(&shape, &names, &account)
        .unwrap_or_else(|error| invalid(error.message.clone(), &error.detail, &error.hint));
    let rows: Option<Vec<&RawValue>> = contacts.and_then(|text| serde_json::from_str(text).ok());
    let Some(rows) = rows else {
        invalid(
            "contacts must be an array of objects",
            "",
            "Write [{\"id\": \"1\", \"phone\": \"+380441234567\"}].",
        )
    };
    let mut outcome = Outcome::default();
    let mut seen = HashSet::new();
    let mut scratch = Scratch::default();
    for (i, &row) in rows.iter().enumerate() {
        let (text, ends) = row_text(&shape, row, i + 1);
        let fields = Fields {
            text: &text,
            ends: &ends,
        };
        match rules.check(fields, &mut scratch) {
            Err(refused) => {
                outcome.counts.rejected += 1;
                outcome.report(
                    &shape,
                    i + 1,
                    refused.reason,
                    refused.column,
                    &refused.message,
                    row,
                );
            }
            Ok(_) => {
                let identifier = rules.identifier(fields).map(str::to_owned);
                if let Some(id) = &identifier
                    && !seen.insert(id.clone())
                {
                    outcome.counts.duplicates += 1;
                    outcome.report(
                        &shape,
                        i + 1,
                        Reason::DuplicateClientId,
                        shape.identifier,
                        "the identifier stood in an earlier row",
                        row,
                    );
                    continue;
                }
                outcome.accept(&shape, fields, &scratch, identifier, i + 1, row);
            }
        }
    }
    outcome.counts.rows_read = rows.len();
    outcome.counts.contacts = outcome.contacts.len();
    outcome.counts.records = outcome.records.len();
    serde_json::to_string(&outcome).unwrap_or_else(|error| {
        raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            "the checked contacts cannot be written",
            &error.to_string(),
            "",
        )
    })
}

/// The cells of one object in list order, as a file would have them: text end to end, and where each ends.
fn row_text(shape: &Shape, row: &RawValue, number: usize) -> (String, Vec<usize>) {
    let Ok(cells) = serde_json::from_str::<Cells<'_>>(row.get()) else {
        invalid(
            format!("contact {number} is not an object"),
            "",
            "Write each contact as {\"column\": \"value\"}.",
        )
    };
    if let Some(unknown) = cells
        .keys()
        .find(|key| !shape.columns.iter().any(|column| column.name == **key))
    {
        let known: Vec<&str> = shape
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        invalid(
            format!("contact {number}: the list has no column \"{unknown}\""),
            &format!("Its columns: {}.", known.join(", ")),
            "Name the columns as the list has them.",
        )
    }
    let mut text = String::new();
    let ends = shape
        .columns
        .iter()
        .map(|column| {
            match cells.get(&column.name).map_or("null", |cell| cell.get()) {
                "null" => {}
                cell if cell.starts_with('"') => match serde_json::from_str::<String>(cell) {
                    Ok(cell) => text.push_str(&cell),
                    Err(error) => invalid(
                        format!("contact {number}, column \"{}\": {error}", column.name),
                        "",
                        "Write text as JSON has it.",
                    ),
                },
                cell => text.push_str(cell),
            }
            text.len()
        })
        .collect();
    (text, ends)
}

impl<'a> Outcome<'a> {
    fn report(
        &mut self,
        shape: &Shape,
        number: usize,
        reason: Reason,
        column: Option<usize>,
        message: &str,
        row: &'a RawValue,
    ) {
        self.reported.push(Reported {
            row: number,
            column: column
                .and_then(|c| shape.columns.get(c))
                .map(|c| c.name.clone()),
            reason: reason.code(),
            severity: if reason.severity() == Severity::Warning {
                "warning"
            } else {
                "row"
            },
            message: message.to_owned(),
            original: row,
        });
    }

    fn accept(
        &mut self,
        shape: &Shape,
        fields: Fields<'_>,
        scratch: &Scratch,
        identifier: Option<String>,
        number: usize,
        row: &'a RawValue,
    ) {
        let sys_id = identifier.unwrap_or_else(|| (self.contacts.len() + 1).to_string());
        let mut contact = Map::new();
        for (column, value) in shape.columns.iter().zip(&scratch.values) {
            contact.insert(column.identifier.clone(), cell(value, fields));
        }
        for (column, code) in CODE_COLUMNS.into_iter().zip(scratch.codes()) {
            contact.insert(column.to_owned(), json!(code.as_str()));
        }
        contact.insert("sys_unit_types".to_owned(), json!(scratch.unit_types()));
        contact.insert("list_id".to_owned(), json!(shape.list_id));
        contact.insert("sys_id".to_owned(), json!(sys_id));
        self.contacts.push(Value::Object(contact));
        for unit in &scratch.units {
            let source = shape
                .columns
                .get(unit.column)
                .map(|column| column.name.as_str());
            self.records.push(json!({
                "list_id": shape.list_id, "sys_id": self.records.len() + 1, "sys_contact_id": sys_id,
                "sys_channel_user": scratch.unit_text.get(unit.start..unit.end), "sys_channel_user_type": unit.unit_type.as_str(),
                "sys_cl_source_column": source, "sys_conversation_type": unit.conversation_type.map(ConversationType::as_str),
                "sys_inbox_id": unit.inbox_id, "sys_status": unit.record_code().as_str(),
                "sys_last_attempt_dialer_attempt_result_id": if unit.valid { None } else { shape.invalid_result_id },
            }));
        }
        for report in &scratch.reports {
            self.counts.warnings += 1;
            self.report(
                shape,
                number,
                report.reason,
                report.column,
                &report.message(shape, fields),
                row,
            );
        }
    }
}

/// A typed value as jsonb_populate_recordset reads it.
fn cell(value: &Typed, fields: Fields<'_>) -> Value {
    let text = |field: u32| fields.get(field as usize).map(str::trim);
    match *value {
        Typed::Null => Value::Null,
        Typed::Text { field } => json!(fields.get(field as usize)),
        Typed::Numeric { field } => json!(text(field)),
        Typed::Integer(number) => json!(number),
        Typed::Boolean(flag) => json!(flag),
        Typed::Date(days) => json!((EPOCH.date() + TimeDelta::days(i64::from(days))).to_string()),
        Typed::Timestamptz(micros) => {
            json!(
                (EPOCH + TimeDelta::microseconds(micros))
                    .and_utc()
                    .to_rfc3339()
            )
        }
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, run, value};

    /// Makes a list, adds one contact with these numbers in the columns `id` (text), `note` (text) and
    /// `size` (numeric), and returns them as stored.
    fn stored(id: &str, number: &str) -> String {
        run("SELECT outbound.create_inbox('Voice', 'call')");
        run(
            r#"SELECT outbound.create_list('numbers', '[{"name": "id"}, {"name": "note"}, {"name": "size", "type": "numeric"},
                {"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}}]', 'id')"#,
        );
        run(&format!(
            r#"SELECT outbound.add_contacts('numbers', '[{{"id": {id}, "note": {number}, "size": {number}, "phone": "+380441234567"}}]')"#
        ));
        value("SELECT concat_ws(' ', sys_id, note, size) FROM outbound_list.numbers")
    }

    #[pg_test]
    fn numbers_with_many_digits_are_stored_digit_by_digit() {
        let id = "12345678901234567890123";
        let number = "12345678901234.123456789";
        assert_eq!(stored(id, number), format!("{id} {number} {number}"));
    }

    #[pg_test]
    fn a_number_too_large_for_the_machine_is_stored_whole() {
        // Postgres writes the exponent of a jsonb number out.
        let number = format!("1{}", "0".repeat(400));
        assert_eq!(stored("7", "1e400"), format!("7 {number} {number}"));
    }

    /// What the check makes of contacts for a list with the text `id` and the number `size`.
    fn checked(contacts: &str, path: &str) -> String {
        value(&format!("SELECT {} #>> '{path}'", checking(contacts)))
    }

    fn checking(contacts: &str) -> String {
        format!(
            r#"outbound.check_contacts('{{"list_id": 1, "identifier": 0, "columns": [
                {{"name": "id", "identifier": "id", "column_type": "text"}},
                {{"name": "size", "identifier": "size", "column_type": "integer"}}]}}',
               outbound._account_document(), '{contacts}')::jsonb"#
        )
    }

    #[pg_test]
    fn a_number_in_a_text_column_is_kept_as_written() {
        assert_eq!(
            checked(r#"[{"id": 1e400}]"#, "{contacts,0,sys_id}"),
            "1e400"
        );
        assert_eq!(checked(r#"[{"id": 1.50}]"#, "{contacts,0,id}"), "1.50");
    }

    #[pg_test]
    fn a_refused_contact_is_reported_with_its_numbers_as_given() {
        let contacts = r#"[{"id": "a", "size": 12345678901234567890123}]"#;
        assert_eq!(checked(contacts, "{reported,0,reason}"), "bad_value");
        assert_eq!(
            checked(contacts, "{reported,0,original,size}"),
            "12345678901234567890123"
        );
    }

    #[pg_test]
    fn what_is_no_array_of_objects_is_refused() {
        for contacts in ["{}", "1e400", "[", "null"] {
            assert!(
                problem(&format!("SELECT {}", checking(contacts)))
                    .starts_with("22023|contacts must be an array of objects|")
            );
        }
        assert!(
            problem(&format!("SELECT {}", checking("[1e400]")))
                .starts_with("22023|contact 1 is not an object|")
        );
    }
}
