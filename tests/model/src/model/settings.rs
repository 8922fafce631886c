//! Settings as histories write them and as the database is told: limits, calendars, campaigns
//! (contact-lists §6.2, §10.1). The names of the fields are those of the documents in SQL.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Seconds since the start of the history.
pub type Time = i64;

/// Minimum minutes without any setting (contact-lists §11).
const DEFAULT_MINIMUM_MINUTES: i64 = 5;

/// Wrap-up codes that there are, with their two switches: contact uncallable, number uncallable.
pub const WRAP_UP_CODES: [(&str, bool, bool); 4] = [
    ("done", true, true),
    ("other", false, true),
    ("hung up", false, false),
    ("odd", true, false),
];

/// A conversation type (contact-lists §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Telephone.
    Call,
    /// E-mail.
    Email,
    /// Messengers.
    SocialMedia,
}

impl Kind {
    /// All of them, in the order of the columns of a contact.
    pub const ALL: [Self; 3] = [Self::Call, Self::Email, Self::SocialMedia];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Call => 0,
            Self::Email => 1,
            Self::SocialMedia => 2,
        }
    }

    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Email => "email",
            Self::SocialMedia => "social_media",
        }
    }

    /// The inbox of this type that every history has.
    #[must_use]
    pub const fn inbox(self) -> &'static str {
        match self {
            Self::Call => "voice",
            Self::Email => "post",
            Self::SocialMedia => "chat",
        }
    }
}

/// Kind of a communication unit (contact-lists §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitType {
    /// Phone number.
    Phone,
    /// E-mail address.
    Email,
    /// Conversation of the platform.
    ConversationId,
    /// Account of a messenger.
    MessengerId,
}

impl UnitType {
    /// Its name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Email => "email",
            Self::ConversationId => "conversation_id",
            Self::MessengerId => "messenger_id",
        }
    }
}

/// Category of an attempt result (contact-lists §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Line busy.
    Busy,
    /// Not answered.
    Noanswer,
    /// Answering machine.
    Machine,
    /// Dropped before an agent spoke.
    Abandoned,
    /// Technical failure.
    Failed,
    /// Reached.
    Success,
    /// Somebody else.
    WrongParty,
    /// Cannot exist.
    Invalid,
    /// Conversation missing.
    NotFound,
    /// Do not contact.
    Dnc,
    /// Not carried out.
    NotPerformed,
    /// Started, outcome lost.
    Unknown,
    /// Excluded by an operator.
    Manual,
    /// No longer among the contact's units.
    Removed,
}

impl Category {
    /// The categories that have a counter, in the order of [`Self::counter`].
    pub const COUNTED: [Self; 4] = [Self::Abandoned, Self::Busy, Self::Noanswer, Self::Machine];

    /// Name of the result of this category.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Noanswer => "noanswer",
            Self::Machine => "machine",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
            Self::Success => "success",
            Self::WrongParty => "wrong_party",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Dnc => "dnc",
            Self::NotPerformed => "not_performed",
            Self::Unknown => "unknown",
            Self::Manual => "manual",
            Self::Removed => "removed",
        }
    }

    /// Which of a record's counters it has, if any.
    #[must_use]
    pub fn counter(self) -> Option<usize> {
        Self::COUNTED.iter().position(|category| *category == self)
    }
}

/// Whether something is closed or tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The record is done with.
    Close,
    /// Another attempt follows.
    Retry,
}

/// What the minimum minutes hold off (contact-lists §16 Q4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything of the contact.
    #[default]
    Contact,
    /// The same record alone.
    Record,
}

/// Settings of one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CategoryLimit {
    /// Most attempts with that result for one record.
    pub max_attempts: Option<i64>,
    /// Time to the next attempt.
    pub minutes: Option<i64>,
}

