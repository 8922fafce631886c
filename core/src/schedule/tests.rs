#![allow(clippy::unwrap_used)]

use chrono::{NaiveDate, Timelike};
use proptest::prelude::*;

use super::*;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .unwrap()
        .and_utc()
}

/// The next moments after one, as the clock of the zone shows them, with its distance from UTC.
fn next(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, zone): (Schedule, Tz) = (schedule(text), zone.parse().unwrap());
    let mut after = utc(after);
    (0..count)
        .map(|_| {
            after = schedule.next_after(after, zone).unwrap();
            after
                .with_timezone(&zone)
                .format("%a %d.%m. %H:%M %z")
                .to_string()
        })
        .collect()
}

#[test]
fn the_documented_examples_mean_what_they_say() {
    let start = "2026-09-01 00:00";
    for (text, expected) in [
        (
            "15 * * * *",
            ["Tue 01.09. 00:15", "Tue 01.09. 01:15", "Tue 01.09. 02:15"],
        ),
        (
            "0 17 * * 3",
            ["Wed 02.09. 17:00", "Wed 09.09. 17:00", "Wed 16.09. 17:00"],
        ),
        (
            "15-30 7 * * 0",
            ["Sun 06.09. 07:15", "Sun 06.09. 07:16", "Sun 06.09. 07:17"],
        ),
        (
            "15 14 * * 1,3,4",
            ["Wed 02.09. 14:15", "Thu 03.09. 14:15", "Mon 07.09. 14:15"],
        ),
        (
            "0 3 8 9 2,3",
            ["Tue 01.09. 03:00", "Wed 02.09. 03:00", "Tue 08.09. 03:00"],
        ),
        (
            "0 0 * * *",
            ["Wed 02.09. 00:00", "Thu 03.09. 00:00", "Fri 04.09. 00:00"],
        ),
    ] {
        let expected = expected.map(|moment| format!("{moment} +0000"));
        assert_eq!(next(text, "UTC", start, 3), expected, "{text}");
    }
    assert_eq!(
        next("15-30 7 * * 0", "UTC", start, 17).last().unwrap(),
        "Sun 13.09. 07:15 +0000"
    );
    assert_eq!(
        next("0 3 8 9 6", "UTC", "2026-09-06 00:00", 2),
        ["Tue 08.09. 03:00 +0000", "Sat 12.09. 03:00 +0000"]
    );
}

#[test]
fn midnight_is_that_of_the_zone() {
    assert_eq!(
        next("0 0 * * *", "Europe/Kyiv", "2026-07-01 20:59", 2),
        ["Thu 02.07. 00:00 +0300", "Fri 03.07. 00:00 +0300"]
    );
}

