//! Typed user columns: what a cell of a file means in a column of a type.
//!
//! A [`Value`] holds no text. Text and decimal numbers stay in the row they came from and are
//! named by their field, so that a row of a large file is read without an allocation.

mod decimal;
mod time;

use chrono_tz::Tz;
use thiserror::Error;

pub use decimal::{Decimal, MAX_DIGITS, MAX_EXPONENT};

use crate::reason::Reason;
use crate::text_enum::text_enum;

text_enum! {
    /// Type of a user column.
    pub enum ColumnType("column type") {
        /// Text, kept as it is written.
        Text = "text",
        /// A whole number of 8 bytes.
        Integer = "integer",
        /// A decimal number, exact.
        Numeric = "numeric",
        /// True or false.
        Boolean = "boolean",
        /// A day.
        Date = "date",
        /// A moment; local times are read in the account's zone.
        Timestamptz = "timestamptz",
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The cell is empty or blank.
    Null,
    /// The text of this field of the row, as it is written.
    Text {
        /// Field of the row, from 0.
        field: u32,
    },
    /// A whole number.
    Integer(i64),
    /// The decimal number in this field of the row; [`Decimal::parse`] takes it apart.
    Numeric {
        /// Field of the row, from 0.
        field: u32,
    },
    /// True or false.
    Boolean(bool),
    /// Days since 2000-01-01, the epoch of Postgres.
    Date(i32),
    /// Microseconds since 2000-01-01 00:00 UTC, the epoch of Postgres.
    Timestamptz(i64),
}

/// A text that does not fit the type of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {expected}")]
pub struct BadValue {
    /// [`Reason::BadValue`] or [`Reason::BadDate`].
    pub reason: Reason,
    /// What would have been accepted.
    pub expected: &'static str,
}

/// Reads one cell; `field` is its place in the row and `zone` the account's.
///
/// An empty or blank cell is [`Value::Null`] in every type. Blanks around anything but text are
/// ignored.
///
/// | type | accepted |
/// |---|---|
/// | `text` | anything without NUL, which Postgres cannot store |
/// | `integer` | digits with an optional sign, 8 bytes |
/// | `numeric` | sign, digits, fraction and exponent, see [`Decimal`] |
/// | `boolean` | true/false, t/f, yes/no, y/n, on/off, 1/0 in any case |
/// | `date` | `YYYY-MM-DD`, `YYYYMMDD`, `DD.MM.YYYY`, years 1 to 9999 |
/// | `timestamptz` | ISO 8601 date, or date and time, with or without an offset |
///
/// # Errors
/// [`BadValue`] with `bad_date` for a day or a moment, `bad_value` for the rest.
pub fn parse(column_type: ColumnType, raw: &str, field: u32, zone: Tz) -> Result<Value, BadValue> {
    let text = raw.trim();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match column_type {
        ColumnType::Text if raw.as_bytes().contains(&0) => None,
        ColumnType::Text => Some(Value::Text { field }),
        ColumnType::Integer => text.parse().ok().map(Value::Integer),
        ColumnType::Numeric => Decimal::parse(text).map(|_| Value::Numeric { field }),
        ColumnType::Boolean => boolean(text).map(Value::Boolean),
        ColumnType::Date => time::date(text).map(Value::Date),
        ColumnType::Timestamptz => time::moment(text, zone).map(Value::Timestamptz),
    }
    .ok_or_else(|| refusal(column_type))
}

fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 5] = ["true", "t", "yes", "y", "on"];
    const FALSE: [&str; 5] = ["false", "f", "no", "n", "off"];
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if text == "1" || is_one_of(&TRUE) {
        Some(true)
    } else if text == "0" || is_one_of(&FALSE) {
        Some(false)
    } else {
        None
    }
}

