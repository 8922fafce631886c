//! What must hold for calendars.
#![allow(clippy::unwrap_used)]

use super::*;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;

fn calendar(zone: &str, hours: Value, exceptions: Value) -> Calendar {
    Calendar::parse(zone, &hours, &exceptions).unwrap()
}

fn every_day(zone: &str, intervals: Value) -> Calendar {
    let hours: Map<String, Value> = WEEKDAYS
        .iter()
        .map(|&day| (day.to_owned(), intervals.clone()))
        .collect();
    calendar(zone, Value::Object(hours), json!([]))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// What the calendar says of a moment, in text: `open` or `closed`, and until when.
fn said(calendar: &Calendar, at: &str) -> (&'static str, Option<String>) {
    let state = calendar.state(utc(at));
    let until = state
        .until
        .map(|until| until.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    (if state.open { "open" } else { "closed" }, until)
}

fn until(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn an_interval_holds_its_first_moment_and_not_its_last() {
    let office = every_day("UTC", json!([["09:00", "18:00"]]));
    for (at, open, next) in [
        (
            "2026-01-05T08:59:59.999999Z",
            "closed",
            "2026-01-05T09:00:00Z",
        ),
        ("2026-01-05T09:00:00Z", "open", "2026-01-05T18:00:00Z"),
        (
            "2026-01-05T17:59:59.999999Z",
            "open",
            "2026-01-05T18:00:00Z",
        ),
        ("2026-01-05T18:00:00Z", "closed", "2026-01-06T09:00:00Z"),
    ] {
        assert_eq!(said(&office, at), (open, until(next)), "{at}");
    }
}

#[test]
fn hours_are_those_of_the_calendar_s_own_zone() {
    let kyiv = calendar(
        "Europe/Kyiv",
        json!({"mon": [["09:00", "18:00"]]}),
        json!([]),
    );
    assert_eq!(
        said(&kyiv, "2026-01-05T07:00:00Z"),
        ("open", until("2026-01-05T16:00:00Z"))
    );
    // In summer an hour earlier.
    assert_eq!(
        said(&kyiv, "2026-07-05T12:00:00Z"),
        ("closed", until("2026-07-06T06:00:00Z"))
    );
}

#[test]
fn a_weekday_that_is_left_out_is_closed() {
    let monday = calendar("UTC", json!({"mon": [["09:00", "18:00"]]}), json!([]));
    assert_eq!(
        said(&monday, "2026-01-05T18:00:00Z"),
        ("closed", until("2026-01-12T09:00:00Z"))
    );
}

#[test]
fn hours_that_touch_are_one_also_over_midnight() {
    let night = calendar(
        "UTC",
        json!({"fri": [["20:00", "22:00"], ["22:00", "24:00"]], "sat": [["00:00", "02:00"]]}),
        json!([]),
    );
    assert_eq!(
        said(&night, "2026-01-02T21:00:00Z"),
        ("open", until("2026-01-03T02:00:00Z"))
    );
}

#[test]
fn what_is_always_or_never_open_never_changes() {
    let always = every_day("Europe/Kyiv", json!([["00:00", "24:00"]]));
    assert_eq!(said(&always, "2026-03-29T00:30:00Z"), ("open", None));
    let never = calendar("Europe/Kyiv", json!({}), json!([]));
    assert_eq!(said(&never, "2026-03-29T00:30:00Z"), ("closed", None));
}

#[test]
fn an_exception_stands_in_place_of_the_weekday() {
    let holidays = calendar(
        "UTC",
        json!({"thu": [["09:00", "18:00"]], "fri": [["09:00", "18:00"]]}),
        json!([
            {"date": "2026-12-26", "hours": [["10:00", "12:00"]]},
            {"date": "2026-12-24", "hours": [["09:00", "12:00"]]},
            {"date": "2026-12-25", "hours": []}
        ]),
    );
    for (at, open, next) in [
        ("2026-12-24T11:00:00Z", "open", "2026-12-24T12:00:00Z"),
        ("2026-12-24T12:00:00Z", "closed", "2026-12-26T10:00:00Z"),
        ("2026-12-25T11:00:00Z", "closed", "2026-12-26T10:00:00Z"),
        ("2026-12-26T10:30:00Z", "open", "2026-12-26T12:00:00Z"),
        ("2026-12-26T12:00:00Z", "closed", "2026-12-31T09:00:00Z"),
    ] {
        assert_eq!(said(&holidays, at), (open, until(next)), "{at}");
    }
}

#[test]
fn one_open_day_in_a_year_is_found_and_one_beyond_the_horizon_is_not() {
    let yearly = |date: &str| {
        calendar(
            "UTC",
            json!({}),
            json!([{"date": date, "hours": [["00:00", "24:00"]]}]),
        )
    };
    let at = "2026-01-01T00:00:00Z";
    assert_eq!(
        said(&yearly("2027-01-01"), at),
        ("closed", until("2027-01-01T00:00:00Z"))
    );
    assert_eq!(said(&yearly("2027-03-01"), at), ("closed", None));
    assert_eq!(said(&yearly("2025-12-31"), at), ("closed", None));
}

#[test]
fn hours_that_begin_in_a_gap_begin_right_after_it() {
    // On 2026-03-29 clocks in Kyiv go from 03:00 to 04:00, at 01:00 UTC.
    let early = every_day("Europe/Kyiv", json!([["03:30", "05:00"]]));
    assert_eq!(
        said(&early, "2026-03-29T00:00:00Z"),
        ("closed", until("2026-03-29T01:00:00Z"))
    );
    assert_eq!(
        said(&early, "2026-03-29T01:00:00Z"),
        ("open", until("2026-03-29T02:00:00Z"))
    );
    // Hours that lie in the gap altogether do not take place.
    let skipped = every_day("Europe/Kyiv", json!([["03:00", "04:00"]]));
    assert_eq!(
        said(&skipped, "2026-03-29T00:59:59Z"),
        ("closed", until("2026-03-30T00:00:00Z"))
    );
    // Hours that end in the gap end where it begins.
    let late = every_day("Europe/Kyiv", json!([["02:00", "03:30"]]));
    assert_eq!(
        said(&late, "2026-03-29T00:30:00Z"),
        ("open", until("2026-03-29T01:00:00Z"))
    );
}

#[test]
fn hours_that_are_shown_twice_are_open_both_times() {
    // On 2026-10-25 clocks in Kyiv go from 04:00 back to 03:00, at 01:00 UTC.
    let twice = every_day("Europe/Kyiv", json!([["03:15", "03:45"]]));
    let mut at = "2026-10-25T00:00:00Z".to_owned();
    let mut changes = Vec::new();
    for _ in 0..5 {
        at = said(&twice, &at).1.unwrap();
        changes.push(at.clone());
    }
    assert_eq!(
        changes,
        [
            "2026-10-25T00:15:00Z",
            "2026-10-25T00:45:00Z",
            "2026-10-25T01:15:00Z",
            "2026-10-25T01:45:00Z",
            "2026-10-26T01:15:00Z"
        ]
    );
    let around = every_day("Europe/Kyiv", json!([["02:00", "05:00"]]));
    assert_eq!(
        said(&around, "2026-10-24T23:30:00Z"),
        ("open", until("2026-10-25T03:00:00Z"))
    );
}

#[test]
fn a_date_that_a_zone_skips_has_no_hours() {
    // Samoa went from the end of 2011-12-29 to 2011-12-31, at 10:00 UTC.
    let apia = calendar(
        "Pacific/Apia",
        json!({"thu": [["22:00", "24:00"]], "fri": [["00:00", "24:00"]], "sat": [["08:00", "09:00"]]}),
        json!([]),
    );
    assert_eq!(
        said(&apia, "2011-12-30T09:00:00Z"),
        ("open", until("2011-12-30T10:00:00Z"))
    );
    assert_eq!(
        said(&apia, "2011-12-30T10:00:00Z"),
        ("closed", until("2011-12-30T18:00:00Z"))
    );
}

#[test]
fn moments_at_the_end_of_time_are_answered() {
    let always = every_day("Asia/Tokyo", json!([["00:00", "24:00"]]));
    for at in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        assert_eq!(always.state(at).until, None);
    }
}

#[test]
fn each_mistake_names_its_field() {
    let hours = json!({"mon": [["09:00", "18:00"]]});
    let day = |intervals: Value| json!({ "tue": intervals });
    let none = json!([]);
    for (zone, hours, exceptions, field) in [
        ("Mars/Base", hours.clone(), none.clone(), "time_zone"),
        ("europe/kyiv", hours.clone(), none.clone(), "time_zone"),
        ("", hours.clone(), none.clone(), "time_zone"),
        ("UTC", json!(null), none.clone(), "hours"),
        ("UTC", json!([]), none.clone(), "hours"),
        ("UTC", json!({"monday": []}), none.clone(), "hours.monday"),
        ("UTC", day(json!("09:00-18:00")), none.clone(), "hours.tue"),
        (
            "UTC",
            day(json!(vec![["00:00", "00:01"]; 101])),
            none.clone(),
            "hours.tue",
        ),
        (
            "UTC",
            day(json!(["09:00", "18:00"])),
            none.clone(),
            "hours.tue[0]",
        ),
        ("UTC", day(json!([["09:00"]])), none.clone(), "hours.tue[0]"),
        (
            "UTC",
            day(json!([["18:00", "09:00"]])),
            none.clone(),
            "hours.tue[0]",
        ),
        (
            "UTC",
            day(json!([["09:00", "09:00"]])),
            none.clone(),
            "hours.tue[0]",
        ),
        (
            "UTC",
            day(json!([["9:00", "18:00"]])),
            none.clone(),
            "hours.tue[0][0]",
        ),
        (
            "UTC",
            day(json!([["24:00", "24:00"]])),
            none.clone(),
            "hours.tue[0][0]",
        ),
        (
            "UTC",
            day(json!([["09:00", "24:01"]])),
            none.clone(),
            "hours.tue[0][1]",
        ),
        (
            "UTC",
            day(json!([["09:00", "18:60"]])),
            none.clone(),
            "hours.tue[0][1]",
        ),
        (
            "UTC",
            day(json!([["09:00", 18]])),
            none.clone(),
            "hours.tue[0][1]",
        ),
        (
            "UTC",
            day(json!([["09:00", "+1:00"]])),
            none.clone(),
            "hours.tue[0][1]",
        ),
        (
            "UTC",
            day(json!([["09:00", "13:00"], ["12:59", "18:00"]])),
            none.clone(),
            "hours.tue[1]",
        ),
        (
            "UTC",
            day(json!([["14:00", "18:00"], ["09:00", "13:00"]])),
            none.clone(),
            "hours.tue[1]",
        ),
        ("UTC", hours.clone(), json!({}), "exceptions"),
        ("UTC", hours.clone(), json!(["2026-12-25"]), "exceptions[0]"),
        (
            "UTC",
            hours.clone(),
            json!([{"hours": []}]),
            "exceptions[0].date",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "2026-02-30", "hours": []}]),
            "exceptions[0].date",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "26-2-1", "hours": []}]),
            "exceptions[0].date",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "2026-12-25"}]),
            "exceptions[0].hours",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "2026-12-25", "hours": [], "name": "x"}]),
            "exceptions[0].name",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "2026-12-25", "hours": []}, {"date": "2026-12-25", "hours": []}]),
            "exceptions[1].date",
        ),
        (
            "UTC",
            hours.clone(),
            json!([{"date": "2026-12-25", "hours": [["10:00", "10:00"]]}]),
            "exceptions[0].hours[0]",
        ),
    ] {
        let error = Calendar::parse(zone, &hours, &exceptions).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(!error.hint.is_empty(), "{error}");
    }
}

