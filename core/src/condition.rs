//! Conditions: the one language in which people choose contacts, records and conversations
//! (list-automation §5.2, §5.3; contact-lists §2.2, §10.1 "Filter").
//!
//! A condition is JSON: sets joined by OR, and in each set comparisons joined by AND (R-3).
//!
//! ```json
//! {"any": [
//!   {"all": [
//!     {"field": "balance", "operator": "greater_than", "value": 100},
//!     {"field": "city", "operator": "in", "value": ["Kyiv", "Lviv"]}
//!   ]},
//!   {"all": [{"field": "vip", "operator": "equal", "value": true}]}
//! ]}
//! ```
//!
//! One set, or one comparison, may stand alone; it is read as the full form, and every path in an
//! error is that of the full form. [`Condition::parse`] needs no fields; [`Condition::check`],
//! [`Condition::resolved`] and [`Condition::to_sql`] compare a condition with the fields there are.
//!
//! | operator | fits | true when |
//! |---|---|---|
//! | `equal`, `not_equal` | all but `text[]` | the values are the same, also in case |
//! | `like`, `not_like` | `text` | it fits the pattern: `%` any text, `_` one character, `\` takes the next one as it is (O-1) |
//! | `in`, `not_in` | `text`, `integer`, `numeric`, `date` | it is one of an array, or of a text with commas, where `"…"` keeps commas and blanks (O-2) |
//! | `contains`, `does_not_contain` | `text`, `text[]` | the text is part of it; in `text[]`: is one of its elements |
//! | `is_empty`, `is_not_empty` | all | NULL, only blanks, or no element (O-5) |
//! | `less_than`, `less_than_or_equal`, `greater_than`, `greater_than_or_equal` | `integer`, `numeric`, `date`, `timestamptz` | as the name says |
//! | `more_than_days_ago`, `less_than_days_ago` | `date`, `timestamptz` | it lies in the past, by more or less than that many days |
//!
//! `like`, `in` and `contains` do not tell upper from lower case, everything else does (O-3). A
//! comparison is true or false, never NULL: with an empty value it is false, and its negative form
//! (`not_…`, `does_not_contain`) true, except that with a missing number both are false (O-4, O-5).
//!
//! A day is 24 hours for `timestamptz`; for `date`, "now" is the current day in UTC. Days and
//! moments are written as in files ([`crate::value::parse`]) and kept as ISO 8601; a moment
//! without an offset is in UTC. A number of JSON has at most 15 digits, or is a whole number of 8
//! bytes; a longer one is to be written as text, for what reads JSON rounds it. It is refused where
//! that can be seen.

mod fields;
mod parse;
mod sql;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Number, Value};
use thiserror::Error;

pub(crate) use fields::find;
pub use fields::{Field, FieldType};
pub(crate) use parse::{only_keys, shown};
pub(crate) use sql::operand;

use crate::text_enum::text_enum;

/// Most sets in a condition.
pub const MAX_SETS: usize = 100;

/// Most comparisons in a set.
pub const MAX_COMPARISONS: usize = 100;

/// Most values of `in` and `not_in`.
pub const MAX_VALUES: usize = 1_000;

/// Most characters of one text.
pub const MAX_TEXT_CHARS: usize = 8_192;

/// Most characters of all values of a condition together, each counted with one more: keeps the
/// SQL to a size that can be read and planned.
pub const MAX_CONDITION_CHARS: usize = 1_000_000;

/// Most days of `more_than_days_ago` and `less_than_days_ago`.
pub const MAX_DAYS: u32 = 36_500;

/// Most digits of a number.
pub const MAX_NUMBER_DIGITS: usize = 100;

/// What stands in the SQL for the current moment, a `timestamptz`. No literal of the SQL holds this
/// text, so whoever runs the SQL may replace it everywhere.
pub const NOW: &str = "$now";

text_enum! {
    /// How a field is compared.
    pub enum Operator("operator") {
        /// The same value.
        Equal = "equal",
        /// Another value.
        NotEqual = "not_equal",
        /// Fits a pattern.
        Like = "like",
        /// Does not fit a pattern.
        NotLike = "not_like",
        /// One of several values.
        In = "in",
        /// None of several values.
        NotIn = "not_in",
        /// Has no value.
        IsEmpty = "is_empty",
        /// Has a value.
        IsNotEmpty = "is_not_empty",
        /// Holds a text.
        Contains = "contains",
        /// Does not hold a text.
        DoesNotContain = "does_not_contain",
        /// Smaller, or earlier.
        LessThan = "less_than",
        /// Not greater, or not later.
        LessThanOrEqual = "less_than_or_equal",
        /// Greater, or later.
        GreaterThan = "greater_than",
        /// Not smaller, or not earlier.
        GreaterThanOrEqual = "greater_than_or_equal",
        /// Further back than a number of days.
        MoreThanDaysAgo = "more_than_days_ago",
        /// In the past, but not as far back as a number of days.
        LessThanDaysAgo = "less_than_days_ago",
    }
}

