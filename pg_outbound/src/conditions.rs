//! Conditions and orders as SQL functions: checked against the fields of a list or of conversations,
//! and written as SQL that the caller builds into a query.

use outbound_core::condition::{Condition, ConditionError, Field};
use outbound_core::order::Order;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde::Serialize;

use crate::error::{given_document, invalid, own_document, raise};

/// Checks a condition, JSON text, against the fields and returns it in the form in which it is stored:
/// all sets, fields by their own names, values as their types write them. Null, and the JSON null, are
/// no condition: null.
///
/// `fields` is `[{"name": …, "sql": …, "type": "text|integer|numeric|boolean|date|timestamptz|text[]"}]`.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the place by its JSON path.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_condition(condition: Option<&str>, fields: JsonB) -> Option<JsonB> {
    let document = given_document("condition", condition);
    if document.is_null() {
        return None;
    }
    let fields = known(fields);
    let checked = Condition::parse(&document)
        .and_then(|condition| condition.resolved(&fields))
        .unwrap_or_else(|error| refused("condition", &error));
    Some(stored("condition", &checked))
}

/// A condition as an SQL expression that is true or false; null for no condition. `$now` in it stands
/// for the current moment, and never occurs in a literal.
///
/// # Errors
/// Raises `invalid_parameter_value` where the condition does not fit the fields.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn condition_sql(condition: Option<JsonB>, fields: JsonB) -> Option<String> {
    let document = condition.filter(|document| !document.0.is_null())?.0;
    let fields = known(fields);
    Some(
        Condition::parse(&document)
            .and_then(|condition| condition.to_sql(&fields))
            .unwrap_or_else(|error| refused("condition", &error)),
    )
}

/// Checks an order, JSON text, against the fields and returns it in the form in which it is stored:
/// columns by their own names, every direction filled in. Null, and the JSON null, are no order: null.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the place by its JSON path.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_order(ordering: Option<&str>, fields: JsonB) -> Option<JsonB> {
    let document = given_document("order", ordering);
    if document.is_null() {
        return None;
    }
    let fields = known(fields);
    let checked = Order::parse(&document)
        .and_then(|order| order.resolved(&fields))
        .unwrap_or_else(|error| refused("order", &error));
    Some(stored("order", &checked))
}

/// What stands behind ORDER BY; null for no order and for one without columns, so that `concat_ws` can
/// add the caller's own columns.
///
/// # Errors
/// Raises `invalid_parameter_value` where the order does not fit the fields.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn order_sql(ordering: Option<JsonB>, fields: JsonB) -> Option<String> {
    let document = ordering.filter(|document| !document.0.is_null())?.0;
    let fields = known(fields);
    let sql = Order::parse(&document)
        .and_then(|order| order.to_sql(&fields))
        .unwrap_or_else(|error| refused("order", &error));
    (!sql.is_empty()).then_some(sql)
}

fn known(fields: JsonB) -> Vec<Field> {
    own_document("the fields of a condition", fields.0)
}

fn refused(what: &str, error: &ConditionError) -> ! {
    let detail = if error.path.is_empty() {
        String::new()
    } else {
        format!("Field: {}", error.path)
    };
    invalid(format!("{what}: {error}"), &detail, &error.hint)
}

