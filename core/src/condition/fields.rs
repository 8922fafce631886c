//! The fields that conditions and orders can name, and values in the types of fields.

use chrono::{DateTime, Datelike, Duration, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::parse::shown;
use super::{Comparison, ConditionError, MAX_NUMBER_DIGITS, Operand, Operator};
use crate::identifier::header_key;
use crate::text_enum::text_enum;
use crate::value::{self, ColumnType, Decimal, Value};

/// Most names of fields in a message.
const NAMES_SHOWN: usize = 20;

/// Most significant digits of a fraction that survive a number of JSON, which most programs read
/// as a double.
const JSON_DIGITS: usize = 15;

/// Most digits after the point that survive it: 10²² is the last power of ten a double holds.
const JSON_DECIMALS: usize = 22;

text_enum! {
    /// Type of a field.
    pub enum FieldType("field type") {
        /// Text.
        Text = "text",
        /// A whole number of 8 bytes.
        Integer = "integer",
        /// A decimal number, exact.
        Numeric = "numeric",
        /// True or false.
        Boolean = "boolean",
        /// A day.
        Date = "date",
        /// A moment.
        Timestamptz = "timestamptz",
        /// Several texts, such as labels.
        TextArray = "text[]",
    }
}

impl FieldType {
    /// The column type whose values are written in the same way; `None` for several texts.
    const fn column_type(self) -> Option<ColumnType> {
        match self {
            Self::Text => Some(ColumnType::Text),
            Self::Integer => Some(ColumnType::Integer),
            Self::Numeric => Some(ColumnType::Numeric),
            Self::Boolean => Some(ColumnType::Boolean),
            Self::Date => Some(ColumnType::Date),
            Self::Timestamptz => Some(ColumnType::Timestamptz),
            Self::TextArray => None,
        }
    }

    /// Whether a missing value makes the negative operators false too (O-4).
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Numeric)
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Text | Self::TextArray => "Write text in quotes, for example \"Kyiv\".",
            Self::Integer => "Write a whole number, for example 100.",
            Self::Numeric => "Write a number, for example 99.5; one of many digits in quotes.",
            Self::Boolean => "Write true or false.",
            Self::Date => "Write a day, for example \"2026-01-31\".",
            Self::Timestamptz => "Write a moment, for example \"2026-01-31T10:00:00+02:00\".",
        }
    }
}

/// A field that can be named, and what it is in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name as people write it.
    pub name: String,
    /// SQL expression of the field's type, trusted: it gets into the SQL as it is.
    pub sql: String,
    /// Type of the expression.
    #[serde(rename = "type")]
    pub field_type: FieldType,
}

/// The field of that name; without one, the only field with the same [`header_key`].
///
/// # Errors
/// [`ConditionError`] at `path` when there is none, or more than one that is not quite the same.
pub(crate) fn find<'a>(
    fields: &'a [Field],
    name: &str,
    path: &str,
) -> Result<&'a Field, ConditionError> {
    if let Some(field) = fields.iter().find(|field| field.name == name) {
        return Ok(field);
    }
    let key = header_key(name);
    let alike: Vec<&Field> = fields
        .iter()
        .filter(|field| !key.is_empty() && header_key(&field.name) == key)
        .collect();
    match alike.as_slice() {
        [field] => Ok(field),
        [] => Err(ConditionError::new(
            path,
            format!(
                "there is no field \"{}\"; {}",
                shown(name),
                match fields {
                    [] => "there are no fields at all".to_owned(),
                    _ => format!("known fields: {}", names(fields.iter())),
                }
            ),
            "Check the spelling; case, blanks, _ and - do not matter.",
        )),
        alike => Err(ConditionError::new(
            path,
            format!(
                "\"{}\" can be any of these fields: {}",
                shown(name),
                names(alike.iter().copied())
            ),
            "Write the name exactly as the field has it.",
        )),
    }
}

