//! The reference model: what lists, campaigns and attempts are after each event, written from the
//! specification alone and as plainly as possible. It shares no code with the extension.
//!
//! Where the rules leave something free (which blocked units a claim looks at, when a finished
//! campaign is noticed), the model follows what was seen, after checking that it is allowed.

pub mod apply;
pub mod attempts;
pub mod campaigns;
pub mod claim;
pub mod codes;
pub mod load;
pub mod operator;
pub mod periodic;
pub mod results;
pub mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod worked_examples;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::history::Column;
use settings::{Calendar, CampaignSettings, Category, Control, Kind, Time, UnitType};

/// Everything there is.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The moment that all times count from.
    pub base: DateTime<Utc>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Calendar>,
    /// Attempt controls by name.
    pub controls: BTreeMap<String, Control>,
    /// Do-not-contact lists by name.
    pub suppression: BTreeMap<String, Suppression>,
    /// Conversations by id.
    pub conversations: BTreeMap<String, Conversation>,
    /// Contact lists by name.
    pub lists: BTreeMap<String, List>,
    /// Campaigns by name.
    pub campaigns: BTreeMap<String, Campaign>,
    /// Every attempt there ever was, in the order of the claims.
    pub attempts: Vec<Attempt>,
}

/// A do-not-contact list.
#[derive(Debug, Clone, Default)]
pub struct Suppression {
    /// Whether it applies to every campaign.
    pub applies_to_all: bool,
    /// The blocked units.
    pub units: BTreeSet<String>,
}

/// A conversation of the platform.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Type of its inbox.
    pub kind: Kind,
    /// Its status.
    pub status: String,
}

/// A contact list.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Close rule (§7.3).
    pub close_if_all: bool,
    /// Columns with units.
    pub columns: Vec<Column>,
    /// Contacts by identifier.
    pub contacts: BTreeMap<String, Contact>,
    /// Number of the latest record.
    pub last_record: u64,
    /// Whether limits changed since the codes were derived: then stored codes may differ (§16 Q14).
    pub limits_changed: bool,
}

/// A contact (§3).
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// User column of filters and orders.
    pub balance: Option<i64>,
    /// User columns with units, as they were last uploaded.
    pub cells: BTreeMap<String, String>,
    /// Its records in the order of their numbers.
    pub records: Vec<Record>,
    /// Code of the contact (§5.2).
    pub code: char,
    /// Code for each type (§5.3).
    pub type_codes: [char; 3],
    /// Attempts for each type; the contact's own count is their sum.
    pub type_attempts: [i64; 3],
    /// Record of the latest attempt.
    pub last_record: Option<u64>,
    /// Start of the latest counted attempt, kept by every reset.
    pub last_start: Option<Time>,
    /// Nothing automatic before: its minimum minutes as the campaign had them that settled it.
    pub wait_until: Option<Time>,
    /// Attempts for this contact, as places in [`World::attempts`].
    pub attempts: Vec<usize>,
}

/// A record (§4).
#[derive(Debug, Clone)]
pub struct Record {
    /// Number.
    pub id: u64,
    /// Place of its column.
    pub column: usize,
    /// The unit.
    pub unit: String,
    /// Kind of the unit.
    pub unit_type: UnitType,
    /// Conversation type; none: the conversation was never found.
    pub kind: Option<Kind>,
    /// Code (§5.1).
    pub code: char,
    /// Attempts.
    pub attempts: i64,
    /// Attempts by category with a counter.
    pub by_category: [i64; 4],
    /// Not before.
    pub scheduled_at: Option<Time>,
    /// Start of the latest attempt.
    pub last_at: Option<Time>,
    /// Campaign of the latest attempt.
    pub last_campaign: Option<String>,
    /// Dialog of the latest attempt.
    pub last_dialog: Option<String>,
    /// Result of the latest attempt, or the one that the system gave.
    pub last_result: Option<Category>,
}

/// A campaign (§10).
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its lists in order.
    pub lists: Vec<String>,
    /// Its type.
    pub kind: Kind,
    /// Its settings.
    pub settings: CampaignSettings,
    /// off, active or deleted.
    pub state: &'static str,
    /// Why it is off.
    pub off_reason: Option<&'static str>,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reserved; nothing was sent.
    Claimed,
    /// Started.
    Started,
    /// Reached, with the campaign manager.
    Queued,
    /// Returned without being performed: given back, campaign stopped.
    Released,
    /// Returned because its lease ended before the start.
    Expired,
    /// Its lease ended after the start, outcome unknown.
    Lost,
    /// Done.
    Ended,
}

