//! Attempt controls: how often and how soon a campaign may try again (contact-lists §6.2).
//!
//! ```json
//! {
//!   "max_per_contact": 6, "max_per_conversation": 3, "max_call": 4, "max_email": null, "max_social_media": null,
//!   "minimum_minutes": 60, "minimum_scope": "contact",
//!   "categories": {"busy": {"max_attempts": 2, "minutes": 15}}
//! }
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::document::{DocumentError, Reader, merged};
use crate::text_enum::text_enum;

/// Bounds of a limit.
const LIMIT: (i32, i32) = (1, 1_000_000);

/// Bounds of a time to the next attempt, in minutes: up to a week (contact-lists §6.2).
const MINUTES: (i32, i32) = (0, 10_080);

/// Least time between two attempts of a contact where nothing else is said, in minutes
/// (contact-lists §11).
const DEFAULT_MINIMUM_MINUTES: i32 = 5;

const KEYS: [&str; 8] = [
    "max_per_contact",
    "max_per_conversation",
    "max_call",
    "max_email",
    "max_social_media",
    "minimum_minutes",
    "minimum_scope",
    "categories",
];

text_enum! {
    /// What the minimum time between two attempts concerns (contact-lists §16 Q4).
    pub enum MinimumScope("minimum scope") {
        /// The contact: none of its records is attempted sooner.
        Contact = "contact",
        /// The record alone: other records of the contact may follow at once.
        Record = "record",
    }
}

text_enum! {
    /// Categories of results that have a counter, and so settings of their own (contact-lists §6.2).
    /// They stand in the order of the record's columns.
    pub enum RetryCategory("category of results") {
        /// Answered, then dropped before an agent spoke.
        Abandoned = "abandoned",
        /// Line busy, or the conversation in somebody's hands.
        Busy = "busy",
        /// Not answered.
        NoAnswer = "noanswer",
        /// Answered by a machine.
        Machine = "machine",
    }
}

/// What is permitted after a result of one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CategoryLimits {
    /// The n-th such result of a record exhausts it; `None`: no limit.
    pub max_attempts: Option<i32>,
    /// Minutes to the next attempt of the record; `None`: the minimum decides.
    pub minutes: Option<i32>,
}

/// The limits of an attempt control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptControl {
    /// Most attempts of a contact.
    pub max_per_contact: Option<i32>,
    /// Most attempts of a record: what NovaTalks calls a conversation, and JSON `max_per_conversation`.
    pub max_per_record: Option<i32>,
    /// Most attempts of a contact by conversation type: call, email, social media.
    pub max_per_type: [Option<i32>; 3],
    /// Least minutes between two attempts.
    pub minimum_minutes: i32,
    /// What that minimum concerns.
    pub minimum_scope: MinimumScope,
    /// By category, in the order of [`RetryCategory::ALL`].
    pub categories: [CategoryLimits; 4],
}

impl Default for AttemptControl {
    fn default() -> Self {
        Self {
            max_per_contact: None,
            max_per_record: None,
            max_per_type: [None; 3],
            minimum_minutes: DEFAULT_MINIMUM_MINUTES,
            minimum_scope: MinimumScope::Contact,
            categories: [CategoryLimits::default(); 4],
        }
    }
}

impl AttemptControl {
    /// The settings after a change: what the change does not name stays, null means the default. An
    /// empty object is no settings at all, with every default.
    ///
    /// # Errors
    /// [`DocumentError`] with the first field that is unknown or cannot be used.
    pub fn parse(present: &Value, change: &Value) -> Result<Self, DocumentError> {
        Reader::new(change, "", &KEYS)?;
        // Down to the settings of one category.
        let document = merged(present, change, 3);
        let top = Reader::new(&document, "", &KEYS)?;
        let limit = |key| top.whole(key, LIMIT);
        let default = Self::default();
        Ok(Self {
            max_per_contact: limit("max_per_contact")?,
            max_per_record: limit("max_per_conversation")?,
            max_per_type: [
                limit("max_call")?,
                limit("max_email")?,
                limit("max_social_media")?,
            ],
            minimum_minutes: top
                .whole("minimum_minutes", MINUTES)?
                .unwrap_or(default.minimum_minutes),
            minimum_scope: top
                .choice("minimum_scope")?
                .unwrap_or(default.minimum_scope),
            categories: match top.given("categories") {
                Some(categories) => read_categories(categories)?,
                None => default.categories,
            },
        })
    }

