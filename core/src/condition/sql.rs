//! Conditions as SQL. Nothing of a value gets into the SQL except inside a literal that [`quoted`]
//! made, or as digits that were read as a number, a day or a moment before.

use std::borrow::Cow;

use super::fields::{Literal, Typed, Wanted};
use super::{ConditionError, FieldType, NOW, Operator};

/// Everything that Unicode calls white space: what [`str::trim`] takes off.
const BLANKS: &str = r"E' \t\n\u000B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'";

/// The collation in which upper and lower case are compared, whatever the collation of a column.
const ANY_CASE: &str = "COLLATE pg_catalog.\"default\"";

/// An expression that an operator can stand beside: in parentheses unless it is a plain name.
pub(crate) fn operand(sql: &str) -> Cow<'_, str> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    if sql.chars().all(is_name) {
        Cow::Borrowed(sql)
    } else {
        Cow::Owned(format!("({sql})"))
    }
}

/// A text as a literal, `None` when it holds a NUL, which Postgres cannot store.
///
/// The literal means the same whatever `standard_conforming_strings` says, and [`NOW`] never occurs
/// in it: where the text holds it, its `$` is written as an escape.
pub(super) fn quoted(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let doubled = text.replace('\'', "''");
    Some(if text.contains('\\') || text.contains(NOW) {
        let escaped = doubled.replace('\\', r"\\").replace('$', r"\x24");
        format!("E'{escaped}'")
    } else {
        format!("'{doubled}'")
    })
}

impl Literal {
    /// The value as a constant of its type.
    fn to_sql(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) => format!("{}::text", quoted(text)?),
            Self::Integer(number) => format!("'{number}'::bigint"),
            Self::Numeric(digits) => format!("'{digits}'::numeric"),
            Self::Boolean(yes) => yes.to_string(),
            Self::Date(day) => format!("DATE '{}'", day.format("%Y-%m-%d")),
            Self::Timestamptz(at) => {
                format!("TIMESTAMPTZ '{}+00'", at.format("%Y-%m-%d %H:%M:%S%.f"))
            }
        })
    }
}

impl Typed<'_> {
    /// The comparison as an SQL expression that is true or false. It can stand beside AND and OR.
    pub(super) fn to_sql(&self, path: &str) -> Result<String, ConditionError> {
        if self.field.sql.contains(NOW) {
            return Err(ConditionError::new(
                format!("{path}.field"),
                format!("the field's name holds {NOW}, which stands for the current moment"),
                "Rename the field.",
            ));
        }
        self.expression().ok_or_else(|| {
            ConditionError::new(
                format!("{path}.value"),
                "the value cannot be written in SQL",
                "Remove the NUL character.",
            )
        })
    }

    /// A value that is there, and passes the test. `field IS NOT NULL AND …` is false for NULL, and
    /// unlike `(…) IS TRUE` it lets Postgres use an index for the test.
    fn expression(&self) -> Option<String> {
        let field = operand(&self.field.sql);
        if matches!(self.operator, Operator::IsEmpty | Operator::IsNotEmpty) {
            return Some(self.emptiness(&field));
        }
        let test = self.test(&field)?;
        Some(match (self.operator.is_negative(), self.field.field_type) {
            (false, _) => format!("({field} IS NOT NULL AND {test})"),
            (true, number) if number.is_number() => {
                format!("({field} IS NOT NULL AND NOT ({test}))")
            }
            (true, _) => format!("(NOT ({field} IS NOT NULL AND {test}))"),
        })
    }

    fn emptiness(&self, field: &str) -> String {
        let empty = match self.field.field_type {
            FieldType::Text => format!("{field} IS NULL OR {}", blank(field)),
            FieldType::TextArray => {
                format!("{field} IS NULL OR pg_catalog.cardinality({field}) = 0")
            }
            _ => format!("{field} IS NULL"),
        };
        if self.operator == Operator::IsNotEmpty {
            format!("(NOT ({empty}))")
        } else {
            format!("({empty})")
        }
    }

    /// The positive form of the operator on a field that is not NULL; never NULL itself.
    fn test(&self, field: &str) -> Option<String> {
        Some(match &self.value {
            Wanted::Nothing => return None,
            Wanted::Days(days) => self.days_ago(field, *days),
            Wanted::Many(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| value.to_sql().map(|sql| self.any_case(sql)))
                    .collect::<Option<_>>()?;
                let field = match self.field.field_type {
                    FieldType::Text => lower(field),
                    _ => field.to_owned(),
                };
                format!("{field} IN ({})", values.join(", "))
            }
            Wanted::One(value) => {
                let sql = value.to_sql()?;
                match self.operator {
                    Operator::Like | Operator::NotLike => {
                        format!("NOT {} AND {field} {ANY_CASE} ILIKE {sql}", blank(field))
                    }
                    Operator::Contains | Operator::DoesNotContain => {
                        self.contains(field, value, sql)
                    }
                    Operator::LessThan => format!("{field} < {sql}"),
                    Operator::LessThanOrEqual => format!("{field} <= {sql}"),
                    Operator::GreaterThan => format!("{field} > {sql}"),
                    Operator::GreaterThanOrEqual => format!("{field} >= {sql}"),
                    _ => format!("{field} = {sql}"),
                }
            }
        })
    }

    fn any_case(&self, sql: String) -> String {
        match self.field.field_type {
            FieldType::Text => format!("pg_catalog.lower({sql})"),
            _ => sql,
        }
    }

    fn contains(&self, field: &str, value: &Literal, sql: String) -> String {
        if self.field.field_type == FieldType::TextArray {
            return format!(
                "EXISTS (SELECT FROM pg_catalog.unnest({field}) AS element(value) \
                 WHERE {} = pg_catalog.lower({sql}))",
                lower("element.value")
            );
        }
        let found = format!("position(pg_catalog.lower({sql}) in {}) > 0", lower(field));
        match value {
            // Only blanks are part of a text of blanks, and that is an empty one.
            Literal::Text(text) if text.trim().is_empty() => {
                format!("NOT {} AND {found}", blank(field))
            }
            _ => found,
        }
    }

    fn days_ago(&self, field: &str, days: u32) -> String {
        let (now, then) = match self.field.field_type {
            FieldType::Date => {
                let today = format!("(({NOW})::timestamptz AT TIME ZONE 'UTC')::date");
                (today.clone(), format!("{today} - {days}"))
            }
            // In hours: how long a day is would depend on the time zone of the session.
            _ => (
                format!("({NOW})::timestamptz"),
                format!(
                    "({NOW})::timestamptz - INTERVAL '{} hours'",
                    u64::from(days) * 24
                ),
            ),
        };
        if self.operator == Operator::MoreThanDaysAgo {
            format!("{field} < {then}")
        } else {
            format!("{field} > {then} AND {field} <= {now}")
        }
    }
}

fn blank(field: &str) -> String {
    format!("pg_catalog.btrim({field}, {BLANKS}) = ''")
}

fn lower(field: &str) -> String {
    format!("pg_catalog.lower({field} {ANY_CASE})")
}