/// An attempt (§8.2).
#[derive(Debug, Clone)]
pub struct Attempt {
    /// List of the contact.
    pub list: String,
    /// The contact.
    pub contact: String,
    /// The record.
    pub record: u64,
    /// The campaign.
    pub campaign: String,
    /// The dialer.
    pub dialer: String,
    /// Whether an agent's callback was claimed.
    pub callback: bool,
    /// When it was claimed.
    pub claimed_at: Time,
    /// End of its lease.
    pub lease_until: Time,
    /// When it was started.
    pub started_at: Option<Time>,
    /// When it was reached.
    pub queued_at: Option<Time>,
    /// Code and schedule of the record before the claim.
    pub before: (char, Option<Time>),
    /// Where it stands.
    pub stage: Stage,
    /// Its result, once it has one.
    pub result: Option<Category>,
    /// The dialog it made.
    pub dialog: Option<String>,
    /// Whether it was counted, and the counters were not set to zero since.
    pub counted: bool,
}

impl Attempt {
    /// Whether the record is in progress by it.
    #[must_use]
    pub const fn in_progress(&self) -> bool {
        matches!(self.stage, Stage::Claimed | Stage::Started)
    }
}

impl Contact {
    /// Its attempts of all types.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.type_attempts.iter().sum()
    }

    /// Counts the attempts of each type anew, from the records.
    pub fn count_by_type(&mut self) {
        self.type_attempts = [0; 3];
        for record in &self.records {
            if let Some(kind) = record.kind {
                self.type_attempts[kind.index()] += record.attempts;
            }
        }
    }

    /// The record of that number.
    #[must_use]
    pub fn record(&self, id: u64) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    /// The record of that number, to change it.
    pub fn record_mut(&mut self, id: u64) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.id == id)
    }

    /// The record of that unit.
    #[must_use]
    pub fn record_of(&self, unit: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.unit == unit)
    }
}

impl Record {
    /// Enters a code; only O, S and I keep or take a schedule (§7.2).
    pub fn enter(&mut self, code: char) {
        self.code = code;
        if !matches!(code, 'O' | 'S' | 'I') {
            self.scheduled_at = None;
        }
    }

    /// Enters O or S at a moment.
    pub fn schedule(&mut self, code: char, at: Time) {
        self.code = code;
        self.scheduled_at = Some(at);
    }

    /// Enters U with a result that the system gives.
    pub fn shut(&mut self, result: Category) {
        self.enter('U');
        self.last_result = Some(result);
    }

    /// Whether it succeeded (§5.4).
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == 'U' && self.last_result == Some(Category::Success)
    }

    /// Whether it may be claimed at a moment (G4).
    #[must_use]
    pub fn is_due(&self, at: Time) -> bool {
        matches!(self.code, 'C' | 'O' | 'S')
            && self.scheduled_at.is_none_or(|scheduled| scheduled <= at)
    }
}

impl World {
    /// The empty world of a base.
    #[must_use]
    pub fn new(base: DateTime<Utc>) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// A moment as a date and time.
    #[must_use]
    pub fn moment(&self, at: Time) -> DateTime<Utc> {
        self.base + TimeDelta::seconds(at)
    }

    /// A contact.
    #[must_use]
    pub fn contact(&self, list: &str, contact: &str) -> Option<&Contact> {
        self.lists.get(list)?.contacts.get(contact)
    }

    /// A contact, to change it.
    pub fn contact_mut(&mut self, list: &str, contact: &str) -> Option<&mut Contact> {
        self.lists.get_mut(list)?.contacts.get_mut(contact)
    }

    /// The limits of a campaign; without attempt control there are none (§10.1).
    #[must_use]
    pub fn control_of(&self, campaign: &str) -> Control {
        self.campaigns
            .get(campaign)
            .and_then(|campaign| campaign.settings.attempt_control.as_ref())
            .and_then(|name| self.controls.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// The place of an attempt that a history names.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let mut parts = name.split('/');
        let (list, contact, number) = (parts.next()?, parts.next()?, parts.next()?);
        self.contact(list, contact)?
            .attempts
            .get(number.parse::<usize>().ok()?)
            .copied()
    }

    /// The name that a history gives to an attempt.
    #[must_use]
    pub fn name_of(&self, attempt: usize) -> Option<String> {
        let Attempt { list, contact, .. } = self.attempts.get(attempt)?;
        let number = self
            .contact(list, contact)?
            .attempts
            .iter()
            .position(|place| *place == attempt)?;
        Some(format!("{list}/{contact}/{number}"))
    }
}