    /// What is permitted after a result of that category.
    #[must_use]
    pub const fn after(&self, category: RetryCategory) -> CategoryLimits {
        let [abandoned, busy, no_answer, machine] = self.categories;
        match category {
            RetryCategory::Abandoned => abandoned,
            RetryCategory::Busy => busy,
            RetryCategory::NoAnswer => no_answer,
            RetryCategory::Machine => machine,
        }
    }

    /// The settings as they are stored, every key named.
    #[must_use]
    pub fn document(&self) -> Value {
        let [call, email, social_media] = self.max_per_type;
        let categories: serde_json::Map<String, Value> = RetryCategory::ALL
            .iter()
            .map(|&category| {
                let CategoryLimits {
                    max_attempts,
                    minutes,
                } = self.after(category);
                let limits = json!({"max_attempts": max_attempts, "minutes": minutes});
                (category.as_str().to_owned(), limits)
            })
            .collect();
        json!({
            "max_per_contact": self.max_per_contact,
            "max_per_conversation": self.max_per_record,
            "max_call": call,
            "max_email": email,
            "max_social_media": social_media,
            "minimum_minutes": self.minimum_minutes,
            "minimum_scope": self.minimum_scope,
            "categories": categories,
        })
    }
}

fn read_categories(document: &Value) -> Result<[CategoryLimits; 4], DocumentError> {
    let names: Vec<&str> = RetryCategory::ALL.iter().map(|c| c.as_str()).collect();
    let categories = Reader::new(document, "categories", &names)?;
    let mut limits = [CategoryLimits::default(); 4];
    for (limits, name) in limits.iter_mut().zip(names) {
        if let Some(given) = categories.given(name) {
            let path = categories.path_of(name);
            let category = Reader::new(given, &path, &["max_attempts", "minutes"])?;
            limits.max_attempts = category.whole("max_attempts", LIMIT)?;
            limits.minutes = category.whole("minutes", MINUTES)?;
        }
    }
    Ok(limits)
}

