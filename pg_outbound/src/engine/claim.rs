//! `claim`: up to n contacts for a dialer, with all it needs to reach them (contact-lists §7.1, §8.1).
//!
//! Contacts are found in three groups, each by a partial index over those that are callable: callbacks that
//! agents planned and that are due, contacts whose time to be tried again has come, and contacts that wait
//! for nothing. A scan only proposes: the gates of core decide about the locked contact. A unit on a
//! do-not-contact list, or a conversation that is gone, shuts its record out at this moment (R13, R14), and
//! the contact's next record has its turn.

use std::collections::{HashMap, HashSet};

use outbound_core::machine::gate::{Claimant, choose_usable};
use outbound_core::machine::{Category, Limits, Micros, OpenAttempt, Rules};
use outbound_core::unit::ConversationType;
use pgrx::prelude::*;

use super::answers::Answers;
use super::catalog::{self, Campaign, CampaignList, List};
use super::inbox_rates::InboxRates;
use super::journal::{self, Event};
use super::spi::{self, Arg};
use super::store::{self, Held, Which};
use super::unit_checks::UnitChecks;
use super::{capacity, counters, marks};
use crate::error::{given, invalid};

/// Most attempts that one call may claim.
const MOST_AT_ONCE: i32 = 10_000;

/// Most contacts that a scan proposes for each attempt that is missing.
const MOST_FOR_ONE: usize = 8;

/// Which contacts a scan looks for, in the order of §8.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// A callback planned by an agent is due.
    Callback,
    /// Was attempted before, and its time to be tried again has come.
    Retry,
    /// Waits for nothing.
    Fresh,
}

/// A claimed attempt, as the dialer gets it.
struct Claimed {
    attempt: i64,
    kind: ConversationType,
    list: String,
    contact: String,
    record: i64,
    unit: store::Unit,
    inbox: Option<i64>,
    name: Option<String>,
    fields: Option<pg_sys::Datum>,
    origin: &'static str,
    until: Micros,
}

/// Takes up to `n` attempts of a campaign, or of all that are on, by priority, for a dialer; fewer, or none, when fewer may be made at this
/// moment (`outbound.explain` tells why). Each must be started, settled or released before its lease ends.
///
/// # Errors
/// Raises `undefined_object` for an unknown campaign, `invalid_parameter_value` for `n` out of 1 to 10,000
/// or a dialer without a name.
#[pg_extern(sql = false)]
pub fn claim_attempts(
    campaign: Option<&str>,
    n: Option<i32>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let (n, dialer) = (given("n", n), given("dialer", dialer));
    let at = spi::moment(given("at", at));
    check(n, dialer);
    let (claimed, inboxes) = spi::connected(|| {
        let ids = campaign.map_or_else(active_campaigns, |name| vec![catalog::campaign_id(name)]);
        // Whoever stops a campaign waits for this claim, and this claim for whoever is stopping it.
        for id in &ids {
            spi::run(
                "SELECT pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtext('outbound.campaign'), $1)",
                &[Arg::Int4(capacity::key(*id))],
            );
        }
        catalog::refresh();
        let claimed = by_priority(&ids, usize::try_from(n).unwrap_or(0), dialer, at);
        let inboxes = inbox_names(&claimed);
        (claimed, inboxes)
    });
    let mut rows = Answers::default();
    for c in claimed {
        let inbox = c.inbox.and_then(|id| inboxes.get(&id));
        rows.add([
            c.attempt.into_datum(),
            c.list.into_datum(),
            c.contact.into_datum(),
            c.record.into_datum(),
            c.unit.value.into_datum(),
            c.unit.unit_type.as_str().into_datum(),
            c.kind.as_str().into_datum(),
            c.inbox.into_datum(),
            inbox.map(String::as_str).into_datum(),
            c.name.into_datum(),
            c.fields,
            c.origin.into_datum(),
            spi::timestamp(c.until).into_datum(),
        ]);
    }
    rows
}

fn check(n: i32, dialer: &str) {
    if !(1..=MOST_AT_ONCE).contains(&n) {
        invalid(
            format!("{n} attempts cannot be claimed at once"),
            "",
            "Give a number from 1 to 10000.",
        );
    }
    if dialer.trim().is_empty() || dialer.chars().count() > 255 {
        invalid(
            "a dialer needs a name of 1 to 255 characters",
            "",
            "Give the name under which the dialer is known, for example its host.",
        );
    }
}

