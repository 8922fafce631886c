//! Days and moments as files write them, counted from the epoch of Postgres (2000-01-01).
//!
//! Only forms that can be read in one way are accepted: no `05/06/2026`, which is a day in May in
//! one country and in June in another.

use chrono::{
    Datelike, Duration, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone,
};
use chrono_tz::Tz;

/// 2000-01-01 as days of the common era.
const EPOCH_DAY: i32 = 730_120;

/// 2000-01-01 00:00 UTC as seconds of the Unix epoch.
const EPOCH_SECOND: i64 = 946_684_800;

/// Days since 2000-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    day(text).map(|day| day.num_days_from_ce() - EPOCH_DAY)
}

/// Microseconds since 2000-01-01 00:00 UTC; without an offset the time is local in `zone`.
pub(super) fn moment(text: &str, zone: Tz) -> Option<i64> {
    let (day_text, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.trim_start()),
        None => (text, ""),
    };
    let day = day(day_text)?;
    if rest.is_empty() {
        // A `T` with nothing behind it is half a moment, not a day.
        return (day_text.len() == text.len())
            .then(|| day.and_time(NaiveTime::MIN))
            .and_then(|local| instant(local, zone));
    }
    let (clock_text, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (
            rest.get(..at)?.trim_end(),
            Some(offset_seconds(rest.get(at..)?)?),
        ),
        None => (rest, None),
    };
    let local = day.and_time(clock(clock_text)?);
    match offset {
        Some(seconds) => Some(micros(local)? - i64::from(seconds) * 1_000_000),
        None => instant(local, zone),
    }
}

