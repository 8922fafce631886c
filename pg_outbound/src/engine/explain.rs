//! `explain`: why a contact is, or is not, claimed for a campaign at a moment: one row a gate, with the
//! evidence and the earliest moment at which time alone would open it. The predicates are those of `claim`.

use outbound_core::machine::gate::{self, Claimant, Gate, shown};
use outbound_core::machine::{Micros, Record};
use outbound_core::unit::ConversationType;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::json;

use super::capacity;
use super::catalog::{self, Campaign, CampaignList, List};
use super::claim::calendar_state;
use super::operator::no_such_contact;
use super::spi::{self, Arg};
use super::store::{self, Held, Which};
use super::unit_checks::{UnitChecks, blocking_list};

/// One row a gate that a claim of this contact for this campaign would meet at that moment, in order. The
/// contact is claimed, when its turn comes, if and only if all pass.
///
/// # Errors
/// Raises `undefined_object` for an unknown list, contact or campaign.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn explain(
    list: &str,
    contact_id: &str,
    campaign: &str,
    at: default!(TimestampWithTimeZone, "pg_catalog.now()"),
) -> TableIterator<
    'static,
    (
        name!(position, i32),
        name!(gate, String),
        name!(passes, bool),
        name!(evidence, String),
        name!(facts, JsonB),
        name!(possible_at, Option<TimestampWithTimeZone>),
    ),
> {
    let at = spi::moment(at);
    let gates = spi::connected(|| {
        catalog::refresh();
        let list = catalog::list_by_name(list);
        let id = catalog::campaign_id(campaign);
        let mut gates = Vec::new();
        if let Some(campaign) = catalog::campaign(id) {
            gates = store::at_one_moment(&list, || all_gates(&list, contact_id, &campaign, at));
        }
        gates
    });
    TableIterator::new(gates.into_iter().zip(1_i32..).map(|(gate, position)| {
        (
            position,
            gate.name.to_owned(),
            gate.passes,
            gate.evidence,
            JsonB(gate.facts),
            gate.possible_at.and_then(spi::timestamp),
        )
    }))
}

fn all_gates(list: &List, contact_id: &str, campaign: &Campaign, at: Micros) -> Vec<Gate> {
    let found = store::look(
        list,
        &Which {
            clauses: "WHERE k.sys_id = $1",
            args: &[Arg::Text(contact_id)],
            skip_locked: false,
            fields: false,
        },
    );
    let Some(contact) = found.first() else {
        no_such_contact(list, contact_id)
    };
    let entry = campaign.lists.iter().find(|entry| entry.list_id == list.id);
    let checks = UnitChecks::of(campaign, &found, i64::MAX - 1);
    let claimant = Claimant {
        kind: campaign.kind,
        limits: &campaign.policy.limits,
    };
    let list_name = |record: &Record| {
        let unit = contact
            .unit(record.id)
            .filter(|_| checks.is_blocked(record.id))?;
        blocking_list(campaign, unit)
    };
    let mut gates = vec![
        campaign_gate(campaign, list, entry),
        calendar_gate(campaign, at),
    ];
    gates.extend(gate::explain(&contact.now, claimant, at, list_name));
    gates.push(conversation_gate(contact, campaign.kind, &checks));
    gates.push(filter_gate(list, entry, contact_id, at));
    // As the claim would go about it, on a copy.
    let rules = catalog::rules(list, &found, Some(campaign));
    let (chosen, _) =
        gate::choose_usable(&mut contact.now.clone(), claimant, at, &rules, |record| {
            checks.shuts_out(record.id)
        });
    gates.push(gate::choice_gate(chosen));
    gates.push(capacity_gate(campaign, contact, claimant, at));
    gates
}

fn plain(name: &'static str, passes: bool, evidence: String, facts: serde_json::Value) -> Gate {
    Gate {
        name,
        passes,
        evidence,
        facts,
        possible_at: None,
    }
}

