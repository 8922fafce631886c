//! JSON to a [`Condition`], within its limits; every value of it is what somebody typed.

use serde_json::{Map, Number, Value};

use super::fields::json_number_of;
use super::{
    Comparison, Condition, ConditionError, MAX_COMPARISONS, MAX_CONDITION_CHARS, MAX_DAYS,
    MAX_SETS, MAX_TEXT_CHARS, MAX_VALUES, Operand, Operator, Set,
};

/// Most characters of a text that a message repeats.
const SHOWN_CHARS: usize = 60;

const FORM: &str = "Write {\"any\": [{\"all\": [{\"field\": …, \"operator\": …, \"value\": …}]}]}.";

/// A text short enough for a message, and without what would disturb one.
pub(crate) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => text
            .get(..end)
            .unwrap_or(text)
            .chars()
            .map(clean)
            .chain(['…'])
            .collect(),
        None => text.chars().map(clean).collect(),
    }
}

/// Refuses keys that are none of the `known`.
pub(crate) fn only_keys(
    object: &Map<String, Value>,
    known: &[&str],
    path: &str,
) -> Result<(), ConditionError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let dot = if path.is_empty() { "" } else { "." };
            Err(ConditionError::new(
                format!("{path}{dot}{}", shown(key)),
                "is not known",
                format!("Check the spelling; known here: {}.", known.join(", ")),
            ))
        }
        None => Ok(()),
    }
}

pub(super) fn condition(document: &Value) -> Result<Condition, ConditionError> {
    let mut reader = Reader { chars: 0 };
    let object = object(document, "")?;
    let any = if object.contains_key("any") {
        only_keys(object, &["any"], "")?;
        let sets = array(object.get("any"), "any", MAX_SETS, "sets")?;
        sets.iter()
            .enumerate()
            .map(|(i, set)| reader.set(set, &format!("any[{i}]")))
            .collect::<Result<_, _>>()?
    } else if object.contains_key("all") {
        vec![reader.set(document, "any[0]")?]
    } else if object.contains_key("field") || object.contains_key("operator") {
        vec![Set {
            all: vec![reader.comparison(document, "any[0].all[0]")?],
        }]
    } else {
        only_keys(object, &["any", "all", "field", "operator", "value"], "")?;
        return Err(ConditionError::new("", "has no comparison", FORM));
    };
    Ok(Condition { any })
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, ConditionError> {
    value
        .as_object()
        .ok_or_else(|| ConditionError::new(path, "is no object", FORM))
}

/// The elements of an array that has at least one and at most `most`.
fn array<'a>(
    value: Option<&'a Value>,
    path: &str,
    most: usize,
    what: &str,
) -> Result<&'a [Value], ConditionError> {
    match value.and_then(Value::as_array).map(Vec::as_slice) {
        None => Err(ConditionError::new(path, "is no array", FORM)),
        Some([]) => Err(ConditionError::new(
            path,
            "is empty",
            format!("Give at least one of its {what}, or leave the whole condition out."),
        )),
        Some(elements) if elements.len() > most => Err(too_many(path, elements.len(), most, what)),
        Some(elements) => Ok(elements),
    }
}

fn too_many(path: &str, count: usize, most: usize, what: &str) -> ConditionError {
    ConditionError::new(
        path,
        format!("has {count} {what}, and {most} are the most"),
        "Leave some out.",
    )
}

/// Reads a condition and counts the characters of its values.
struct Reader {
    chars: usize,
}

impl Reader {
    fn set(&mut self, value: &Value, path: &str) -> Result<Set, ConditionError> {
        let set = object(value, path)?;
        only_keys(set, &["all"], path)?;
        let path = format!("{path}.all");
        let comparisons = array(set.get("all"), &path, MAX_COMPARISONS, "comparisons")?;
        let all = comparisons
            .iter()
            .enumerate()
            .map(|(j, comparison)| self.comparison(comparison, &format!("{path}[{j}]")))
            .collect::<Result<_, _>>()?;
        Ok(Set { all })
    }

