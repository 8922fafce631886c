//! What people see of lists and campaigns at one moment, from the model or from a database, and
//! how two such views differ.

use std::collections::BTreeMap;

use crate::model::campaigns::count;
use crate::model::settings::{Category, Kind, Time};
use crate::model::{Contact, List, Record, World};

/// Everything that is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Lists by name.
    pub lists: BTreeMap<String, Rows>,
    /// Campaigns by name.
    pub campaigns: BTreeMap<String, CampaignRow>,
    /// The log of attempts that have ended, by their names.
    pub log: BTreeMap<String, LogRow>,
}

/// An attempt that has ended (contact-lists §4, attempt log).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Who claimed it.
    pub dialer: String,
    /// Whether it was an agent's callback.
    pub callback: bool,
    /// When it was claimed.
    pub claimed_at: Time,
    /// When it was started.
    pub started_at: Option<Time>,
    /// Its result.
    pub result: String,
    /// Whether it was counted.
    pub counted: bool,
    /// The dialog it made.
    pub dialog: Option<String>,
}

/// The two tables of a list, and its counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Contacts by identifier.
    pub contacts: BTreeMap<String, ContactRow>,
    /// Records by contact and number.
    pub records: BTreeMap<(String, u64), RecordRow>,
    /// Total, callable, planning, open, attempted, flagged, closed.
    pub counters: [i64; 7],
}

/// A contact (contact-lists §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRow {
    /// `sys_status`.
    pub code: char,
    /// `sys_status_call`, `_email`, `_social_media`.
    pub type_codes: [char; 3],
    /// `sys_attempts`.
    pub attempts: i64,
    /// `sys_attempts_call`, `_email`, `_social_media`.
    pub type_attempts: [i64; 3],
    /// `sys_last_attempt_cld_id`.
    pub last_record: Option<u64>,
    /// User column.
    pub balance: Option<i64>,
    /// User columns with units, as the history names them.
    pub cells: BTreeMap<String, String>,
}

/// A record (contact-lists §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The unit as the history names it.
    pub unit: String,
    /// `sys_conversation_type`.
    pub kind: Option<Kind>,
    /// `sys_status`.
    pub code: char,
    /// `sys_attempts`.
    pub attempts: i64,
    /// `sys_attempts_abandoned`, `_busy`, `_noanswer`, `_machine`.
    pub by_category: [i64; 4],
    /// `sys_scheduled_at`.
    pub scheduled_at: Option<Time>,
    /// `sys_last_attempt_datetime`.
    pub last_at: Option<Time>,
    /// `sys_last_attempt_campaign_id`, by name.
    pub last_campaign: Option<String>,
    /// `sys_last_attempt_dialog_id`.
    pub last_dialog: Option<String>,
    /// `sys_last_attempt_dialer_attempt_result_id`, by name.
    pub last_result: Option<String>,
}

/// A campaign (contact-lists §10.2, §12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignRow {
    /// Its state.
    pub state: String,
    /// Why it is off.
    pub off_reason: Option<String>,
    /// Total, callable, planning, open, attempted, flagged, closed.
    pub counters: [i64; 7],
}

impl Snapshot {
    /// What the model expects to be seen.
    #[must_use]
    pub fn of(world: &World) -> Self {
        Self {
            lists: world
                .lists
                .iter()
                .map(|(name, list)| (name.clone(), Rows::of(list)))
                .collect(),
            campaigns: world
                .campaigns
                .iter()
                .map(|(name, campaign)| {
                    let row = CampaignRow {
                        state: campaign.state.to_owned(),
                        // A deleted campaign is not off for any reason.
                        off_reason: (campaign.state == "off")
                            .then_some(campaign.off_reason)
                            .flatten()
                            .map(str::to_owned),
                        counters: world.campaign_counters(campaign),
                    };
                    (name.clone(), row)
                })
                .collect(),
            log: (0..world.attempts.len())
                .filter_map(|place| LogRow::of(world, place))
                .collect(),
        }
    }