/// An attempt control (contact-lists §6.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Control {
    /// Most attempts for one contact.
    pub max_per_contact: Option<i64>,
    /// Most attempts for one record.
    pub max_per_conversation: Option<i64>,
    /// Most calls to one contact.
    pub max_call: Option<i64>,
    /// Most e-mails to one contact.
    pub max_email: Option<i64>,
    /// Most messages to one contact.
    pub max_social_media: Option<i64>,
    /// Time between two attempts.
    pub minimum_minutes: Option<i64>,
    /// What that time holds off.
    #[serde(default)]
    pub minimum_scope: Scope,
    /// Settings by name of the category.
    #[serde(default)]
    pub categories: BTreeMap<String, CategoryLimit>,
}

impl Control {
    /// Seconds between two attempts.
    #[must_use]
    pub fn minimum(&self) -> i64 {
        60 * self.minimum_minutes.unwrap_or(DEFAULT_MINIMUM_MINUTES)
    }

    /// Limit of a conversation type.
    #[must_use]
    pub const fn max_of(&self, kind: Kind) -> Option<i64> {
        match kind {
            Kind::Call => self.max_call,
            Kind::Email => self.max_email,
            Kind::SocialMedia => self.max_social_media,
        }
    }

    /// Limit of a category.
    #[must_use]
    pub fn max_with(&self, category: Category) -> Option<i64> {
        self.categories
            .get(category.name())
            .and_then(|limit| limit.max_attempts)
    }

    /// Seconds from a result to the next attempt: those of the category, never less than the
    /// minimum (contact-lists §6.2).
    #[must_use]
    pub fn delay(&self, category: Category) -> i64 {
        let minutes = self
            .categories
            .get(category.name())
            .and_then(|limit| limit.minutes);
        minutes.map_or(self.minimum(), |minutes| (60 * minutes).max(self.minimum()))
    }

    /// The document that the database is told: every key, so that it replaces what was before.
    #[must_use]
    pub fn document(&self) -> Value {
        let categories: serde_json::Map<String, Value> = Category::COUNTED
            .iter()
            .map(|category| {
                let limit = self
                    .categories
                    .get(category.name())
                    .copied()
                    .unwrap_or_default();
                (
                    category.name().to_owned(),
                    json!({"max_attempts": limit.max_attempts, "minutes": limit.minutes}),
                )
            })
            .collect();
        json!({
            "max_per_contact": self.max_per_contact, "max_per_conversation": self.max_per_conversation,
            "max_call": self.max_call, "max_email": self.max_email, "max_social_media": self.max_social_media,
            "minimum_minutes": self.minimum_minutes, "minimum_scope": self.minimum_scope, "categories": categories,
        })
    }
}

/// Whether a limit is set and met.
#[must_use]
pub fn met(limit: Option<i64>, count: i64) -> bool {
    limit.is_some_and(|limit| count >= limit)
}

/// Exception of a calendar: the hours of one date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The date, `YYYY-MM-DD`.
    pub date: String,
    /// Its hours; none: closed all day.
    pub hours: Vec<(String, String)>,
}

/// A calendar (contact-lists §10.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calendar {
    /// IANA name of the zone.
    pub time_zone: String,
    /// Hours by weekday, `mon` to `sun`; one left out is closed.
    pub hours: BTreeMap<String, Vec<(String, String)>>,
    /// Dates with hours of their own.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

impl Calendar {
    /// Whether it is open at a moment; intervals are half open.
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        let zone: Tz = self.time_zone.parse().unwrap_or(Tz::UTC);
        let local = at.with_timezone(&zone).naive_local();
        let exception = self.exceptions.iter().find(|exception| {
            exception
                .date
                .parse::<NaiveDate>()
                .is_ok_and(|date| date == local.date())
        });
        let weekday = local.weekday().to_string().to_lowercase();
        let hours = match exception {
            Some(exception) => Some(&exception.hours),
            None => self.hours.get(&weekday),
        };
        let now = local.time().num_seconds_from_midnight();
        hours.is_some_and(|hours| {
            hours
                .iter()
                .any(|(from, till)| seconds(from) <= now && now < seconds(till))
        })
    }
}