#[test]
fn the_stored_form_names_every_weekday_and_sorts_exceptions() {
    let stored = calendar(
        " Europe/Kyiv ",
        json!({"sun": null, "mon": [["09:00", "24:00"]]}),
        json!([{"date": "2027-01-01", "hours": []}, {"date": "2026-12-25", "hours": [["00:00", "00:01"]]}]),
    );
    assert_eq!(
        stored.document(),
        json!({
            "time_zone": "Europe/Kyiv",
            "hours": {"mon": [["09:00", "24:00"]], "tue": [], "wed": [], "thu": [], "fri": [], "sat": [], "sun": []},
            "exceptions": [
                {"date": "2026-12-25", "hours": [["00:00", "00:01"]]},
                {"date": "2027-01-01", "hours": []}
            ]
        })
    );
    assert_eq!(
        calendar("UTC", json!({}), Value::Null),
        calendar("UTC", json!({}), json!([]))
    );
}

/// Zones whose clocks change by one hour, by half an hour, at midnight, around a month, or never, and one
/// that skipped a date; each with a moment near a change.
const ZONES: [(&str, &str); 10] = [
    ("Europe/Kyiv", "2026-03-28T12:00:00Z"),
    ("Europe/Kyiv", "2026-10-24T12:00:00Z"),
    ("America/St_Johns", "2026-11-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T06:00:00Z"),
    ("America/Havana", "2026-03-07T18:00:00Z"),
    ("Africa/Casablanca", "2026-02-14T12:00:00Z"),
    ("Pacific/Apia", "2011-12-29T12:00:00Z"),
    ("Asia/Kathmandu", "2026-05-01T00:00:00Z"),
    ("America/Asuncion", "2023-10-01T00:00:00Z"),
];

