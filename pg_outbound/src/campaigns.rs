//! Calendars, attempt controls and settings of campaigns as SQL functions: checked by core, returned in
//! the form in which they are stored.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use outbound_core::attempt_control::AttemptControl;
use outbound_core::calendar::Calendar;
use outbound_core::campaign::CampaignDocument;
use outbound_core::document::DocumentError;
use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::error::{given_document, invalid, own_document, raise};

/// 2000-01-01 00:00 UTC, where Postgres starts to count, in microseconds of the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Checks a calendar as people write it, hours and exceptions as JSON text, and returns
/// `{"time_zone", "hours", "exceptions"}` with every weekday named.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the field by its JSON path.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_calendar(
    time_zone: Option<&str>,
    hours: Option<&str>,
    exceptions: Option<&str>,
) -> JsonB {
    let hours = given_document("calendar: hours", hours);
    let exceptions = given_document("calendar: exceptions", exceptions);
    stored(
        "calendar",
        Calendar::parse(time_zone.unwrap_or_default(), &hours, &exceptions),
    )
}

/// Whether a calendar, as `check_calendar` returns it, is open at a moment, and when that changes next:
/// `{"open": …, "until": …}`, null for a change that is further away than 400 days.
///
/// # Errors
/// Raises `invalid_parameter_value` for a moment outside the years 1 to 9998.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn calendar_state(calendar: JsonB, at: TimestampWithTimeZone) -> JsonB {
    let calendar: Calendar = own_document("the calendar", calendar.0);
    let state = calendar.state(moment(at));
    JsonB(json!({
        "open": state.open,
        "until": state.until.map(|until| until.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    }))
}

/// Checks a change of an attempt control, JSON text, and returns the settings after it, every key named.
/// What the change does not name stays as it is in `present`; null means the default.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the field by its JSON path.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_attempt_control(present: JsonB, change: Option<&str>) -> JsonB {
    let change = given_document("attempt control", change);
    stored(
        "attempt control",
        AttemptControl::parse(&present.0, &change),
    )
}

/// Checks a change of the settings of a campaign, JSON text, and returns the settings after it: every key
/// named, and the names of its calendar, its attempt control and its do-not-contact lists. What the change
/// does not name stays as it is in `present`; null means the default.
///
/// # Errors
/// Raises `invalid_parameter_value`; the message names the field by its JSON path.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_campaign_settings(present: JsonB, change: Option<&str>) -> JsonB {
    let change = given_document("campaign settings", change);
    stored(
        "campaign settings",
        CampaignDocument::parse(&present.0, &change),
    )
}

/// What was read, as it is stored, or an error that says what cannot be used.
fn stored<T: Serialize>(what: &str, read: Result<T, DocumentError>) -> JsonB {
    match read.map(|checked| serde_json::to_value(&checked)) {
        Ok(Ok(document)) => JsonB(document),
        Ok(Err(error)) => raise(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("the {what} cannot be written"),
            &error.to_string(),
            "",
        ),
        Err(error) if error.field.is_empty() => {
            invalid(format!("{what}: {}", error.message), "", &error.hint)
        }
        Err(error) => invalid(
            format!("{what}: {error}"),
            &format!("Field: {}", error.field),
            &error.hint,
        ),
    }
}

