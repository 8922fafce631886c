//! The stored codes of a contact from its records (contact-lists §5.4): one rule, in core, called by
//! set-based SQL once a contact.

use outbound_core::status::{ContactCode, RecordCode, TypeFacts, derive};
use outbound_core::unit::ConversationType;
use pgrx::prelude::*;

use crate::error::raise;

/// Codes of a contact: contact, call, email, social media.
///
/// `codes`, `types` and `successes` describe its records, one element each (a null code stands for no
/// record at all). `present` are the codes stored now, in the order of the result: an A among them says
/// that its limit is met, a contact that is U stays U. `close_if_all` is the list's close rule
/// (contact-lists §7.3).
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn derive_codes(
    codes: Vec<Option<String>>,
    types: Vec<Option<String>>,
    successes: Vec<Option<bool>>,
    present: Vec<Option<String>>,
    close_if_all: bool,
) -> Vec<String> {
    let stored = |i: usize| {
        present
            .get(i)
            .and_then(|code| code.as_deref())
            .map(contact_code)
    };
    let mut facts = [TypeFacts::default(); 3];
    for (i, code) in codes.iter().enumerate() {
        let Some(code) = code.as_deref().map(record_code) else {
            continue;
        };
        let kind = types
            .get(i)
            .and_then(Option::as_deref)
            .and_then(|name| name.parse::<ConversationType>().ok());
        if let Some(kind) = kind {
            let success = successes.get(i).copied().flatten().unwrap_or(false);
            facts[kind as usize].add(code, success);
        }
    }
    for (kind, fact) in facts.iter_mut().enumerate() {
        fact.limit_met = stored(kind + 1) == Some(ContactCode::Exhausted);
    }
    let stays_closed = stored(0) == Some(ContactCode::Uncallable);
    let limit_met = stored(0) == Some(ContactCode::Exhausted);
    let (contact, type_codes) = derive(&facts, close_if_all, stays_closed, limit_met);
    std::iter::once(contact)
        .chain(type_codes)
        .map(|code| code.as_str().to_owned())
        .collect()
}

fn record_code(text: &str) -> RecordCode {
    text.parse().unwrap_or_else(|_| unknown_code(text))
}

fn contact_code(text: &str) -> ContactCode {
    text.parse().unwrap_or_else(|_| unknown_code(text))
}

fn unknown_code(text: &str) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("\"{text}\" is not a status code"),
        "",
        "",
    )
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    /// Codes of a contact with these records (`code type success`), stored codes and close rule.
    fn codes(records: &[(&str, &str, bool)], present: &str, close_if_all: bool) -> String {
        let list = |part: fn(&(&str, &str, bool)) -> String| {
            records.iter().map(part).collect::<Vec<_>>().join(",")
        };
        value(&format!(
            "SELECT array_to_string(outbound.derive_codes('{{{}}}', '{{{}}}', '{{{}}}', \
             string_to_array('{present}', NULL), {close_if_all}), '')",
            list(|r| r.0.to_owned()),
            list(|r| r.1.to_owned()),
            list(|r| r.2.to_string()),
        ))
    }

    #[pg_test]
    fn a_contact_without_records_has_no_callable_one() {
        assert_eq!(codes(&[], "CCCC", false), "FFFF");
        let no_record = "SELECT array_to_string(outbound.derive_codes('{NULL}', '{NULL}', '{f}', '{C,C,C,C}', true), '')";
        assert_eq!(value::<String>(no_record), "FFFF");
    }

    #[pg_test]
    fn codes_take_precedence_in_the_documented_order() {
        let mut records = vec![("C", "call", false)];
        for (added, expected) in [
            (("C", "email", false), "CCCF"),
            (("S", "call", false), "CCCF"),
            (("U", "email", true), "UCUF"),
            (("Q", "call", false), "QQUF"),
            (("I", "email", false), "IQIF"),
        ] {
            records.push(added);
            assert_eq!(codes(&records, "CCCF", false), expected);
        }
    }

    #[pg_test]
    fn a_limit_that_was_met_yields_only_to_an_agents_callback() {
        assert_eq!(
            codes(
                &[("C", "call", false), ("O", "email", false)],
                "AAAF",
                false
            ),
            "AAAF"
        );
        assert_eq!(
            codes(
                &[("C", "call", false), ("S", "email", false)],
                "AAAF",
                false
            ),
            "CACF"
        );
    }

    #[pg_test]
    fn exhausted_and_uncallable_records_leave_nothing_to_call() {
        assert_eq!(
            codes(
                &[
                    ("A", "call", false),
                    ("U", "email", false),
                    ("P", "social_media", false)
                ],
                "CCCC",
                false
            ),
            "FFFF"
        );
    }

    #[pg_test]
    fn the_close_rule_decides_what_one_success_closes() {
        let records = [("U", "call", true), ("C", "email", false)];
        assert_eq!(codes(&records, "CCCF", false), "UUCF");
        assert_eq!(codes(&records, "CCCF", true), "CUCF");
        assert_eq!(
            codes(&[("U", "call", true), ("U", "email", true)], "CCCF", true),
            "UUUF"
        );
        assert_eq!(codes(&records, "UUCF", true), "UUCF");
    }

    #[pg_test]
    fn an_unknown_code_is_reported_as_damage() {
        let statement = "SELECT outbound.derive_codes('{X}', '{call}', '{f}', '{C,C,C,C}', false)";
        assert_eq!(problem(statement), "XX001|\"X\" is not a status code||");
    }
}
