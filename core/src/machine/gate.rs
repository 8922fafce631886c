//! Who may be claimed (contact-lists §7.1 G2–G8), as single predicates. [`choose`] asks them for a claim,
//! [`explain`] asks the same ones one by one and says what it found, so that the two cannot disagree.
//!
//! What the contact does not know comes in from outside: whether the campaign is on and its calendar open
//! (G1), whether its filter holds (G7), and free capacity (G9) are the caller's gates.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{Category, Contact, Limits, Micros, Record, Rules, met};
use crate::status::{ContactCode, RecordCode};
use crate::unit::ConversationType;

/// The campaign that wants to claim.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// Its conversation type (G2).
    pub kind: ConversationType,
    /// Limits of its attempt control (G5, G6).
    pub limits: &'a Limits,
}

/// One gate of an explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Stable name.
    pub name: &'static str,
    /// Whether the contact passes it.
    pub passes: bool,
    /// What was found, in words.
    pub evidence: String,
    /// The same as values.
    pub facts: Value,
    /// The earliest moment at which it could pass by itself, if time alone can open it.
    pub possible_at: Option<Micros>,
}

/// The record that a claim would use, if any (contact-lists §8.1): a callback that is due, the earliest
/// first; else the record with the fewest attempts, then by column, then by number.
///
/// `blocked` tells whether a record's unit is on a do-not-contact list (G8).
pub fn choose<'c>(
    contact: &'c Contact,
    claimant: Claimant<'_>,
    at: Micros,
    blocked: impl Fn(&Record) -> bool,
) -> Option<&'c Record> {
    if !is_callable(contact) || !is_callable_for(contact, claimant.kind) {
        return None;
    }
    let candidates = || {
        contact
            .records
            .iter()
            .filter(|r| of_type(r, claimant.kind) && r.code.is_claimable() && is_due(r, at))
            .filter(|r| !blocked(r))
    };
    let callback = candidates()
        .filter(|r| r.code == RecordCode::AgentCallback)
        .min_by_key(|r| (r.scheduled_at, r.id));
    if callback.is_some() {
        return callback;
    }
    if spaced_from(contact, claimant.limits) > Some(at)
        || contact_limit(contact, claimant).is_some()
    {
        return None;
    }
    candidates()
        .filter(|r| r.code != RecordCode::AgentCallback)
        .filter(|r| !claimant.limits.record_exhausted(r))
        .filter(|r| record_spaced_from(r, claimant.limits) <= Some(at))
        .min_by_key(|r| (r.attempts, r.position, r.id))
}

/// G2.
fn of_type(record: &Record, kind: ConversationType) -> bool {
    record.kind == Some(kind)
}

/// G3 for the whole contact.
fn is_callable(contact: &Contact) -> bool {
    contact.code == ContactCode::Callable
}

/// G3 for the type.
fn is_callable_for(contact: &Contact, kind: ConversationType) -> bool {
    contact.type_codes[kind as usize] == ContactCode::Callable
}

/// G4, the moment.
fn is_due(record: &Record, at: Micros) -> bool {
    record.scheduled_at.is_none_or(|moment| moment <= at)
}

/// G5 for contact and type: the name and the value of a limit that is met.
fn contact_limit(contact: &Contact, claimant: Claimant<'_>) -> Option<(&'static str, i32, i32)> {
    let kind = claimant.kind as usize;
    let (per_contact, per_type) = (claimant.limits.per_contact, claimant.limits.per_type[kind]);
    if met(per_contact, contact.attempts) {
        return per_contact.map(|limit| ("contact", limit, contact.attempts));
    }
    if met(per_type, contact.type_attempts[kind]) {
        return per_type.map(|limit| ("type", limit, contact.type_attempts[kind]));
    }
    None
}

/// G6 of the contact: the moment from which it may be attempted automatically, by the campaign of its latest
/// attempt and by the one that asks, whichever is later.
fn spaced_from(contact: &Contact, limits: &Limits) -> Option<Micros> {
    let own = contact
        .last_attempt_at
        .filter(|_| !limits.minimum_per_record)
        .map(|moment| moment.saturating_add(limits.minimum));
    own.max(contact.wait_until)
}

/// G6 of a record, where the minimum time of the campaign that asks concerns records by themselves.
fn record_spaced_from(record: &Record, limits: &Limits) -> Option<Micros> {
    record
        .last_attempt_at
        .filter(|_| limits.minimum_per_record)
        .map(|moment| moment.saturating_add(limits.minimum))
}