fn names<'a>(fields: impl ExactSizeIterator<Item = &'a Field>) -> String {
    let count = fields.len();
    let mut text = fields
        .take(NAMES_SHOWN)
        .map(|field| shown(&field.name))
        .collect::<Vec<_>>()
        .join(", ");
    if count > NAMES_SHOWN {
        text.push_str(&format!(" and {} more", count - NAMES_SHOWN));
    }
    text
}

/// A comparison with its field, and its value in the field's type.
pub(super) struct Typed<'a> {
    pub(super) field: &'a Field,
    pub(super) operator: Operator,
    pub(super) value: Wanted,
}

/// What a field is compared with, in its type.
pub(super) enum Wanted {
    Nothing,
    One(Literal),
    Many(Vec<Literal>),
    Days(u32),
}

/// A value in a field's type, good for SQL.
pub(super) enum Literal {
    Text(String),
    Integer(i64),
    /// Plain digits, see [`plain`].
    Numeric(String),
    Boolean(bool),
    Date(NaiveDate),
    Timestamptz(DateTime<Utc>),
}

impl Comparison {
    pub(super) fn typed<'a>(
        &self,
        fields: &'a [Field],
        path: &str,
    ) -> Result<Typed<'a>, ConditionError> {
        let field = find(fields, &self.field, &format!("{path}.field"))?;
        if !self.operator.fits(field.field_type) {
            let fitting: Vec<&str> = Operator::ALL
                .iter()
                .filter(|operator| operator.fits(field.field_type))
                .map(|operator| operator.as_str())
                .collect();
            return Err(ConditionError::new(
                format!("{path}.operator"),
                format!(
                    "{} does not fit the field \"{}\", whose type is {}",
                    self.operator,
                    shown(&field.name),
                    field.field_type
                ),
                format!("Use one of: {}.", fitting.join(", ")),
            ));
        }
        let path = format!("{path}.value");
        let value = match &self.value {
            None => Wanted::Nothing,
            Some(Operand::Number(days)) if self.operator.counts_days() => {
                let days = days.as_u64().and_then(|days| u32::try_from(days).ok());
                Wanted::Days(days.unwrap_or_default())
            }
            Some(Operand::Many(values)) => Wanted::Many(
                values
                    .iter()
                    .enumerate()
                    .map(|(i, value)| literal(field.field_type, value, &format!("{path}[{i}]")))
                    .collect::<Result<_, _>>()?,
            ),
            Some(value) => Wanted::One(literal(field.field_type, value, &path)?),
        };
        Ok(Typed {
            field,
            operator: self.operator,
            value,
        })
    }
}

impl Typed<'_> {
    /// The value as it is stored.
    pub(super) fn operand(&self) -> Option<Operand> {
        match &self.value {
            Wanted::Nothing => None,
            Wanted::One(literal) => Some(literal.operand()),
            Wanted::Many(literals) => Some(Operand::Many(
                literals.iter().map(Literal::operand).collect(),
            )),
            Wanted::Days(days) => Some(Operand::Number(Number::from(*days))),
        }
    }
}