/// Seconds since midnight of `HH:MM`, `24:00` included.
fn seconds(time: &str) -> u32 {
    let mut parts = time.split(':').map(|part| part.parse::<u32>().unwrap_or(0));
    3600 * parts.next().unwrap_or(0) + 60 * parts.next().unwrap_or(0)
}

/// A condition on the user column `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Greater than.
    GreaterThan(i64),
    /// Less than.
    LessThan(i64),
    /// Not there.
    IsEmpty,
}

impl Condition {
    /// Whether a balance meets it; one that is not there compares with nothing.
    #[must_use]
    pub fn holds(self, balance: Option<i64>) -> bool {
        match self {
            Self::GreaterThan(value) => balance.is_some_and(|balance| balance > value),
            Self::LessThan(value) => balance.is_some_and(|balance| balance < value),
            Self::IsEmpty => balance.is_none(),
        }
    }

    fn document(self) -> Value {
        match self {
            Self::GreaterThan(value) => {
                json!({"field": "balance", "operator": "greater_than", "value": value})
            }
            Self::LessThan(value) => {
                json!({"field": "balance", "operator": "less_than", "value": value})
            }
            Self::IsEmpty => json!({"field": "balance", "operator": "is_empty"}),
        }
    }
}

/// Settings of a campaign (contact-lists §10.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignSettings {
    /// Its calendar; none: always open.
    pub calendar: Option<String>,
    /// Its attempt control; none: no limits.
    pub attempt_control: Option<String>,
    /// Its do-not-contact lists.
    pub do_not_contact: Vec<String>,
    /// Whether it never switches itself off.
    pub always_active: bool,
    /// Sets of conditions; one set must hold as a whole. Empty: no filter.
    pub filter: Vec<Vec<Condition>>,
    /// Order by balance, `asc` or `desc`.
    pub order: Option<String>,
    /// Hours in Q.
    pub waiting_hours: i64,
    /// What happens then.
    pub on_waiting_over: Policy,
    /// What becomes of a lost outcome; none: the default of the type.
    pub unknown_outcome: Option<Policy>,
    /// Whether a pending conversation counts as busy.
    pub pending_is_busy: bool,
    /// Lease before the start.
    pub lease_seconds: i64,
    /// Lease after it.
    pub lease_started_seconds: i64,
}

impl CampaignSettings {
    /// Whether the filter lets a contact in.
    #[must_use]
    pub fn accepts(&self, balance: Option<i64>) -> bool {
        self.filter.is_empty()
            || self
                .filter
                .iter()
                .any(|set| set.iter().all(|condition| condition.holds(balance)))
    }

    /// The document that the database is told; `name` gives the names of this history.
    #[must_use]
    pub fn document(&self, name: &dyn Fn(&str) -> String) -> Value {
        let filter: Vec<Value> = self
            .filter
            .iter()
            .map(|set| json!({"all": set.iter().map(|condition| condition.document()).collect::<Vec<_>>()}))
            .collect();
        let order: Vec<Value> = self
            .order
            .iter()
            .map(|direction| json!({"column": "balance", "direction": direction}))
            .collect();
        json!({
            "calendar": self.calendar.as_deref().map(name),
            "attempt_control": self.attempt_control.as_deref().map(name),
            "do_not_contact": self.do_not_contact.iter().map(|list| name(list)).collect::<Vec<_>>(),
            "always_active": self.always_active,
            "filter": if filter.is_empty() { Value::Null } else { json!({"any": filter}) },
            "order": order,
            "waiting_hours": self.waiting_hours,
            "on_waiting_over": self.on_waiting_over,
            "unknown_outcome": self.unknown_outcome,
            "pending_is_busy": self.pending_is_busy,
            "lease_seconds": self.lease_seconds,
            "lease_started_seconds": self.lease_started_seconds,
        })
    }
}
