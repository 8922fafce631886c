//! Lists, campaigns and results as the calls need them, kept in the session until a setting changes.
//!
//! `outbound.settings_version` gets a new number, never used before, with every change of a setting. Each
//! call reads it in its own snapshot and forgets what it knows when the number is another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use outbound_core::attempt_control::AttemptControl;
use outbound_core::calendar::Calendar;
use outbound_core::campaign::{Afterwards, CampaignSettings};
use outbound_core::machine::attempt::{Policy, WrapUp};
use outbound_core::machine::{Category, Limits, MINUTE, Micros, Rules};
use outbound_core::unit::ConversationType;
use pgrx::prelude::*;
use serde::Deserialize;

use super::fields::Field;
use super::spi::{self, Arg};
use super::store::Held;
use crate::error::{own_document, raise};

/// Bits of an attempt's number below the number of its list.
const SEQUENCE_BITS: u32 = 40;

/// A contact list: its tables, and what is known of its columns.
#[derive(Debug)]
pub struct List {
    /// Its number.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Table of the contacts, quoted.
    pub contacts: String,
    /// Table of the records, quoted.
    pub details: String,
    /// Close rule.
    pub close_if_all: bool,
    /// Place of each source column.
    pub positions: HashMap<String, i32>,
    /// The user's columns.
    pub fields: Vec<Field>,
    /// SQL expression: the contact's name.
    pub contact_name: String,
}

#[derive(Deserialize)]
struct ListDocument {
    list_id: i32,
    name: String,
    contacts: String,
    details: String,
    close_if_all: bool,
    positions: HashMap<String, i32>,
    fields: Vec<Field>,
    contact_name: String,
}

/// A campaign with its limits, its calendar and its lists.
#[derive(Debug)]
pub struct Campaign {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `off`, `active` or `deleted`.
    pub state: String,
    /// Conversation type.
    pub kind: ConversationType,
    /// What it says of its attempts.
    pub policy: Policy,
    /// Its other settings.
    pub settings: CampaignSettings,
    /// When it may work; none: always.
    pub calendar: Option<Calendar>,
    /// Do-not-contact lists that apply to it.
    pub suppression: Vec<i32>,
    /// Its lists, in order.
    pub lists: Vec<CampaignList>,
}

/// A list as a campaign sees it.
#[derive(Debug, Deserialize)]
pub struct CampaignList {
    /// The list.
    pub list_id: i32,
    /// Filter as an SQL condition on `k`, with `$now` for the moment.
    pub filter: Option<String>,
    /// Order as an SQL ORDER BY on `k`.
    pub order: Option<String>,
}

#[derive(Deserialize)]
struct CampaignDocument {
    campaign_id: i64,
    name: String,
    state: String,
    conversation_type: ConversationType,
    settings: serde_json::Value,
    attempt_control: Option<serde_json::Value>,
    calendar: Option<CalendarDocument>,
    suppression: Vec<i32>,
    lists: Vec<CampaignList>,
}

#[derive(Deserialize)]
struct CalendarDocument {
    time_zone: String,
    hours: serde_json::Value,
    exceptions: serde_json::Value,
}

/// The catalogue of results.
#[derive(Debug, Default)]
pub struct Results {
    by_name: HashMap<String, (i64, Category)>,
}

#[derive(Default)]
struct Known {
    version: i64,
    lists: HashMap<i32, Rc<List>>,
    campaigns: HashMap<i64, Rc<Campaign>>,
    results: Option<Rc<Results>>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::default());
}

/// Forgets what is out of date; every call begins with it.
pub fn refresh() {
    let version = spi::one(
        "SELECT v.version FROM outbound.settings_version AS v",
        &[],
        |row| row.int8(0),
    )
    .flatten()
    .unwrap_or(0);
    KNOWN.with_borrow_mut(|known| {
        if known.version != version {
            *known = Known {
                version,
                ..Known::default()
            };
        }
    });
}

