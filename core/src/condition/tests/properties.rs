//! What must hold for any condition, and for whatever is taken for one.

use super::written::read_sql;
use super::*;
use proptest::prelude::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(Operator::ALL).prop_map(|operator| json!(operator)),
        prop::sample::select(fields()).prop_map(|field| json!(field.name)),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop::sample::select(vec!["any", "all", "field", "operator", "value", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// Any field, operator and value; most of them fit each other.
fn any_comparison() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (any::<i32>(), 0..12_i32)
            .prop_map(|(digits, places)| json!(f64::from(digits) / 10_f64.powi(places))),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[-+]?[0-9]{1,30}([.][0-9]{1,30})?(e-?[0-9]{1,2})?".prop_map(Value::from),
        "[a'\"\\\\%_$;now -]{1,12}".prop_map(Value::from),
        "[0-9]{4}-0[1-9]-[0-2][0-9](T[01][0-9]:[0-5][0-9]([+-]0[0-9])?)?".prop_map(Value::from),
    ];
    let value = prop_oneof![
        4 => one.clone(),
        1 => prop::collection::vec(one, 1..5).prop_map(Value::from),
        1 => (0..40_000_u32).prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let field = prop::sample::select(fields());
    (field, prop::sample::select(Operator::ALL), value).prop_map(
        |(field, operator, value)| json!({"field": field.name, "operator": operator, "value": value}),
    )
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop::collection::vec(prop::collection::vec(any_comparison(), 1..6), 1..4).prop_filter_map(
        "no comparison that fits",
        |sets| {
            let fitting = |set: Vec<Value>| -> Option<Value> {
                let all: Vec<Value> = set
                    .into_iter()
                    .filter(|comparison| resolved(comparison).is_ok())
                    .collect();
                (!all.is_empty()).then(|| json!({"all": all}))
            };
            let any: Vec<Value> = sets.into_iter().filter_map(fitting).collect();
            Condition::parse(&json!({"any": any})).ok()
        },
    )
}

proptest! {
    #[test]
    fn no_json_makes_reading_panic(document in any_json()) {
        let _ = sql(&document);
    }

    #[test]
    fn no_comparison_makes_reading_panic(document in any_comparison()) {
        let _ = sql(&document);
    }

    #[test]
    fn a_condition_reads_back_as_it_was_written(condition in any_condition()) {
        let text = serde_json::to_string(&condition).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Condition::parse(&document), Ok(condition.clone()));

        let resolved = condition.resolved(&fields()).unwrap();
        let text = serde_json::to_string(&resolved).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Condition::parse(&document), Ok(resolved.clone()));
        prop_assert_eq!(resolved.resolved(&fields()), Ok(resolved.clone()));
        prop_assert_eq!(resolved.to_sql(&fields()), condition.to_sql(&fields()));
    }

    #[test]
    fn nothing_of_a_text_gets_outside_of_its_literal(
        operator in prop::sample::select(vec!["equal", "not_equal", "like", "contains", "does_not_contain", "in"]),
        text in prop_oneof![any::<String>(), "[a'\"\\\\%_$;now(){}/*-]{1,20}"],
    ) {
        let text = format!("x{}x", text.replace('\0', ""));
        let value = |text: &str| match operator {
            "in" => json!([text]),
            _ => json!(text),
        };
        if let Ok(hostile) = sql(&comparison("the text", operator, value(&text))) {
            let (outside, texts) = read_sql(&hostile).unwrap();
            let harmless = sql(&comparison("the text", operator, value("xx"))).unwrap();
            prop_assert_eq!(outside, read_sql(&harmless).unwrap().0);
            prop_assert!(texts.contains(&text));
            prop_assert!(!hostile.contains(NOW));
        }
    }

    #[test]
    fn every_condition_has_closed_quotes_and_parentheses(condition in any_condition()) {
        let (outside, _) = read_sql(&condition.to_sql(&fields()).unwrap()).unwrap();
        let mut depth = 0_i32;
        for (at, c) in outside.char_indices() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            prop_assert!(depth > 0 || at + 1 == outside.len());
        }
        prop_assert_eq!(depth, 0);
        for word in [";", "--", "/*", "$1", "\\"] {
            prop_assert!(!outside.contains(word), "{}", outside);
        }
    }

    #[test]
    fn a_plain_number_is_the_same_number(
        negative: bool, whole in "[0-9]{1,20}", fraction in "[0-9]{0,20}", exponent in -30..=30_i32,
    ) {
        let sign = if negative { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}e{exponent}");
        let read = |text: &str| crate::value::Decimal::parse(text).and_then(fields::plain);
        let digits = read(&text).unwrap();
        prop_assert_eq!(digits.parse::<f64>().unwrap(), text.parse::<f64>().unwrap());
        prop_assert_eq!(read(&digits), Some(digits));
    }

    #[test]
    fn fifteen_digits_of_a_json_number_are_kept(
        number in -999_999_999_999_999..=999_999_999_999_999_i64,
        places in 0..=22_u32,
    ) {
        let digits = format!("{number}e-{places}");
        let document: Value = serde_json::from_str(&digits).unwrap();
        let expected = crate::value::Decimal::parse(&digits).and_then(fields::plain).unwrap();
        let sql = sql(&comparison("the numeric", "equal", document)).unwrap();
        prop_assert!(sql.contains(&format!("= '{expected}'::numeric")), "{} in {}", expected, sql);
    }
}