/// Every gate of the contact itself, in the order in which a claim meets them. `blocked` names the
/// do-not-contact list of a record's unit.
pub fn explain(
    contact: &Contact,
    claimant: Claimant<'_>,
    at: Micros,
    blocked: impl Fn(&Record) -> Option<String>,
) -> Vec<Gate> {
    let kind = claimant.kind;
    let own: Vec<&Record> = contact
        .records
        .iter()
        .filter(|r| of_type(r, kind))
        .collect();
    let claimable: Vec<&Record> = own
        .iter()
        .copied()
        .filter(|r| r.code.is_claimable())
        .collect();
    let callback_due = claimable
        .iter()
        .any(|r| r.code == RecordCode::AgentCallback && is_due(r, at));
    let mut gates = vec![
        gate(
            "unit",
            !own.is_empty(),
            format!(
                "the contact has {} of type {kind}",
                counted(own.len(), "unit")
            ),
            json!({ "units": own.len() }),
        ),
        gate(
            "contact_code",
            is_callable(contact),
            format!(
                "the contact's code is {}: {}",
                contact.code,
                meaning(contact.code)
            ),
            json!({ "code": contact.code.as_str() }),
        ),
        gate(
            "type_code",
            is_callable_for(contact, kind),
            format!(
                "its code for {kind} is {}: {}",
                contact.type_codes[kind as usize],
                meaning(contact.type_codes[kind as usize])
            ),
            json!({ "code": contact.type_codes[kind as usize].as_str() }),
        ),
        gate(
            "record_code",
            !claimable.is_empty(),
            if own.is_empty() {
                "there is no record to use".to_owned()
            } else {
                format!("its records of that type are {}", codes(&own))
            },
            json!({ "records": own.iter().map(|r| json!({"record": r.id, "code": r.code.as_str()})).collect::<Vec<_>>() }),
        ),
    ];
    gates.push(due_gate(&claimable, at));
    gates.push(spacing_gate(contact, claimant, at, &claimable));
    // What an agent planned is stopped by no limit, so these open with it.
    let callback = next_callback(&claimable).filter(|_| !callback_due);
    gates.push(opened_by(
        callback,
        limit_gate(contact, claimant, callback_due),
    ));
    gates.push(opened_by(
        callback,
        record_limit_gate(&claimable, claimant, callback_due),
    ));
    gates.push(blocked_gate(&claimable, blocked));
    gates
}

fn due_gate(claimable: &[&Record], at: Micros) -> Gate {
    let next = claimable.iter().filter_map(|r| r.scheduled_at).min();
    let due = claimable.iter().any(|r| is_due(r, at));
    Gate {
        possible_at: if due { None } else { next },
        ..gate(
            "due",
            due,
            match next {
                _ if due => "a record is due".to_owned(),
                Some(moment) => format!("the next record is due at {}", shown(moment)),
                None => "no record is planned".to_owned(),
            },
            json!({ "next": next.map(shown) }),
        )
    }
}

/// When the earliest callback of an agent is planned.
fn next_callback(claimable: &[&Record]) -> Option<Micros> {
    let callbacks = claimable
        .iter()
        .filter(|r| r.code == RecordCode::AgentCallback);
    callbacks.filter_map(|r| r.scheduled_at).min()
}

/// A gate that is shut opens at this moment.
fn opened_by(moment: Option<Micros>, gate: Gate) -> Gate {
    Gate {
        possible_at: moment.filter(|_| !gate.passes),
        ..gate
    }
}

fn spacing_gate(
    contact: &Contact,
    claimant: Claimant<'_>,
    at: Micros,
    claimable: &[&Record],
) -> Gate {
    // Of records that wait by themselves, the first is enough.
    let record_from = claimable
        .iter()
        .filter(|r| r.code != RecordCode::AgentCallback)
        .map(|r| record_spaced_from(r, claimant.limits))
        .min();
    let from = spaced_from(contact, claimant.limits).max(record_from.flatten());
    let late_enough = from <= Some(at);
    // A callback waits for nothing but its own moment.
    let callback = next_callback(claimable);
    let passes = late_enough || callback.is_some_and(|moment| moment <= at);
    Gate {
        possible_at: from
            .filter(|_| !passes)
            .map(|from| callback.map_or(from, |c| c.min(from))),
        ..gate(
            "spacing",
            passes,
            match from {
                None if contact.last_attempt_at.is_none() => {
                    "the contact was never attempted".to_owned()
                }
                None => "no least time between attempts holds for it".to_owned(),
                Some(_) if passes && !late_enough => "an agent's callback does not wait".to_owned(),
                Some(moment) if late_enough => {
                    format!(
                        "the least time between attempts was over at {}",
                        shown(moment)
                    )
                }
                Some(moment) => format!(
                    "the least time between attempts lasts until {}",
                    shown(moment)
                ),
            },
            json!({ "from": from.map(shown), "last_attempt": contact.last_attempt_at.map(shown) }),
        )
    }
}