    fn comparison(&mut self, value: &Value, path: &str) -> Result<Comparison, ConditionError> {
        let comparison = object(value, path)?;
        only_keys(comparison, &["field", "operator", "value"], path)?;
        let text_of = |key: &str| match comparison.get(key) {
            Some(Value::String(text)) => Ok(text.as_str()),
            given => Err(ConditionError::new(
                format!("{path}.{key}"),
                match given {
                    None => "is missing",
                    Some(_) => "is no text",
                },
                format!("Name the {key} in quotes."),
            )),
        };
        let field_path = format!("{path}.field");
        let field = self.text(text_of("field")?, &field_path)?;
        if field.trim().is_empty() {
            return Err(ConditionError::new(field_path, "is empty", "Name a field."));
        }
        let operator: Operator = text_of("operator")?.parse().map_err(|_| {
            let known: Vec<&str> = Operator::ALL.iter().map(|known| known.as_str()).collect();
            ConditionError::new(
                format!("{path}.operator"),
                "is no operator",
                format!("Use one of: {}.", known.join(", ")),
            )
        })?;
        let value = comparison.get("value").filter(|value| !value.is_null());
        let value = self.value(operator, value, &format!("{path}.value"))?;
        Ok(Comparison {
            field,
            operator,
            value,
        })
    }

    /// The value in the form that the operator needs.
    fn value(
        &mut self,
        operator: Operator,
        value: Option<&Value>,
        path: &str,
    ) -> Result<Option<Operand>, ConditionError> {
        if matches!(operator, Operator::IsEmpty | Operator::IsNotEmpty) {
            return match value {
                None => Ok(None),
                Some(_) => Err(ConditionError::new(
                    path,
                    format!("is given, but {operator} compares with nothing"),
                    "Leave it out.",
                )),
            };
        }
        let value = value.ok_or_else(|| {
            ConditionError::new(path, "is missing", "Add what the field is compared with.")
        })?;
        Ok(Some(match operator {
            Operator::In | Operator::NotIn => self.many(value, path)?,
            Operator::MoreThanDaysAgo | Operator::LessThanDaysAgo => days(value, path)?,
            Operator::Like | Operator::NotLike => {
                let pattern = self.some_text(value, path)?;
                if ends_in_escape(&pattern) {
                    return Err(ConditionError::new(
                        path,
                        "ends with a \\ that takes no character",
                        "Write \\\\ for the character \\ itself.",
                    ));
                }
                Operand::Text(pattern)
            }
            Operator::Contains | Operator::DoesNotContain => {
                Operand::Text(self.some_text(value, path)?)
            }
            _ => self.one(value, path)?,
        }))
    }

    /// A text with at least one character, if only a blank.
    fn some_text(&mut self, value: &Value, path: &str) -> Result<String, ConditionError> {
        match value {
            Value::String(text) if text.is_empty() => Err(empty(path)),
            Value::String(text) => self.text(text, path),
            _ => Err(ConditionError::new(path, "is no text", "Put it in quotes.")),
        }
    }

