//! Do-not-contact lists: units given in SQL brought into normal form, and the columns of their files.

use std::collections::{BTreeMap, BTreeSet};

use outbound_core::account::Account;
use outbound_core::identifier::header_key;
use outbound_core::job::JobRules;
use outbound_core::reason::Reason;
use outbound_core::unit::{UnitRules, UnitType};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::error::{invalid, own_document, raise};
use crate::lists::{DefinedColumn, complete, refused};

/// What becomes of the given units.
#[derive(Default, Serialize)]
struct Outcome<'a> {
    units: Vec<Unit>,
    reported: Vec<Reported<'a>>,
}

/// A unit in its normal form.
#[derive(Serialize)]
struct Unit {
    unit_type: UnitType,
    value: String,
}

/// A unit that is refused.
#[derive(Serialize)]
struct Reported<'a> {
    row: usize,
    reason: &'static str,
    message: String,
    original: &'a RawValue,
}

/// A unit as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with type and value")]
struct Given<'a> {
    #[serde(rename = "type")]
    unit_type: UnitType,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Checks units (the JSON text of an array of `{"type", "value"}`) and returns, as JSON text, those that are
/// valid in their normal form, and what is wrong with the others. Numbers keep their digits.
///
/// # Errors
/// Raises `invalid_parameter_value` when it is no array, or the account's country is unknown.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_units(account: JsonB, units: Option<&str>) -> String {
    let account: Account = own_document("the account", account.0);
    let rules = UnitRules::new(&account.default_country).unwrap_or_else(|error| {
        invalid(
            format!("the default country of the account cannot be used: {error}"),
            "",
            "Correct it with outbound.set_account.",
        )
    });
    let rows: Option<Vec<&RawValue>> = units.and_then(|text| serde_json::from_str(text).ok());
    let Some(rows) = rows else {
        invalid(
            "units must be an array of objects",
            "",
            "Write [{\"type\": \"phone\", \"value\": \"+380441234567\"}].",
        )
    };
    let mut outcome = Outcome::default();
    for (i, &row) in rows.iter().enumerate() {
        match unit(&rules, row) {
            Ok(unit) => outcome.units.push(unit),
            Err((reason, message)) => outcome.reported.push(Reported {
                row: i + 1,
                reason: reason.code(),
                message,
                original: row,
            }),
        }
    }
    serde_json::to_string(&outcome).unwrap_or_else(|error| {
        raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            "the checked units cannot be written",
            &error.to_string(),
            "",
        )
    })
}

/// One unit in its normal form, or why it is refused.
fn unit(rules: &UnitRules, row: &RawValue) -> Result<Unit, (Reason, String)> {
    let given: Given<'_> = serde_json::from_str(row.get()).map_err(|error| {
        // Where in the row it stands says nothing to people: a row is one object.
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        (Reason::BadValue, said.to_owned())
    })?;
    let text: String = match given.value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => {
            serde_json::from_str(text).map_err(|error| (Reason::BadValue, error.to_string()))?
        }
        other => other.to_owned(),
    };
    let mut value = String::new();
    rules
        .normalize_into(given.unit_type, &text, &mut value)
        .map_err(|bad| (Reason::BadDevice, bad.to_string()))?;
    Ok(Unit {
        unit_type: given.unit_type,
        value,
    })
}

/// Definition of what a file puts on a do-not-contact list: the columns the list knows from its first file,
/// or else those of the job and every other column of the header.
///
/// Returns `{"refused": …}` where the header cannot be used, or the job would take units from other columns
/// than the list's: to leave one out would let people be contacted who must not be.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn suppression_definition(rules: JsonB, known: Option<JsonB>, header: JsonB) -> JsonB {
    let rules: JobRules = own_document("the rules of the job", rules.0);
    let names: Vec<String> = own_document("the header", header.0);
    JsonB(match known {
        None => {
            let spec = rules.list_spec(&names);
            spec.check_units()
                .and_then(|()| complete(&spec, &BTreeMap::new()))
                .unwrap_or_else(refused)
        }
        Some(known) => {
            let known: Vec<DefinedColumn> = own_document("the columns of the list", known.0);
            let has = units(known.iter().map(|c| (c.name.as_str(), c.unit_type)));
            let asked = units(rules.columns.iter().map(|c| {
                let unit_type = c.contact.as_ref().map(|contact| contact.unit_type);
                (c.name.as_str(), unit_type)
            }));
            if rules.columns.is_empty() || has == asked {
                json!({"columns": known})
            } else {
                json!({"refused": {
                    "reason": Reason::HeaderDrift.code(),
                    "message": "the list takes its units from other columns than the job names",
                    "detail": format!("The list: {}. The job: {}.", shown(&has), shown(&asked)),
                    "hint": "Leave the columns out of the job, or import into a new list.",
                }})
            }
        }
    })
}