    /// What is different here from what was expected, a line each.
    #[must_use]
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, rows) in &expected.lists {
            match self.lists.get(name) {
                None => lines.push(format!("list {name} is missing")),
                Some(here) => here.differences(name, rows, &mut lines),
            }
        }
        compare("campaign", &self.campaigns, &expected.campaigns, &mut lines);
        compare("log of attempt", &self.log, &expected.log, &mut lines);
        lines
    }
}

impl Rows {
    fn of(list: &List) -> Self {
        let contacts: BTreeMap<String, ContactRow> = list
            .contacts
            .iter()
            .map(|(id, contact)| (id.clone(), ContactRow::of(contact)))
            .collect();
        let counters = count(contacts.values().map(|contact| contact.code));
        let records = list.contacts.iter().flat_map(|(id, contact)| {
            contact
                .records
                .iter()
                .map(|record| ((id.clone(), record.id), RecordRow::of(record)))
        });
        Self {
            records: records.collect(),
            contacts,
            counters,
        }
    }

    fn differences(&self, name: &str, expected: &Self, lines: &mut Vec<String>) {
        compare(
            &format!("list {name} contact"),
            &self.contacts,
            &expected.contacts,
            lines,
        );
        compare(
            &format!("list {name} record"),
            &self.records,
            &expected.records,
            lines,
        );
        if self.counters != expected.counters {
            lines.push(format!(
                "list {name} counters:\n  model    {:?}\n  database {:?}",
                expected.counters, self.counters
            ));
        }
    }

    /// The records of a contact.
    pub fn records_of<'a>(
        &'a self,
        contact: &'a str,
    ) -> impl Iterator<Item = (u64, &'a RecordRow)> {
        let mine = move |((of, id), record): (&'a (String, u64), &'a RecordRow)| {
            (of == contact).then_some((*id, record))
        };
        self.records.iter().filter_map(mine)
    }
}

impl LogRow {
    /// An attempt has its row once it is settled or given back: exactly one (P19).
    fn of(world: &World, place: usize) -> Option<(String, Self)> {
        let attempt = world
            .attempts
            .get(place)
            .filter(|attempt| !attempt.in_progress())?;
        let result = attempt.result.unwrap_or(Category::NotPerformed);
        let row = Self {
            dialer: attempt.dialer.clone(),
            callback: attempt.callback,
            claimed_at: attempt.claimed_at,
            started_at: attempt.started_at,
            result: result.name().to_owned(),
            counted: !matches!(result, Category::NotFound | Category::NotPerformed),
            dialog: attempt.dialog.clone(),
        };
        Some((world.name_of(place)?, row))
    }
}

impl ContactRow {
    fn of(contact: &Contact) -> Self {
        Self {
            code: contact.code,
            type_codes: contact.type_codes,
            attempts: contact.count(),
            type_attempts: contact.type_attempts,
            last_record: contact.last_record,
            balance: contact.balance,
            cells: contact.cells.clone(),
        }
    }
}

impl RecordRow {
    fn of(record: &Record) -> Self {
        Self {
            unit: record.unit.clone(),
            kind: record.kind,
            code: record.code,
            attempts: record.attempts,
            by_category: record.by_category,
            scheduled_at: record.scheduled_at,
            last_at: record.last_at,
            last_campaign: record.last_campaign.clone(),
            last_dialog: record.last_dialog.clone(),
            last_result: record.last_result.map(|result| result.name().to_owned()),
        }
    }

    /// Whether it succeeded (contact-lists §5.4).
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == 'U' && self.last_result.as_deref() == Some("success")
    }
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    here: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    lines: &mut Vec<String>,
) {
    for (key, value) in expected {
        match here.get(key) {
            None => lines.push(format!("{what} {key:?} is missing")),
            Some(other) if other != value => {
                lines.push(format!(
                    "{what} {key:?}:\n  model    {value:?}\n  database {other:?}"
                ));
            }
            Some(_) => {}
        }
    }
    for key in here.keys().filter(|key| !expected.contains_key(key)) {
        lines.push(format!("{what} {key:?} is one too many"));
    }
}
