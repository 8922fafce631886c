//! Definitions of contact lists: names, columns and headers, checked by core and completed with what
//! only the database knows (inboxes, names that are taken).

use std::collections::BTreeMap;

use outbound_core::header::{HeaderError, check_names, match_columns};
use outbound_core::identifier::{self, header_key};
use outbound_core::job::{Action, JobRules};
use outbound_core::shape::{ColumnSpec, Shape, ShapeError, ShapeSpec};
use outbound_core::unit::{ConversationType, UnitType, inbox_fits};
use outbound_core::value::ColumnType;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{given_document, invalid, own_document};

/// Bytes a list's table name may have, so that `_detail` still fits into an identifier.
const TABLE_NAME_BYTES: usize = 56;

/// Bytes an identifier may have.
const COLUMN_NAME_BYTES: usize = 63;

/// An inbox, as the database describes it.
#[derive(Deserialize)]
pub(crate) struct Inbox {
    inbox_id: i64,
    conversation_type: ConversationType,
}

/// One column of a definition, as stored.
#[derive(Serialize, Deserialize)]
pub struct DefinedColumn {
    /// Name as people wrote it.
    pub name: String,
    /// Column of the list table.
    pub column_name: String,
    /// Type of the values.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Kind of unit, if it is a contact column.
    pub unit_type: Option<UnitType>,
    /// Inbox of its units.
    pub inbox_id: Option<i64>,
    /// Conversation type of that inbox.
    pub conversation_type: Option<ConversationType>,
}

/// Refuses a name that cannot be shown; any other text is accepted.
///
/// # Errors
/// Raises `invalid_parameter_value` for a blank name, control characters, or more than 255 characters.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_display_name(kind: &str, name: Option<&str>) {
    if let Err(error) = identifier::check_display_name(name.unwrap_or_default()) {
        // As spoken: an inbox, an SFTP server.
        let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u', 'S']) {
            "an"
        } else {
            "a"
        };
        invalid(
            format!("this cannot be the name of {article} {kind}: {error}"),
            "",
            "Choose a name of 1 to 255 visible characters.",
        );
    }
}

/// Table name for a list of that name, unlike every name in `taken`, also with `_detail` added.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn list_table_name(name: &str, taken: Vec<String>) -> String {
    let mut in_use = |candidate: &str| {
        let detail = format!("{candidate}_detail");
        taken
            .iter()
            .any(|relation| relation == candidate || *relation == detail)
    };
    identifier::derive(name, TABLE_NAME_BYTES, "list", &mut in_use).unwrap_or_else(|error| {
        invalid(
            format!("no table name can be made of \"{name}\": {error}"),
            "",
            "Choose a name with a letter or digit.",
        )
    })
}

/// Checks what people ask for (the JSON text of core's `ShapeSpec`) and completes it to a definition: table columns,
/// inbox numbers and their conversation types.
///
/// # Errors
/// Raises `invalid_parameter_value` naming the field.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn list_definition(spec: &str, inboxes: JsonB) -> JsonB {
    let spec = given_document("columns", Some(spec));
    let spec: ShapeSpec = serde_json::from_value(spec).unwrap_or_else(|error| {
        invalid(
            format!("columns: {error}"),
            "",
            "Give an array like [{\"name\": \"phone\", \"type\": \"text\", \"contact\": {\"type\": \"phone\", \"inbox\": \"Voice\"}}].",
        )
    });
    match define(&spec, &inboxes.0) {
        Ok(definition) => JsonB(definition),
        Err(error) => invalid(
            error.to_string(),
            &format!("Field: {}", error.field),
            &error.hint,
        ),
    }
}

/// Definition of a list that a file makes: the job's columns, and every other column of the header as
/// text, in the order of the header.
///
/// Returns `{"refused": …}` where the header cannot make a list.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn definition_for_header(rules: JsonB, header: JsonB, inboxes: JsonB) -> JsonB {
    let names: Vec<String> = own_document("the header", header.0);
    let rules: JobRules = own_document("the rules of the job", rules.0);
    JsonB(define(&rules.list_spec(&names), &inboxes.0).unwrap_or_else(refused))
}

