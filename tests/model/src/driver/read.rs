//! What a database shows of the lists and campaigns of a run.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use serde_json::Value;

use crate::invariants::Stamps;
use crate::model::World;
use crate::model::settings::{Kind, Time};
use crate::snapshot::{CampaignRow, ContactRow, LogRow, RecordRow, Rows, Snapshot};

use super::Run;

/// Rows as they are, before the model's numbers of records are put in.
pub struct Raw {
    lists: BTreeMap<String, RawList>,
    /// Campaigns by name.
    pub campaigns: BTreeMap<String, CampaignRow>,
    /// Numbers of attempts and their rows in the log.
    log: Vec<(i64, LogRow)>,
}

#[derive(Default)]
struct RawList {
    /// Contacts, with the `sys_id` of the record of the latest attempt.
    contacts: BTreeMap<String, (ContactRow, Option<i64>)>,
    /// Contact, `sys_id` and record, in order.
    records: Vec<(String, i64, RecordRow)>,
    counters: [i64; 7],
}

impl Raw {
    /// List, contact, unit, code and result of every record.
    pub fn records(&self) -> impl Iterator<Item = (&str, &str, &str, char, Option<&str>)> {
        self.lists.iter().flat_map(|(list, raw)| {
            raw.records.iter().map(|(contact, _, record)| {
                (
                    list.as_str(),
                    contact.as_str(),
                    record.unit.as_str(),
                    record.code,
                    record.last_result.as_deref(),
                )
            })
        })
    }

    /// `sys_id` of every record.
    pub fn record_ids(&self) -> BTreeMap<(String, String, String), i64> {
        let one = |list: &str, (contact, id, record): &(String, i64, RecordRow)| {
            ((list.to_owned(), contact.clone(), record.unit.clone()), *id)
        };
        self.lists
            .iter()
            .flat_map(|(list, raw)| raw.records.iter().map(move |record| one(list, record)))
            .collect()
    }

    /// The rows with the model's numbers of records, and whether records stand in another order.
    pub fn rows(&self, world: &World, attempts: &[i64]) -> (Snapshot, Option<String>) {
        let mut disorder = None;
        let mut lists = BTreeMap::new();
        for (name, raw) in &self.lists {
            let number = |contact: &str, unit: &str, id: i64| {
                let known = world
                    .contact(name, contact)
                    .and_then(|contact| contact.record_of(unit));
                known.map_or_else(|| 1_000_000 + id.unsigned_abs(), |record| record.id)
            };
            let numbers: BTreeMap<i64, u64> = raw
                .records
                .iter()
                .map(|(contact, id, record)| (*id, number(contact, &record.unit, *id)))
                .collect();
            let ordered: Vec<u64> = numbers.values().copied().collect();
            if !ordered.is_sorted() {
                disorder = Some(format!("list {name}: records in the order {ordered:?}"));
            }
            let contacts = raw.contacts.iter().map(|(id, (contact, last))| {
                let last_record = last.map(|last| numbers.get(&last).copied().unwrap_or(u64::MAX));
                (
                    id.clone(),
                    ContactRow {
                        last_record,
                        ..contact.clone()
                    },
                )
            });
            let records = raw.records.iter().map(|(contact, id, record)| {
                (
                    (
                        contact.clone(),
                        numbers.get(id).copied().unwrap_or(u64::MAX),
                    ),
                    record.clone(),
                )
            });
            lists.insert(
                name.clone(),
                Rows {
                    contacts: contacts.collect(),
                    records: records.collect(),
                    counters: raw.counters,
                },
            );
        }
        let name = |id: i64| {
            let place = attempts.iter().position(|known| *known == id);
            place
                .and_then(|place| world.name_of(place))
                .unwrap_or_else(|| format!("number {id}"))
        };
        let mut log = BTreeMap::new();
        for (id, row) in &self.log {
            if log.insert(name(*id), row.clone()).is_some() {
                disorder = Some(format!("attempt {} stands twice in the log", name(*id)));
            }
        }
        (
            Snapshot {
                lists,
                campaigns: self.campaigns.clone(),
                log,
            },
            disorder,
        )
    }
}