#[test]
fn a_time_that_the_clock_leaves_out_comes_right_after_the_gap_and_once() {
    assert_eq!(
        next("30 2 * * *", "America/New_York", "2026-03-07 08:00", 2),
        ["Sun 08.03. 03:00 -0400", "Mon 09.03. 02:30 -0400"]
    );
    assert_eq!(
        next("0,30 2 * * *", "America/New_York", "2026-03-08 06:00", 2),
        ["Sun 08.03. 03:00 -0400", "Mon 09.03. 02:00 -0400"]
    );
    // Midnight itself is left out.
    assert_eq!(
        next("0 0 * * *", "Africa/Cairo", "2026-04-23 12:00", 2),
        ["Fri 24.04. 01:00 +0300", "Sat 25.04. 00:00 +0300"]
    );
    // A whole day was.
    assert_eq!(
        next("0 12 * * *", "Pacific/Apia", "2011-12-29 00:00", 3),
        [
            "Thu 29.12. 12:00 -1000",
            "Sat 31.12. 00:00 +1400",
            "Sat 31.12. 12:00 +1400"
        ]
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_is_due_in_its_first_pass() {
    assert_eq!(
        next("30 1 * * *", "America/New_York", "2026-10-31 12:00", 2),
        ["Sun 01.11. 01:30 -0400", "Mon 02.11. 01:30 -0500"]
    );
    assert_eq!(
        next("30 1 * * *", "America/New_York", "2026-11-01 05:30", 1),
        ["Mon 02.11. 01:30 -0500"]
    );
    assert_eq!(
        next("0-59 1-2 * * *", "America/New_York", "2026-11-01 05:58", 2),
        ["Sun 01.11. 01:59 -0400", "Sun 01.11. 02:00 -0500"]
    );
}

#[test]
fn every_hour_means_every_hour_also_when_the_clock_jumps() {
    assert_eq!(
        next("30 * * * *", "America/New_York", "2026-11-01 05:00", 3),
        [
            "Sun 01.11. 01:30 -0400",
            "Sun 01.11. 01:30 -0500",
            "Sun 01.11. 02:30 -0500"
        ]
    );
    assert_eq!(
        next("30 * * * *", "America/New_York", "2026-03-08 06:00", 2),
        ["Sun 08.03. 01:30 -0500", "Sun 08.03. 03:30 -0400"]
    );
    assert_eq!(
        next("0,45 * * * *", "Australia/Lord_Howe", "2026-04-04 14:30", 3),
        [
            "Sun 05.04. 01:45 +1100",
            "Sun 05.04. 01:45 +1030",
            "Sun 05.04. 02:00 +1030"
        ]
    );
}

#[test]
fn a_leap_day_is_waited_for_and_the_end_of_time_is_an_answer() {
    assert_eq!(
        next("0 0 29 2 *", "UTC", "2026-01-01 00:00", 1),
        ["Tue 29.02. 00:00 +0000"]
    );
    let end = utc("2100-12-31 23:59");
    assert_eq!(schedule("0 0 * * *").next_after(end, Tz::UTC), None);
    for after in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        let _ = schedule("0 0 * * *").next_after(after, Tz::Asia__Tokyo);
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_field_and_the_form() {
    for (text, said) in [
        ("", "five fields"),
        ("0 0 * *", "five fields"),
        ("0 0 * * * *", "five fields"),
        ("0  0 * * *", "exactly one blank"),
        (" 0 0 * * *", "exactly one blank"),
        ("0\t0 * * *", "five fields"),
        ("60 0 * * *", "minute \"60\""),
        ("0 24 * * *", "hour \"24\""),
        ("0 0 0 * *", "day of the month \"0\""),
        ("0 0 * 13 *", "month \"13\""),
        ("0 0 * * 7", "day of the week \"7\""),
        ("*/15 * * * *", "minute \"*/15\""),
        ("0 0 * * MON", "day of the week \"MON\""),
        ("0 0 L * *", "day of the month \"L\""),
        ("@daily", "five fields"),
        ("30-10 * * * *", "minute 30-10 runs backwards"),
        ("1-2-3 * * * *", "minute \"2-3\""),
        ("1,,2 * * * *", "minute \"\""),
        ("-1 * * * *", "minute \"\""),
        ("+1 * * * *", "minute \"+1\""),
        ("٣ * * * *", "minute \"٣\""),
        ("0 0 30 2 *", "no such day ever comes"),
        ("0 0 31 4,6,9,11 *", "no such day ever comes"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err();
        assert!(error.message.contains(said), "{text}: {error}");
        assert!(error.hint.contains("0 0 * * *"));
    }
}

/// One field as text and as the values it stands for.
#[derive(Debug, Clone)]
struct Given {
    text: String,
    values: Vec<u32>,
    every: bool,
}

fn field(first: u32, last: u32) -> impl Strategy<Value = Given> {
    let range = (first..=last, first..=last).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let part = prop_oneof![(first..=last).prop_map(|value| (value, value)), range];
    let parts = prop::collection::vec(part, 1..4).prop_map(|parts| Given {
        text: join(parts.iter().map(|(a, b)| {
            if a == b {
                a.to_string()
            } else {
                format!("{a}-{b}")
            }
        })),
        values: parts.iter().flat_map(|&(a, b)| a..=b).collect(),
        every: false,
    });
    let every = Just(Given {
        text: "*".to_owned(),
        values: (first..=last).collect(),
        every: true,
    });
    prop_oneof![2 => every, 3 => parts]
}

/// Whether a wall clock time is one of the schedule, by the words of the specification.
fn matches(fields: &[Given; 5], time: NaiveDateTime) -> bool {
    let [minute, hour, day, month, weekday] = fields;
    let on_day = day.values.contains(&time.day());
    let on_weekday = weekday
        .values
        .contains(&time.weekday().num_days_from_sunday());
    let right_day = if day.every || weekday.every {
        on_day && on_weekday
    } else {
        on_day || on_weekday
    };
    right_day
        && minute.values.contains(&time.minute())
        && hour.values.contains(&time.hour())
        && month.values.contains(&time.month())
}

/// Every moment of a span, found minute by minute: the clock is read at each, and compared with what it
/// showed before.
fn all(fields: &[Given; 5], zone: Tz, from: DateTime<Utc>, minutes: i64) -> Vec<DateTime<Utc>> {
    let clock = |moment: DateTime<Utc>| moment.with_timezone(&zone).naive_local();
    // What was shown in the hours before: a time among them that comes again comes in its second pass.
    let mut shown_until = clock(from - TimeDelta::minutes(181));
    for minute in -180..0 {
        shown_until = shown_until.max(clock(from + TimeDelta::minutes(minute)));
    }
    let mut found = Vec::new();
    for minute in 0..minutes {
        let moment = from + TimeDelta::minutes(minute);
        let now = clock(moment);
        let due = if fields[1].every {
            matches(fields, now)
        } else {
            let mut skipped = shown_until + TimeDelta::minutes(1);
            let mut any = false;
            while skipped <= now {
                any |= matches(fields, skipped);
                skipped += TimeDelta::minutes(1);
            }
            any
        };
        shown_until = shown_until.max(now);
        if due {
            found.push(moment);
        }
    }
    found
}

const ZONES: [Tz; 8] = [
    Tz::UTC,
    Tz::Europe__Kyiv,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Cairo,
    Tz::Asia__Kathmandu,
    Tz::America__St_Johns,
    Tz::Antarctica__Troll,
];

/// Days around which clocks of those zones jump, and others.
fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let jumps = prop::sample::select(vec![
        (2026, 3, 8),
        (2026, 3, 29),
        (2026, 4, 4),
        (2026, 4, 23),
        (2026, 10, 3),
        (2026, 10, 25),
        (2026, 10, 29),
        (2026, 11, 1),
        (2026, 6, 15),
        (2028, 2, 28),
        (2026, 12, 31),
    ]);
    (jumps, 0..2880_i64).prop_map(|((year, month, day), minutes)| {
        NaiveDate::from_ymd_opt(year, month, day)
            .unwrap()
            .and_hms_opt(0, 0, 0)
            .unwrap()
            .and_utc()
            + TimeDelta::minutes(minutes - 1440)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_moment_is_found_once_and_in_order(
        fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
        zone in prop::sample::select(ZONES.to_vec()),
        from in moment(),
    ) {
        let fields: [Given; 5] = fields.into();
        let text = fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ");
        let Ok(schedule) = text.parse::<Schedule>() else { return Ok(()) };
        let expected = all(&fields, zone, from, 2880);
        let mut found = Vec::new();
        let mut after = from - TimeDelta::microseconds(1);
        while let Some(next) = schedule.next_after(after, zone).filter(|next| *next < from + TimeDelta::minutes(2880)) {
            prop_assert!(next > after);
            found.push(next);
            after = next;
            if found.len() > expected.len() + 3 || found.len() > 200 { break; }
        }
        let length = found.len().min(200);
        prop_assert_eq!(&found[..length], &expected[..length.min(expected.len())], "{} in {}", text, zone);
        prop_assert!(found.len() == expected.len() || found.len() > 200);
    }

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _ = text.parse::<Schedule>();
    }

    #[test]
    fn no_text_of_the_right_letters_makes_reading_panic(text in "[0-9*,\\- ]{0,24}") {
        let _ = text.parse::<Schedule>();
    }
}
