//! Schedules as an SQL function: when something is due next.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use outbound_core::schedule::Schedule;
use pgrx::prelude::*;

use crate::error::invalid;

/// The moment from which Postgres counts microseconds, in seconds after that of Unix.
const EPOCH_SECONDS: i64 = 946_684_800;

/// The first moment after `after` at which a schedule is due by the clock of a zone of the IANA
/// database; null when none comes before the year 2100 is over.
///
/// # Errors
/// Raises `invalid_parameter_value` for what is no schedule, and for an unknown zone.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn next_run(
    schedule: Option<&str>,
    time_zone: &str,
    after: TimestampWithTimeZone,
) -> Option<TimestampWithTimeZone> {
    let schedule: Schedule = schedule.unwrap_or_default().parse().unwrap_or_else(
        |error: outbound_core::schedule::ScheduleError| invalid(error.message, "", &error.hint),
    );
    let zone: Tz = time_zone.parse().unwrap_or_else(|_| {
        invalid(
            format!("time zone \"{time_zone}\" is not known"),
            "",
            "Use a name of the IANA database, in its spelling, such as Europe/Kyiv or UTC.",
        )
    });
    let epoch = DateTime::<Utc>::from_timestamp(EPOCH_SECONDS, 0)?;
    if after.is_neg_infinity() {
        return from_moment(schedule.next_after(DateTime::<Utc>::MIN_UTC, zone)?, epoch);
    }
    let after = epoch.checked_add_signed(TimeDelta::microseconds(after.into_inner()))?;
    from_moment(schedule.next_after(after, zone)?, epoch)
}

fn from_moment(moment: DateTime<Utc>, epoch: DateTime<Utc>) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from((moment - epoch).num_microseconds()?).ok()
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    fn next(schedule: &str, zone: &str, after: &str) -> String {
        value(&format!(
            "SELECT coalesce(to_char(outbound.next_run('{schedule}', '{zone}', '{after}') AT TIME ZONE 'UTC', \
             'YYYY-MM-DD HH24:MI:SS'), 'never')"
        ))
    }

    #[pg_test]
    fn the_next_run_is_told_in_the_clock_of_the_zone() {
        assert_eq!(
            next("0 0 * * *", "Europe/Kyiv", "2026-07-01 12:00+00"),
            "2026-07-01 21:00:00"
        );
        assert_eq!(
            next("0 0 * * *", "UTC", "1999-12-31 23:59:59.999999+00"),
            "2000-01-01 00:00:00"
        );
        assert_eq!(
            next("0 0 * * *", "UTC", "2000-01-01 00:00:00+00"),
            "2000-01-02 00:00:00"
        );
    }

    #[pg_test]
    fn moments_without_a_number_have_an_answer_too() {
        assert_eq!(next("0 0 * * *", "UTC", "infinity"), "never");
        assert_eq!(next("0 0 * * *", "UTC", "2101-01-01 00:00+00"), "never");
        assert_eq!(
            next("0 0 * * *", "UTC", "-infinity"),
            next("0 0 * * *", "UTC", "4000-01-01 00:00+00 BC")
        );
    }

    #[pg_test]
    fn what_is_no_schedule_and_no_zone_is_refused_with_a_hint() {
        assert!(
            problem("SELECT outbound.next_run('0 0 * *', 'UTC', now())")
                .starts_with("22023|\"0 0 * *\" is no schedule: it must have five fields")
        );
        assert!(
            problem("SELECT outbound.next_run(NULL, 'UTC', now())")
                .starts_with("22023|\"\" is no schedule: ")
        );
        assert!(
            problem("SELECT outbound.next_run('0 0 * * *', 'Mars', now())")
                .starts_with("22023|time zone \"Mars\" is not known||Use a name of the IANA")
        );
    }
}