impl Run<'_> {
    /// Reads everything that is compared.
    pub(super) async fn read(&self) -> Result<(Raw, Stamps)> {
        let mut raw = Raw {
            lists: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            log: Vec::new(),
        };
        let mut stamps = Stamps::new();
        let names = self
            .client
            .query("SELECT campaign_id, name FROM outbound.campaign", &[])
            .await?;
        let mut campaigns: BTreeMap<i64, String> = BTreeMap::new();
        for row in names {
            campaigns.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let query =
            "SELECT name, table_name, total, callable, planning, open, attempted, flagged, closed
                     FROM outbound.list_status WHERE starts_with(name, $1)";
        let prefix = self.name("");
        for row in self.client.query(query, &[&prefix]).await? {
            let name: String = row.try_get(0)?;
            let mut list = RawList::default();
            for (place, counter) in list.counters.iter_mut().enumerate() {
                *counter = row.try_get(place + 2)?;
            }
            let name = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
            self.read_list(&name, row.try_get(1)?, &mut list, &campaigns, &mut stamps)
                .await?;
            raw.lists.insert(name, list);
        }
        let query = "SELECT name, state, off_reason, total, callable, planning, open, attempted, flagged, closed
                     FROM outbound.campaign_status WHERE starts_with(name, $1)";
        for row in self.client.query(query, &[&prefix]).await? {
            let name: String = row.try_get(0)?;
            let mut counters = [0; 7];
            for (place, counter) in counters.iter_mut().enumerate() {
                *counter = row.try_get(place + 3)?;
            }
            let state: String = row.try_get(1)?;
            let off_reason = row
                .try_get::<_, Option<String>>(2)?
                .filter(|_| state == "off");
            let name = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
            raw.campaigns.insert(
                name,
                CampaignRow {
                    state,
                    off_reason,
                    counters,
                },
            );
        }
        raw.log = self.read_log(&prefix).await?;
        Ok((raw, stamps))
    }

    async fn read_log(&self, prefix: &str) -> Result<Vec<(i64, LogRow)>> {
        let query = "SELECT l.attempt_id, l.dialer, l.origin, (extract(epoch FROM l.claimed_at) * 1000000)::bigint,
                            (extract(epoch FROM l.started_at) * 1000000)::bigint, r.name, l.counted, l.dialog_id
                     FROM outbound.attempt_log AS l JOIN outbound.list AS t USING (list_id)
                     JOIN outbound.attempt_result AS r USING (result_id) WHERE starts_with(t.name, $1)";
        let mut log = Vec::new();
        for row in self.client.query(query, &[&prefix]).await? {
            let shown = LogRow {
                dialer: row.try_get(1)?,
                callback: row.try_get::<_, &str>(2)? == "agent_callback",
                claimed_at: self.seconds(row.try_get(3)?)?.unwrap_or(-1),
                started_at: self.seconds(row.try_get(4)?)?,
                result: row.try_get(5)?,
                counted: row.try_get(6)?,
                dialog: row.try_get(7)?,
            };
            log.push((row.try_get(0)?, shown));
        }
        Ok(log)
    }

    async fn read_list(
        &self,
        name: &str,
        table: &str,
        list: &mut RawList,
        campaigns: &BTreeMap<i64, String>,
        stamps: &mut Stamps,
    ) -> Result<()> {
        let query = format!(
            "SELECT sys_id, sys_status::text, sys_status_call::text, sys_status_email::text, sys_status_social_media::text,
                    sys_attempts::bigint, sys_attempts_call::bigint, sys_attempts_email::bigint, sys_attempts_social_media::bigint,
                    sys_last_attempt_cld_id, balance,
                    (extract(epoch FROM sys_created_at) * 1000000)::bigint, (extract(epoch FROM sys_updated_at) * 1000000)::bigint,
                    to_jsonb(t)
             FROM outbound_list.\"{table}\" AS t"
        );
        for row in self.client.query(&query, &[]).await? {
            let id: String = row.try_get(0)?;
            let contact = ContactRow {
                code: letter(row.try_get(1)?),
                type_codes: [
                    letter(row.try_get(2)?),
                    letter(row.try_get(3)?),
                    letter(row.try_get(4)?),
                ],
                attempts: row.try_get(5)?,
                type_attempts: [row.try_get(6)?, row.try_get(7)?, row.try_get(8)?],
                last_record: None,
                balance: row.try_get(10)?,
                cells: self.cells(&row.try_get(13)?),
            };
            stamps.insert(
                (name.to_owned(), format!("contact {id}")),
                (row.try_get(11)?, row.try_get(12)?),
            );
            list.contacts.insert(id, (contact, row.try_get(9)?));
        }
        let query = format!(
            "SELECT d.sys_contact_id, d.sys_id, d.sys_channel_user, d.sys_conversation_type::text, d.sys_status::text, d.sys_attempts::bigint,
                    d.sys_attempts_abandoned::bigint, d.sys_attempts_busy::bigint, d.sys_attempts_noanswer::bigint, d.sys_attempts_machine::bigint,
                    (extract(epoch FROM d.sys_scheduled_at) * 1000000)::bigint,
                    (extract(epoch FROM d.sys_last_attempt_datetime) * 1000000)::bigint,
                    d.sys_last_attempt_campaign_id, d.sys_last_attempt_dialog_id, r.name,
                    (extract(epoch FROM d.sys_created_at) * 1000000)::bigint, (extract(epoch FROM d.sys_updated_at) * 1000000)::bigint
             FROM outbound_list.\"{table}_detail\" AS d
             LEFT JOIN outbound.attempt_result AS r ON r.result_id = d.sys_last_attempt_dialer_attempt_result_id
             ORDER BY d.sys_id"
        );
        let prefix = self.name("");
        for row in self.client.query(&query, &[]).await? {
            let campaign = |id: i64| {
                let name = campaigns
                    .get(&id)
                    .cloned()
                    .unwrap_or_else(|| format!("number {id}"));
                name.strip_prefix(&prefix)
                    .map_or(name.clone(), str::to_owned)
            };
            let id: i64 = row.try_get(1)?;
            let record = RecordRow {
                unit: self.unit_of(row.try_get(2)?),
                kind: row
                    .try_get::<_, Option<&str>>(3)?
                    .and_then(|kind| Kind::ALL.into_iter().find(|known| known.name() == kind)),
                code: letter(row.try_get(4)?),
                attempts: row.try_get(5)?,
                by_category: [
                    row.try_get(6)?,
                    row.try_get(7)?,
                    row.try_get(8)?,
                    row.try_get(9)?,
                ],
                scheduled_at: self.seconds(row.try_get(10)?)?,
                last_at: self.seconds(row.try_get(11)?)?,
                last_campaign: row.try_get::<_, Option<i64>>(12)?.map(campaign),
                last_dialog: row.try_get(13)?,
                last_result: row.try_get(14)?,
            };
            stamps.insert(
                (name.to_owned(), format!("record {id}")),
                (row.try_get(15)?, row.try_get(16)?),
            );
            list.records.push((row.try_get(0)?, id, record));
        }
        Ok(())
    }

    /// The user columns that hold units.
    fn cells(&self, row: &Value) -> BTreeMap<String, String> {
        let cell = |(name, value): (&String, &Value)| {
            let unit = !name.starts_with("sys_") && name != "id";
            Some((name.clone(), self.unit_of(value.as_str().filter(|_| unit)?)))
        };
        row.as_object()
            .into_iter()
            .flatten()
            .filter_map(cell)
            .collect()
    }

    /// Seconds since the base of the history; the history knows whole ones only.
    pub(super) fn seconds(&self, microseconds: Option<i64>) -> Result<Option<Time>> {
        let Some(microseconds) = microseconds else {
            return Ok(None);
        };
        if microseconds % 1_000_000 != 0 {
            return Err(anyhow!(
                "a moment between seconds: {microseconds} microseconds; it was not given by the history"
            ));
        }
        Ok(Some(microseconds / 1_000_000 - self.world.base.timestamp()))
    }
}

fn letter(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}
