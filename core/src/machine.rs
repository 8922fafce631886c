//! The status machine of a contact: what each event makes of its records, its counts and its codes.
//!
//! A [`Contact`] holds everything that decides: the record codes, the attempts, the one open attempt.
//! Its codes and due moments follow from that by [`Contact::derive`], which every event ends with. Nothing
//! here reads a clock or a table: the caller hands in the moment, the limits and the contact, and stores
//! what comes back.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@self`] | the state: contacts, records, open attempts, limits, results |
//! | [`attempt`] | claim, start, release, settle, finish, callbacks (contact-lists §7.2 R10–R36) |
//! | [`operator`] | exclusion, reset, re-evaluation, cancelled callbacks (R40–R52) |
//! | [`gate`] | who may be claimed, and why not (§7.1 G1–G8) |

pub mod attempt;
pub mod gate;
pub mod operator;

mod derive;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::attempt_control::{AttemptControl, MinimumScope};
use crate::status::{ContactCode, RecordCode};
use crate::text_enum::text_enum;
use crate::unit::ConversationType;

/// A length of time, or a moment since the Unix epoch, in microseconds.
pub type Micros = i64;

/// One minute.
pub const MINUTE: Micros = 60_000_000;

text_enum! {
    /// Category of an attempt's result (contact-lists §6.1): decides what becomes of the record.
    pub enum Category("attempt category") {
        /// The line is busy, or the conversation is in somebody's hands.
        Busy = "busy",
        /// Not answered.
        NoAnswer = "noanswer",
        /// Answered by a machine.
        Machine = "machine",
        /// Answered, then dropped before an agent spoke.
        Abandoned = "abandoned",
        /// A technical failure, or the message could not be sent.
        Failed = "failed",
        /// Reached and handed over.
        Success = "success",
        /// Reached somebody else.
        WrongParty = "wrong_party",
        /// The number or address cannot exist.
        Invalid = "invalid",
        /// The conversation is missing.
        NotFound = "not_found",
        /// On a do-not-contact list.
        Suppressed = "dnc",
        /// Not carried out.
        NotPerformed = "not_performed",
        /// Started, outcome lost.
        Unknown = "unknown",
        /// Excluded by an operator.
        Manual = "manual",
        /// No longer among the units of the contact.
        Removed = "removed",
    }
}

impl Category {
    /// Whether the result counts as an attempt.
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(
            self,
            Self::NotFound | Self::Suppressed | Self::NotPerformed | Self::Manual | Self::Removed
        )
    }

    /// Place of the record's own counter for this category, if it has one: `abandoned`, `busy`, `noanswer`,
    /// `machine`, as the columns stand.
    #[must_use]
    pub const fn counter(self) -> Option<usize> {
        match self {
            Self::Abandoned => Some(0),
            Self::Busy => Some(1),
            Self::NoAnswer => Some(2),
            Self::Machine => Some(3),
            _ => None,
        }
    }

    /// Whether a dialer may report it; the others are given by the system and by operators.
    #[must_use]
    pub const fn is_reported(self) -> bool {
        !matches!(self, Self::Suppressed | Self::Manual | Self::Removed)
    }
}

/// Numbers of the results that the system itself gives (`outbound.attempt_result`).
pub mod result_id {
    /// The line is busy, or the conversation in somebody's hands.
    pub const BUSY: i64 = 1;
    /// Reached and handed over.
    pub const SUCCESS: i64 = 6;
    /// Reached somebody else.
    pub const WRONG_PARTY: i64 = 7;
    /// The unit cannot exist.
    pub const INVALID: i64 = 8;
    /// The conversation is missing.
    pub const NOT_FOUND: i64 = 9;
    /// On a do-not-contact list.
    pub const SUPPRESSED: i64 = 10;
    /// Not carried out.
    pub const NOT_PERFORMED: i64 = 11;
    /// Started, outcome lost.
    pub const UNKNOWN: i64 = 12;
    /// Excluded by an operator.
    pub const MANUAL: i64 = 13;
    /// No longer among the units of the contact.
    pub const REMOVED: i64 = 14;
}

/// What a campaign permits for one category of results with a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CategoryLimit {
    /// The n-th such result of a record exhausts it.
    pub max_attempts: Option<i32>,
    /// Time to the next attempt of the record.
    pub delay: Option<Micros>,
}

/// Limits of a campaign's attempt control (contact-lists §6.2); none of them set is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Attempts of a contact.
    pub per_contact: Option<i32>,
    /// Attempts of a record.
    pub per_record: Option<i32>,
    /// Attempts of a contact by conversation type.
    pub per_type: [Option<i32>; 3],
    /// Least time between two attempts.
    pub minimum: Micros,
    /// Whether `minimum` concerns the record alone and not the whole contact (§16 Q4).
    pub minimum_per_record: bool,
    /// By counter, see [`Category::counter`].
    pub categories: [CategoryLimit; 4],
}