fn limit_gate(contact: &Contact, claimant: Claimant<'_>, callback_due: bool) -> Gate {
    let limit = contact_limit(contact, claimant);
    gate(
        "contact_limit",
        limit.is_none() || callback_due,
        match limit {
            None => format!(
                "{} so far, within the limits",
                counted(contact.attempts, "attempt")
            ),
            Some(_) if callback_due => "no limit stops an agent's callback".to_owned(),
            Some(("contact", limit, made)) => {
                format!("{made} of {limit} attempts a contact are made")
            }
            Some((_, limit, made)) => {
                format!("{made} of {limit} attempts by {} are made", claimant.kind)
            }
        },
        json!({
            "attempts": contact.attempts, "limit": claimant.limits.per_contact,
            "attempts_of_type": contact.type_attempts[claimant.kind as usize],
            "limit_of_type": claimant.limits.per_type[claimant.kind as usize],
        }),
    )
}

fn record_limit_gate(claimable: &[&Record], claimant: Claimant<'_>, callback_due: bool) -> Gate {
    let left = claimable
        .iter()
        .filter(|r| !claimant.limits.record_exhausted(r))
        .count();
    gate(
        "record_limit",
        left > 0 || callback_due,
        format!(
            "{left} of {} within the limits of a record",
            counted(claimable.len(), "record")
        ),
        json!({
            "records": claimable.iter().map(|r| json!({
                "record": r.id, "attempts": r.attempts, "exhausted": claimant.limits.record_exhausted(r),
            })).collect::<Vec<_>>(),
            "limit": claimant.limits.per_record,
        }),
    )
}

fn blocked_gate(claimable: &[&Record], blocked: impl Fn(&Record) -> Option<String>) -> Gate {
    let lists: Vec<(i64, String)> = claimable
        .iter()
        .filter_map(|r| blocked(r).map(|list| (r.id, list)))
        .collect();
    gate(
        "do_not_contact",
        lists.is_empty() || lists.len() < claimable.len(),
        match lists.first() {
            None => "no unit is on a do-not-contact list".to_owned(),
            Some((record, list)) => format!(
                "{} of {} on a do-not-contact list: record {record} on \"{list}\"",
                lists.len(),
                counted(claimable.len(), "unit")
            ),
        },
        json!({ "blocked": lists.iter().map(|(record, list)| json!({"record": record, "list": list})).collect::<Vec<_>>() }),
    )
}

/// The record that a claim takes, after it has shut out those that can never be used: each in its turn, for
/// what it leaves behind may be a contact that cannot be claimed (contact-lists §7.2 R13, R14). Returns the
/// records that were shut out as well.
///
/// `shuts_out` tells why a record can never be used: on a do-not-contact list, or its conversation gone.
pub fn choose_usable(
    contact: &mut Contact,
    claimant: Claimant<'_>,
    at: Micros,
    rules: &Rules,
    shuts_out: impl Fn(&Record) -> Option<Category>,
) -> (Option<i64>, Vec<(i64, Category)>) {
    let mut shut_out = Vec::new();
    while let Some(record) = choose(contact, claimant, at, |_| false) {
        let id = record.id;
        let Some(category) = shuts_out(record) else {
            return (Some(id), shut_out);
        };
        contact.shut_out(id, category, rules);
        shut_out.push((id, category));
    }
    (None, shut_out)
}

/// The last gate of the contact: the record that passes all the others at once, see [`choose_usable`].
#[must_use]
pub fn choice_gate(chosen: Option<i64>) -> Gate {
    gate(
        "record",
        chosen.is_some(),
        chosen.map_or_else(
            || "no single record passes all gates".to_owned(),
            |record| format!("record {record} would be used"),
        ),
        json!({ "record": chosen }),
    )
}

fn gate(name: &'static str, passes: bool, evidence: String, facts: Value) -> Gate {
    Gate {
        name,
        passes,
        evidence,
        facts,
        possible_at: None,
    }
}

fn codes(records: &[&Record]) -> String {
    let letters: Vec<&str> = records.iter().map(|r| r.code.as_str()).collect();
    letters.join(", ")
}

const fn meaning(code: ContactCode) -> &'static str {
    match code {
        ContactCode::Callable => "callable",
        ContactCode::InProgress => "an attempt is in progress",
        ContactCode::Queued => "reached, and not finished yet",
        ContactCode::Uncallable => "processed successfully, closed",
        ContactCode::Exhausted => "its attempts are used up",
        ContactCode::Flagged => "no record can be used",
    }
}

fn counted<N: std::fmt::Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A moment as people read it, in UTC.
#[must_use]
pub fn shown(moment: Micros) -> String {
    DateTime::from_timestamp_micros(moment).map_or_else(
        || moment.to_string(),
        |moment| moment.format("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}
