//! The settings of a campaign (contact-lists §10.1, §11) as people write them and as they are stored.
//!
//! Whether the lists, the calendar and the others that a campaign names exist, and whether its filter
//! and its order fit the lists' columns, is for the database to say.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::condition::{Condition, ConditionError};
use crate::document::{DocumentError, Reader, merged, shown, wrong};
use crate::identifier::check_display_name;
use crate::order::Order;
use crate::text_enum::text_enum;

/// Bounds of a priority.
const PRIORITY: (i32, i32) = (-1_000_000, 1_000_000);

/// Bounds of numbers of attempts: a minute, in progress, with the campaign manager.
const PACE: (i32, i32) = (1, 1_000_000);

/// Bounds of the waiting limit of Q in hours: up to a year.
const WAITING_HOURS: (i32, i32) = (1, 8_760);

/// Bounds of a lease in seconds: up to a day.
const LEASE_SECONDS: (i32, i32) = (10, 86_400);

/// Longest subject line, in characters: that of an e-mail's line.
const MAX_SUBJECT_CHARS: usize = 998;

/// Longest message, template or script, in characters.
const MAX_MESSAGE_CHARS: usize = 100_000;

/// Longest name of who takes over, in characters.
const MAX_HANDOVER_CHARS: usize = 255;

/// Most do-not-contact lists of a campaign.
const MAX_DO_NOT_CONTACT: usize = 1_000;

/// Every setting of a campaign.
const SETTINGS: [&str; 16] = [
    "always_active",
    "filter",
    "order",
    "priority",
    "max_per_minute",
    "max_in_progress",
    "max_queued",
    "waiting_hours",
    "on_waiting_over",
    "unknown_outcome",
    "pending_is_busy",
    "lease_seconds",
    "lease_started_seconds",
    "subject",
    "message",
    "handover",
];

/// What a campaign uses and other campaigns may use as well; people name it among the settings.
const NAMED: [&str; 3] = ["calendar", "attempt_control", "do_not_contact"];

text_enum! {
    /// What becomes of an attempt whose end is not known (contact-lists §9, §11).
    pub enum Afterwards("way to go on") {
        /// As if it had not succeeded: another attempt follows, within the limits.
        Retry = "retry",
        /// The record is closed.
        Close = "close",
    }
}

/// The settings of a campaign as they are stored: every key named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CampaignSettings {
    /// Whether it stays on when all contacts are processed.
    pub always_active: bool,
    /// Condition over the contacts' columns; `None`: all of them.
    pub filter: Option<Condition>,
    /// Order of contacts that are callable and not planned; then their identifiers decide.
    pub order: Order,
    /// Weight between campaigns, higher first.
    pub priority: i32,
    /// Most attempts started a minute.
    pub max_per_minute: Option<i32>,
    /// Most attempts in progress at once.
    pub max_in_progress: Option<i32>,
    /// Most contacts with the campaign manager at once.
    pub max_queued: Option<i32>,
    /// Hours after which a contact no longer waits for the customer's answer.
    pub waiting_hours: i32,
    /// What becomes of it then.
    pub on_waiting_over: Afterwards,
    /// What becomes of an attempt that was started and whose outcome was lost; `None`: calls are
    /// retried, messages closed (contact-lists §16 Q7).
    pub unknown_outcome: Option<Afterwards>,
    /// Whether a conversation that is with a bot counts as busy (contact-lists §16 Q11).
    pub pending_is_busy: bool,
    /// Seconds for which a claim holds before its start.
    pub lease_seconds: i32,
    /// Seconds for which an attempt is waited for after its start.
    pub lease_started_seconds: i32,
    /// Subject line of e-mails.
    pub subject: Option<String>,
    /// Message, name of a template, or script.
    pub message: Option<String>,
    /// Team or bot that takes over once the contact is reached.
    pub handover: Option<String>,
}

impl Default for CampaignSettings {
    fn default() -> Self {
        Self {
            always_active: false,
            filter: None,
            order: Order::default(),
            priority: 0,
            max_per_minute: None,
            max_in_progress: None,
            max_queued: None,
            waiting_hours: 72,
            on_waiting_over: Afterwards::Close,
            unknown_outcome: None,
            pending_is_busy: false,
            lease_seconds: 120,
            lease_started_seconds: 900,
            subject: None,
            message: None,
            handover: None,
        }
    }
}

impl CampaignSettings {
    /// The settings after a change: what the change does not name stays, null means the default. An
    /// empty object is no settings at all, with every default.
    ///
    /// # Errors
    /// [`DocumentError`] with the first field that is unknown or cannot be used.
    pub fn parse(present: &Value, change: &Value) -> Result<Self, DocumentError> {
        Reader::new(change, "", &SETTINGS)?;
        let document = merged(present, change, 1);
        Self::read(&Reader::new(&document, "", &SETTINGS)?)
    }