impl Serialize for AttemptControl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AttemptControl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        Self::parse(&json!({}), &document).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn parse(document: Value) -> Result<AttemptControl, DocumentError> {
        AttemptControl::parse(&json!({}), &document)
    }

    #[test]
    fn nothing_said_is_no_limit_and_five_minutes() {
        let control = parse(json!({})).unwrap();
        assert_eq!(control, AttemptControl::default());
        assert_eq!(control.minimum_minutes, 5);
        assert_eq!(control.max_per_type, [None; 3]);
        assert_eq!(
            control.after(RetryCategory::Busy),
            CategoryLimits::default()
        );
        assert_eq!(
            control.document(),
            json!({
                "max_per_contact": null, "max_per_conversation": null,
                "max_call": null, "max_email": null, "max_social_media": null,
                "minimum_minutes": 5, "minimum_scope": "contact",
                "categories": {
                    "busy": {"max_attempts": null, "minutes": null},
                    "noanswer": {"max_attempts": null, "minutes": null},
                    "machine": {"max_attempts": null, "minutes": null},
                    "abandoned": {"max_attempts": null, "minutes": null}
                }
            })
        );
    }

    #[test]
    fn every_setting_lands_where_it_belongs() {
        let control = parse(json!({
            "max_per_contact": 1, "max_per_conversation": 2,
            "max_call": 3, "max_email": 4, "max_social_media": 5,
            "minimum_minutes": 0, "minimum_scope": "record",
            "categories": {
                "abandoned": {"max_attempts": 6, "minutes": 0},
                "busy": {"max_attempts": 7, "minutes": 10080},
                "noanswer": {"max_attempts": 8, "minutes": null},
                "machine": {"minutes": 9}
            }
        }))
        .unwrap();
        assert_eq!(
            (control.max_per_contact, control.max_per_record),
            (Some(1), Some(2))
        );
        assert_eq!(control.max_per_type, [Some(3), Some(4), Some(5)]);
        assert_eq!(
            (control.minimum_minutes, control.minimum_scope),
            (0, MinimumScope::Record)
        );
        let of = |category| {
            let limits = control.after(category);
            (limits.max_attempts, limits.minutes)
        };
        assert_eq!(of(RetryCategory::Abandoned), (Some(6), Some(0)));
        assert_eq!(of(RetryCategory::Busy), (Some(7), Some(10_080)));
        assert_eq!(of(RetryCategory::NoAnswer), (Some(8), None));
        assert_eq!(of(RetryCategory::Machine), (None, Some(9)));
    }

    #[test]
    fn categories_stand_in_the_order_of_their_columns() {
        let names: Vec<_> = RetryCategory::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names, ["abandoned", "busy", "noanswer", "machine"]);
        for (place, &category) in RetryCategory::ALL.iter().enumerate() {
            let mut control = AttemptControl::default();
            control.categories[place].minutes = Some(1);
            assert_eq!(control.after(category).minutes, Some(1));
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_null_resets() {
        let before = json!({
            "max_call": 3, "minimum_minutes": 60,
            "categories": {"busy": {"max_attempts": 2, "minutes": 15}, "machine": {"minutes": 30}}
        });
        let change = |change| AttemptControl::parse(&before, &change).unwrap();
        let changed =
            change(json!({"minimum_minutes": null, "categories": {"busy": {"minutes": null}}}));
        assert_eq!(changed.max_per_type[0], Some(3));
        assert_eq!(changed.minimum_minutes, 5);
        let busy = changed.after(RetryCategory::Busy);
        assert_eq!((busy.max_attempts, busy.minutes), (Some(2), None));
        assert_eq!(changed.after(RetryCategory::Machine).minutes, Some(30));
        let fewer = change(json!({"categories": {"busy": null}}));
        assert_eq!(fewer.after(RetryCategory::Busy), CategoryLimits::default());
        assert_eq!(fewer.after(RetryCategory::Machine).minutes, Some(30));
        let none = change(json!({"categories": null}));
        assert_eq!(none.categories, AttemptControl::default().categories);
    }

    #[test]
    fn each_mistake_names_its_field() {
        for (document, field) in [
            (json!(null), ""),
            (json!([]), ""),
            (json!({"max_calls": 1}), "max_calls"),
            (json!({"max_calls": null}), "max_calls"),
            (json!({"max_call": 0}), "max_call"),
            (json!({"max_email": -1}), "max_email"),
            (json!({"max_social_media": 1.5}), "max_social_media"),
            (json!({"max_per_contact": "3"}), "max_per_contact"),
            (
                json!({"max_per_contact": 5_000_000_000_i64}),
                "max_per_contact",
            ),
            (
                json!({"max_per_conversation": true}),
                "max_per_conversation",
            ),
            (json!({"minimum_minutes": 10_081}), "minimum_minutes"),
            (json!({"minimum_minutes": -1}), "minimum_minutes"),
            (json!({"minimum_scope": "list"}), "minimum_scope"),
            (json!({"minimum_scope": 1}), "minimum_scope"),
            (json!({"categories": 1}), "categories"),
            (json!({"categories": {"failed": {}}}), "categories.failed"),
            (json!({"categories": {"busy": 2}}), "categories.busy"),
            (
                json!({"categories": {"busy": {"max": 2}}}),
                "categories.busy.max",
            ),
            (
                json!({"categories": {"busy": {"max_attempts": 0}}}),
                "categories.busy.max_attempts",
            ),
            (
                json!({"categories": {"machine": {"minutes": 10_081}}}),
                "categories.machine.minutes",
            ),
        ] {
            let error = parse(document).unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(!error.hint.is_empty(), "{error}");
        }
    }

    prop_compose! {
        fn any_control()(
            limits in prop::array::uniform5(prop::option::of(1..=LIMIT.1)),
            minimum_minutes in 0..=MINUTES.1,
            record in any::<bool>(),
            categories in prop::array::uniform4((prop::option::of(1..=LIMIT.1), prop::option::of(0..=MINUTES.1))),
        ) -> AttemptControl {
            AttemptControl {
                max_per_contact: limits[0],
                max_per_record: limits[1],
                max_per_type: [limits[2], limits[3], limits[4]],
                minimum_minutes,
                minimum_scope: if record { MinimumScope::Record } else { MinimumScope::Contact },
                categories: categories.map(|(max_attempts, minutes)| CategoryLimits { max_attempts, minutes }),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(control in any_control()) {
            prop_assert_eq!(parse(control.document()), Ok(control));
            let text = serde_json::to_string(&control).unwrap();
            prop_assert_eq!(serde_json::from_str::<AttemptControl>(&text).unwrap(), control);
        }

        #[test]
        fn a_change_that_names_nothing_changes_nothing(control in any_control()) {
            prop_assert_eq!(AttemptControl::parse(&control.document(), &json!({})), Ok(control));
        }
    }
}
