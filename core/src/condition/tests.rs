//! What must hold for conditions.
#![allow(clippy::unwrap_used)]

mod properties;
mod written;

use super::*;
use serde_json::json;

fn fields() -> Vec<Field> {
    FieldType::ALL
        .iter()
        .map(|&field_type| Field {
            name: format!("the {field_type}"),
            sql: format!("k.\"{field_type}\""),
            field_type,
        })
        .collect()
}

fn full(comparison: Value) -> Value {
    json!({"any": [{"all": [comparison]}]})
}

fn comparison(field: &str, operator: &str, value: Value) -> Value {
    full(json!({"field": field, "operator": operator, "value": value}))
}

fn resolved(document: &Value) -> Result<Condition, ConditionError> {
    Condition::parse(document)?.resolved(&fields())
}

/// The value in the form in which it is stored.
fn stored(field: &str, operator: &str, value: Value) -> Value {
    let condition = resolved(&comparison(field, operator, value)).unwrap();
    let document = serde_json::to_value(&condition).unwrap();
    document
        .pointer("/any/0/all/0/value")
        .cloned()
        .unwrap_or_default()
}

fn sql(document: &Value) -> Result<String, ConditionError> {
    Condition::parse(document)?.to_sql(&fields())
}

fn refused(document: &Value) -> ConditionError {
    resolved(document).unwrap_err()
}

#[test]
fn one_set_and_one_comparison_are_read_as_the_full_form() {
    let one = json!({"field": "the text", "operator": "equal", "value": "x"});
    let expected = full(one.clone());
    for document in [one.clone(), json!({"all": [one]}), expected.clone()] {
        let condition = Condition::parse(&document).unwrap();
        assert_eq!(serde_json::to_value(&condition).unwrap(), expected);
    }
}

#[test]
fn fields_are_found_as_headers_are_and_exact_names_win() {
    for name in ["the text", "The_Text", "THE-TEXT"] {
        let condition = resolved(&comparison(name, "equal", json!("x"))).unwrap();
        assert_eq!(condition.any[0].all[0].field, "the text");
    }
    let field = |name: &str, sql: &str| Field {
        name: name.to_owned(),
        sql: sql.to_owned(),
        field_type: FieldType::Text,
    };
    let alike = [field("a b", "k.first"), field("A_B", "k.second")];
    let exact = Condition::parse(&comparison("A_B", "is_empty", Value::Null)).unwrap();
    assert!(exact.to_sql(&alike).unwrap().contains("k.second"));
    let either = Condition::parse(&comparison("ab", "is_empty", Value::Null)).unwrap();
    let error = either.check(&alike).unwrap_err();
    assert_eq!(error.path, "any[0].all[0].field");
    assert_eq!(error.message, "\"ab\" can be any of these fields: a b, A_B");
}