    fn read(given: &Reader<'_>) -> Result<Self, DocumentError> {
        let default = Self::default();
        Ok(Self {
            always_active: given
                .flag("always_active")?
                .unwrap_or(default.always_active),
            filter: given
                .given("filter")
                .map(|filter| Condition::parse(filter).map_err(|bad| at("filter", bad)))
                .transpose()?,
            order: given
                .given("order")
                .map(|order| Order::parse(order).map_err(|bad| at("order", bad)))
                .transpose()?
                .unwrap_or(default.order),
            priority: given
                .whole("priority", PRIORITY)?
                .unwrap_or(default.priority),
            max_per_minute: given.whole("max_per_minute", PACE)?,
            max_in_progress: given.whole("max_in_progress", PACE)?,
            max_queued: given.whole("max_queued", PACE)?,
            waiting_hours: given
                .whole("waiting_hours", WAITING_HOURS)?
                .unwrap_or(default.waiting_hours),
            on_waiting_over: given
                .choice("on_waiting_over")?
                .unwrap_or(default.on_waiting_over),
            unknown_outcome: given.choice("unknown_outcome")?,
            pending_is_busy: given
                .flag("pending_is_busy")?
                .unwrap_or(default.pending_is_busy),
            lease_seconds: given
                .whole("lease_seconds", LEASE_SECONDS)?
                .unwrap_or(default.lease_seconds),
            lease_started_seconds: given
                .whole("lease_started_seconds", LEASE_SECONDS)?
                .unwrap_or(default.lease_started_seconds),
            subject: given.line("subject", MAX_SUBJECT_CHARS)?,
            message: given.text("message", MAX_MESSAGE_CHARS)?,
            handover: given.line("handover", MAX_HANDOVER_CHARS)?,
        })
    }
}

/// An error of a condition or an order as one of the field that holds it.
fn at(field: &str, bad: ConditionError) -> DocumentError {
    let path = match bad.path.as_str() {
        "" => field.to_owned(),
        index if index.starts_with('[') => format!("{field}{index}"),
        key => format!("{field}.{key}"),
    };
    wrong(&path, bad.message, &bad.hint)
}

impl<'de> Deserialize<'de> for CampaignSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        Self::parse(&json!({}), &document).map_err(serde::de::Error::custom)
    }
}

/// What people say of a campaign: its settings, and the names of what it uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CampaignDocument {
    /// The settings proper.
    #[serde(flatten)]
    pub settings: CampaignSettings,
    /// Name of its calendar; `None`: always open.
    pub calendar: Option<String>,
    /// Name of its attempt control; `None`: no limits.
    pub attempt_control: Option<String>,
    /// Names of its do-not-contact lists.
    pub do_not_contact: Vec<String>,
}

impl CampaignDocument {
    /// The document after a change, see [`CampaignSettings::parse`].
    ///
    /// # Errors
    /// [`DocumentError`] with the first field that is unknown or cannot be used.
    pub fn parse(present: &Value, change: &Value) -> Result<Self, DocumentError> {
        let known: Vec<&str> = SETTINGS.iter().chain(&NAMED).copied().collect();
        Reader::new(change, "", &known)?;
        let document = merged(present, change, 1);
        let given = Reader::new(&document, "", &known)?;
        Ok(Self {
            settings: CampaignSettings::read(&given)?,
            calendar: name_in(&given, "calendar")?,
            attempt_control: name_in(&given, "attempt_control")?,
            do_not_contact: do_not_contact(&given)?,
        })
    }
}

fn name_in(given: &Reader<'_>, key: &str) -> Result<Option<String>, DocumentError> {
    given
        .given(key)
        .map(|value| name(value, &given.path_of(key)))
        .transpose()
}

fn name(value: &Value, path: &str) -> Result<String, DocumentError> {
    const HINT: &str = "Give the name as a text.";
    let text = value
        .as_str()
        .ok_or_else(|| wrong(path, format!("{} is no name", shown(value)), HINT))?;
    check_display_name(text).map_err(|bad| wrong(path, bad.to_string(), HINT))?;
    Ok(text.to_owned())
}

fn do_not_contact(given: &Reader<'_>) -> Result<Vec<String>, DocumentError> {
    let path = given.path_of("do_not_contact");
    let Some(value) = given.given("do_not_contact") else {
        return Ok(Vec::new());
    };
    let items = value
        .as_array()
        .filter(|items| items.len() <= MAX_DO_NOT_CONTACT)
        .ok_or_else(|| {
            wrong(
                &path,
                format!(
                    "{} is no array of at most {MAX_DO_NOT_CONTACT} names",
                    shown(value)
                ),
                "Give the names of do-not-contact lists, such as [\"National register\"].",
            )
        })?;
    let mut names: Vec<String> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let at = format!("{path}[{i}]");
        let name = name(item, &at)?;
        if names.contains(&name) {
            return Err(wrong(
                &at,
                format!("\"{name}\" stands twice"),
                "Name each list once.",
            ));
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