    fn one(&mut self, value: &Value, path: &str) -> Result<Operand, ConditionError> {
        match value {
            Value::String(text) if text.trim().is_empty() => Err(empty(path)),
            Value::String(text) => self.text(text, path).map(Operand::Text),
            Value::Bool(yes) => {
                self.count(1, path)?;
                Ok(Operand::Boolean(*yes))
            }
            Value::Number(number) => {
                self.count(number.to_string().len(), path)?;
                exact(number, path).map(Operand::Number)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Err(ConditionError::new(
                path,
                "is no text, no number and neither true nor false",
                "Give one value here.",
            )),
        }
    }

    fn many(&mut self, value: &Value, path: &str) -> Result<Operand, ConditionError> {
        let values = match value {
            Value::Array(_) => array(Some(value), path, MAX_VALUES, "values")?
                .iter()
                .enumerate()
                .map(|(i, value)| self.one(value, &format!("{path}[{i}]")))
                .collect::<Result<_, _>>()?,
            Value::String(text) => self.listed(text, path)?,
            _ => {
                return Err(ConditionError::new(
                    path,
                    "is neither an array nor a text with commas",
                    "Give an array of values, for example [\"Kyiv\", \"Lviv\"].",
                ));
            }
        };
        Ok(Operand::Many(values))
    }

    /// Values with commas between them, blanks around them taken off; `"…"` keeps commas and
    /// blanks, and `""` in it is one `"` (list-automation §5.3 O-2).
    fn listed(&mut self, text: &str, path: &str) -> Result<Vec<Operand>, ConditionError> {
        let mut values = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let (value, after) = next_listed(text).ok_or_else(|| {
                ConditionError::new(
                    path,
                    format!(
                        "the quotes of value {} do not close before a comma",
                        values.len() + 1
                    ),
                    "Give an array of values, for example [\"Kyiv\", \"Lviv\"].",
                )
            })?;
            if value.trim().is_empty() {
                return Err(ConditionError::new(
                    path,
                    format!("value {} is empty", values.len() + 1),
                    "Leave it out; for a field without a value use is_empty or is_not_empty.",
                ));
            }
            values.push(Operand::Text(self.text(&value, path)?));
            if values.len() > MAX_VALUES {
                let count = values.len() + after.map_or(0, |more| more.matches(',').count() + 1);
                return Err(too_many(path, count, MAX_VALUES, "values"));
            }
            rest = after;
        }
        Ok(values)
    }

    fn text(&mut self, text: &str, path: &str) -> Result<String, ConditionError> {
        let chars = text.chars().count();
        if chars > MAX_TEXT_CHARS {
            return Err(ConditionError::new(
                path,
                format!("has {chars} characters, and {MAX_TEXT_CHARS} are the most"),
                "Shorten it.",
            ));
        }
        if text.contains('\0') {
            return Err(ConditionError::new(
                path,
                "holds the character U+0000, which no text can hold",
                "Remove it.",
            ));
        }
        self.count(chars, path)?;
        Ok(text.to_owned())
    }

    fn count(&mut self, chars: usize, path: &str) -> Result<(), ConditionError> {
        self.chars += chars + 1;
        if self.chars > MAX_CONDITION_CHARS {
            return Err(ConditionError::new(
                path,
                format!(
                    "here the values of the condition have more than {MAX_CONDITION_CHARS} \
                     characters together"
                ),
                "Leave some out.",
            ));
        }
        Ok(())
    }
}

fn empty(path: &str) -> ConditionError {
    ConditionError::new(
        path,
        "is empty",
        "For a field without a value use is_empty or is_not_empty.",
    )
}

fn exact(number: &Number, path: &str) -> Result<Number, ConditionError> {
    json_number_of(number).ok_or_else(|| {
        ConditionError::new(
            path,
            format!("{number} has more digits than a number of JSON can keep"),
            "Write the number in quotes, with all its digits.",
        )
    })
}

fn days(value: &Value, path: &str) -> Result<Operand, ConditionError> {
    let days = match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => json_number_of(number).and_then(|number| number.as_u64()),
        _ => None,
    };
    days.filter(|&days| days <= u64::from(MAX_DAYS))
        .map(|days| Operand::Number(Number::from(days)))
        .ok_or_else(|| {
            ConditionError::new(
                path,
                "is no number of days",
                format!("Give a whole number from 0 to {MAX_DAYS}."),
            )
        })
}

/// Whether the last `\` of a pattern escapes nothing, which Postgres refuses when it meets it.
fn ends_in_escape(pattern: &str) -> bool {
    let without = pattern.trim_end_matches('\\');
    (pattern.len() - without.len()) % 2 == 1
}

/// The first of the values, and what follows its comma. `None` when its quotes do not close, or
/// when something stands between them and the comma.
fn next_listed(text: &str) -> Option<(String, Option<&str>)> {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('"') else {
        return Some(match text.split_once(',') {
            Some((value, after)) => (value.trim_end().to_owned(), Some(after)),
            None => (text.trim_end().to_owned(), None),
        });
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => {
                let after = after.trim_start();
                return match after.strip_prefix(',') {
                    Some(after) => Some((value, Some(after))),
                    None => after.is_empty().then_some((value, None)),
                };
            }
        }
    }
}
