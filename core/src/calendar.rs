//! Calendars: when a campaign may act (contact-lists §10.1).
//!
//! Hours for each weekday and dates with hours of their own, by the clock on the wall of one zone.
//!
//! ```json
//! {
//!   "time_zone": "Europe/Kyiv",
//!   "hours": {"mon": [["09:00", "13:00"], ["14:00", "18:00"]], "sat": [["22:00", "24:00"]]},
//!   "exceptions": [{"date": "2026-12-25", "hours": []}]
//! }
//! ```
//!
//! Intervals are half-open, `[from, till)`; a weekday that is left out is closed; an exception stands in
//! place of its date's weekday.

mod state;

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::document::{DocumentError, Reader, shown, wrong};

pub use state::CalendarState;

/// A calendar that cannot be used.
pub type CalendarError = DocumentError;

/// The weekdays, as documents name them.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Most intervals of a day.
const MAX_INTERVALS: usize = 100;

/// Most exceptions of a calendar.
const MAX_EXCEPTIONS: usize = 10_000;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// An interval of a day, in minutes since midnight: from the first one, up to the second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    from: u16,
    till: u16,
}

/// When a campaign may act. Intervals of a day stand in order and do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    time_zone: Tz,
    week: [Vec<Interval>; 7],
    exceptions: BTreeMap<NaiveDate, Vec<Interval>>,
}

impl Calendar {
    /// Reads a calendar as people write it. No exceptions may be given as null.
    ///
    /// # Errors
    /// [`CalendarError`] with the first field that is unknown or cannot be used.
    pub fn parse(
        time_zone: &str,
        hours: &Value,
        exceptions: &Value,
    ) -> Result<Self, CalendarError> {
        let time_zone = time_zone.trim().parse().map_err(|_| {
            wrong(
                "time_zone",
                format!("\"{time_zone}\" is not known"),
                "Use a name of the IANA database, in its spelling, such as Europe/Kyiv or UTC.",
            )
        })?;
        let days = Reader::new(hours, "hours", &WEEKDAYS)?;
        let mut week: [Vec<Interval>; 7] = Default::default();
        for (intervals, name) in week.iter_mut().zip(WEEKDAYS) {
            if let Some(given) = days.given(name) {
                *intervals = read_intervals(given, &days.path_of(name))?;
            }
        }
        Ok(Self {
            time_zone,
            week,
            exceptions: read_exceptions(exceptions)?,
        })
    }

    /// Reads a calendar from the one document that [`Calendar::document`] writes.
    ///
    /// # Errors
    /// As [`Calendar::parse`].
    pub fn from_document(document: &Value) -> Result<Self, CalendarError> {
        let parts = Reader::new(document, "", &["time_zone", "hours", "exceptions"])?;
        let part = |key| parts.given(key).unwrap_or(&Value::Null);
        let time_zone = part("time_zone").as_str().unwrap_or_default();
        Self::parse(time_zone, part("hours"), part("exceptions"))
    }

    /// The calendar as it is stored: every weekday named, exceptions by date.
    #[must_use]
    pub fn document(&self) -> Value {
        let hours: Map<String, Value> = WEEKDAYS
            .iter()
            .zip(&self.week)
            .map(|(&name, intervals)| (name.to_owned(), written(intervals)))
            .collect();
        let exceptions: Vec<Value> = self
            .exceptions
            .iter()
            .map(|(date, intervals)| {
                json!({"date": date.format("%Y-%m-%d").to_string(), "hours": written(intervals)})
            })
            .collect();
        json!({"time_zone": self.time_zone.name(), "hours": hours, "exceptions": exceptions})
    }

    /// The hours of a date.
    fn hours_of(&self, date: NaiveDate) -> &[Interval] {
        self.exceptions.get(&date).map_or_else(
            || {
                let day = date.weekday().num_days_from_monday() as usize;
                self.week.get(day).map_or(&[][..], Vec::as_slice)
            },
            Vec::as_slice,
        )
    }
}

impl Interval {
    /// Whether the time of day is inside.
    fn contains(self, time: NaiveTime) -> bool {
        let minute = time.num_seconds_from_midnight() / 60;
        (u32::from(self.from)..u32::from(self.till)).contains(&minute)
    }
}

