//! Whether a calendar is open at a moment, and until when.
//!
//! A moment is open when the clock on the wall shows a time inside the hours of the date it shows.
//! Changes of the clocks follow from that: a time that is skipped is never shown, so hours that begin in
//! the gap begin right after it; a time that is shown twice is open both times.

use chrono::{DateTime, Days, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};

use super::Calendar;

/// How far ahead the next change is looked for: more than a year, so that one open day a year is found.
const HORIZON: TimeDelta = TimeDelta::days(400);

/// How far apart the offset of a zone is looked at: no zone changes its clocks forth and back within it.
const OFFSET_STEP: TimeDelta = TimeDelta::hours(12);

/// What a calendar says of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalendarState {
    /// Whether it is open.
    pub open: bool,
    /// The first moment at which that is different; `None`: none within 400 days.
    pub until: Option<DateTime<Utc>>,
}

impl Calendar {
    /// Whether the calendar is open at a moment, and when that changes.
    ///
    /// Moments so far away that no date can be told (some 260,000 years) are closed for ever.
    #[must_use]
    pub fn state(&self, at: DateTime<Utc>) -> CalendarState {
        let open = self.is_open(at);
        CalendarState {
            open,
            until: self.next_change(at, open),
        }
    }

    fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.wall_clock(at).is_some_and(|local| {
            self.hours_of(local.date())
                .iter()
                .any(|interval| interval.contains(local.time()))
        })
    }

    /// Seconds that the clock on the wall is ahead of UTC.
    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.time_zone.offset_from_utc_datetime(&at.naive_utc());
        TimeDelta::seconds(i64::from(offset.fix().local_minus_utc()))
    }

    fn wall_clock(&self, at: DateTime<Utc>) -> Option<NaiveDateTime> {
        at.naive_utc().checked_add_signed(self.offset(at))
    }

    /// The first moment after `at` that is not `open`. Between two changes of the clocks the wall runs
    /// as UTC does, so each such stretch is searched by itself.
    fn next_change(&self, at: DateTime<Utc>, open: bool) -> Option<DateTime<Utc>> {
        let horizon = at.checked_add_signed(HORIZON)?;
        let mut start = at;
        loop {
            let end = self.end_of_offset(start, horizon);
            if let Some(change) = self.change_within(start, end, open) {
                return Some(change);
            }
            if end >= horizon {
                return None;
            }
            if self.is_open(end) != open {
                return Some(end);
            }
            start = end;
        }
    }

    /// The first moment after `start` and before `end` that is not `open`; the offset is the same
    /// throughout.
    fn change_within(
        &self,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        open: bool,
    ) -> Option<DateTime<Utc>> {
        let offset = self.offset(start);
        let mut date = self.wall_clock(start)?.date();
        loop {
            let midnight = date
                .and_time(chrono::NaiveTime::MIN)
                .checked_sub_signed(offset)?
                .and_utc();
            if midnight >= end {
                return None;
            }
            let boundaries = self.hours_of(date).iter().flat_map(|i| [i.from, i.till]);
            // A new date may have other hours, also where none of them begins at midnight.
            for minutes in std::iter::once(0).chain(boundaries) {
                let boundary = midnight.checked_add_signed(TimeDelta::minutes(minutes.into()))?;
                if boundary > start && boundary < end && self.is_open(boundary) != open {
                    return Some(boundary);
                }
            }
            date = date.checked_add_days(Days::new(1))?;
        }
    }

    /// The first moment after `start` at which the zone has another offset, or the horizon.
    fn end_of_offset(&self, start: DateTime<Utc>, horizon: DateTime<Utc>) -> DateTime<Utc> {
        let offset = self.offset(start);
        let mut same = start;
        loop {
            let later = same
                .checked_add_signed(OFFSET_STEP)
                .map_or(horizon, |later| later.min(horizon));
            if self.offset(later) != offset {
                return self.first_with_another(offset, same, later);
            }
            if later >= horizon {
                return horizon;
            }
            same = later;
        }
    }

    /// Halves the stretch until the second is found at which the offset changes; zones change at whole
    /// seconds.
    fn first_with_another(
        &self,
        offset: TimeDelta,
        same: DateTime<Utc>,
        other: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let (mut same, mut other) = (same.timestamp(), other.timestamp());
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            let changed = DateTime::from_timestamp(middle, 0)
                .is_some_and(|middle| self.offset(middle) != offset);
            if changed {
                other = middle;
            } else {
                same = middle;
            }
        }
        DateTime::from_timestamp(other, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}
