//! The order in which a campaign takes contacts: fields with a direction (contact-lists §10.1
//! "Order").
//!
//! ```json
//! [{"column": "balance", "direction": "desc"}, {"column": "created"}]
//! ```
//!
//! Contacts without a value come last in both directions. Errors are those of conditions, with
//! paths like `[0].column`.

use serde::Serialize;
use serde_json::Value;

use crate::condition::{ConditionError, Field, FieldType, find, only_keys, operand, shown};
use crate::text_enum::text_enum;

/// Most fields of an order.
pub const MAX_KEYS: usize = 20;

text_enum! {
    /// Which end comes first.
    pub enum Direction("direction") {
        /// Smallest, earliest or first in the alphabet.
        Asc = "asc",
        /// Greatest, latest or last in the alphabet.
        Desc = "desc",
    }
}

/// An order that can be stored, every direction filled in. An empty one leaves the order open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Order {
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Key {
    column: String,
    direction: Direction,
}

impl Order {
    /// Reads an order. Which fields there are does not matter yet.
    ///
    /// # Errors
    /// [`ConditionError`] for the first thing that is wrong.
    pub fn parse(document: &Value) -> Result<Self, ConditionError> {
        const FORM: &str = "Write [{\"column\": …, \"direction\": \"asc\" or \"desc\"}].";
        let elements = document
            .as_array()
            .ok_or_else(|| ConditionError::new("", "is no array", FORM))?;
        if elements.len() > MAX_KEYS {
            return Err(ConditionError::new(
                "",
                format!(
                    "has {} columns, and {MAX_KEYS} are the most",
                    elements.len()
                ),
                "Leave some out.",
            ));
        }
        let read = |(i, element): (usize, &Value)| {
            let path = format!("[{i}]");
            let object = element
                .as_object()
                .ok_or_else(|| ConditionError::new(&path, "is no object", FORM))?;
            only_keys(object, &["column", "direction"], &path)?;
            let column = match object.get("column") {
                Some(Value::String(name)) if !name.trim().is_empty() => name.clone(),
                None => {
                    return Err(ConditionError::new(
                        format!("{path}.column"),
                        "is missing",
                        FORM,
                    ));
                }
                Some(_) => {
                    return Err(ConditionError::new(
                        format!("{path}.column"),
                        "is no name of a column",
                        FORM,
                    ));
                }
            };
            let direction = match object.get("direction") {
                None | Some(Value::Null) => Some(Direction::Asc),
                Some(value) => value.as_str().and_then(|text| text.parse().ok()),
            };
            let direction = direction.ok_or_else(|| {
                ConditionError::new(
                    format!("{path}.direction"),
                    "is neither asc nor desc",
                    "Use asc or desc, or leave it out for asc.",
                )
            })?;
            Ok(Key { column, direction })
        };
        elements
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(|keys| Self { keys })
    }

    /// Whether every column is one of the fields, can be sorted, and stands once.
    ///
    /// # Errors
    /// [`ConditionError`] for the first that is not.
    pub fn check(&self, fields: &[Field]) -> Result<(), ConditionError> {
        self.found(fields).map(drop)
    }

    /// The order with columns named as the fields name themselves.
    ///
    /// # Errors
    /// As [`Order::check`].
    pub fn resolved(&self, fields: &[Field]) -> Result<Self, ConditionError> {
        let found = self.found(fields)?;
        Ok(Self {
            keys: found
                .into_iter()
                .map(|(field, direction)| Key {
                    column: field.name.clone(),
                    direction,
                })
                .collect(),
        })
    }

    /// What stands behind ORDER BY; empty for an empty order.
    ///
    /// # Errors
    /// As [`Order::check`].
    pub fn to_sql(&self, fields: &[Field]) -> Result<String, ConditionError> {
        let keys: Vec<String> = self
            .found(fields)?
            .into_iter()
            .map(|(field, direction)| {
                let direction = match direction {
                    Direction::Asc => "ASC",
                    Direction::Desc => "DESC",
                };
                format!("{} {direction} NULLS LAST", operand(&field.sql))
            })
            .collect();
        Ok(keys.join(", "))
    }