/// Whether the campaign may work at this moment (G1).
pub fn is_open(campaign: &Campaign, at: Micros) -> bool {
    campaign.state == "active" && calendar_state(campaign, at).0
}

/// Whether its calendar is open, and when that changes.
pub fn calendar_state(campaign: &Campaign, at: Micros) -> (bool, Option<Micros>) {
    let (Some(calendar), Some(moment)) = (
        &campaign.calendar,
        chrono::DateTime::from_timestamp_micros(at),
    ) else {
        return (true, None);
    };
    let state = calendar.state(moment);
    (
        state.open,
        state.until.map(|until| until.timestamp_micros()),
    )
}

/// All campaigns that are switched on, by number.
fn active_campaigns() -> Vec<i64> {
    let mut ids = Vec::new();
    spi::execute(
        "SELECT c.campaign_id FROM outbound.campaign AS c WHERE c.state = 'active' ORDER BY c.campaign_id",
        &[],
        |row| ids.extend(row.int8(0)),
    );
    ids
}

/// Claims for campaigns of higher priority first; those of equal priority share what is left evenly, and
/// what one of them cannot use is for the next (contact-lists §8.1).
fn by_priority(ids: &[i64], n: usize, dialer: &str, at: Micros) -> Vec<Claimed> {
    let mut campaigns: Vec<_> = ids.iter().filter_map(|id| catalog::campaign(*id)).collect();
    // All turns before the first claim, and in one order: claims that wait for each other would hang.
    for campaign in &campaigns {
        capacity::take_turn(campaign);
    }
    let mut rates = InboxRates::take_turns(at);
    campaigns.sort_by_key(|campaign| std::cmp::Reverse(campaign.settings.priority));
    let mut claimed = Vec::new();
    for equals in campaigns.chunk_by_mut(|a, b| a.settings.priority == b.settings.priority) {
        // Whose turn it is to be first changes with the moment, so that small claims are shared too.
        let first =
            usize::try_from(at.rem_euclid(i64::try_from(equals.len()).unwrap_or(1))).unwrap_or(0);
        equals.rotate_left(first);
        for (place, campaign) in equals.iter().enumerate() {
            let share = (n - claimed.len()).div_ceil(equals.len() - place);
            claimed.extend(claim_of(campaign, share, dialer, at, &mut rates));
        }
        // What was left over by some may be had from others.
        for campaign in equals.iter() {
            if claimed.len() < n && ids.len() > 1 {
                claimed.extend(claim_of(
                    campaign,
                    n - claimed.len(),
                    dialer,
                    at,
                    &mut rates,
                ));
            }
        }
    }
    rates.note(at);
    claimed
}

fn claim_of(
    campaign: &Campaign,
    n: usize,
    dialer: &str,
    at: Micros,
    rates: &mut InboxRates,
) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    if !is_open(campaign, at) {
        return claimed;
    }
    let room = capacity::of_campaign(campaign, at);
    let wanted = n.min(usize::try_from(room.free).unwrap_or(0));
    for group in [Group::Callback, Group::Retry, Group::Fresh] {
        for entry in &campaign.lists {
            if claimed.len() >= wanted {
                break;
            }
            if let Some(list) = catalog::list(entry.list_id) {
                let mut search = Search {
                    campaign,
                    list: &list,
                    entry,
                    group,
                    dialer,
                    at,
                };
                search.collect(wanted, &mut claimed, rates);
            }
        }
    }
    if campaign.settings.max_per_minute.is_some() && !claimed.is_empty() {
        capacity::note("campaign_id", campaign.id, claimed.len(), at);
    }
    claimed
}

/// Looking for contacts of one group in one list.
struct Search<'a> {
    campaign: &'a Campaign,
    list: &'a List,
    entry: &'a CampaignList,
    group: Group,
    dialer: &'a str,
    at: Micros,
}

