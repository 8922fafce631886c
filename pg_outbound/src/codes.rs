//! The stored codes of a contact from its records (contact-lists §5.4): one rule, in core, called by
//! set-based SQL once a contact.

use outbound_core::status::{ContactCode, ContactFacts, RecordCode, TypeFacts, contact_status, type_status};
use pgrx::prelude::*;

use crate::error::raise;

/// Conversation types in the order of the contact's columns.
const TYPES: [&str; 3] = ["call", "email", "social_media"];

/// Codes of a contact: contact, call, email, social media.
///
/// `codes`, `types` and `successes` describe its records, one element each (a null code stands for no
/// record at all). `present` are the codes stored now, in the order of the result: an A among them says
/// that its limit is met, a contact that is U stays U. `close_if_all` is the list's close rule
/// (contact-lists §7.3).
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn derive_codes(
    codes: Vec<Option<String>>,
    types: Vec<Option<String>>,
    successes: Vec<Option<bool>>,
    present: Vec<Option<String>>,
    close_if_all: bool,
) -> Vec<String> {
    let stored = |i: usize| present.get(i).and_then(|code| code.as_deref()).map(contact_code);
    let mut facts = [TypeFacts::default(); 3];
    let mut has_units = [false; 3];
    for (i, code) in codes.iter().enumerate() {
        let Some(code) = code.as_deref().map(record_code) else { continue };
        let Some(kind) = types.get(i).and_then(Option::as_deref).and_then(|name| TYPES.iter().position(|t| *t == name)) else { continue };
        has_units[kind] = true;
        let success = successes.get(i).copied().flatten().unwrap_or(false);
        let fact = &mut facts[kind];
        match code {
            RecordCode::InProgress => fact.in_progress = true,
            RecordCode::Queued => fact.queued = true,
            RecordCode::AgentCallback => fact.agent_callback = true,
            RecordCode::Callable | RecordCode::AutoScheduled => fact.callable = true,
            RecordCode::Uncallable => fact.succeeded |= success,
            RecordCode::Exhausted | RecordCode::Purged => {}
        }
    }
    for (kind, fact) in facts.iter_mut().enumerate() {
        fact.limit_met = stored(kind + 1) == Some(ContactCode::Exhausted);
    }
    let type_codes = facts.map(|fact| type_status(&fact));
    let done = |kind: usize| type_codes[kind] == ContactCode::Uncallable;
    let closed = if close_if_all {
        has_units.contains(&true) && (0..3).all(|kind| !has_units[kind] || done(kind))
    } else {
        (0..3).any(done)
    };
    let contact = contact_status(&ContactFacts {
        in_progress: facts.iter().any(|f| f.in_progress),
        queued: facts.iter().any(|f| f.queued),
        closed: closed || stored(0) == Some(ContactCode::Uncallable),
        agent_callback: (0..3).any(|kind| facts[kind].agent_callback && type_codes[kind] == ContactCode::Callable),
        limit_met: stored(0) == Some(ContactCode::Exhausted),
        callable: type_codes.contains(&ContactCode::Callable),
    });
    std::iter::once(contact).chain(type_codes).map(|code| code.as_str().to_owned()).collect()
}

fn record_code(text: &str) -> RecordCode {
    text.parse().unwrap_or_else(|_| unknown_code(text))
}

fn contact_code(text: &str) -> ContactCode {
    text.parse().unwrap_or_else(|_| unknown_code(text))
}

fn unknown_code(text: &str) -> ! {
    raise(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, format!("\"{text}\" is not a status code"), "", "")
}