fn moment(at: TimestampWithTimeZone) -> DateTime<Utc> {
    at.into_inner()
        .checked_add(POSTGRES_EPOCH)
        .and_then(DateTime::from_timestamp_micros)
        .filter(|at| (1..=9998).contains(&at.year()))
        .unwrap_or_else(|| {
            invalid(
                "no calendar reaches to that moment",
                "",
                "Give a moment of the years 1 to 9998.",
            )
        })
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    #[pg_test]
    fn a_calendar_comes_back_as_it_is_stored_and_tells_its_state() {
        assert!(value::<bool>(
            r#"SELECT outbound.check_calendar('Europe/Kyiv', '{"mon": [["09:00", "18:00"]]}', NULL) = '{
                "time_zone": "Europe/Kyiv", "exceptions": [],
                "hours": {"mon": [["09:00", "18:00"]], "tue": [], "wed": [], "thu": [], "fri": [], "sat": [], "sun": []}}'"#
        ));
        let state = |at: &str| {
            value::<String>(&format!(
                r#"SELECT concat_ws(' ', s ->> 'open', (s ->> 'until')::timestamptz AT TIME ZONE 'UTC') FROM outbound.calendar_state(
                    outbound.check_calendar('Europe/Kyiv', '{{"mon": [["09:00", "18:00"]]}}', '[]'), '{at}') AS s"#
            ))
        };
        assert_eq!(state("2026-01-05 09:00+02"), "true 2026-01-05 16:00:00");
        assert_eq!(state("2026-01-05 16:00Z"), "false 2026-01-12 07:00:00");
    }

    #[pg_test]
    fn a_calendar_that_never_changes_has_no_until() {
        assert!(value::<bool>(
            r#"SELECT outbound.calendar_state(outbound.check_calendar('UTC', '{}', '[]'), now()) = '{"open": false, "until": null}'"#
        ));
    }

    #[pg_test]
    fn a_moment_that_no_calendar_reaches_is_refused() {
        for at in ["infinity", "-infinity", "4000-01-01 BC", "10000-01-01"] {
            assert_eq!(
                problem(&format!(
                    "SELECT outbound.calendar_state(outbound.check_calendar('UTC', '{{}}', '[]'), '{at}')"
                )),
                "22023|no calendar reaches to that moment||Give a moment of the years 1 to 9998."
            );
        }
    }

    #[pg_test]
    fn a_wrong_setting_is_named_with_what_to_do() {
        assert_eq!(
            problem(
                r#"SELECT outbound.check_calendar('UTC', '{"mon": [["18:00", "09:00"]]}', NULL)"#
            ),
            r#"22023|calendar: hours.mon[0]: ["18:00","09:00"] ends before it has begun|Field: hours.mon[0]|Give the earlier time first; hours over midnight are two intervals, up to 24:00 and from 00:00 of the next day."#
        );
        assert_eq!(
            problem(r#"SELECT outbound.check_attempt_control('{}', '{"max_cal": 1}')"#),
            "22023|attempt control: max_cal: is not known|Field: max_cal|Check the spelling; known here: max_per_contact, \
             max_per_conversation, max_call, max_email, max_social_media, minimum_minutes, minimum_scope, categories."
        );
        assert_eq!(
            problem(r#"SELECT outbound.check_campaign_settings('{}', '{"lease_seconds": 1}')"#),
            "22023|campaign settings: lease_seconds: 1 is no whole number from 10 to 86400|Field: lease_seconds|\
             Correct the number, or give null for the default."
        );
    }

    #[pg_test]
    fn null_and_what_is_no_object_are_refused() {
        for call in [
            "check_calendar('UTC', NULL, NULL)",
            "check_calendar(NULL, '{}', NULL)",
            "check_attempt_control('{}', NULL)",
            "check_attempt_control('{}', '[]')",
            "check_campaign_settings('{}', NULL)",
            "check_campaign_settings('{}', '\"x\"')",
        ] {
            let said = problem(&format!("SELECT outbound.{call}"));
            assert!(said.starts_with("22023|"), "{call}: {said}");
        }
    }

    #[pg_test]
    fn a_number_that_no_setting_can_have_is_refused_and_nothing_breaks() {
        for call in [
            r#"check_calendar('UTC', '{"mon": 1e400}', NULL)"#,
            r#"check_calendar('UTC', '{}', '[1e400]')"#,
            r#"check_attempt_control('{}', '{"max_call": 1e400}')"#,
            r#"check_campaign_settings('{}', '{"priority": 1e400}')"#,
        ] {
            let said = problem(&format!("SELECT outbound.{call}"));
            assert!(said.contains("number out of range"), "{call}: {said}");
        }
    }

    #[pg_test]
    fn a_change_is_merged_onto_what_is_there() {
        assert!(value::<bool>(
            r#"SELECT outbound.check_attempt_control(outbound.check_attempt_control('{}', '{"max_call": 3, "minimum_minutes": 60}'),
                '{"minimum_minutes": null}') @> '{"max_call": 3, "minimum_minutes": 5}'"#
        ));
        assert!(value::<bool>(
            r#"SELECT outbound.check_campaign_settings(outbound.check_campaign_settings('{}', '{"calendar": "Office", "priority": 2}'),
                '{"priority": null}') @> '{"calendar": "Office", "priority": 0, "do_not_contact": [], "attempt_control": null}'"#
        ));
    }
}
