//! Documents that people write, read field by field.
//!
//! Settings are given as JSON objects of which only some keys are named. A [`Reader`] knows every
//! key of an object, refuses the others by their path, and says of each value what it should have
//! been; null stands for the default, so that a change can take a setting back.

use std::str::FromStr;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::UnknownName;

/// Longest piece of a wrong value that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct DocumentError {
    /// JSON path of the field, for example `categories.busy.minutes`; empty when the document as a
    /// whole is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Makes an error about one field.
pub(crate) fn wrong(field: &str, message: impl Into<String>, hint: &str) -> DocumentError {
    DocumentError {
        field: field.to_owned(),
        message: message.into(),
        hint: hint.to_owned(),
    }
}

/// A value as a message repeats it, cut when it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The document with the keys of a change in place of its own. Objects are merged down to `depth`
/// levels, everything else is replaced; a null stays and means the default.
pub(crate) fn merged(present: &Value, change: &Value, depth: usize) -> Value {
    match (present, change) {
        (Value::Object(present), Value::Object(change)) if depth > 0 => {
            let mut both = present.clone();
            for (key, value) in change {
                let former = present.get(key).unwrap_or(&Value::Null);
                both.insert(key.clone(), merged(former, value, depth - 1));
            }
            Value::Object(both)
        }
        _ => change.clone(),
    }
}

/// One object of a document.
pub(crate) struct Reader<'a> {
    path: &'a str,
    object: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    /// Starts to read an object at a path (empty: the document itself), all of whose keys are known.
    pub(crate) fn new(
        document: &'a Value,
        path: &'a str,
        known: &[&str],
    ) -> Result<Self, DocumentError> {
        let Value::Object(object) = document else {
            return Err(wrong(
                path,
                format!("{} is no object", shown(document)),
                &format!("Give an object; its keys are {}.", known.join(", ")),
            ));
        };
        let reader = Self { path, object };
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(wrong(
                &reader.path_of(key),
                "is not known",
                &format!("Check the spelling; known here: {}.", known.join(", ")),
            )),
            None => Ok(reader),
        }
    }

    /// The path of a key.
    pub(crate) fn path_of(&self, key: &str) -> String {
        match self.path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// The value of a key; `None` when it is absent or null.
    pub(crate) fn given(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A whole number within bounds.
    pub(crate) fn whole(
        &self,
        key: &str,
        (least, most): (i32, i32),
    ) -> Result<Option<i32>, DocumentError> {
        let Some(value) = self.given(key) else {
            return Ok(None);
        };
        value
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or_else(|| {
                wrong(
                    &self.path_of(key),
                    format!("{} is no whole number from {least} to {most}", shown(value)),
                    "Correct the number, or give null for the default.",
                )
            })
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, DocumentError> {
        self.given(key)
            .map(|value| {
                value.as_bool().ok_or_else(|| {
                    wrong(
                        &self.path_of(key),
                        format!("{} is neither true nor false", shown(value)),
                        "Give true or false.",
                    )
                })
            })
            .transpose()
    }

    /// A text of at least one visible character and at most so many.
    pub(crate) fn text(
        &self,
        key: &str,
        most_chars: usize,
    ) -> Result<Option<String>, DocumentError> {
        let Some(value) = self.given(key) else {
            return Ok(None);
        };
        value
            .as_str()
            .filter(|text| !text.trim().is_empty() && text.chars().count() <= most_chars)
            .map(|text| Some(text.to_owned()))
            .ok_or_else(|| {
                wrong(
                    &self.path_of(key),
                    format!(
                        "{} is no text of 1 to {most_chars} characters",
                        shown(value)
                    ),
                    "Give a text, or null for none.",
                )
            })
    }

    /// A text as [`Reader::text`] has it, without control characters: one line.
    pub(crate) fn line(
        &self,
        key: &str,
        most_chars: usize,
    ) -> Result<Option<String>, DocumentError> {
        let text = self.text(key, most_chars)?;
        match text
            .iter()
            .flat_map(|text| text.chars())
            .find(|c| c.is_control())
        {
            Some(c) => Err(wrong(
                &self.path_of(key),
                format!("holds the control character U+{:04X}", u32::from(c)),
                "Remove it; the text is one line.",
            )),
            None => Ok(text),
        }
    }

    /// One of the names of an enumeration.
    pub(crate) fn choice<T: FromStr<Err = UnknownName>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, DocumentError> {
        let Some(value) = self.given(key) else {
            return Ok(None);
        };
        let given = value.as_str().map_or_else(|| shown(value), str::to_owned);
        given.parse().map(Some).map_err(|unknown: UnknownName| {
            wrong(
                &self.path_of(key),
                format!("{} is no {}", shown(value), unknown.what),
                &format!("Use one of {}.", unknown.allowed),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_replaces_what_it_names_and_leaves_the_rest() {
        let present = json!({"a": 1, "b": {"x": 1, "y": {"z": 1}}, "c": [1]});
        let change = json!({"b": {"y": {"w": 2}, "x": null}, "c": [2], "d": null});
        assert_eq!(
            merged(&present, &change, 2),
            json!({"a": 1, "b": {"x": null, "y": {"w": 2}}, "c": [2], "d": null})
        );
        assert_eq!(merged(&present, &json!({}), 1), present);
        assert_eq!(merged(&present, &json!(7), 3), json!(7));
        assert_eq!(
            merged(&json!({"a": 1}), &json!({"a": {"b": 1}}), 2),
            json!({"a": {"b": 1}})
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_path_also_when_it_is_null() {
        let document = json!({"b": null});
        let refused = Reader::new(&document, "x.y", &["a"]).err().unwrap();
        assert_eq!(
            (refused.field.as_str(), refused.message.as_str()),
            ("x.y.b", "is not known")
        );
        assert_eq!(refused.hint, "Check the spelling; known here: a.");
    }

    #[test]
    fn a_long_wrong_value_is_cut_between_characters() {
        let document = json!({"a": "ї".repeat(1000)});
        let reader = Reader::new(&document, "", &["a"]).unwrap();
        let refused = reader.flag("a").unwrap_err();
        assert!(refused.message.chars().count() < 100, "{refused}");
    }

    #[test]
    fn a_whole_number_is_neither_a_fraction_nor_a_text_nor_out_of_bounds() {
        for bad in [
            json!(0),
            json!(11),
            json!(1.5),
            json!("3"),
            json!(1e300),
            json!([3]),
        ] {
            let document = json!({ "a": bad });
            let reader = Reader::new(&document, "", &["a"]).unwrap();
            assert_eq!(
                reader.whole("a", (1, 10)).unwrap_err().field,
                "a",
                "{document}"
            );
        }
        let document = json!({"a": 10, "b": null});
        let reader = Reader::new(&document, "", &["a", "b"]).unwrap();
        assert_eq!(reader.whole("a", (1, 10)), Ok(Some(10)));
        assert_eq!(reader.whole("b", (1, 10)), Ok(None));
    }
}
