//! What must hold for a row of a file.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::shape;
use proptest::prelude::*;

const VOICE: i64 = 1;
const WHATSAPP: i64 = 2;
const MAIL: i64 = 3;

fn column(name: &str, column_type: ColumnType, contact: Option<ContactColumn>) -> shape::Column {
    shape::Column {
        name: name.to_owned(),
        identifier: name.to_owned(),
        column_type,
        contact,
    }
}

fn reached_by(
    unit_type: UnitType,
    inbox_id: i64,
    conversation_type: ConversationType,
) -> Option<ContactColumn> {
    Some(ContactColumn {
        unit_type,
        inbox_id: Some(inbox_id),
        conversation_type: Some(conversation_type),
    })
}

fn list() -> Shape {
    use ConversationType::{Call, Email, SocialMedia};
    Shape {
        list_id: 1,
        columns: vec![
            column("id", ColumnType::Text, None),
            column(
                "phone",
                ColumnType::Text,
                reached_by(UnitType::Phone, VOICE, Call),
            ),
            column(
                "mobile",
                ColumnType::Text,
                reached_by(UnitType::Phone, VOICE, Call),
            ),
            column(
                "chat",
                ColumnType::Text,
                reached_by(UnitType::Phone, WHATSAPP, SocialMedia),
            ),
            column(
                "email",
                ColumnType::Text,
                reached_by(UnitType::Email, MAIL, Email),
            ),
            column("balance", ColumnType::Numeric, None),
            column("due", ColumnType::Date, None),
        ],
        identifier: Some(0),
        contact_name: None,
        invalid_result_id: None,
        last_record_id: 0,
        units_required: false,
    }
}

fn account() -> Account {
    Account {
        name: "Test".to_owned(),
        default_country: "GB".to_owned(),
        character_set: CharacterSet::Utf8,
        time_zone: Tz::UTC,
    }
}

/// The file has the list's columns in another order: `email` comes first.
fn rules() -> RowRules {
    let names = ["email", "id", "phone", "mobile", "chat", "balance", "due"];
    RowRules::new(&list(), &names.map(str::to_owned), &account()).unwrap()
}

struct Row {
    text: String,
    ends: Vec<usize>,
}

impl Row {
    fn new(cells: &[&str]) -> Self {
        let mut row = Self {
            text: String::new(),
            ends: Vec::new(),
        };
        for cell in cells {
            row.text.push_str(cell);
            row.ends.push(row.text.len());
        }
        row
    }

    fn fields(&self) -> Fields<'_> {
        Fields {
            text: &self.text,
            ends: &self.ends,
        }
    }
}

fn check(cells: &[&str]) -> Result<Scratch, Refused> {
    let mut scratch = Scratch::default();
    rules()
        .check(Row::new(cells).fields(), &mut scratch)
        .map(|_| scratch)
}

fn units(scratch: &Scratch) -> Vec<(usize, i64, bool, &str)> {
    scratch
        .units
        .iter()
        .map(|unit| {
            (
                unit.column,
                unit.inbox_id.unwrap(),
                unit.valid,
                scratch.text_of(unit),
            )
        })
        .collect()
}

fn reasons(scratch: &Scratch) -> Vec<Reason> {
    scratch.reports.iter().map(|report| report.reason).collect()
}

#[test]
fn a_good_row_gives_values_and_units_in_the_lists_order() {
    let row = Row::new(&[
        "Ann@Example.com",
        " 17 ",
        "020 7551 8700",
        "07400 123456",
        "",
        "-12.50",
        "2000-01-31",
    ]);
    let mut s = Scratch::default();
    let checked = rules().check(row.fields(), &mut s).unwrap();
    assert_eq!(checked.identifier_field, Some(1));
    assert_eq!(rules().identifier(row.fields()), Some("17"));
    assert_eq!(
        s.values,
        [
            Value::Text { field: 1 },
            Value::Text { field: 2 },
            Value::Text { field: 3 },
            Value::Null,
            Value::Text { field: 0 },
            Value::Numeric { field: 5 },
            Value::Date(30),
        ]
    );
    assert_eq!(
        units(&s),
        [
            (1, VOICE, true, "+442075518700"),
            (2, VOICE, true, "+447400123456"),
            (4, MAIL, true, "Ann@example.com"),
        ]
    );
    assert_eq!(s.reports, []);
}

