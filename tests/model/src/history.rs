//! A history: settings, contacts and events in the order in which they happen, as text with one
//! step a line, so that a failing one can be read, kept and replayed.

pub mod changes;
pub mod generate;
pub mod setup;
pub mod shrink;
pub mod units;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::settings::{Calendar, CampaignSettings, Category, Control, Kind, Time, UnitType};

/// Steps from a first moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The moment that all times count from.
    pub base: DateTime<Utc>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Something that happens at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The moment.
    pub at: Time,
    /// What happens.
    pub event: Event,
}

/// The column of a list that holds units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Kind of its units.
    pub unit: UnitType,
    /// The type that its inbox carries; none for conversations, which have their own inbox.
    pub kind: Option<Kind>,
}

/// One contact of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its identifier.
    pub id: String,
    /// The user column of filters and orders.
    pub balance: Option<i64>,
    /// Its units by column: `p1` is the first phone of the history, `e1` an address, `m1` an
    /// account, `v1` a conversation, `x1` a phone that cannot exist.
    pub units: BTreeMap<String, String>,
}

/// Everything that can happen. Attempts are named by list, contact and running number, as in
/// `l0/c3/0`: the first attempt for contact `c3` of list `l0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A calendar is made.
    Calendar { name: String, calendar: Calendar },
    /// An attempt control is made.
    Control { name: String, control: Control },
    /// An attempt control is changed.
    AlterControl { name: String, control: Control },
    /// A do-not-contact list is made.
    Suppression { name: String, applies_to_all: bool },
    /// Units are put on a do-not-contact list.
    Suppress { name: String, units: Vec<String> },
    /// Units are taken off it.
    Unsuppress { name: String, units: Vec<String> },
    /// A conversation appears or changes its status.
    Conversation {
        id: String,
        kind: Kind,
        status: String,
    },
    /// A conversation is deleted.
    DropConversation { id: String },
    /// A contact list is made.
    List {
        name: String,
        close_if_all: bool,
        columns: Vec<Column>,
    },
    /// Contacts are uploaded; `twice` repeats the upload at once.
    Contacts {
        list: String,
        contacts: Vec<Upload>,
        update: bool,
        twice: bool,
    },
    /// A campaign is made.
    Campaign {
        name: String,
        lists: Vec<String>,
        kind: Kind,
        settings: CampaignSettings,
    },
    /// A campaign is switched on.
    StartCampaign { name: String },
    /// A campaign is switched off.
    StopCampaign { name: String },
    /// A campaign is switched off and on again at once.
    StopStart { name: String },
    /// A campaign is deleted.
    DeleteCampaign { name: String },
    /// A deleted campaign is brought back.
    RestoreCampaign { name: String },
    /// A dialer asks for attempts.
    Claim {
        campaign: String,
        n: i32,
        dialer: String,
    },
    /// A dialer starts attempts.
    Start {
        attempts: Vec<String>,
        dialer: Option<String>,
    },
    /// A dialer reports results; `twice` repeats the call at once.
    Settle {
        attempts: Vec<String>,
        results: Vec<Category>,
        ended: bool,
        dialer: Option<String>,
        twice: bool,
    },
    /// A dialer gives attempts back.
    Release {
        attempts: Vec<String>,
        dialer: Option<String>,
    },
    /// A dialer asks for more time.
    Extend {
        attempts: Vec<String>,
        seconds: i64,
        dialer: Option<String>,
    },
    /// An interaction is finished.
    Finish {
        attempt: String,
        code: Option<String>,
    },
    /// An agent plans a callback.
    ScheduleCallback { attempt: String, seconds: i64 },
    /// A callback is moved.
    MoveCallback {
        list: String,
        contact: String,
        unit: Option<String>,
        seconds: i64,
    },
    /// A callback is cancelled.
    CancelCallback {
        list: String,
        contact: String,
        unit: Option<String>,
    },
    /// An operator excludes a contact or a unit.
    Exclude {
        list: String,
        contact: String,
        unit: Option<String>,
    },
    /// An operator resets a list, a contact or a unit.
    Reset {
        list: String,
        contact: Option<String>,
        unit: Option<String>,
        zero: bool,
    },
    /// An operator lets changed limits take effect.
    Reevaluate {
        list: String,
        contact: Option<String>,
    },
    /// The periodic duties run: ended leases, waiting limit, completion.
    Maintain,
    /// Two events that concern different contacts, in either order (P25).
    Commute {
        first: Box<Event>,
        second: Box<Event>,
    },
    /// An event whose transaction is lost before its commit (P20).
    Torn { event: Box<Event> },
    /// Everything is attempted in vain until nothing is left to attempt (P27).
    Drain { rounds: i64 },
}

impl Event {
    /// The attempts it names.
    #[must_use]
    pub fn attempts(&self) -> Vec<&str> {
        match self {
            Self::Start { attempts, .. }
            | Self::Settle { attempts, .. }
            | Self::Release { attempts, .. }
            | Self::Extend { attempts, .. } => attempts.iter().map(String::as_str).collect(),
            Self::Finish { attempt, .. } | Self::ScheduleCallback { attempt, .. } => vec![attempt],
            _ => Vec::new(),
        }
    }
}

impl Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = serde_json::to_string(&self.event).map_err(|_| fmt::Error)?;
        write!(formatter, "{} {event}", self.at)
    }
}

impl Display for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "base {}", self.base.to_rfc3339())?;
        self.steps
            .iter()
            .try_for_each(|step| writeln!(formatter, "{step}"))
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let (at, event) = line
            .split_once(' ')
            .ok_or_else(|| anyhow!("a step is a time and an event: {line}"))?;
        Ok(Self {
            at: at
                .parse()
                .with_context(|| format!("not a number of seconds: {at}"))?,
            event: serde_json::from_str(event).with_context(|| format!("not an event: {event}"))?,
        })
    }
}

impl FromStr for History {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let base = lines
            .next()
            .and_then(|line| line.strip_prefix("base "))
            .ok_or_else(|| {
                anyhow!("a history begins with its base, as in: base 2035-03-05T06:00:00+00:00")
            })?;
        let base =
            DateTime::parse_from_rfc3339(base).with_context(|| format!("not a moment: {base}"))?;
        let steps = lines.map(str::parse).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            base: base.with_timezone(&Utc),
            steps,
        })
    }
}