/// Answer of a decision that refuses a file because its columns make no list.
pub(crate) fn refused(error: ShapeError) -> Value {
    json!({"refused": {
        "reason": error.reason.code(), "message": error.to_string(), "detail": Value::Null, "hint": error.hint,
    }})
}

/// Checks the columns of a job's rules against the inboxes that exist.
///
/// # Errors
/// Raises `invalid_parameter_value` naming the field.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_job_columns(rules: JsonB, inboxes: JsonB) {
    let rules: JobRules = own_document("the rules of the job", rules.0);
    // The columns for a do-not-contact list name no inboxes.
    if rules.columns.is_empty() || rules.action == Action::ImportSuppression {
        return;
    }
    if let Err(error) = define(&rules.list_spec(&[]), &inboxes.0) {
        invalid(
            format!("job rules: {error}"),
            &format!("Field: {}", error.field),
            &error.hint,
        );
    }
}

/// Checks the names of a header on their own; null when they are good, else why they are refused.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_header(header: JsonB) -> Option<JsonB> {
    let names: Vec<String> = own_document("the header", header.0);
    check_names(&names).err().map(refusal)
}

/// Checks a header against the shape of a list; null when it fits, else why it is refused.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn match_header(shape: JsonB, header: JsonB) -> Option<JsonB> {
    let shape: Shape = own_document("the shape of the list", shape.0);
    let names: Vec<String> = own_document("the header", header.0);
    match_columns(&shape, &names).err().map(refusal)
}

fn refusal(error: HeaderError) -> JsonB {
    JsonB(json!({
        "reason": error.reason.code(), "message": error.message, "detail": error.detail, "hint": error.hint,
    }))
}

fn define(spec: &ShapeSpec, inboxes: &Value) -> Result<Value, ShapeError> {
    spec.check()?;
    complete(spec, &own_document("the inboxes", inboxes.clone()))
}

/// The definition that a checked specification stands for.
pub(crate) fn complete(
    spec: &ShapeSpec,
    inboxes: &BTreeMap<String, Inbox>,
) -> Result<Value, ShapeError> {
    let mut taken: Vec<String> = vec!["list_id".to_owned()];
    let mut columns = Vec::with_capacity(spec.columns.len());
    for (i, column) in spec.columns.iter().enumerate() {
        let mut in_use = |candidate: &str| taken.iter().any(|name| name == candidate);
        let column_name = identifier::derive(&column.name, COLUMN_NAME_BYTES, "c", &mut in_use)
            .map_err(|error| ShapeError {
                reason: outbound_core::reason::Reason::Rule,
                field: format!("columns[{i}].name"),
                message: error.to_string(),
                hint: "Give the column a name with a letter or digit.".to_owned(),
            })?;
        taken.push(column_name.clone());
        let (inbox_id, conversation_type) = inbox_of(column, i, inboxes)?;
        columns.push(DefinedColumn {
            name: column.name.clone(),
            column_name,
            column_type: column.column_type,
            unit_type: column.contact.as_ref().map(|contact| contact.unit_type),
            inbox_id,
            conversation_type,
        });
    }
    let stored_name = |wanted: &Option<String>| {
        wanted.as_ref().and_then(|name| {
            let key = header_key(name);
            columns
                .iter()
                .find(|column| header_key(&column.name) == key)
                .map(|column| column.name.clone())
        })
    };
    Ok(json!({
        "identifier": stored_name(&spec.identifier), "contact_name": stored_name(&spec.contact_name),
        "close_if_all": spec.close_if_all, "columns": columns,
    }))
}