/// The list an attempt belongs to.
#[must_use]
pub fn list_of_attempt(attempt: i64) -> Option<i32> {
    i32::try_from(attempt >> SEQUENCE_BITS)
        .ok()
        .filter(|id| *id > 0)
}

/// The number of an attempt: that of its list before a running number.
#[must_use]
pub fn attempt_number(list: i32, running: i64) -> i64 {
    (i64::from(list) << SEQUENCE_BITS) | running
}

/// The list of that number, if it exists.
pub fn list(id: i32) -> Option<Rc<List>> {
    if let Some(known) = KNOWN.with_borrow(|known| known.lists.get(&id).cloned()) {
        return Some(known);
    }
    let document = spi::one(
        "SELECT outbound._list_document($1)",
        &[Arg::Int4(id)],
        |row| row.json(0),
    )
    .flatten()?;
    let read: ListDocument = own_document("a contact list", document);
    let list = Rc::new(List {
        id: read.list_id,
        name: read.name,
        contacts: read.contacts,
        details: read.details,
        close_if_all: read.close_if_all,
        positions: read.positions,
        fields: read.fields,
        contact_name: read.contact_name,
    });
    KNOWN.with_borrow_mut(|known| known.lists.insert(id, Rc::clone(&list)));
    Some(list)
}

/// The list of that name.
///
/// # Errors
/// Raises `undefined_object` when there is none.
pub fn list_by_name(name: &str) -> Rc<List> {
    spi::one(
        "SELECT (outbound._list_by_name($1)).list_id",
        &[Arg::Text(name)],
        |row| row.int4(0),
    )
    .flatten()
    .and_then(list)
    .unwrap_or_else(|| {
        no_such(
            "contact list",
            name,
            "outbound.list_status lists the contact lists.",
        )
    })
}

/// The campaign of that number, if it exists.
pub fn campaign(id: i64) -> Option<Rc<Campaign>> {
    if let Some(known) = KNOWN.with_borrow(|known| known.campaigns.get(&id).cloned()) {
        return Some(known);
    }
    let document = spi::one(
        "SELECT outbound._campaign_document($1)",
        &[Arg::Int8(id)],
        |row| row.json(0),
    )
    .flatten()?;
    let campaign = Rc::new(campaign_of(own_document("a campaign", document)));
    KNOWN.with_borrow_mut(|known| known.campaigns.insert(id, Rc::clone(&campaign)));
    Some(campaign)
}

/// Number of the campaign of that name.
///
/// # Errors
/// Raises `undefined_object` when there is none.
pub fn campaign_id(name: &str) -> i64 {
    spi::one(
        "SELECT c.campaign_id FROM outbound.campaign AS c WHERE c.name = $1",
        &[Arg::Text(name)],
        |row| row.int8(0),
    )
    .flatten()
    .unwrap_or_else(|| {
        no_such(
            "campaign",
            name,
            "outbound.campaign_status lists the campaigns.",
        )
    })
}

fn campaign_of(read: CampaignDocument) -> Campaign {
    let settings: CampaignSettings = own_document("the settings of a campaign", read.settings);
    let control = read
        .attempt_control
        .map_or_else(AttemptControl::default, |document| {
            own_document("an attempt control", document)
        });
    let calendar = read.calendar.map(|calendar| {
        Calendar::parse(&calendar.time_zone, &calendar.hours, &calendar.exceptions).unwrap_or_else(
            |error| {
                raise(
                    PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                    format!(
                        "the calendar of campaign \"{}\" cannot be read: {error}",
                        read.name
                    ),
                    "",
                    "Set it again with outbound.alter_calendar.",
                )
            },
        )
    });
    Campaign {
        id: read.campaign_id,
        kind: read.conversation_type,
        policy: Policy {
            limits: Limits::from(&control),
            retry_unknown: match settings.unknown_outcome {
                Some(outcome) => outcome == Afterwards::Retry,
                // A call can be made again; a message may have arrived (contact-lists §16 Q7).
                None => read.conversation_type == ConversationType::Call,
            },
            waiting: Micros::from(settings.waiting_hours) * 60 * MINUTE,
        },
        name: read.name,
        state: read.state,
        settings,
        calendar,
        suppression: read.suppression,
        lists: read.lists,
    }
}

