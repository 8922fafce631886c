//! When something is due: the five fields of cron, in a time zone (list-automation §1.3).
//!
//! | notation | means |
//! |---|---|
//! | `*` | every value |
//! | `1,3,4` | these values |
//! | `15-30` | these and all between |
//!
//! Minute 0-59, hour 0-23, day of the month 1-31, month 1-12, day of the week 0-6 with Sunday 0, one
//! blank between them. Where both days are restricted, either will do (C-4).
//!
//! Twice a year the clock of a zone may jump. A schedule with `*` for the hour follows the clock: it
//! fires in both passes of an hour that comes twice, and not in one that is left out. Any other fires
//! once: in the first pass, or at the first moment after the hour that was left out.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use thiserror::Error;

/// More than a clock was ever set back at once: wall clock times from so long before a moment can
/// still come after it.
const LEAD: TimeDelta = TimeDelta::hours(3);

/// The parser of the fields knows no later year.
const LAST_YEAR: i32 = 2100;

/// The first moment that is looked at: nothing was due before.
const BEGINNING: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

/// The five fields in their order.
const FIELDS: [Field; 5] = [
    Field::new("minute", 0, 59),
    Field::new("hour", 0, 23),
    Field::new("day of the month", 1, 31),
    Field::new("month", 1, 12),
    Field::new("day of the week", 0, 6),
];

/// Days of the week as the parser of the fields knows them; it counts them otherwise than cron does.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// One field of a schedule.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Moments at which something is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Wall clock times without a zone; with two of them, the days of either.
    times: Vec<cron::Schedule>,
    every_hour: bool,
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads five fields with one blank between them.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let parts: Vec<&str> = text.split(' ').collect();
        if parts.len() != FIELDS.len() || parts.iter().any(|part| part.is_empty()) {
            return Err(wrong(
                text,
                "it must have five fields with exactly one blank between them".to_owned(),
            ));
        }
        let mut fields = Vec::with_capacity(FIELDS.len());
        for (field, part) in FIELDS.into_iter().zip(&parts) {
            fields.push(field.parse(part).map_err(|what| wrong(text, what))?);
        }
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(wrong(text, "it must have five fields".to_owned()));
        };
        let written = |field: &Option<BTreeSet<u8>>| {
            field.as_ref().map_or_else(
                || "*".to_owned(),
                |values| join(values.iter().map(u8::to_string)),
            )
        };
        let weekdays = weekday.as_ref().map_or_else(
            || "*".to_owned(),
            |days| {
                join(
                    days.iter()
                        .filter_map(|&day| WEEKDAYS.get(usize::from(day)))
                        .map(|&name| name.to_owned()),
                )
            },
        );
        let (days, clock) = (
            written(day),
            format!("0 {} {}", written(minute), written(hour)),
        );
        let month = written(month);
        let texts = if day.is_some() && weekday.is_some() {
            vec![
                format!("{clock} {days} {month} *"),
                format!("{clock} * {month} {weekdays}"),
            ]
        } else {
            vec![format!("{clock} {days} {month} {weekdays}")]
        };
        let times = texts
            .iter()
            .map(|text| cron::Schedule::from_str(text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(text, error.to_string()))?;
        let schedule = Self {
            times,
            every_hour: hour.is_none(),
        };
        // Within these years every date of the calendar comes, on every day of the week but for the
        // 29th of February, and that one comes too.
        if schedule.times_from(BEGINNING.naive_utc()).next().is_none() {
            return Err(wrong(text, "no such day ever comes".to_owned()));
        }
        Ok(schedule)
    }
}

impl Schedule {
    /// The first moment after `after`, by the clock of `zone`; `None` when none comes before the year
    /// 2100 is over.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        if after.year() > LAST_YEAR {
            return None;
        }
        let after = after.max(BEGINNING);
        let start = after.with_timezone(&zone).naive_local() - LEAD;
        let mut next: Option<DateTime<Utc>> = None;
        for time in self.times_from(start) {
            let (first, second) = self.moments(time, zone);
            // First passes come in the order of their clock times, and no second one before its first.
            if let (Some(next), Some(first)) = (next, first)
                && first >= next
            {
                break;
            }
            next = [next, first, second]
                .into_iter()
                .flatten()
                .filter(|&moment| moment > after)
                .min();
        }
        next
    }

    /// Wall clock times from `start` on, in order.
    fn times_from(&self, start: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> + '_ {
        // The iterator leaves its start out.
        let start = (start - TimeDelta::seconds(1)).and_utc();
        let mut days: Vec<_> = self
            .times
            .iter()
            .map(|times| times.after(&start).map(|time| time.naive_utc()).peekable())
            .collect();
        std::iter::from_fn(move || {
            let next = days
                .iter_mut()
                .filter_map(|times| times.peek())
                .min()
                .copied()?;
            for times in &mut days {
                times.next_if_eq(&next);
            }
            Some(next)
        })
    }

    /// When a wall clock time is due in a zone: in its first pass, and in its second if that counts.
    fn moments(
        &self,
        time: NaiveDateTime,
        zone: Tz,
    ) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let utc = |moment: DateTime<Tz>| moment.with_timezone(&Utc);
        match zone.from_local_datetime(&time) {
            MappedLocalTime::Single(moment) => (Some(utc(moment)), None),
            MappedLocalTime::Ambiguous(first, second) => {
                (Some(utc(first)), self.every_hour.then(|| utc(second)))
            }
            MappedLocalTime::None if self.every_hour => (None, None),
            MappedLocalTime::None => (
                GapInfo::new(&time, &zone).and_then(|gap| gap.end).map(utc),
                None,
            ),
        }
    }
}

impl Field {
    const fn new(name: &'static str, first: u8, last: u8) -> Self {
        Self { name, first, last }
    }

    /// The values of a field; `None` for all of them.
    fn parse(self, text: &str) -> Result<Option<BTreeSet<u8>>, String> {
        if text == "*" {
            return Ok(None);
        }
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (self.value(first)?, self.value(last)?),
                None => {
                    let value = self.value(part)?;
                    (value, value)
                }
            };
            if first > last {
                return Err(format!("{} {part} runs backwards", self.name));
            }
            values.extend(first..=last);
        }
        Ok(Some(values))
    }

    fn value(self, text: &str) -> Result<u8, String> {
        let shown: String = text.chars().take(20).collect();
        Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| {
                format!(
                    "{} \"{shown}\" is no number from {} to {}",
                    self.name, self.first, self.last
                )
            })
    }
}

fn join(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(",")
}

fn wrong(text: &str, what: String) -> ScheduleError {
    let shown: String = text.chars().take(60).collect();
    ScheduleError {
        message: format!("\"{shown}\" is no schedule: {what}"),
        hint: "Write minute, hour, day of the month, month and day of the week (0 is Sunday), each *, a number, \
               a range or a list: \"0 0 * * *\" is daily at midnight, \"30 7-18 * * 1-5\" half past every hour on \
               working days."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