#[test]
fn too_few_and_too_many_fields_are_refused_before_anything_else() {
    let few = check(&["a@b.co", ""]).unwrap_err();
    assert_eq!(few.reason, Reason::TooFewColumns);
    assert_eq!(few.message, "the row has 2 fields and the header has 7");
    let many = check(&["", "", "", "", "", "", "", ""]).unwrap_err();
    assert_eq!(many.reason, Reason::TooManyColumns);
    assert_eq!(many.column, None);
}

#[test]
fn an_empty_identifier_is_refused_before_bad_values() {
    let refused = check(&["", " ", "", "", "", "much", ""]).unwrap_err();
    assert_eq!(refused.reason, Reason::EmptyClientId);
    assert_eq!(refused.column, Some(0));
}

#[test]
fn an_identifier_that_no_key_can_hold_is_refused() {
    assert!(check(&["", &"я".repeat(255), "", "", "", "", ""]).is_ok());
    let refused = check(&["", &"я".repeat(256), "", "", "", "", ""]).unwrap_err();
    assert_eq!(
        (refused.reason, refused.column),
        (Reason::BadValue, Some(0))
    );
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_column() {
    let refused = check(&["", "17", "", "", "", "much", "never"]).unwrap_err();
    assert_eq!(
        (refused.reason, refused.column),
        (Reason::BadValue, Some(5))
    );
    assert_eq!(
        refused.to_string(),
        "column \"balance\": expected a decimal number with a point, such as -12.50 or 1e6"
    );
    let refused = check(&["", "17", "", "", "", "", "never"]).unwrap_err();
    assert_eq!((refused.reason, refused.column), (Reason::BadDate, Some(6)));
}

#[test]
fn the_same_unit_twice_is_one_unit_of_the_first_column() {
    let s = check(&["", "17", "020 7551 8700", "+44 20 7551 8700", "", "", ""]).unwrap();
    assert_eq!(units(&s), [(1, VOICE, true, "+442075518700")]);
    assert_eq!(s.reports, []);
}

#[test]
fn the_same_number_in_another_inbox_is_another_unit() {
    let s = check(&["", "17", "020 7551 8700", "", "020 7551 8700", "", ""]).unwrap();
    assert_eq!(
        units(&s),
        [
            (1, VOICE, true, "+442075518700"),
            (3, WHATSAPP, true, "+442075518700"),
        ]
    );
}

#[test]
fn a_bad_device_is_kept_as_given_and_reported() {
    let s = check(&["a@b.co", "17", "  call me ", "", "", "", ""]).unwrap();
    assert_eq!(
        units(&s),
        [(1, VOICE, false, "call me"), (4, MAIL, true, "a@b.co")]
    );
    assert_eq!(
        s.reports,
        [Report {
            reason: Reason::BadDevice,
            column: Some(1),
            field: Some(2),
        }]
    );
}

#[test]
fn the_same_bad_device_twice_is_one_unit_and_one_report() {
    let s = check(&["a@b.co", "17", "n/a", " n/a", "", "", ""]).unwrap();
    assert_eq!(s.units.len(), 2);
    assert_eq!(reasons(&s), [Reason::BadDevice]);
}

#[test]
fn a_contact_without_a_valid_device_is_loaded_and_reported() {
    let bad = check(&["nobody", "17", "12", "", "", "", ""]).unwrap();
    assert_eq!(
        reasons(&bad),
        [Reason::BadDevice, Reason::BadDevice, Reason::NoValidDevice]
    );
    let none = check(&["", "17", " ", "", "", "", ""]).unwrap();
    assert_eq!(none.units, []);
    assert_eq!(reasons(&none), [Reason::NoValidDevice]);
}

#[test]
fn the_text_of_a_bad_device_is_bounded() {
    let s = check(&["", "17", &"я".repeat(10_000), "", "", "", ""]).unwrap();
    assert_eq!(s.text_of(&s.units[0]), "я".repeat(MAX_INVALID_UNIT_CHARS));
}

#[test]
fn nothing_of_the_row_before_is_left() {
    let rules = rules();
    let mut s = Scratch::default();
    let first = Row::new(&["x", "17", "020 7551 8700", "12", "", "", ""]);
    rules.check(first.fields(), &mut s).unwrap();
    let second = Row::new(&["a@b.co", "18", "", "", "", "", ""]);
    rules.check(second.fields(), &mut s).unwrap();
    assert_eq!(units(&s), [(4, MAIL, true, "a@b.co")]);
    assert_eq!(s.values.len(), 7);
    assert_eq!(s.reports, []);
}

#[test]
fn without_an_identifier_column_rows_have_none() {
    let mut shape = list();
    shape.identifier = None;
    let names: Vec<String> = shape.columns.iter().map(|c| c.name.clone()).collect();
    let rules = RowRules::new(&shape, &names, &account()).unwrap();
    let row = Row::new(&["", "", "", "", "", "", ""]);
    let checked = rules.check(row.fields(), &mut Scratch::default()).unwrap();
    assert_eq!(checked.identifier_field, None);
    assert_eq!(rules.identifier(row.fields()), None);
}

#[test]
fn where_units_are_required_a_row_without_a_valid_one_is_refused() {
    let shape = Shape {
        units_required: true,
        identifier: None,
        ..list()
    };
    let names: Vec<String> = shape.columns.iter().map(|c| c.name.clone()).collect();
    let rules = RowRules::new(&shape, &names, &account()).unwrap();
    let mut s = Scratch::default();
    let mut check = |phone: &str, email: &str| {
        let row = Row::new(&["", phone, "", "", email, "", ""]);
        rules
            .check(row.fields(), &mut s)
            .map(|_| reasons(&s))
            .map_err(|refused| (refused.reason, refused.column, refused.message.into_owned()))
    };
    let refused = |column, message: &str| Err((Reason::NoValidDevice, column, message.to_owned()));
    assert_eq!(check(" ", ""), refused(None, "the row has no unit"));
    assert_eq!(
        check(" 12", "nobody"),
        refused(Some(1), "\"12\" is not a valid phone number")
    );
    assert_eq!(check("12", "ann@example.org"), Ok(vec![Reason::BadDevice]));
    assert_eq!(check("+44 20 7946 0958", ""), Ok(vec![]));
}

#[test]
fn a_header_or_an_account_that_does_not_fit_is_refused() {
    let names = ["id", "phone"].map(str::to_owned);
    let error = RowRules::new(&list(), &names, &account()).unwrap_err();
    assert_eq!(error.reason, Reason::HeaderMissing);
    let names: Vec<String> = list().columns.iter().map(|c| c.name.clone()).collect();
    let lost = Account {
        default_country: "Atlantis".to_owned(),
        ..account()
    };
    let error = RowRules::new(&list(), &names, &lost).unwrap_err();
    assert_eq!(error.reason, Reason::Rule);
    assert!(error.message.contains("\"Atlantis\""));
}

proptest! {
    #[test]
    fn every_row_is_loaded_or_refused_and_its_units_differ(
        cells in prop::collection::vec("[ 0-9+a-z@.,\u{e9}-]{0,16}", 6..9),
    ) {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        match check(&cells) {
            Ok(s) => {
                prop_assert_eq!(s.values.len(), 7);
                let mut seen = std::collections::HashSet::new();
                for unit in &s.units {
                    prop_assert!(!s.text_of(unit).is_empty());
                    prop_assert!(seen.insert((unit.unit_type, unit.inbox_id, s.text_of(unit))));
                }
                let usable = s.units.iter().any(|unit| unit.valid);
                prop_assert_eq!(usable, !reasons(&s).contains(&Reason::NoValidDevice));
            }
            Err(refused) => prop_assert_eq!(refused.reason.severity(), crate::reason::Severity::Row),
        }
    }
}