/// The catalogue of results.
pub fn results() -> Rc<Results> {
    if let Some(known) = KNOWN.with_borrow(|known| known.results.clone()) {
        return known;
    }
    let mut results = Results::default();
    spi::execute(
        "SELECT r.result_id, r.name, r.category FROM outbound.attempt_result AS r",
        &[],
        |row| {
            let category = row.text(2).and_then(|text| text.parse::<Category>().ok());
            if let (Some(id), Some(name), Some(category)) = (row.int8(0), row.text(1), category) {
                results.by_name.insert(name, (id, category));
            }
        },
    );
    let results = Rc::new(results);
    KNOWN.with_borrow_mut(|known| known.results = Some(Rc::clone(&results)));
    results
}

impl Results {
    /// Number and category of a result that a dialer reports.
    ///
    /// # Errors
    /// Raises `undefined_object` for a name that is unknown, or one that only the system gives.
    #[must_use]
    pub fn reported(&self, name: &str) -> (i64, Category) {
        match self.by_name.get(name) {
            Some((id, category)) if category.is_reported() => (*id, *category),
            _ => {
                let mut known: Vec<&str> = self
                    .by_name
                    .iter()
                    .filter(|(_, (_, category))| category.is_reported())
                    .map(|(name, _)| name.as_str())
                    .collect();
                known.sort_unstable();
                raise(
                    PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                    format!("attempt result \"{name}\" does not exist"),
                    &format!("Results that can be reported: {}.", known.join(", ")),
                    "Use one of them; outbound.create_attempt_result adds a site's own.",
                )
            }
        }
    }

    fn successes(&self) -> Vec<i64> {
        self.by_name
            .values()
            .filter(|(_, category)| *category == Category::Success)
            .map(|(id, _)| *id)
            .collect()
    }
}

/// What the machine has to know for these contacts: the limits of every campaign that attempted them.
#[must_use]
pub fn rules(list: &List, held: &[Held], more: Option<&Campaign>) -> Rules {
    let mut limits: HashMap<i64, Limits> = HashMap::new();
    if let Some(campaign) = more {
        limits.insert(campaign.id, campaign.policy.limits);
    }
    for contact in held {
        let open = contact.before.open.iter().map(|open| open.campaign);
        for id in contact
            .before
            .records
            .iter()
            .filter_map(|record| record.last_campaign)
            .chain(open)
        {
            if let std::collections::hash_map::Entry::Vacant(place) = limits.entry(id)
                && let Some(campaign) = campaign(id)
            {
                place.insert(campaign.policy.limits);
            }
        }
    }
    Rules {
        close_if_all: list.close_if_all,
        limits,
        successes: results().successes(),
    }
}

/// The switches of a wrap-up code.
///
/// # Errors
/// Raises `undefined_object` when the code is unknown.
#[must_use]
pub fn wrap_up(code: &str) -> WrapUp {
    spi::one(
        "SELECT w.contact_uncallable, w.number_uncallable FROM outbound.wrap_up_code AS w WHERE w.code = $1",
        &[Arg::Text(code)],
        |row| WrapUp {
            contact_uncallable: row.boolean(0).unwrap_or(true),
            number_uncallable: row.boolean(1).unwrap_or(true),
        },
    )
    .unwrap_or_else(|| no_such("wrap-up code", code, "Enter it with outbound.set_wrap_up_code."))
}

fn no_such(kind: &str, name: &str, hint: &str) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("{kind} \"{name}\" does not exist"),
        "",
        hint,
    )
}