    fn found<'a>(
        &self,
        fields: &'a [Field],
    ) -> Result<Vec<(&'a Field, Direction)>, ConditionError> {
        let mut found: Vec<(&Field, Direction)> = Vec::with_capacity(self.keys.len());
        for (i, key) in self.keys.iter().enumerate() {
            let path = format!("[{i}].column");
            let field = find(fields, &key.column, &path)?;
            if field.field_type == FieldType::TextArray {
                return Err(ConditionError::new(
                    path,
                    format!(
                        "the field \"{}\" has several values, which have no order",
                        shown(&field.name)
                    ),
                    "Order by another field.",
                ));
            }
            if found.iter().any(|(before, _)| before.name == field.name) {
                return Err(ConditionError::new(
                    path,
                    format!("the field \"{}\" stands twice", shown(&field.name)),
                    "Remove one of them.",
                ));
            }
            found.push((field, key.direction));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields() -> Vec<Field> {
        serde_json::from_value(json!([
            {"name": "Balance", "sql": "k.\"balance\"", "type": "numeric"},
            {"name": "Name", "sql": "k.a ->> 'name'", "type": "text"},
            {"name": "Labels", "sql": "k.labels", "type": "text[]"}
        ]))
        .unwrap()
    }

    fn order(document: &Value) -> Result<Order, ConditionError> {
        Order::parse(document)?.resolved(&fields())
    }

    #[test]
    fn a_direction_is_filled_in_and_what_has_no_value_comes_last() {
        let order = order(&json!([{"column": "balance", "direction": "desc"}, {"column": "NAME"}]));
        let order = order.unwrap();
        assert_eq!(
            serde_json::to_value(&order).unwrap(),
            json!([{"column": "Balance", "direction": "desc"}, {"column": "Name", "direction": "asc"}])
        );
        assert_eq!(
            order.to_sql(&fields()).unwrap(),
            "k.\"balance\" DESC NULLS LAST, (k.a ->> 'name') ASC NULLS LAST"
        );
        assert_eq!(
            Order::parse(&json!([])).unwrap().to_sql(&fields()).unwrap(),
            ""
        );
    }

    #[test]
    fn each_mistake_is_named_with_its_path() {
        let many: Vec<Value> = (0..21).map(|i| json!({"column": i.to_string()})).collect();
        for (document, path) in [
            (json!({}), ""),
            (json!(many), ""),
            (json!(["balance"]), "[0]"),
            (json!([{"direction": "asc"}]), "[0].column"),
            (json!([{"column": 1}]), "[0].column"),
            (json!([{"column": "x"}]), "[0].column"),
            (json!([{"column": "labels"}]), "[0].column"),
            (
                json!([{"column": "balance"}, {"column": "BALANCE"}]),
                "[1].column",
            ),
            (
                json!([{"column": "balance", "direction": "DOWN"}]),
                "[0].direction",
            ),
            (
                json!([{"column": "balance", "nulls": "first"}]),
                "[0].nulls",
            ),
        ] {
            let error = order(&document).unwrap_err();
            assert_eq!(error.path, path, "{document}: {error}");
            assert!(!error.hint.is_empty());
        }
    }

    proptest! {
        #[test]
        fn only_the_fields_own_sql_gets_into_the_sql(name in any::<String>(), direction in any::<String>()) {
            let document = json!([{"column": name, "direction": direction}]);
            prop_assert!(order(&document).is_err() || direction == "asc" || direction == "desc");
        }

        #[test]
        fn an_order_reads_back_as_it_was_written(
            keys in prop::collection::vec((any::<String>(), any::<bool>()), 0..5),
        ) {
            let document: Value = keys
                .iter()
                .map(|(name, asc)| json!({"column": name, "direction": if *asc { "asc" } else { "desc" }}))
                .collect();
            if let Ok(order) = Order::parse(&document) {
                prop_assert_eq!(Order::parse(&serde_json::to_value(&order).unwrap()), Ok(order));
            }
        }
    }
}