impl Literal {
    fn operand(&self) -> Operand {
        match self {
            Self::Text(text) => Operand::Text(text.clone()),
            Self::Integer(number) => Operand::Number(Number::from(*number)),
            Self::Numeric(digits) => {
                json_number(digits).map_or_else(|| Operand::Text(digits.clone()), Operand::Number)
            }
            Self::Boolean(yes) => Operand::Boolean(*yes),
            Self::Date(day) => Operand::Text(day.format("%Y-%m-%d").to_string()),
            Self::Timestamptz(at) => Operand::Text(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

/// A value as the type of its field has it.
fn literal(field_type: FieldType, value: &Operand, path: &str) -> Result<Literal, ConditionError> {
    let read = match (field_type, value) {
        (FieldType::Text | FieldType::TextArray, Operand::Text(text)) => {
            Some(Literal::Text(text.clone()))
        }
        (FieldType::Integer, Operand::Number(number)) => number.as_i64().map(Literal::Integer),
        (FieldType::Numeric, Operand::Number(number)) => numeric(&number.to_string()),
        (FieldType::Numeric, Operand::Text(text)) => numeric(text),
        (FieldType::Boolean, Operand::Boolean(yes)) => Some(Literal::Boolean(*yes)),
        (_, Operand::Text(text)) => of_cell(field_type, text),
        _ => None,
    };
    read.ok_or_else(|| {
        let given = match value {
            Operand::Text(text) => format!("\"{}\"", shown(text)),
            Operand::Number(number) => format!("the number {number}"),
            Operand::Boolean(yes) => yes.to_string(),
            Operand::Many(_) => "an array".to_owned(),
        };
        ConditionError::new(
            path,
            format!("{given} is no value of the type {field_type}"),
            field_type.example(),
        )
    })
}

fn numeric(text: &str) -> Option<Literal> {
    Decimal::parse(text).and_then(plain).map(Literal::Numeric)
}

/// A text as a file's cell of that type would be read, in UTC.
fn of_cell(field_type: FieldType, text: &str) -> Option<Literal> {
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    match value::parse(field_type.column_type()?, text, 0, Tz::UTC).ok()? {
        Value::Integer(number) => Some(Literal::Integer(number)),
        Value::Boolean(yes) => Some(Literal::Boolean(yes)),
        Value::Date(days) => epoch
            .checked_add_signed(Duration::days(i64::from(days)))
            .map(Literal::Date),
        Value::Timestamptz(micros) => epoch
            .and_hms_opt(0, 0, 0)?
            .checked_add_signed(Duration::microseconds(micros))
            .map(|at| at.and_utc())
            // An offset can move a moment out of the years that ISO 8601 writes with four digits.
            .filter(|at| (1..=9999).contains(&at.year()))
            .map(Literal::Timestamptz),
        Value::Null | Value::Text { .. } | Value::Numeric { .. } => None,
    }
}

/// A number of JSON as it is kept: one of 15 digits at most, or a whole number of 8 bytes. `None`
/// for any other, which has been rounded already.
pub(super) fn json_number_of(number: &Number) -> Option<Number> {
    if number.is_i64() {
        return Some(number.clone());
    }
    let text = number.to_string();
    let digits = plain(Decimal::parse(&text)?)?;
    (significant(&digits) <= JSON_DIGITS)
        .then(|| json_number(&digits))
        .flatten()
}

/// The number of JSON for these [`plain`] digits, if every reader of JSON gets all of them.
fn json_number(digits: &str) -> Option<Number> {
    let Some((_, decimals)) = digits.split_once('.') else {
        return digits.parse::<i64>().ok().map(Number::from);
    };
    (significant(digits) <= JSON_DIGITS && decimals.len() <= JSON_DECIMALS)
        .then(|| digits.parse().ok().and_then(Number::from_f64))
        .flatten()
}

/// Digits without the zeros at both ends.
fn significant(digits: &str) -> usize {
    let all: String = digits.chars().filter(char::is_ascii_digit).collect();
    all.trim_matches('0').len()
}

/// A decimal number in the one form that its value has: digits, a minus sign and a point where they
/// are needed, no exponent, no zeros that say nothing. `None` for more than [`MAX_NUMBER_DIGITS`].
pub(super) fn plain(decimal: Decimal<'_>) -> Option<String> {
    let digits = format!("{}{}", decimal.whole, decimal.fraction);
    let exponent = i64::from(decimal.exponent);
    let point = i64::try_from(decimal.whole.len()).ok()? + exponent;
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let padded = format!(
        "{}{digits}{}",
        zeros(-point),
        zeros(point - i64::try_from(digits.len()).ok()?)
    );
    let (whole, fraction) = padded.split_at_checked(usize::try_from(point.max(0)).ok()?)?;
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() > MAX_NUMBER_DIGITS {
        return None;
    }
    let sign = if decimal.negative && (whole != "0" || !fraction.is_empty()) {
        "-"
    } else {
        ""
    };
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{dot}{fraction}"))
}