fn intervals() -> impl Strategy<Value = Vec<Interval>> {
    prop::collection::btree_set(0..=DAY, 0..6).prop_map(|times| {
        let times: Vec<u16> = times.into_iter().collect();
        times
            .chunks_exact(2)
            .map(|pair| Interval {
                from: pair[0],
                till: pair[1],
            })
            .collect()
    })
}

prop_compose! {
    fn any_calendar()(
        zone in prop::sample::select(ZONES.to_vec()),
        week in prop::array::uniform7(intervals()),
        exceptions in prop::collection::btree_map(-2_i64..3, intervals(), 0..3),
    ) -> (Calendar, DateTime<Utc>) {
        let near = utc(zone.1);
        let calendar = Calendar {
            time_zone: zone.0.parse().unwrap(),
            week,
            exceptions: exceptions
                .into_iter()
                .map(|(days, hours)| ((near + TimeDelta::days(days)).date_naive(), hours))
                .collect(),
        };
        (calendar, near)
    }
}

/// Whether the stored document has the moment open, read without any of the code under test.
fn open_by_document(document: &Value, zone: Tz, at: DateTime<Utc>) -> bool {
    let local = zone.from_utc_datetime(&at.naive_utc()).naive_local();
    let date = local.format("%Y-%m-%d").to_string();
    let exception = document["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|exception| exception["date"] == date);
    let weekday = local.format("%a").to_string().to_lowercase();
    let hours = exception.map_or(&document["hours"][weekday], |exception| &exception["hours"]);
    let time = local.format("%H:%M").to_string();
    hours
        .as_array()
        .unwrap()
        .iter()
        .any(|i| i[0].as_str().unwrap() <= time.as_str() && time.as_str() < i[1].as_str().unwrap())
}

proptest! {
    #[test]
    fn a_state_is_what_a_look_at_every_minute_finds((calendar, near) in any_calendar(), minute in 0_i64..1440) {
        let document = calendar.document();
        let at = near + TimeDelta::minutes(minute);
        let state = calendar.state(at);
        prop_assert_eq!(state.open, open_by_document(&document, calendar.time_zone, at));
        let other = (1..3 * 1440)
            .map(|minutes| at + TimeDelta::minutes(minutes))
            .find(|&later| open_by_document(&document, calendar.time_zone, later) != state.open);
        match other {
            Some(change) => prop_assert_eq!(state.until, Some(change)),
            None => prop_assert!(state.until.is_none_or(|until| until >= at + TimeDelta::days(3))),
        }
    }

    #[test]
    fn what_is_stored_is_read_back((calendar, _) in any_calendar()) {
        prop_assert_eq!(Calendar::from_document(&calendar.document()), Ok(calendar.clone()));
        let text = serde_json::to_string(&calendar).unwrap();
        prop_assert_eq!(serde_json::from_str::<Calendar>(&text).unwrap(), calendar);
    }

    #[test]
    fn whatever_a_document_holds_is_read_or_refused(text in "[\\[\\]{}\":,0-9a-z]{0,40}", zone in ".{0,12}") {
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let _ = Calendar::parse(&zone, &value, &value);
        let _ = Calendar::parse("UTC", &json!({"mon": value}), &json!([{"date": value, "hours": value}]));
    }
}