/// Columns that hold units, by what tells their names apart.
fn units<'a>(
    columns: impl Iterator<Item = (&'a str, Option<UnitType>)>,
) -> BTreeSet<(String, UnitType)> {
    columns
        .filter_map(|(name, unit_type)| Some((header_key(name), unit_type?)))
        .collect()
}

fn shown(columns: &BTreeSet<(String, UnitType)>) -> String {
    let list: Vec<String> = columns
        .iter()
        .map(|(name, unit_type)| format!("{name} ({unit_type})"))
        .collect();
    list.join(", ")
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    fn checking(units: &str) -> String {
        format!("SELECT outbound.check_units(outbound._account_document(), '{units}')")
    }

    fn checked(units: &str, path: &str) -> String {
        value(&format!(
            "SELECT coalesce(c.checked::jsonb #>> '{path}', '') FROM ({}) AS c (checked)",
            checking(units)
        ))
    }

    #[pg_test]
    fn units_come_back_in_their_normal_form() {
        let units = r#"[{"type": "phone", "value": "(202) 555-0143 ext. 7"}, {"type": "email", "value": " Ann@EXAMPLE.org "},
            {"type": "phone", "value": 2025550144}]"#;
        assert_eq!(
            checked(units, "{units}"),
            r#"[{"value": "+12025550143;ext=7", "unit_type": "phone"}, {"value": "Ann@example.org", "unit_type": "email"}, {"value": "+12025550144", "unit_type": "phone"}]"#
        );
        assert_eq!(checked(units, "{reported}"), "[]");
    }

    #[pg_test]
    fn what_is_no_unit_is_reported_and_stops_nothing() {
        let good = r#"{"type": "username", "value": "ann"}"#;
        for (bad, reason) in [
            (r#"{"type": "phone", "value": "12"}"#, "bad_device"),
            (r#"{"type": "email", "value": null}"#, "bad_device"),
            (r#"{"type": "phone", "value": 1e400}"#, "bad_device"),
            (r#"{"type": "fax", "value": "1"}"#, "bad_value"),
            (r#"{"type": "phone"}"#, "bad_value"),
            (
                r#"{"type": "phone", "value": "1", "until": 1}"#,
                "bad_value",
            ),
            ("7", "bad_value"),
            ("null", "bad_value"),
        ] {
            let units = format!("[{bad}, {good}]");
            assert_eq!(checked(&units, "{reported,0,reason}"), reason, "{bad}");
            assert_eq!(checked(&units, "{reported,0,row}"), "1");
            assert!(!checked(&units, "{reported,0,message}").contains("line"));
            assert_eq!(checked(&units, "{units,0,value}"), "ann");
            assert_eq!(checked(&units, "{units,1}"), "");
        }
    }

    #[pg_test]
    fn what_is_no_array_is_refused() {
        for units in ["{}", "1e400", "[", "null", "\"phone\""] {
            assert!(
                problem(&checking(units)).starts_with("22023|units must be an array of objects|")
            );
        }
    }

    /// What a header is, for a job with this column of phones and a list that knows these columns.
    fn defined(column: &str, known: &str, path: &str) -> String {
        let rules = format!(
            r#"{{"action": "import_suppression", "append_type": "append_only", "target_suppression_list": "x",
                 "columns": [{{"name": "{column}", "contact": {{"type": "phone"}}}}]}}"#
        );
        value(&format!(
            "SELECT coalesce(outbound.suppression_definition('{rules}', {known}, '[\"Note\", \"Phone\"]') #>> '{path}', '')"
        ))
    }

    #[pg_test]
    fn the_first_file_defines_the_columns_and_a_job_for_other_ones_is_refused() {
        let first = defined("phone", "NULL", "{columns}");
        let known = format!("'{first}'");
        assert_eq!(defined("phone", "NULL", "{columns,1,name}"), "phone");
        assert_eq!(defined("phone", "NULL", "{columns,1,unit_type}"), "phone");
        assert_eq!(defined("PHONE", &known, "{columns}"), first);
        assert_eq!(
            defined("note", &known, "{refused,detail}"),
            "The list: phone (phone). The job: note (phone)."
        );
    }
}
