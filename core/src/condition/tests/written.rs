//! What must hold for the SQL of conditions.

use super::super::sql::quoted;
use super::*;

/// SQL as Postgres reads it: what stands outside of literals, with `?` for each of them, and the
/// texts of the literals. `None` when a quote does not close.
pub(super) fn read_sql(sql: &str) -> Option<(String, Vec<String>)> {
    let (mut outside, mut texts) = (String::new(), Vec::new());
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '"' {
            outside.push(c);
            loop {
                let inside = rest.next()?;
                outside.push(inside);
                if inside == '"' {
                    break;
                }
            }
        } else if c == '\'' {
            let escapes = outside.ends_with('E');
            if escapes {
                outside.pop();
            }
            let mut text = String::new();
            loop {
                match rest.next()? {
                    '\'' if rest.peek() == Some(&'\'') => text.extend(rest.next()),
                    '\'' => break,
                    '\\' if escapes => text.push(match rest.next()? {
                        't' => '\t',
                        'n' => '\n',
                        'r' => '\r',
                        'f' => '\u{C}',
                        'x' => hexadecimal(&mut rest, 2)?,
                        'u' => hexadecimal(&mut rest, 4)?,
                        c => c,
                    }),
                    c => text.push(c),
                }
            }
            outside.push('?');
            texts.push(text);
        } else {
            outside.push(c);
        }
    }
    Some((outside, texts))
}

fn hexadecimal(rest: &mut impl Iterator<Item = char>, digits: usize) -> Option<char> {
    let digits: String = rest.take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

#[test]
fn every_comparison_is_strict_and_keeps_its_value_in_a_literal() {
    let null = || json!(null);
    for (field, operator, value, expected) in [
        (
            "the text",
            "equal",
            json!("a'b"),
            "(k.\"text\" IS NOT NULL AND k.\"text\" = 'a''b'::text)",
        ),
        (
            "the text",
            "not_equal",
            json!("\\'"),
            r#"(NOT (k."text" IS NOT NULL AND k."text" = E'\\'''::text))"#,
        ),
        (
            "the integer",
            "less_than",
            json!(-5),
            "(k.\"integer\" IS NOT NULL AND k.\"integer\" < '-5'::bigint)",
        ),
        (
            "the numeric",
            "not_equal",
            json!(1.50),
            "(k.\"numeric\" IS NOT NULL AND NOT (k.\"numeric\" = '1.5'::numeric))",
        ),
        (
            "the numeric",
            "not_in",
            json!("1, 2"),
            "(k.\"numeric\" IS NOT NULL AND NOT (k.\"numeric\" IN ('1'::numeric, '2'::numeric)))",
        ),
        (
            "the boolean",
            "not_equal",
            json!(true),
            "(NOT (k.\"boolean\" IS NOT NULL AND k.\"boolean\" = true))",
        ),
        (
            "the date",
            "greater_than_or_equal",
            json!("20260131"),
            "(k.\"date\" IS NOT NULL AND k.\"date\" >= DATE '2026-01-31')",
        ),
        (
            "the timestamptz",
            "less_than_or_equal",
            json!("2026-01-31T12:00+02:00"),
            "(k.\"timestamptz\" IS NOT NULL AND k.\"timestamptz\" <= TIMESTAMPTZ '2026-01-31 10:00:00+00')",
        ),
        ("the date", "is_empty", null(), "(k.\"date\" IS NULL)"),
        (
            "the text[]",
            "is_not_empty",
            null(),
            "(NOT (k.\"text[]\" IS NULL OR pg_catalog.cardinality(k.\"text[]\") = 0))",
        ),
        (
            "the date",
            "more_than_days_ago",
            json!(3),
            "(k.\"date\" IS NOT NULL AND k.\"date\" < (($now)::timestamptz AT TIME ZONE 'UTC')::date - 3)",
        ),
        (
            "the timestamptz",
            "less_than_days_ago",
            json!(2),
            "(k.\"timestamptz\" IS NOT NULL AND k.\"timestamptz\" > ($now)::timestamptz - INTERVAL '48 hours' AND k.\"timestamptz\" <= ($now)::timestamptz)",
        ),
    ] {
        // The name of the array's column is no plain name.
        let expected = expected.replace("k.\"text[]\"", "(k.\"text[]\")");
        let document = comparison(field, operator, value);
        assert_eq!(sql(&document).unwrap(), format!("({expected})"));
        let uses_now = Condition::parse(&document).unwrap().uses_now();
        assert_eq!(uses_now, expected.contains(NOW));
    }
}

#[test]
fn sets_are_joined_by_or_and_comparisons_by_and() {
    let empty = |field: &str| json!({"field": field, "operator": "is_empty"});
    let document = json!({"any": [
        {"all": [empty("the date"), empty("the integer")]},
        {"all": [empty("the boolean")]}
    ]});
    assert_eq!(
        sql(&document).unwrap(),
        "(((k.\"date\" IS NULL) AND (k.\"integer\" IS NULL)) OR ((k.\"boolean\" IS NULL)))"
    );
}

#[test]
fn a_value_never_holds_the_placeholder_for_now() {
    let document = comparison("the text", "equal", json!("it's $now or $1"));
    let sql = sql(&document).unwrap();
    assert!(!sql.contains(NOW), "{sql}");
    assert_eq!(read_sql(&sql).unwrap().1, ["it's $now or $1"]);
    let field = Field {
        name: "a".to_owned(),
        sql: "k.attributes ->> '$now'".to_owned(),
        field_type: FieldType::Text,
    };
    let condition = Condition::parse(&comparison("a", "is_empty", json!(null))).unwrap();
    assert_eq!(
        condition.to_sql(&[field]).unwrap_err().path,
        "any[0].all[0].field"
    );
}

#[test]
fn hostile_texts_stay_texts() {
    assert_eq!(quoted("a\0b"), None);
    for text in [
        "'",
        "''",
        "\\",
        "\\'",
        "'; drop table y; --",
        "x\"; drop table y; --",
        "E'",
        "$$",
        "😀",
        "/*",
        "$now'\\",
    ] {
        let quoted = quoted(text).unwrap();
        assert_eq!(
            read_sql(&quoted).unwrap(),
            ("?".to_owned(), vec![text.to_owned()])
        );
    }
}
