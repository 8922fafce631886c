//! Job rules as an SQL function: the same check that the worker makes, with Postgres errors.

use outbound_core::job::{JobRules, Source};
use pgrx::JsonB;
use pgrx::prelude::*;

use crate::error::{given_document, invalid, raise};

/// Checks the rules of a job, JSON text, and returns them with every default filled in. `source` is
/// `server` for a job, `local` for a file imported by hand.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the field by its JSON path. Null is refused like
/// any other value that is no object.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_job_rules(rules: Option<&str>, source: &str) -> JsonB {
    let source = if source == "local" {
        Source::Local
    } else {
        Source::Server
    };
    match JobRules::parse(&given_document("job rules", rules), source) {
        Ok(checked) => match serde_json::to_value(&checked) {
            Ok(document) => JsonB(document),
            Err(error) => raise(
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
                "the rules cannot be written",
                &error.to_string(),
                "",
            ),
        },
        Err(error) if error.field.is_empty() => {
            invalid(format!("job rules: {}", error.message), "", &error.hint)
        }
        Err(error) => invalid(
            format!("job rules: {}: {}", error.field, error.message),
            &format!("Field: {}", error.field),
            &error.hint,
        ),
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::problem;

    #[pg_test]
    fn a_wrong_field_is_named_with_what_to_do() {
        assert_eq!(
            problem(
                r#"SELECT outbound.check_job_rules('{"action": "import_file", "append_typ": 1}', 'server')"#
            ),
            "22023|job rules: append_typ: is not known|Field: append_typ|Check the spelling; known here: one of action, connection, \
             files, format, encryption, append_type, target_list, target_suppression_list, columns, identifier, contact_name, close_if_all, max_rejected."
        );
    }

    #[pg_test]
    fn a_number_that_no_rule_can_have_is_refused_and_nothing_breaks() {
        for rules in [
            r#"{"action": "import_file", "append_type": "append_only", "max_rejected": {"rows": 1e400}}"#,
            r#"[{"x": -1e400}]"#,
        ] {
            for text in [rules.to_owned(), format!("{rules}'::jsonb::text || '")] {
                assert!(
                    problem(&format!(
                        "SELECT outbound.check_job_rules('{text}', 'local')"
                    ))
                    .starts_with("22023|job rules: number out of range")
                );
            }
        }
        assert!(
            problem(r#"SELECT outbound.start_import('{"action": 1e400}')"#)
                .starts_with("22023|job rules: number out of range")
        );
    }

    #[pg_test]
    fn null_is_no_document() {
        assert!(
            problem("SELECT outbound.check_job_rules(NULL, 'local')")
                .starts_with("22023|job rules: invalid type: null")
        );
    }
}