impl Search<'_> {
    fn collect(&mut self, wanted: usize, claimed: &mut Vec<Claimed>, rates: &mut InboxRates) {
        // Contacts before the mark were taken a moment ago: what is left of them need not be walked again.
        if self.group == Group::Fresh && self.entry.order.is_none() {
            let before = claimed.len();
            if let Some(mark) = marks::get(self.list.id, self.campaign.id, self.at) {
                self.collect_after(&mark, wanted, claimed, rates);
            }
            self.collect_after("", wanted, claimed, rates);
            // A contact of this list, not the last of another one that the campaign has.
            if let Some(last) = claimed.get(before..).and_then(<[Claimed]>::last) {
                marks::set(
                    self.list.id,
                    self.campaign.id,
                    self.campaign.kind,
                    &last.contact,
                    self.at,
                );
            }
        } else {
            self.collect_after("", wanted, claimed, rates);
        }
    }

    fn collect_after(
        &mut self,
        after: &str,
        wanted: usize,
        claimed: &mut Vec<Claimed>,
        rates: &mut InboxRates,
    ) {
        let clauses = self.clauses();
        let own_minimum = self.at.saturating_sub(self.campaign.policy.limits.minimum);
        // Contacts that a scan proposed and the gates refused: not to be proposed again.
        let mut refused: Vec<String> = Vec::new();
        // How many to propose for each that is missing: as many as the gates let through of late.
        let mut each = 1;
        while claimed.len() < wanted {
            let missing = wanted - claimed.len();
            let asked = missing.saturating_mul(each);
            let mut held = store::hold(
                self.list,
                &Which {
                    clauses: &clauses,
                    args: &[
                        Arg::Time(self.at),
                        Arg::Int8(i64::try_from(asked).unwrap_or(i64::MAX)),
                        Arg::Texts(refused.iter().map(|id| Some(id.as_str())).collect()),
                        Arg::Time(own_minimum),
                        Arg::Text(after),
                    ],
                    skip_locked: true,
                    fields: true,
                },
            );
            if held.is_empty() {
                return;
            }
            let proposed = held.len();
            let (looked_at, taken) = self.take(&mut held, missing, rates);
            // Those that were not needed are left as they are, for the next caller.
            held.truncate(looked_at);
            store::write(self.list, &held);
            counters::note(self.list, &held);
            for contact in &held {
                if contact.now.open.is_none() {
                    refused.push(contact.now.id.clone());
                }
            }
            each =
                (looked_at / taken.max(1)).clamp(1, MOST_FOR_ONE) + usize::from(looked_at > taken);
            claimed.extend(held.into_iter().filter_map(|contact| self.claimed(contact)));
            // A short answer was the last.
            if proposed < asked {
                return;
            }
        }
    }

    /// Claims a record of each contact that the gates let through, until enough are claimed; returns how many
    /// were looked at, and how many claimed.
    fn take(&self, held: &mut [Held], enough: usize, rates: &mut InboxRates) -> (usize, usize) {
        let rules = catalog::rules(self.list, held, Some(self.campaign));
        let checks = UnitChecks::of(self.campaign, held, self.at);
        let claimant = Claimant {
            kind: self.campaign.kind,
            limits: &self.campaign.policy.limits,
        };
        let mut events = Vec::new();
        let mut chosen: Vec<(usize, i64)> = Vec::new();
        let mut looked_at = 0;
        for (place, contact) in held.iter_mut().enumerate() {
            if chosen.len() >= enough {
                break;
            }
            looked_at = place + 1;
            let (usable, shut_out) =
                choose_usable(&mut contact.now, claimant, self.at, &rules, |record| {
                    checks.shuts_out(record.id)
                });
            let told = shut_out
                .into_iter()
                .map(|(record, category)| self.shut_out(&contact.now.id, record, category));
            events.extend(told);
            if let Some(record) = usable
                && rates.take(contact.now.record(record).and_then(|record| record.inbox))
            {
                chosen.push((place, record));
            }
        }
        let numbers = attempt_numbers(self.list, chosen.len());
        for ((place, record), number) in chosen.iter().zip(numbers) {
            if let Some(contact) = held.get_mut(*place) {
                self.claim_record(contact, *record, number, &rules);
            }
        }
        journal::tell(self.list, &events, self.at);
        (looked_at, chosen.len())
    }

    fn claim_record(&self, contact: &mut Held, record: i64, attempt: i64, rules: &Rules) {
        let previous = contact.now.record(record).map(|record| record.code);
        if let Some(previous) = previous {
            contact.now.claim(
                OpenAttempt {
                    id: attempt,
                    record,
                    campaign: self.campaign.id,
                    dialer: self.dialer.to_owned(),
                    claimed_at: self.at,
                    started_at: None,
                    until: self.at + i64::from(self.campaign.settings.lease_seconds) * 1_000_000,
                    previous,
                },
                rules,
            );
        }
    }

    fn shut_out(&self, contact: &str, record: i64, category: Category) -> Event {
        Event {
            contact: contact.to_owned(),
            record: Some(record),
            attempt: None,
            campaign: Some(self.campaign.id),
            kind: if category == Category::NotFound {
                "purged"
            } else {
                "suppressed"
            },
            details: "{}".to_owned(),
        }
    }

    fn claimed(&self, contact: Held) -> Option<Claimed> {
        let open = contact.now.open.as_ref()?;
        Some(Claimed {
            attempt: open.id,
            kind: self.campaign.kind,
            list: self.list.name.clone(),
            record: open.record,
            unit: contact.unit(open.record).cloned()?,
            inbox: contact
                .now
                .record(open.record)
                .and_then(|record| record.inbox),
            origin: journal::origin(open),
            until: open.until,
            name: contact.name,
            fields: contact.fields,
            contact: contact.now.id,
        })
    }

    /// What the scan asks for: `$1` the moment, `$2` how many, `$3` contacts to pass over, `$4` the moment
    /// before which the latest attempt must have begun, `$5` the contact to begin after.
    fn clauses(&self) -> String {
        let kind = self.campaign.kind;
        let mut conditions = format!(
            "WHERE k.sys_status = 'C' AND k.sys_status_{kind} = 'C' AND k.sys_id <> ALL ($3)"
        );
        let order = match self.group {
            Group::Callback => {
                conditions += &format!(" AND k.sys_callback_{kind} <= $1");
                format!("k.sys_callback_{kind}, k.sys_id")
            }
            Group::Retry => {
                conditions += &format!(" AND k.sys_due_{kind} <= $1");
                conditions += &limit_conditions(kind, &self.campaign.policy.limits);
                format!("k.sys_due_{kind}, k.sys_id")
            }
            Group::Fresh => {
                conditions += &format!(" AND k.sys_due_{kind} IS NULL AND k.sys_id > $5");
                conditions += &limit_conditions(kind, &self.campaign.policy.limits);
                match &self.entry.order {
                    Some(order) => format!("{order}, k.sys_id"),
                    // The due moment is null for all of them: it is named for the planner, which would walk
                    // the whole key otherwise.
                    None => format!("k.sys_due_{kind}, k.sys_id"),
                }
            }
        };
        if let Some(filter) = &self.entry.filter {
            conditions += &format!(" AND ({})", filter.replace("$now", "$1"));
        }
        format!("{conditions} ORDER BY {order} LIMIT $2")
    }
}

