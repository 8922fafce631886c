//! Contacts given in SQL, checked by the very row rules of a file import.

use std::collections::HashSet;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use outbound_core::fields::Fields;
use outbound_core::reason::{Reason, Severity};
use outbound_core::row::{Account, RowRules, Scratch};
use outbound_core::shape::Shape;
use outbound_core::unit::ConversationType;
use outbound_core::value::Value as Typed;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::{Map, Value, json};

use crate::error::{invalid, own_document};

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

/// What becomes of the given contacts.
#[derive(Default)]
struct Outcome {
    contacts: Vec<Value>,
    records: Vec<Value>,
    reported: Vec<Value>,
    rejected: u64,
    duplicates: u64,
    warnings: u64,
}

/// Checks contacts (an array of objects by column name) against a list and returns the rows of its two
/// tables, what was reported, and the counts.
///
/// # Errors
/// Raises `invalid_parameter_value` when it is no array of objects, or an object names an unknown column.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_contacts(shape: JsonB, account: JsonB, contacts: Option<JsonB>) -> JsonB {
    let shape: Shape = own_document("the shape of the list", shape.0);
    let account: Account = own_document("the account", account.0);
    let names: Vec<String> = shape
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let rules = RowRules::new(&shape, &names, &account)
        .unwrap_or_else(|error| invalid(error.message.clone(), &error.detail, &error.hint));
    let Some(Value::Array(rows)) = contacts.map(|contacts| contacts.0) else {
        invalid(
            "contacts must be an array of objects",
            "",
            "Write [{\"id\": \"1\", \"phone\": \"+380441234567\"}].",
        )
    };
    let mut outcome = Outcome::default();
    let mut seen = HashSet::new();
    let mut scratch = Scratch::default();
    for (i, row) in rows.iter().enumerate() {
        let (text, ends) = row_text(&shape, row, i + 1);
        let fields = Fields {
            text: &text,
            ends: &ends,
        };
        match rules.check(fields, &mut scratch) {
            Err(refused) => {
                outcome.rejected += 1;
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
                    outcome.duplicates += 1;
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
    JsonB(json!({
        "counts": {
            "rows_read": rows.len(), "rejected": outcome.rejected, "duplicates": outcome.duplicates, "filtered": 0,
            "contacts": outcome.contacts.len(), "records": outcome.records.len(), "warnings": outcome.warnings,
        },
        "contacts": outcome.contacts, "records": outcome.records, "reported": outcome.reported,
    }))
}

/// The cells of one object in list order, as a file would have them: text end to end, and where each ends.
fn row_text(shape: &Shape, row: &Value, number: usize) -> (String, Vec<usize>) {
    let Value::Object(cells) = row else {
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
            match cells.get(&column.name) {
                None | Some(Value::Null) => {}
                Some(Value::String(cell)) => text.push_str(cell),
                Some(other) => text.push_str(&other.to_string()),
            }
            text.len()
        })
        .collect();
    (text, ends)
}

impl Outcome {
    fn report(
        &mut self,
        shape: &Shape,
        number: usize,
        reason: Reason,
        column: Option<usize>,
        message: &str,
        row: &Value,
    ) {
        self.reported.push(json!({
            "row": number, "column": column.and_then(|c| shape.columns.get(c)).map(|c| &c.name), "reason": reason.code(),
            "severity": if reason.severity() == Severity::Warning { "warning" } else { "row" }, "message": message, "original": row,
        }));
    }

    fn accept(
        &mut self,
        shape: &Shape,
        fields: Fields<'_>,
        scratch: &Scratch,
        identifier: Option<String>,
        number: usize,
        row: &Value,
    ) {
        let sys_id = identifier.unwrap_or_else(|| (self.contacts.len() + 1).to_string());
        let mut contact = Map::new();
        for (column, value) in shape.columns.iter().zip(&scratch.values) {
            contact.insert(column.identifier.clone(), cell(value, fields));
        }
        for (column, code) in CODE_COLUMNS.into_iter().zip(scratch.codes()) {
            contact.insert(column.to_owned(), json!(code.as_str()));
        }
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
            self.warnings += 1;
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