fn written(intervals: &[Interval]) -> Value {
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    intervals
        .iter()
        .map(|interval| json!([clock(interval.from), clock(interval.till)]))
        .collect()
}

fn read_intervals(value: &Value, path: &str) -> Result<Vec<Interval>, CalendarError> {
    const HINT: &str = "Give an array of intervals, such as [[\"09:00\", \"13:00\"], [\"14:00\", \"18:00\"]]; \
                        an empty one is closed all day.";
    let items = value
        .as_array()
        .filter(|items| items.len() <= MAX_INTERVALS)
        .ok_or_else(|| {
            wrong(
                path,
                format!(
                    "{} is no array of at most {MAX_INTERVALS} intervals",
                    shown(value)
                ),
                HINT,
            )
        })?;
    let mut intervals: Vec<Interval> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let Some([from, till]) = item.as_array().map(Vec::as_slice) else {
            let message = format!("{} is no interval", shown(item));
            return Err(wrong(&path, message, HINT));
        };
        let interval = Interval {
            from: read_clock(from, &format!("{path}[0]"), DAY - 1)?,
            till: read_clock(till, &format!("{path}[1]"), DAY)?,
        };
        if interval.from >= interval.till {
            return Err(wrong(
                &path,
                format!("{} ends before it has begun", shown(item)),
                "Give the earlier time first; hours over midnight are two intervals, up to 24:00 and from 00:00 of the next day.",
            ));
        }
        if let Some(before) = intervals.last()
            && interval.from < before.till
        {
            return Err(wrong(
                &path,
                format!(
                    "{} begins before the interval in front of it has ended",
                    shown(item)
                ),
                "Give the intervals of a day in order, without overlaps.",
            ));
        }
        intervals.push(interval);
    }
    Ok(intervals)
}

/// `HH:MM` as minutes since midnight, up to `last`.
fn read_clock(value: &Value, path: &str, last: u16) -> Result<u16, CalendarError> {
    let two_digits = |text: &str| -> Option<u16> {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    };
    value
        .as_str()
        .and_then(|text| text.split_once(':'))
        .and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)))
        .filter(|&(_, minutes)| minutes < 60)
        .map(|(hours, minutes)| hours * 60 + minutes)
        .filter(|&time| time <= last)
        .ok_or_else(|| {
            wrong(
                path,
                format!("{} is no time of day", shown(value)),
                "Give it as HH:MM, from 00:00 to 23:59; only the end of an interval may be 24:00.",
            )
        })
}

fn read_exceptions(value: &Value) -> Result<BTreeMap<NaiveDate, Vec<Interval>>, CalendarError> {
    let none = Vec::new();
    let items = match value {
        Value::Null => &none,
        Value::Array(items) if items.len() <= MAX_EXCEPTIONS => items,
        other => {
            return Err(wrong(
                "exceptions",
                format!(
                    "{} is no array of at most {MAX_EXCEPTIONS} dates",
                    shown(other)
                ),
                "Give an array, such as [{\"date\": \"2026-12-25\", \"hours\": []}].",
            ));
        }
    };
    let mut exceptions = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("exceptions[{i}]");
        let fields = Reader::new(item, &path, &["date", "hours"])?;
        let place = fields.path_of("date");
        let date = read_date(fields.given("date").unwrap_or(&Value::Null), &place)?;
        let hours = fields.given("hours").unwrap_or(&Value::Null);
        let intervals = read_intervals(hours, &fields.path_of("hours"))?;
        if exceptions.insert(date, intervals).is_some() {
            return Err(wrong(
                &place,
                format!("{date} stands twice"),
                "Give each date once, with all of its hours.",
            ));
        }
    }
    Ok(exceptions)
}

/// `YYYY-MM-DD`, years 1 to 9999.
fn read_date(value: &Value, path: &str) -> Result<NaiveDate, CalendarError> {
    value
        .as_str()
        .filter(|text| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
        .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| {
            wrong(
                path,
                format!("{} is no date", shown(value)),
                "Give it as YYYY-MM-DD.",
            )
        })
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        Self::from_document(&document).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
