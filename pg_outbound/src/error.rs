//! Raising errors as people expect them from Postgres: SQLSTATE, message, DETAIL and HINT.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Raises an error and does not return: Postgres unwinds the statement.
///
/// `detail` and `hint` may be empty.
pub fn raise(code: PgSqlErrorCode, message: impl Into<String>, detail: &str, hint: &str) -> ! {
    let mut report = ErrorReport::new(code, message.into(), "pg_outbound");
    if !detail.is_empty() {
        report = report.set_detail(detail);
    }
    if !hint.is_empty() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an ERROR report unwinds")
}

/// Raises `invalid_parameter_value`, the code of everything a caller can mend by giving other text.
pub fn invalid(message: impl Into<String>, detail: &str, hint: &str) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        message,
        detail,
        hint,
    )
}

/// An argument that must be given.
///
/// # Errors
/// Raises `null_value_not_allowed`, naming the argument.
pub fn given<T>(name: &str, value: Option<T>) -> T {
    value.unwrap_or_else(|| {
        raise(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            format!("{name} must not be null"),
            "",
            "Give a value.",
        )
    })
}

/// Reads a document that this extension's own SQL built.
///
/// # Errors
/// Raises `internal_error` when it does not have the expected form: a defect, not bad input.
pub fn own_document<T: serde::de::DeserializeOwned>(what: &str, document: serde_json::Value) -> T {
    serde_json::from_value(document).unwrap_or_else(|error| {
        raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("{what} cannot be read"),
            &error.to_string(),
            "",
        )
    })
}

/// Reads JSON text that came from a person; nothing at all is the JSON null.
///
/// Documents of people are passed as text because Postgres' numbers have no limit: pgrx breaks off
/// while it reads a jsonb whose number is too large for the machine.
///
/// # Errors
/// Raises `invalid_parameter_value`, naming `what`.
pub fn given_document(what: &str, text: Option<&str>) -> serde_json::Value {
    serde_json::from_str(text.unwrap_or("null")).unwrap_or_else(|error| {
        invalid(
            format!("{what}: {error}"),
            "",
            "Give a JSON document whose numbers are below 1e308 and which nests fewer than 128 levels.",
        )
    })
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use super::raise;
    use crate::testing::{problem, run};

    /// Raises what the test asks for.
    #[pg_extern]
    fn raise_for_test(detail: &str, hint: &str) {
        raise(
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            "it is in use",
            detail,
            hint,
        )
    }

    #[pg_test]
    fn an_error_carries_its_code_its_detail_and_its_hint_and_nothing_else() {
        assert_eq!(
            problem("SELECT tests.raise_for_test('by whom', 'wait')"),
            "55006|it is in use|by whom|wait"
        );
        assert_eq!(
            problem("SELECT tests.raise_for_test('', '')"),
            "55006|it is in use||"
        );
    }

    #[pg_test(error = "it is in use")]
    fn an_error_ends_the_statement() {
        run("SELECT tests.raise_for_test('', '')");
    }
}