/// G5 and G6 of the contact, as conditions of a scan; the gates look again.
fn limit_conditions(kind: ConversationType, limits: &Limits) -> String {
    let mut conditions = String::new();
    if let Some(limit) = limits.per_contact {
        conditions += &format!(" AND k.sys_attempts < {limit}");
    }
    if let Some(limit) = limits.per_type[kind as usize] {
        conditions += &format!(" AND k.sys_attempts_{kind} < {limit}");
    }
    if limits.minimum > 0 && !limits.minimum_per_record {
        conditions += " AND (k.sys_last_attempt_at IS NULL OR k.sys_last_attempt_at <= $4)";
    }
    conditions
}

/// Numbers for new attempts in a list.
fn attempt_numbers(list: &List, count: usize) -> Vec<i64> {
    let mut numbers = Vec::with_capacity(count);
    if count > 0 {
        spi::execute(
            "SELECT pg_catalog.nextval('outbound.attempt_id_seq') FROM pg_catalog.generate_series(1, $1)",
            &[Arg::Int4(i32::try_from(count).unwrap_or(0))],
            |row| {
                numbers.extend(
                    row.int8(0)
                        .map(|running| catalog::attempt_number(list.id, running)),
                )
            },
        );
    }
    numbers
}

fn inbox_names(claimed: &[Claimed]) -> HashMap<i64, String> {
    let ids: HashSet<i64> = claimed.iter().filter_map(|c| c.inbox).collect();
    let mut names = HashMap::new();
    if !ids.is_empty() {
        spi::execute(
            "SELECT i.inbox_id, i.name FROM outbound.inbox AS i WHERE i.inbox_id = ANY ($1)",
            &[Arg::Int8s(ids.into_iter().map(Some).collect())],
            |row| {
                if let (Some(id), Some(name)) = (row.int8(0), row.text(1)) {
                    names.insert(id, name);
                }
            },
        );
    }
    names
}