fn stored(what: &str, checked: &impl Serialize) -> JsonB {
    JsonB(serde_json::to_value(checked).unwrap_or_else(|error| {
        raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("the {what} cannot be written"),
            &error.to_string(),
            "",
        )
    }))
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, run, value};

    const FIELDS: &str = r#"[
        {"name": "Name", "sql": "p.name", "type": "text"},
        {"name": "Calls", "sql": "p.calls", "type": "integer"},
        {"name": "Balance", "sql": "p.balance", "type": "numeric"},
        {"name": "Vip", "sql": "p.vip", "type": "boolean"},
        {"name": "Born", "sql": "p.born", "type": "date"},
        {"name": "Seen", "sql": "p.seen", "type": "timestamptz"},
        {"name": "Labels", "sql": "p.labels", "type": "text[]"}]"#;

    /// A table with a row for each way of being filled.
    fn people() {
        run("CREATE TEMPORARY TABLE people (id integer, name text, calls bigint, balance numeric, vip boolean,
                 born date, seen timestamptz, labels text[]);
             INSERT INTO people VALUES
                 (1, 'Anna Smith', 3, 100.50, true, '2000-01-31', '2026-03-01 10:00+00', '{VIP,new}'),
                 (2, 'anna_100%', -5, -0.5, false, '2026-02-27', '2026-03-09 13:00+00', '{}'),
                 (3, 'O''Neil \\ \"x\"; drop table y; --', 0, 0, NULL, '2026-03-10', '2026-03-10 12:00+00', '{a,NULL}'),
                 (4, E' \\t\\u00A0', NULL, NULL, NULL, NULL, NULL, NULL),
                 (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL)");
    }

    /// Numbers of the rows that satisfy `field operator value` at 2026-03-10 12:00 UTC; the condition
    /// must be true or false for each.
    fn found(field: &str, operator: &str, wanted: &str) -> String {
        let condition =
            format!(r#"{{"field": "{field}", "operator": "{operator}", "value": {wanted}}}"#);
        let sql: String = value(&format!(
            "SELECT replace(outbound.condition_sql(outbound.check_condition($c${condition}$c$, $f${FIELDS}$f$), $f${FIELDS}$f$),
                 '$now', $n$'2026-03-10 12:00+00'$n$)"
        ));
        run(
            "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL timezone = 'America/New_York';
             SET LOCAL datestyle = 'SQL, DMY'",
        );
        let rows = value(&format!(
            "SELECT coalesce(string_agg(CASE WHEN holds THEN id::text WHEN holds IS NULL THEN 'null' END, ' ' ORDER BY id), '')
             FROM (SELECT p.id, {sql} AS holds FROM pg_temp.people AS p) AS row"
        ));
        run("RESET search_path; RESET timezone; RESET datestyle");
        rows
    }

    #[pg_test]
    fn operators_find_the_rows_that_the_rules_name() {
        people();
        for (field, operator, wanted, rows) in [
            ("name", "equal", r#""Anna Smith""#, "1"),
            ("name", "equal", r#""anna smith""#, ""),
            ("name", "not_equal", r#""Anna Smith""#, "2 3 4 5"),
            ("name", "like", r#""ANNA%""#, "1 2"),
            ("name", "like", r#""anna\\_%""#, "2"),
            ("name", "like", r#""%""#, "1 2 3"),
            ("name", "not_like", r#""%""#, "4 5"),
            ("name", "not_like", r#""anna%""#, "3 4 5"),
            ("name", "in", r#"["ANNA SMITH", "x"]"#, "1"),
            ("name", "in", r#"" anna smith , anna_100% ""#, "1 2"),
            ("name", "not_in", r#"["anna smith"]"#, "2 3 4 5"),
            ("name", "contains", r#""A_1""#, "2"),
            ("name", "contains", r#""%""#, "2"),
            ("name", "contains", r#""\\""#, "3"),
            ("name", "contains", r#"" ""#, "1 3"),
            ("name", "contains", r#""X\"; DROP table y; --""#, "3"),
            ("name", "contains", r#""$now""#, ""),
            ("name", "does_not_contain", r#""anna""#, "3 4 5"),
            ("name", "does_not_contain", r#"" ""#, "2 4 5"),
            ("name", "is_empty", "null", "4 5"),
            ("name", "is_not_empty", "null", "1 2 3"),
            ("calls", "equal", "3", "1"),
            ("calls", "not_equal", "3", "2 3"),
            ("calls", "in", "[3, -5]", "1 2"),
            ("calls", "not_in", "[3, -5]", "3"),
            ("calls", "less_than", "0", "2"),
            ("calls", "is_empty", "null", "4 5"),
            ("balance", "equal", "100.5", "1"),
            ("balance", "not_equal", "100.5", "2 3"),
            ("balance", "less_than", "0", "2"),
            ("balance", "less_than_or_equal", "\"0.00\"", "2 3"),
            ("balance", "greater_than", "-0.5", "1 3"),
            ("balance", "greater_than_or_equal", "-0.5", "1 2 3"),
            ("vip", "equal", "true", "1"),
            ("vip", "not_equal", "true", "2 3 4 5"),
            ("vip", "is_empty", "null", "3 4 5"),
            ("born", "equal", r#""2000-01-31""#, "1"),
            ("born", "not_equal", r#""31.01.2000""#, "2 3 4 5"),
            ("born", "not_in", r#"["2000-01-31"]"#, "2 3 4 5"),
            ("born", "less_than", r#""2026-02-27""#, "1"),
            ("born", "more_than_days_ago", "11", "1"),
            ("born", "more_than_days_ago", "10", "1 2"),
            ("born", "less_than_days_ago", "12", "2 3"),
            ("born", "less_than_days_ago", "0", ""),
            ("seen", "equal", r#""2026-03-01T12:00+02:00""#, "1"),
            ("seen", "greater_than", r#""2026-03-09T13:00:00Z""#, "3"),
            ("seen", "more_than_days_ago", "1", "1"),
            ("seen", "less_than_days_ago", "1", "2 3"),
            ("seen", "is_not_empty", "null", "1 2 3"),
            ("labels", "contains", r#""vip""#, "1"),
            ("labels", "contains", r#""v""#, ""),
            ("labels", "does_not_contain", r#""VIP""#, "2 3 4 5"),
            ("labels", "is_empty", "null", "2 4 5"),
            ("labels", "is_not_empty", "null", "1 3"),
        ] {
            assert_eq!(
                found(field, operator, wanted),
                rows,
                "{field} {operator} {wanted}"
            );
        }
    }

    #[pg_test]
    fn a_condition_without_now_can_be_the_predicate_of_an_index() {
        people();
        for (field, operator, wanted) in [
            ("name", "like", r#""a%""#),
            ("name", "not_in", r#"["a", "b"]"#),
            ("name", "contains", r#"" $now \\""#),
            ("name", "is_empty", "null"),
            ("balance", "not_equal", "1.5"),
            ("vip", "equal", "true"),
            ("born", "less_than", r#""0099-12-31""#),
            ("seen", "greater_than", r#""9999-12-31T23:59:59.999999Z""#),
            ("labels", "is_empty", "null"),
        ] {
            run(&format!(
                "DO $do$ BEGIN
                     EXECUTE 'CREATE INDEX ON people (id) WHERE ' || replace(outbound.condition_sql(outbound.check_condition(
                         $c${{\"field\": \"{field}\", \"operator\": \"{operator}\", \"value\": {wanted}}}$c$, $f${FIELDS}$f$), $f${FIELDS}$f$),
                         'p.', '');
                 END $do$"
            ));
        }
        let years: String = value(
            "SELECT string_agg(pg_get_expr(indpred, indrelid), ' ') FROM pg_index
             WHERE indrelid = 'pg_temp.people'::regclass AND pg_get_expr(indpred, indrelid) ~ 'born|seen'",
        );
        assert!(years.contains("'0099-12-31'::date"), "{years}");
    }

    #[pg_test]
    fn a_condition_is_stored_in_full_and_means_the_same_when_it_is_read_again() {
        let check = |text: &str| {
            value::<String>(&format!(
                "SELECT outbound.check_condition($c${text}$c$, $f${FIELDS}$f$)::text"
            ))
        };
        let stored = check(
            r#"{"all": [{"field": "BALANCE", "operator": "in", "value": "1.50, 1e20, 0.00000000001"},
                        {"field": "born", "operator": "less_than", "value": "20260131"},
                        {"field": "name", "operator": "is_empty"}]}"#,
        );
        assert_eq!(
            stored,
            r#"{"any": [{"all": [{"field": "Balance", "value": [1.5, "100000000000000000000", 0.00000000001], "operator": "in"}, "#
                .to_owned()
                + r#"{"field": "Born", "value": "2026-01-31", "operator": "less_than"}, {"field": "Name", "operator": "is_empty"}]}]}"#
        );
        assert_eq!(check(&stored), stored);
    }

    #[pg_test]
    fn null_is_no_condition_and_no_order() {
        for call in [
            "check_condition(NULL, '[]')",
            "check_condition(' null ', '[]')",
            "condition_sql(NULL, '[]')",
            "condition_sql('null', '[]')",
            "check_order(NULL, '[]')",
            "check_order('null', '[]')",
            "order_sql(NULL, '[]')",
            "order_sql('null', '[]')",
            "order_sql('[]', '[]')",
        ] {
            assert!(
                value::<bool>(&format!("SELECT outbound.{call} IS NULL")),
                "{call}"
            );
        }
    }

    #[pg_test]
    fn what_is_wrong_is_named_with_its_place_and_what_to_do() {
        let fields = r#"[{"name": "Balance", "sql": "b", "type": "numeric"}]"#;
        for (condition, problem_expected) in [
            (
                r#"{"all": [{"field": "balance", "operator": "is_empty"}, {"field": "x", "operator": "is_empty"}]}"#,
                "22023|condition: any[0].all[1].field: there is no field \"x\"; known fields: Balance|Field: any[0].all[1].field|\
                 Check the spelling; case, blanks, _ and - do not matter.",
            ),
            (
                "{}",
                "22023|condition: has no comparison||\
                 Write {\"any\": [{\"all\": [{\"field\": …, \"operator\": …, \"value\": …}]}]}.",
            ),
        ] {
            assert_eq!(
                problem(&format!(
                    "SELECT outbound.check_condition('{condition}', '{fields}')"
                )),
                problem_expected
            );
            assert_eq!(
                problem(&format!(
                    "SELECT outbound.condition_sql('{condition}', '{fields}')"
                )),
                problem_expected
            );
        }
        assert!(
            problem(r#"SELECT outbound.check_condition('{"value": 1e400}', '[]')"#)
                .starts_with("22023|condition: number out of range")
        );
        for function in ["check_order", "order_sql"] {
            assert_eq!(
                problem(&format!(
                    r#"SELECT outbound.{function}('[{{"column": "balance", "direction": "up"}}]', '{fields}')"#
                )),
                "22023|order: [0].direction: is neither asc nor desc|Field: [0].direction|Use asc or desc, or leave it out for asc."
            );
        }
    }

    #[pg_test]
    fn an_order_puts_what_has_no_value_last() {
        people();
        let sql: String = value(&format!(
            r#"SELECT outbound.order_sql(outbound.check_order('[{{"column": "BALANCE", "direction": "desc"}}]', $f${FIELDS}$f$), $f${FIELDS}$f$)"#
        ));
        assert_eq!(sql, "p.balance DESC NULLS LAST");
        let rows: String = value(&format!(
            "SELECT string_agg(id::text, ' ' ORDER BY {sql}, id) FROM people AS p"
        ));
        assert_eq!(rows, "1 3 2 4 5");
    }
}