/// `YYYY-MM-DD`, `YYYYMMDD` or `DD.MM.YYYY`, years 1 to 9999.
fn day(text: &str) -> Option<NaiveDate> {
    let (year, month, day) = match text.as_bytes() {
        [_, _, _, _, b'-', _, _, b'-', _, _] => (0..4, 5..7, 8..10),
        [_, _, b'.', _, _, b'.', _, _, _, _] => (6..10, 3..5, 0..2),
        [_, _, _, _, _, _, _, _] => (0..4, 4..6, 6..8),
        _ => return None,
    };
    let year = i32::try_from(number(text.get(year)?)?).ok()?;
    let month = number(text.get(month)?)?;
    let day = number(text.get(day)?)?;
    if year == 0 {
        return None;
    }
    NaiveDate::from_ymd_opt(year, month, day)
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.ffffff` or the same without colons. Digits past the sixth after
/// the point are cut off.
fn clock(text: &str) -> Option<NaiveTime> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let (hour, minute, second) = match whole.as_bytes() {
        [_, _, b':', _, _] if fraction.is_none() => (0..2, 3..5, None),
        [_, _, b':', _, _, b':', _, _] => (0..2, 3..5, Some(6..8)),
        [_, _, _, _] if fraction.is_none() => (0..2, 2..4, None),
        [_, _, _, _, _, _] => (0..2, 2..4, Some(4..6)),
        _ => return None,
    };
    let micros = match fraction {
        Some(digits) => micros_of_fraction(digits)?,
        None => 0,
    };
    let second = match second {
        Some(range) => number(whole.get(range)?)?,
        None => 0,
    };
    NaiveTime::from_hms_micro_opt(
        number(whole.get(hour)?)?,
        number(whole.get(minute)?)?,
        second,
        micros,
    )
}

fn micros_of_fraction(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = digits.get(..6).unwrap_or(digits);
    let scale = 10_u32.pow(u32::try_from(6 - kept.len()).ok()?);
    number(kept).map(|value| value * scale)
}

/// `Z`, `+HH`, `+HHMM` or `+HH:MM`, as seconds east of UTC, at most 15:59 as in Postgres.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'Z' | b'z' => return (text.len() == 1).then_some(0),
        b'+' => (1, text.get(1..)?),
        _ => (-1, text.get(1..)?),
    };
    let (hours, minutes) = match rest.as_bytes() {
        [_, _] => (rest, "00"),
        [_, _, _, _] => (rest.get(..2)?, rest.get(2..)?),
        [_, _, b':', _, _] => (rest.get(..2)?, rest.get(3..)?),
        _ => return None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    i32::try_from(hours * 3600 + minutes * 60)
        .ok()
        .map(|seconds| sign * seconds)
}

/// The instant of a local time. One that occurs twice is the first of the two; one that a change
/// of clocks skips is read with the offset before the change, as Postgres does.
fn instant(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    let offset = match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset,
        MappedLocalTime::None => {
            // No change of clocks is longer than a day.
            let before = local.checked_sub_signed(Duration::days(1))?;
            zone.offset_from_local_datetime(&before).earliest()?
        }
    };
    Some(micros(local)? - i64::from(offset.fix().local_minus_utc()) * 1_000_000)
}

fn micros(utc: NaiveDateTime) -> Option<i64> {
    let at = utc.and_utc();
    (at.timestamp() - EPOCH_SECOND)
        .checked_mul(1_000_000)
        .map(|seconds| seconds + i64::from(at.timestamp_subsec_micros()))
}

/// A number of at most nine ASCII digits; a sign is no digit.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().try_fold(0_u32, |value, b| {
        b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn utc(text: &str, zone: Tz) -> Option<String> {
        let micros = moment(text, zone)?;
        DateTime::from_timestamp_micros(micros + EPOCH_SECOND * 1_000_000)
            .map(|at| at.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
    }

    #[test]
    fn three_ways_of_writing_a_day_mean_the_same() {
        for text in ["2026-05-01", "20260501", "01.05.2026"] {
            assert_eq!(date(text), Some(9617));
        }
        assert_eq!(date("2000-01-01"), Some(0));
        assert_eq!(date("1999-12-31"), Some(-1));
        assert_eq!(date("0001-01-01"), Some(-730_119));
        assert!(date("9999-12-31").is_some());
    }

    #[test]
    fn days_that_do_not_exist_or_can_be_read_in_two_ways_are_refused() {
        for bad in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "0000-01-01",
            "01/05/2026",
            "2026/05/01",
            "1.5.2026",
            "26-05-01",
            "20265001",
            "2026-5-1",
            "+026-05-01",
            "2026-05-01x",
            "١٢٣٤-٠٥-٠١",
            "é026-05-0",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
        assert!(date("2024-02-29").is_some());
    }

    #[test]
    fn moments_with_an_offset_ignore_the_zone() {
        let kyiv = Tz::Europe__Kyiv;
        for text in [
            "2026-05-01T10:30:00Z",
            "2026-05-01t10:30:00z",
            "2026-05-01 10:30Z",
            "2026-05-01 12:30:00+02",
            "2026-05-01 12:30:00 +0200",
            "2026-05-01T12:30:00.000+02:00",
            "20260501T103000Z",
            "2026-05-01T07:00:00-03:30",
        ] {
            assert_eq!(
                utc(text, kyiv).as_deref(),
                Some("2026-05-01 10:30:00.000000"),
                "{text}"
            );
        }
    }

    #[test]
    fn moments_without_an_offset_are_local() {
        let kyiv = Tz::Europe__Kyiv;
        assert_eq!(
            utc("2026-05-01T13:30", kyiv).unwrap(),
            "2026-05-01 10:30:00.000000"
        );
        assert_eq!(
            utc("2026-01-01 13:30:05.25", kyiv).unwrap(),
            "2026-01-01 11:30:05.250000"
        );
        assert_eq!(
            utc("2026-05-01", kyiv).unwrap(),
            "2026-04-30 21:00:00.000000"
        );
        assert_eq!(
            utc("01.05.2026 13:30", kyiv).unwrap(),
            "2026-05-01 10:30:00.000000"
        );
    }

    #[test]
    fn changes_of_clocks_are_read_as_postgres_reads_them() {
        let new_york = Tz::America__New_York;
        // Skipped on 8 March 2026: 02:30 is read in winter time, that is 03:30 in summer time.
        assert_eq!(
            utc("2026-03-08 02:30", new_york).unwrap(),
            "2026-03-08 07:30:00.000000"
        );
        // Twice on 1 November 2026: the first pass.
        assert_eq!(
            utc("2026-11-01 01:30", new_york).unwrap(),
            "2026-11-01 05:30:00.000000"
        );
    }

    #[test]
    fn half_moments_are_refused() {
        for bad in [
            "2026-05-01T",
            "2026-05-01T10",
            "2026-05-01T25:00",
            "2026-05-01T10:60",
            "2026-05-01T10:30:60",
            "2026-05-01T10:30.5",
            "2026-05-01T10:30:00.",
            "T10:30",
            "2026-05-01T10:30:00+",
            "2026-05-01T10:30:00+2",
            "2026-05-01T10:30:00+16:00",
            "2026-05-01T10:30:00+02:60",
            "2026-05-01T10:30:00ZZ",
            "2026-05-01T10:30:00 Kyiv",
            "2026-05-01T10:30:00+02:00:00",
            "10:30",
            "2026-05-01T-1:30",
        ] {
            assert_eq!(moment(bad, Tz::UTC), None, "{bad}");
        }
    }

    #[test]
    fn digits_past_microseconds_are_cut_off() {
        assert_eq!(
            utc("2026-05-01T10:30:00.1234567899Z", Tz::UTC).unwrap(),
            "2026-05-01 10:30:00.123456"
        );
    }

    proptest! {
        #[test]
        fn every_day_reads_back(days in -730_119_i32..2_921_939) {
            let day = NaiveDate::from_num_days_from_ce_opt(days + EPOCH_DAY).unwrap();
            for format in ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y"] {
                prop_assert_eq!(date(&day.format(format).to_string()), Some(days));
            }
        }

        #[test]
        fn every_moment_reads_back(
            seconds in -60_000_000_000_i64..250_000_000_000,
            micros in 0..1_000_000_i64,
        ) {
            let at = DateTime::from_timestamp(seconds, u32::try_from(micros).unwrap() * 1000).unwrap();
            let text = at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(
                moment(&text, Tz::Asia__Tokyo),
                Some((seconds - EPOCH_SECOND) * 1_000_000 + micros)
            );
        }
    }
}