impl Limits {
    /// Time to the next attempt of a record after a result (contact-lists §6.2): the category's own, or the
    /// minimum, and never less than the minimum.
    #[must_use]
    pub fn delay_after(&self, category: Category) -> Micros {
        let own = category.counter().and_then(|c| self.categories[c].delay);
        own.unwrap_or(self.minimum).max(self.minimum)
    }

    /// Whether a record has met one of its own limits: all attempts, or those of a category.
    #[must_use]
    pub fn record_exhausted(&self, record: &Record) -> bool {
        met(self.per_record, record.attempts)
            || self
                .categories
                .iter()
                .zip(record.by_category)
                .any(|(limit, made)| met(limit.max_attempts, made))
    }
}

impl From<&AttemptControl> for Limits {
    fn from(control: &AttemptControl) -> Self {
        Self {
            per_contact: control.max_per_contact,
            per_record: control.max_per_record,
            per_type: control.max_per_type,
            minimum: Micros::from(control.minimum_minutes) * MINUTE,
            minimum_per_record: control.minimum_scope == MinimumScope::Record,
            // Both stand in the order of the record's counters.
            categories: control.categories.map(|category| CategoryLimit {
                max_attempts: category.max_attempts,
                delay: category
                    .minutes
                    .map(|minutes| Micros::from(minutes) * MINUTE),
            }),
        }
    }
}

/// Whether a limit is set and reached.
pub(crate) fn met(limit: Option<i32>, made: i32) -> bool {
    limit.is_some_and(|limit| made >= limit)
}

/// What the machine has to know besides the contact.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Close rule of the list (contact-lists §7.3).
    pub close_if_all: bool,
    /// Limits of the campaigns that made attempts in the list, by campaign number. A campaign that is not
    /// here has none.
    pub limits: HashMap<i64, Limits>,
    /// Results whose category is [`Category::Success`].
    pub successes: Vec<i64>,
}

/// One communication unit of a contact (contact-lists §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Running number.
    pub id: i64,
    /// Type of its inbox; none while the conversation is unknown.
    pub kind: Option<ConversationType>,
    /// Inbox it is reached from.
    pub inbox: Option<i64>,
    /// Whether the unit is a conversation's identifier.
    pub is_conversation: bool,
    /// Place of its source column in the list.
    pub position: i32,
    /// Record code.
    pub code: RecordCode,
    /// Attempts made.
    pub attempts: i32,
    /// Attempts by counter, see [`Category::counter`].
    pub by_category: [i32; 4],
    /// No repeat before this moment.
    pub scheduled_at: Option<Micros>,
    /// Start of the latest attempt.
    pub last_attempt_at: Option<Micros>,
    /// Campaign of the latest attempt.
    pub last_campaign: Option<i64>,
    /// Dialog of the latest attempt.
    pub last_dialog: Option<String>,
    /// Result of the latest attempt, or the one the system gave.
    pub last_result: Option<i64>,
}

/// The one attempt under way of a contact that is I or Q.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAttempt {
    /// Its number.
    pub id: i64,
    /// The record it uses.
    pub record: i64,
    /// The campaign it belongs to.
    pub campaign: i64,
    /// Who claimed it.
    pub dialer: String,
    /// When it was claimed.
    pub claimed_at: Micros,
    /// When it was started.
    pub started_at: Option<Micros>,
    /// End of the lease (I), or of the waiting time (Q).
    pub until: Micros,
    /// Code of the record before the claim.
    pub previous: RecordCode,
}

/// When a contact can next be claimed for a conversation type, callbacks by agents aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Due {
    /// At any time: a record is callable and nothing has to be waited for.
    #[default]
    Now,
    /// From this moment on.
    At(Micros),
    /// Not at all: no record is callable or planned.
    Never,
}

/// A contact with all of its records (contact-lists §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Unique within the list.
    pub id: String,
    /// Contact code.
    pub code: ContactCode,
    /// Code for each conversation type: call, email, social media.
    pub type_codes: [ContactCode; 3],
    /// Attempts made.
    pub attempts: i32,
    /// Attempts by conversation type.
    pub type_attempts: [i32; 3],
    /// Record of the latest attempt.
    pub last_record: Option<i64>,
    /// Start of the latest attempt.
    pub last_attempt_at: Option<Micros>,
    /// No automatic attempt before this moment, by the campaign of the latest attempt.
    pub wait_until: Option<Micros>,
    /// Next due moment by conversation type.
    pub due: [Due; 3],
    /// Earliest callback planned by an agent, by conversation type.
    pub callbacks: [Option<Micros>; 3],
    /// The attempt under way.
    pub open: Option<OpenAttempt>,
    /// All records.
    pub records: Vec<Record>,
}

impl Contact {
    /// The record with this number.
    #[must_use]
    pub fn record(&self, id: i64) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    fn record_mut(&mut self, id: i64) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.id == id)
    }

    /// Conversation types that the contact has units of, as bits 1, 2 and 4.
    #[must_use]
    pub fn unit_types(&self) -> i16 {
        self.records
            .iter()
            .filter_map(|record| record.kind)
            .fold(0, |bits, kind| bits | kind.bit())
    }

    /// Whether an attempt is under way (I) or with the campaign manager (Q).
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.open.is_some()
    }
}