/// Number and conversation type of the inbox a contact column names.
fn inbox_of(
    column: &ColumnSpec,
    i: usize,
    inboxes: &BTreeMap<String, Inbox>,
) -> Result<(Option<i64>, Option<ConversationType>), ShapeError> {
    let Some((contact, name)) = column
        .contact
        .as_ref()
        .and_then(|contact| Some((contact, contact.inbox.as_ref()?)))
    else {
        return Ok((None, None));
    };
    let wrong = |message: String, hint: String| ShapeError {
        reason: outbound_core::reason::Reason::Rule,
        field: format!("columns[{i}].contact.inbox"),
        message,
        hint,
    };
    let inbox = inboxes.get(name).ok_or_else(|| {
        wrong(
            format!("inbox \"{name}\" does not exist"),
            format!(
                "Make it with outbound.create_inbox, or use one of: {}.",
                inboxes
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        )
    })?;
    if !inbox_fits(contact.unit_type, inbox.conversation_type) {
        return Err(wrong(
            format!(
                "a unit of type {} cannot be reached from inbox \"{name}\", which carries {}",
                contact.unit_type, inbox.conversation_type
            ),
            "Choose an inbox whose conversation type fits the unit (contact-lists §2.3)."
                .to_owned(),
        ));
    }
    Ok((Some(inbox.inbox_id), Some(inbox.conversation_type)))
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    #[pg_test]
    fn a_table_name_is_unlike_the_names_taken_and_their_details() {
        for (name, taken, expected) in [
            ("X", "{}", "x"),
            ("X", "{x}", "x_2"),
            ("X", "{x_detail}", "x_2"),
            ("X", "{x,x_2_detail}", "x_3"),
            ("x_detail", "{x,x_detail}", "x_detail_2"),
            ("select", "{}", "select_"),
            ("sys_x", "{}", "list_sys_x"),
            ("2026", "{}", "list_2026"),
            ("***", "{list}", "list_2"),
        ] {
            assert_eq!(
                value::<String>(&format!(
                    "SELECT outbound.list_table_name('{name}', '{taken}')"
                )),
                expected
            );
        }
    }

    #[pg_test]
    fn a_long_table_name_leaves_room_for_its_detail() {
        let longest =
            "SELECT octet_length(outbound.list_table_name(repeat('ї', 255), '{}') || '_detail')";
        assert!(value::<i32>(longest) <= 63);
    }

    #[pg_test]
    fn a_name_that_cannot_be_shown_is_refused_with_a_hint() {
        assert_eq!(
            problem("SELECT outbound.check_display_name('job', ' ')"),
            "22023|this cannot be the name of a job: the name is empty: give it at least one visible character\
             ||Choose a name of 1 to 255 visible characters."
        );
        for (kind, said) in [
            ("inbox", "an inbox"),
            ("SFTP server", "an SFTP server"),
            ("contact list", "a contact list"),
        ] {
            assert!(
                problem(&format!("SELECT outbound.check_display_name('{kind}', '')"))
                    .starts_with(&format!("22023|this cannot be the name of {said}: "))
            );
        }
    }

    #[pg_test]
    fn a_wrong_definition_raises_an_error_that_names_the_field() {
        let spec = r#"{"columns": [{"name": "a", "contact": {"type": "phone", "inbox": "None"}}], "close_if_all": false}"#;
        assert_eq!(
            problem(&format!(
                "SELECT outbound.list_definition('{spec}', '{{}}')"
            ))
            .split('|')
            .nth(2),
            Some("Field: columns[0].contact.inbox")
        );
    }

    #[pg_test]
    fn a_number_that_no_definition_can_have_is_refused_and_nothing_breaks() {
        assert!(
            problem(r#"SELECT outbound.create_list('x', '[{"name": 1e400}]')"#)
                .starts_with("22023|columns: number out of range")
        );
    }

    #[pg_test]
    fn a_header_makes_the_other_columns_text_in_its_order() {
        let rules = r#"{"action": "import_file", "append_type": "append_only",
            "columns": [{"name": "Phone", "contact": {"type": "phone", "inbox": "V"}}]}"#;
        let inboxes = r#"{"V": {"inbox_id": 7, "conversation_type": "call"}}"#;
        let columns: String = value(&format!(
            "SELECT string_agg(concat_ws('/', c ->> 'column_name', c ->> 'type', c ->> 'inbox_id'), ' ')
             FROM jsonb_array_elements(outbound.definition_for_header('{rules}',
                 '[\"List ID\", \"PHONE\", \"2nd\"]', '{inboxes}') -> 'columns') AS c"
        ));
        assert_eq!(columns, "list_id_/text phone/text/7 c_2nd/text");
    }
}