impl Operator {
    /// Whether fields of this type can be compared so.
    #[must_use]
    pub const fn fits(self, field_type: FieldType) -> bool {
        use FieldType::{Boolean, Date, Integer, Numeric, Text, TextArray, Timestamptz};
        match self {
            Self::IsEmpty | Self::IsNotEmpty => true,
            Self::Equal | Self::NotEqual => !matches!(field_type, TextArray),
            Self::Like | Self::NotLike => matches!(field_type, Text),
            Self::In | Self::NotIn => matches!(field_type, Text | Integer | Numeric | Date),
            Self::Contains | Self::DoesNotContain => matches!(field_type, Text | TextArray),
            Self::LessThan
            | Self::LessThanOrEqual
            | Self::GreaterThan
            | Self::GreaterThanOrEqual => !matches!(field_type, Text | TextArray | Boolean),
            Self::MoreThanDaysAgo | Self::LessThanDaysAgo => {
                matches!(field_type, Date | Timestamptz)
            }
        }
    }

    /// Whether it is the negative form of another operator.
    const fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotEqual | Self::NotLike | Self::NotIn | Self::IsNotEmpty | Self::DoesNotContain
        )
    }

    /// Whether its value is a number of days before now.
    const fn counts_days(self) -> bool {
        matches!(self, Self::MoreThanDaysAgo | Self::LessThanDaysAgo)
    }
}

/// A condition that can be stored: within all limits, in its full form. What it serializes to is
/// what [`Condition::parse`] reads back as the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    any: Vec<Set>,
}

/// Comparisons joined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Set {
    all: Vec<Comparison>,
}

/// One field compared with what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Comparison {
    field: String,
    operator: Operator,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Operand>,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Operand {
    Text(String),
    Number(Number),
    Boolean(bool),
    Many(Vec<Operand>),
}

/// What is wrong with a condition or an order, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}{}{message}", if path.is_empty() { "" } else { ": " })]
pub struct ConditionError {
    /// JSON path in the full form, for example `any[0].all[1].field`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ConditionError {
    pub(crate) fn new(
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl Condition {
    /// Reads a condition. Which fields there are does not matter yet.
    ///
    /// # Errors
    /// [`ConditionError`] for the first thing that is wrong: an unknown key or operator, a value
    /// that its operator cannot use, an empty rule (R-7), or more than the limits allow.
    pub fn parse(document: &Value) -> Result<Self, ConditionError> {
        parse::condition(document)
    }

    /// Whether every comparison names one of the fields, with an operator and a value for its type.
    ///
    /// # Errors
    /// [`ConditionError`] for the first comparison that does not.
    pub fn check(&self, fields: &[Field]) -> Result<(), ConditionError> {
        self.map(|comparison, path| comparison.typed(fields, path).map(drop))
            .map(drop)
    }

    /// The condition with fields named as they name themselves and with values as their types write
    /// them: numbers as numbers, days and moments in ISO 8601.
    ///
    /// # Errors
    /// As [`Condition::check`].
    pub fn resolved(&self, fields: &[Field]) -> Result<Self, ConditionError> {
        let sets = self.map(|comparison, path| {
            let typed = comparison.typed(fields, path)?;
            Ok(Comparison {
                field: typed.field.name.clone(),
                operator: comparison.operator,
                value: typed.operand(),
            })
        })?;
        Ok(Self {
            any: sets.into_iter().map(|all| Set { all }).collect(),
        })
    }

    /// The condition as an SQL expression in parentheses that is true or false, never NULL.
    ///
    /// It has no placeholder but [`NOW`], and that only where [`Condition::uses_now`] says so; any
    /// other is immutable and can be the predicate of an index, unless it looks into a `text[]`,
    /// which takes a subquery. Operators are found by name: run it with `search_path` fixed to
    /// `pg_catalog, pg_temp`.
    ///
    /// # Errors
    /// As [`Condition::check`].
    pub fn to_sql(&self, fields: &[Field]) -> Result<String, ConditionError> {
        let sets = self.map(|comparison, path| comparison.typed(fields, path)?.to_sql(path))?;
        let sets: Vec<String> = sets.iter().map(|all| all.join(" AND ")).collect();
        Ok(match sets.as_slice() {
            [set] => format!("({set})"),
            sets => format!("(({}))", sets.join(") OR (")),
        })
    }

    /// Whether the condition depends on the current moment.
    #[must_use]
    pub fn uses_now(&self) -> bool {
        self.any
            .iter()
            .flat_map(|set| &set.all)
            .any(|comparison| comparison.operator.counts_days())
    }

    /// Something made of every comparison and its path, set by set; ends with the first error.
    fn map<T>(
        &self,
        mut make: impl FnMut(&Comparison, &str) -> Result<T, ConditionError>,
    ) -> Result<Vec<Vec<T>>, ConditionError> {
        let mut of_set = |(i, set): (usize, &Set)| {
            let comparisons = set.all.iter().enumerate();
            comparisons
                .map(|(j, comparison)| make(comparison, &format!("any[{i}].all[{j}]")))
                .collect()
        };
        self.any.iter().enumerate().map(&mut of_set).collect()
    }
}