fn refusal(column_type: ColumnType) -> BadValue {
    let (reason, expected) = match column_type {
        ColumnType::Text => (Reason::BadValue, "text without NUL characters"),
        ColumnType::Integer => (
            Reason::BadValue,
            "a whole number from -9223372036854775808 to 9223372036854775807",
        ),
        ColumnType::Numeric => (
            Reason::BadValue,
            "a decimal number with a point, such as -12.50 or 1e6",
        ),
        ColumnType::Boolean => (
            Reason::BadValue,
            "true or false (also t/f, yes/no, y/n, on/off, 1/0)",
        ),
        ColumnType::Date => (
            Reason::BadDate,
            "a date as YYYY-MM-DD, YYYYMMDD or DD.MM.YYYY",
        ),
        ColumnType::Timestamptz => (
            Reason::BadDate,
            "a date and time as ISO 8601, such as 2026-05-01T10:30:00+02:00",
        ),
    };
    BadValue { reason, expected }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn read(column_type: ColumnType, raw: &str) -> Result<Value, Reason> {
        parse(column_type, raw, 3, Tz::UTC).map_err(|bad| bad.reason)
    }

    #[test]
    fn a_blank_cell_is_null_in_every_type() {
        for &column_type in ColumnType::ALL {
            for raw in ["", " ", "\t", "\u{a0}"] {
                assert_eq!(read(column_type, raw), Ok(Value::Null));
            }
        }
    }

    #[test]
    fn text_stays_in_its_field_and_may_hold_anything_but_nul() {
        assert_eq!(
            read(ColumnType::Text, " a\nb "),
            Ok(Value::Text { field: 3 })
        );
        assert_eq!(read(ColumnType::Text, "a\u{0}b"), Err(Reason::BadValue));
    }

    #[test]
    fn a_nul_is_refused_in_every_type() {
        for &column_type in ColumnType::ALL {
            assert!(read(column_type, "1\u{0}").is_err());
            assert!(read(column_type, "\u{0}").is_err());
        }
    }

    #[test]
    fn integers_have_eight_bytes() {
        assert_eq!(read(ColumnType::Integer, " 42 "), Ok(Value::Integer(42)));
        assert_eq!(read(ColumnType::Integer, "+7"), Ok(Value::Integer(7)));
        assert_eq!(read(ColumnType::Integer, "-007"), Ok(Value::Integer(-7)));
        assert_eq!(
            read(ColumnType::Integer, "-9223372036854775808"),
            Ok(Value::Integer(i64::MIN))
        );
        for bad in [
            "9223372036854775808",
            "1.0",
            "1e3",
            "1 000",
            "0x10",
            "-",
            "ten",
        ] {
            assert_eq!(
                read(ColumnType::Integer, bad),
                Err(Reason::BadValue),
                "{bad}"
            );
        }
    }

    #[test]
    fn booleans_are_written_in_the_ways_postgres_knows() {
        for yes in ["true", "T", "Yes", "y", "ON", "1"] {
            assert_eq!(read(ColumnType::Boolean, yes), Ok(Value::Boolean(true)));
        }
        for no in ["false", "F", "No", "n", "OFF", "0"] {
            assert_eq!(read(ColumnType::Boolean, no), Ok(Value::Boolean(false)));
        }
        for bad in ["2", "maybe", "ja", "10"] {
            assert_eq!(read(ColumnType::Boolean, bad), Err(Reason::BadValue));
        }
    }

    #[test]
    fn dates_and_times_have_a_reason_of_their_own() {
        assert_eq!(read(ColumnType::Date, "2000-01-02"), Ok(Value::Date(1)));
        assert_eq!(read(ColumnType::Date, "02.30.2026"), Err(Reason::BadDate));
        assert_eq!(
            read(ColumnType::Timestamptz, "2000-01-01T00:00:01Z"),
            Ok(Value::Timestamptz(1_000_000))
        );
        assert_eq!(read(ColumnType::Timestamptz, "soon"), Err(Reason::BadDate));
    }

    #[test]
    fn a_refusal_says_what_would_have_been_accepted() {
        let bad = parse(ColumnType::Date, "yesterday", 0, Tz::UTC).unwrap_err();
        assert_eq!(
            bad.to_string(),
            "expected a date as YYYY-MM-DD, YYYYMMDD or DD.MM.YYYY"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(
            column_type in prop::sample::select(ColumnType::ALL),
            raw in any::<String>(),
        ) {
            let _ = read(column_type, &raw);
        }

        #[test]
        fn no_text_of_digits_and_marks_makes_reading_panic(
            column_type in prop::sample::select(ColumnType::ALL),
            raw in "[-+0-9.:TZtze é]{0,30}",
        ) {
            let _ = read(column_type, &raw);
        }

        #[test]
        fn every_integer_reads_back(number in any::<i64>()) {
            prop_assert_eq!(
                read(ColumnType::Integer, &number.to_string()),
                Ok(Value::Integer(number))
            );
        }
    }
}