#[test]
fn each_mistake_is_named_with_its_path() {
    let one = || json!({"field": "the text", "operator": "equal", "value": "x"});
    let cases = [
        (json!(null), ""),
        (json!([]), ""),
        (json!({}), ""),
        (json!({"value": 1}), ""),
        (json!({"sets": []}), "sets"),
        (json!({"any": []}), "any"),
        (json!({"any": {}}), "any"),
        (json!({"any": [], "all": []}), "all"),
        (json!({"any": [[]]}), "any[0]"),
        (json!({"any": [{"all": []}]}), "any[0].all"),
        (
            json!({"any": [{"all": [one()]}, {"any": []}]}),
            "any[1].any",
        ),
        (json!({"any": vec![json!({"all": [one()]}); 101]}), "any"),
        (json!({"all": vec![one(); 101]}), "any[0].all"),
        (
            json!({"all": [one(), {"all": [one()]}]}),
            "any[0].all[1].all",
        ),
        (
            full(json!({"field": "the text", "operator": "equal", "valeu": 1})),
            "any[0].all[0].valeu",
        ),
        (full(json!({"operator": "is_empty"})), "any[0].all[0].field"),
        (
            full(json!({"field": 1, "operator": "is_empty"})),
            "any[0].all[0].field",
        ),
        (
            full(json!({"field": " ", "operator": "is_empty"})),
            "any[0].all[0].field",
        ),
        (full(json!({"field": "the text"})), "any[0].all[0].operator"),
        (
            comparison("the text", "equals", json!("x")),
            "any[0].all[0].operator",
        ),
        (
            comparison("the text", "equal", json!(null)),
            "any[0].all[0].value",
        ),
        (
            comparison("the text", "is_empty", json!("x")),
            "any[0].all[0].value",
        ),
        (
            json!({"all": [one(), {"field": "balanc", "operator": "is_empty"}]}),
            "any[0].all[1].field",
        ),
    ];
    for (document, path) in cases {
        let error = refused(&document);
        assert_eq!(error.path, path, "{document}: {error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn an_unknown_field_is_answered_with_those_that_are_known() {
    let error = refused(&comparison("x\"; drop table y; --", "equal", json!("x")));
    assert_eq!(
        error.to_string(),
        "any[0].all[0].field: there is no field \"x\"; drop table y; --\"; known fields: the text, \
         the integer, the numeric, the boolean, the date, the timestamptz, the text[]"
    );
    let condition = Condition::parse(&comparison("x", "is_empty", json!(null))).unwrap();
    let message = condition.check(&[]).unwrap_err().message;
    assert_eq!(
        message,
        "there is no field \"x\"; there are no fields at all"
    );
}

#[test]
fn an_operator_must_fit_the_type_of_its_field() {
    for &operator in Operator::ALL {
        for &field_type in FieldType::ALL {
            let value = match (operator, field_type) {
                (Operator::IsEmpty | Operator::IsNotEmpty, _) => json!(null),
                (Operator::In | Operator::NotIn, FieldType::Text) => json!(["a"]),
                (Operator::In | Operator::NotIn, FieldType::Date) => json!(["2026-01-31"]),
                (Operator::In | Operator::NotIn, _) => json!([1]),
                (Operator::MoreThanDaysAgo | Operator::LessThanDaysAgo, _) => json!(3),
                (Operator::Like | Operator::NotLike, _) => json!("a"),
                (Operator::Contains | Operator::DoesNotContain, _) => json!("a"),
                (_, FieldType::Integer | FieldType::Numeric) => json!(1),
                (_, FieldType::Boolean) => json!(true),
                (_, FieldType::Date | FieldType::Timestamptz) => json!("2026-01-31"),
                _ => json!("a"),
            };
            let document = comparison(&format!("the {field_type}"), operator.as_str(), value);
            match sql(&document) {
                Ok(_) => assert!(operator.fits(field_type), "{document}"),
                Err(error) => {
                    assert!(!operator.fits(field_type), "{document}: {error}");
                    assert_eq!(error.path, "any[0].all[0].operator");
                    assert!(error.hint.starts_with("Use one of: "), "{}", error.hint);
                }
            }
        }
    }
}

#[test]
fn values_are_stored_as_their_type_writes_them() {
    for (field, given, expected) in [
        ("the text", json!(" Kyiv "), json!(" Kyiv ")),
        ("the integer", json!("+007"), json!(7)),
        ("the integer", json!(1e3), json!(1000)),
        ("the integer", json!(i64::MIN), json!(i64::MIN)),
        ("the numeric", json!("100.50"), json!(100.5)),
        ("the numeric", json!(-0.0), json!(0)),
        ("the numeric", json!("-0.00"), json!(0)),
        ("the numeric", json!("1e3"), json!(1000)),
        ("the numeric", json!("15E-1"), json!(1.5)),
        ("the numeric", json!(".5"), json!(0.5)),
        (
            "the numeric",
            json!("12345678901234567890.10"),
            json!("12345678901234567890.1"),
        ),
        ("the boolean", json!(true), json!(true)),
        ("the boolean", json!("No"), json!(false)),
        ("the date", json!("31.01.2026"), json!("2026-01-31")),
        (
            "the timestamptz",
            json!("2026-01-31"),
            json!("2026-01-31T00:00:00Z"),
        ),
        (
            "the timestamptz",
            json!("2026-01-31T01:30:00.25+02:00"),
            json!("2026-01-30T23:30:00.250Z"),
        ),
    ] {
        assert_eq!(stored(field, "equal", given.clone()), expected, "{given}");
        assert_eq!(stored(field, "equal", expected.clone()), expected);
    }
    assert_eq!(
        stored("the date", "more_than_days_ago", json!(" 30 ")),
        json!(30)
    );
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    for (field, operator, value) in [
        ("the text", "equal", json!(10115)),
        ("the text", "equal", json!(" ")),
        ("the text", "equal", json!("a\u{0}b")),
        ("the text", "equal", json!(["a"])),
        ("the text", "equal", json!("x".repeat(8_193))),
        ("the text", "contains", json!("")),
        ("the text", "contains", json!(5)),
        ("the text", "like", json!("100\\")),
        ("the text", "like", json!("100\\\\\\")),
        ("the integer", "equal", json!(1.5)),
        ("the integer", "equal", json!("ten")),
        ("the integer", "equal", json!(9_223_372_036_854_775_808_u64)),
        ("the numeric", "equal", json!("NaN")),
        ("the numeric", "equal", json!(true)),
        ("the numeric", "equal", json!(0.1 + 0.2)),
        ("the numeric", "equal", json!(1e200)),
        ("the numeric", "equal", json!("1e100")),
        ("the boolean", "equal", json!(1)),
        ("the date", "equal", json!("2026-02-30")),
        ("the date", "equal", json!(20_260_131)),
        ("the date", "more_than_days_ago", json!(-1)),
        ("the date", "more_than_days_ago", json!(1.5)),
        ("the date", "more_than_days_ago", json!(36_501)),
        (
            "the timestamptz",
            "equal",
            json!("0001-01-01T00:00:00+02:00"),
        ),
        (
            "the timestamptz",
            "equal",
            json!("9999-12-31T23:00:00-02:00"),
        ),
    ] {
        let error = refused(&comparison(field, operator, value.clone()));
        assert_eq!(error.path, "any[0].all[0].value", "{value}: {error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn in_takes_an_array_or_a_text_with_commas() {
    for (given, expected) in [
        (json!(["a", " b "]), json!(["a", " b "])),
        (json!(" a ,b,c d"), json!(["a", "b", "c d"])),
        (json!("\" a, b \" , c"), json!([" a, b ", "c"])),
        (json!("\"the \"\"best\"\"\""), json!(["the \"best\""])),
        (json!("O'Neil, d\"or"), json!(["O'Neil", "d\"or"])),
    ] {
        assert_eq!(stored("the text", "in", given.clone()), expected, "{given}");
        assert_eq!(stored("the text", "not_in", expected.clone()), expected);
    }
    assert_eq!(stored("the integer", "in", json!("1, 2")), json!([1, 2]));
    for (bad, path) in [
        (json!([]), ""),
        (json!(""), ""),
        (json!("a,,b"), ""),
        (json!("a,"), ""),
        (json!("\"a"), ""),
        (json!("\"a\"b"), ""),
        (json!(5), ""),
        (json!({}), ""),
        (json!(["a", null]), "[1]"),
        (json!(["a", ["b"]]), "[1]"),
        (json!(["a", 5]), "[1]"),
        (json!(vec!["a"; 1_001]), ""),
        (json!(vec!["a"; 1_001].join(",")), ""),
    ] {
        let error = refused(&comparison("the text", "in", bad.clone()));
        assert_eq!(error.path, format!("any[0].all[0].value{path}"), "{error}");
    }
    let thousand = json!(vec!["a"; 1_000].join(","));
    assert_eq!(stored("the text", "in", thousand), json!(vec!["a"; 1_000]));
}

#[test]
fn the_values_of_a_condition_are_limited_together() {
    let one = json!({"field": "the text", "operator": "equal", "value": "x".repeat(8_000)});
    let set = |count| json!({"all": vec![one.clone(); count]});
    assert!(resolved(&json!({"any": [set(100)]})).is_ok());
    let error = refused(&json!({"any": [set(100), set(100)]}));
    assert_eq!(error.path, "any[1].all[24].value");
}