fn campaign_gate(campaign: &Campaign, list: &List, entry: Option<&CampaignList>) -> Gate {
    let evidence = if entry.is_none() {
        format!(
            "campaign \"{}\" does not use the list \"{}\"",
            campaign.name, list.name
        )
    } else {
        format!("campaign \"{}\" is {}", campaign.name, campaign.state)
    };
    plain(
        "campaign",
        campaign.state == "active" && entry.is_some(),
        evidence,
        json!({ "state": campaign.state, "uses_list": entry.is_some() }),
    )
}

fn calendar_gate(campaign: &Campaign, at: Micros) -> Gate {
    let (open, until) = calendar_state(campaign, at);
    let evidence = match (&campaign.calendar, open, until) {
        (None, _, _) => "the campaign has no calendar: always open".to_owned(),
        (_, true, Some(until)) => format!("its calendar is open until {}", shown(until)),
        (_, true, None) => "its calendar is open".to_owned(),
        (_, false, Some(until)) => format!("its calendar is closed until {}", shown(until)),
        (_, false, None) => "its calendar is closed for good".to_owned(),
    };
    Gate {
        possible_at: if open { None } else { until },
        ..plain(
            "calendar",
            open,
            evidence,
            json!({ "open": open, "until": until.map(shown) }),
        )
    }
}

fn conversation_gate(contact: &Held, kind: ConversationType, checks: &UnitChecks) -> Gate {
    let claimable: Vec<&Record> = contact
        .now
        .records
        .iter()
        .filter(|record| record.kind == Some(kind) && record.code.is_claimable())
        .collect();
    let conversations: Vec<i64> = claimable
        .iter()
        .filter(|record| record.is_conversation)
        .map(|record| record.id)
        .collect();
    let missing: Vec<i64> = conversations
        .iter()
        .copied()
        .filter(|record| checks.is_missing(*record))
        .collect();
    plain(
        "conversation",
        missing.is_empty() || missing.len() < claimable.len(),
        if conversations.is_empty() {
            "no unit is a conversation".to_owned()
        } else {
            format!(
                "{} of {} conversations are gone",
                missing.len(),
                conversations.len()
            )
        },
        json!({ "missing": missing }),
    )
}

fn filter_gate(list: &List, entry: Option<&CampaignList>, contact_id: &str, at: Micros) -> Gate {
    let Some(filter) = entry.and_then(|entry| entry.filter.as_ref()) else {
        return plain(
            "filter",
            true,
            "the campaign has no filter".to_owned(),
            json!({}),
        );
    };
    let mut passes = false;
    spi::look(
        &format!(
            "SELECT ({}) FROM ONLY {} AS k WHERE k.sys_id = $2 AND $1 IS NOT NULL",
            filter.replace("$now", "$1"),
            list.contacts
        ),
        &[Arg::Time(at), Arg::Text(contact_id)],
        |row| passes = row.boolean(0).unwrap_or(false),
    );
    plain(
        "filter",
        passes,
        format!(
            "the campaign's filter is {}",
            if passes {
                "true of the contact"
            } else {
                "not true of the contact"
            }
        ),
        json!({ "filter": filter }),
    )
}

fn capacity_gate(campaign: &Campaign, contact: &Held, claimant: Claimant<'_>, at: Micros) -> Gate {
    let room = capacity::of_campaign(campaign, at);
    let inbox = gate::choose(&contact.now, claimant, at, |_| false).and_then(|record| record.inbox);
    let rate = inbox.map(|inbox| capacity::of_inbox(inbox, at));
    let narrow = match rate {
        Some(rate) if rate.free < room.free => rate,
        _ => room,
    };
    Gate {
        possible_at: narrow.more_at,
        ..plain(
            "capacity",
            narrow.free > 0,
            narrow
                .because
                .unwrap_or_else(|| "no limit of pace".to_owned()),
            json!({ "free": if narrow.free == i64::MAX { None } else { Some(narrow.free) } }),
        )
    }
}
