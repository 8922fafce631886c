//! Contacts and records of one list: locking, reading, writing.
//!
//! Whoever changes a contact or one of its records holds the contact's row lock, so records are read by a
//! second statement, whose snapshot is newer than the lock. Rows are written only where something changed,
//! all contacts of a call in one statement and all their records in another.

use std::collections::HashMap;

use outbound_core::machine::{Contact, Due, Micros, OpenAttempt, Record};
use outbound_core::status::{ContactCode, RecordCode};
use outbound_core::unit::ConversationType;
use pgrx::prelude::*;

use super::catalog::List;
use super::spi::{self, Arg, RawJson, Row};
use crate::error::raise;

/// Columns of a contact, in the order in which [`contact_of`] reads them.
const CONTACT_COLUMNS: &str = "k.sys_id, k.sys_status, k.sys_status_call, k.sys_status_email, k.sys_status_social_media, \
     k.sys_attempts, k.sys_attempts_call, k.sys_attempts_email, k.sys_attempts_social_media, k.sys_last_attempt_cld_id, \
     k.sys_last_attempt_at, k.sys_wait_until, k.sys_open_attempt_id, k.sys_open_record_id, k.sys_open_campaign_id, \
     k.sys_open_dialer, k.sys_open_claimed_at, k.sys_open_started_at, k.sys_open_until, k.sys_open_previous, \
     k.sys_due_call, k.sys_due_email, k.sys_due_social_media, k.sys_callback_call, k.sys_callback_email, k.sys_callback_social_media, \
     k.sys_unit_types";

/// How many columns these are.
const CONTACT_WIDTH: usize = 27;

/// A contact as it was read and as it is now, with what a dialer needs of it.
#[derive(Debug)]
pub struct Held {
    /// As stored.
    pub before: Contact,
    /// Conversation types it has units of, as stored: a load may have changed the records since.
    pub types_before: i16,
    /// As it will be.
    pub now: Contact,
    /// Units of the records: type and normal form, by record number.
    pub units: HashMap<i64, Unit>,
    /// The user's own columns, where they were asked for.
    pub fields: Option<RawJson>,
    /// The contact's name, where it was asked for.
    pub name: Option<String>,
}

/// A communication unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its type, as in `outbound.unit_type`.
    pub unit_type: String,
    /// Its normal form.
    pub value: String,
}

/// Which contacts to lock and read: what follows `FROM … AS k`, with its arguments.
#[derive(Debug)]
pub struct Which<'a> {
    /// WHERE, ORDER BY and LIMIT.
    pub clauses: &'a str,
    /// Their arguments, from `$1`.
    pub args: &'a [Arg<'a>],
    /// Contacts that somebody else holds are passed over instead of waited for.
    pub skip_locked: bool,
    /// Whether the user's columns are wanted.
    pub fields: bool,
}

/// Locks contacts and reads them with all their records.
pub fn hold(list: &List, which: &Which<'_>) -> Vec<Held> {
    read(list, which, true)
}

/// Reads contacts with all their records, without a lock.
pub fn look(list: &List, which: &Which<'_>) -> Vec<Held> {
    read(list, which, false)
}

fn read(list: &List, which: &Which<'_>, lock: bool) -> Vec<Held> {
    let own = if which.fields {
        format!(", {}, {}", list.fields, list.contact_name)
    } else {
        String::new()
    };
    let locking = match (lock, which.skip_locked) {
        (false, _) => "",
        (true, false) => " FOR NO KEY UPDATE",
        (true, true) => " FOR NO KEY UPDATE SKIP LOCKED",
    };
    let statement = format!(
        "SELECT {CONTACT_COLUMNS}{own} FROM {} AS k {}{locking}",
        list.contacts, which.clauses
    );
    let mut held = Vec::new();
    spi::execute(&statement, which.args, |row| {
        let contact = contact_of(row);
        held.push(Held {
            before: contact.clone(),
            types_before: row.int2(26).unwrap_or(0),
            now: contact,
            units: HashMap::new(),
            fields: which.fields.then(|| row.raw_json(CONTACT_WIDTH)).flatten(),
            name: which.fields.then(|| row.text(CONTACT_WIDTH + 1)).flatten(),
        });
    });
    read_records(list, &mut held);
    held
}

fn read_records(list: &List, held: &mut [Held]) {
    if held.is_empty() {
        return;
    }
    let places: HashMap<String, usize> = held
        .iter()
        .enumerate()
        .map(|(place, contact)| (contact.now.id.clone(), place))
        .collect();
    let ids = held.iter().map(|contact| Some(contact.before.id.as_str())).collect();
    let mut found = Vec::new();
    spi::execute(
        &format!(
            "SELECT d.sys_contact_id, d.sys_id, d.sys_conversation_type::text, d.sys_inbox_id, d.sys_channel_user_type::text, \
             d.sys_cl_source_column, d.sys_status, d.sys_attempts, d.sys_attempts_abandoned, d.sys_attempts_busy, \
             d.sys_attempts_noanswer, d.sys_attempts_machine, d.sys_scheduled_at, d.sys_last_attempt_datetime, \
             d.sys_last_attempt_campaign_id, d.sys_last_attempt_dialog_id, d.sys_last_attempt_dialer_attempt_result_id, \
             d.sys_channel_user \
             FROM {} AS d WHERE d.sys_contact_id = ANY ($1)",
            list.details
        ),
        &[Arg::Texts(ids)],
        |row| {
            let owner = row.text(0).and_then(|id| places.get(&id).copied());
            if let Some(owner) = owner {
                let (record, unit) = record_of(list, row);
                found.push((owner, record, unit));
            }
        },
    );
    found.sort_by_key(|(_, record, _)| record.id);
    for (owner, record, unit) in found {
        if let Some(contact) = held.get_mut(owner) {
            contact.units.insert(record.id, unit);
            contact.before.records.push(record.clone());
            contact.now.records.push(record);
        }
    }
}

fn contact_of(row: &Row<'_>) -> Contact {
    let attempts = |column| row.int4(column).unwrap_or(0);
    let open = row.int8(12).map(|id| OpenAttempt {
        id,
        record: row.int8(13).unwrap_or(0),
        campaign: row.int8(14).unwrap_or(0),
        dialer: row.text(15).unwrap_or_default(),
        claimed_at: row.time(16).unwrap_or(0),
        started_at: row.time(17),
        until: row.time(18).unwrap_or(0),
        previous: code(row.char(19)),
    });
    let due = |column| match row.time(column) {
        None => Due::Now,
        Some(i64::MAX) => Due::Never,
        Some(moment) => Due::At(moment),
    };
    Contact {
        id: row.text(0).unwrap_or_default(),
        code: code(row.char(1)),
        type_codes: [code(row.char(2)), code(row.char(3)), code(row.char(4))],
        attempts: attempts(5),
        type_attempts: [attempts(6), attempts(7), attempts(8)],
        last_record: row.int8(9),
        last_attempt_at: row.time(10),
        wait_until: row.time(11),
        open,
        due: [due(20), due(21), due(22)],
        callbacks: [row.time(23), row.time(24), row.time(25)],
        records: Vec::new(),
    }
}

fn record_of(list: &List, row: &Row<'_>) -> (Record, Unit) {
    let count = |column| row.int4(column).unwrap_or(0);
    let unit_type = row.text(4).unwrap_or_default();
    let source = row.text(5).unwrap_or_default();
    let record = Record {
        id: row.int8(1).unwrap_or(0),
        kind: row.text(2).and_then(|name| name.parse::<ConversationType>().ok()),
        inbox: row.int8(3),
        is_conversation: unit_type == "conversation_id",
        position: list.positions.get(&source).copied().unwrap_or(i32::MAX),
        code: code(row.char(6)),
        attempts: count(7),
        by_category: [count(8), count(9), count(10), count(11)],
        scheduled_at: row.time(12),
        last_attempt_at: row.time(13),
        last_campaign: row.int8(14),
        last_dialog: row.text(15),
        last_result: row.int8(16),
    };
    let unit = Unit {
        unit_type,
        value: row.text(17).unwrap_or_default(),
    };
    (record, unit)
}

/// A stored code; the tables' checks let no other letter in.
fn code<T: std::str::FromStr>(stored: Option<u8>) -> T {
    let letter = char::from(stored.unwrap_or(b'?')).to_string();
    letter.parse().unwrap_or_else(|_| {
        raise(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            format!("\"{letter}\" is not a status code"),
            "",
            "Restore the row from a backup, or reset the contact with outbound.reset.",
        )
    })
}

/// Writes what changed of the contacts and of their records.
pub fn write(list: &List, held: &[Held]) {
    write_contacts(list, held);
    write_records(list, held);
}

fn write_contacts(list: &List, held: &[Held]) {
    let changed: Vec<&Contact> = held
        .iter()
        .filter(|contact| !same_row(&contact.before, &contact.now) || contact.types_before != contact.now.unit_types())
        .map(|contact| &contact.now)
        .collect();
    if changed.is_empty() {
        return;
    }
    let chars = |read: fn(&Contact) -> ContactCode| {
        Arg::Chars(changed.iter().map(|c| Some(letter(read(c).as_str()))).collect())
    };
    let numbers = |read: fn(&Contact) -> i32| Arg::Int4s(changed.iter().map(|c| read(c)).collect());
    let ids = |read: fn(&Contact) -> Option<i64>| Arg::Int8s(changed.iter().map(|c| read(c)).collect());
    let times =
        |read: fn(&Contact) -> Option<Micros>| Arg::Times(changed.iter().map(|c| read(c)).collect());
    let args = [
        Arg::Texts(changed.iter().map(|c| Some(c.id.as_str())).collect()),
        chars(|c| c.code),
        chars(|c| c.type_codes[0]),
        chars(|c| c.type_codes[1]),
        chars(|c| c.type_codes[2]),
        numbers(|c| c.attempts),
        numbers(|c| c.type_attempts[0]),
        numbers(|c| c.type_attempts[1]),
        numbers(|c| c.type_attempts[2]),
        ids(|c| c.last_record),
        times(|c| c.last_attempt_at),
        times(|c| c.wait_until),
        times(|c| stored_due(c.due[0])),
        times(|c| stored_due(c.due[1])),
        times(|c| stored_due(c.due[2])),
        times(|c| c.callbacks[0]),
        times(|c| c.callbacks[1]),
        times(|c| c.callbacks[2]),
        ids(|c| c.open.as_ref().map(|open| open.id)),
        ids(|c| c.open.as_ref().map(|open| open.record)),
        ids(|c| c.open.as_ref().map(|open| open.campaign)),
        Arg::Texts(
            changed.iter().map(|c| c.open.as_ref().map(|open| open.dialer.as_str())).collect(),
        ),
        times(|c| c.open.as_ref().map(|open| open.claimed_at)),
        times(|c| c.open.as_ref().and_then(|open| open.started_at)),
        times(|c| c.open.as_ref().map(|open| open.until)),
        Arg::Chars(
            changed
                .iter()
                .map(|c| c.open.as_ref().map(|open| letter(open.previous.as_str())))
                .collect(),
        ),
        Arg::Int4s(changed.iter().map(|c| i32::from(c.unit_types())).collect()),
    ];
    spi::run(
        &format!(
            "UPDATE {} AS k SET sys_status = u.a, sys_status_call = u.b, sys_status_email = u.c, sys_status_social_media = u.d, \
             sys_attempts = u.e, sys_attempts_call = u.f, sys_attempts_email = u.g, sys_attempts_social_media = u.h, \
             sys_last_attempt_cld_id = u.i, sys_last_attempt_at = u.j, sys_wait_until = u.k, sys_due_call = u.l, \
             sys_due_email = u.m, sys_due_social_media = u.n, sys_callback_call = u.o, sys_callback_email = u.p, \
             sys_callback_social_media = u.q, sys_open_attempt_id = u.r, sys_open_record_id = u.s, sys_open_campaign_id = u.t, \
             sys_open_dialer = u.u, sys_open_claimed_at = u.v, sys_open_started_at = u.w, sys_open_until = u.x, \
             sys_open_previous = u.y, sys_unit_types = u.z, sys_updated_at = pg_catalog.now() \
             FROM ROWS FROM (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), \
             unnest($9), unnest($10), unnest($11), unnest($12), unnest($13), unnest($14), unnest($15), unnest($16), unnest($17), \
             unnest($18), unnest($19), unnest($20), unnest($21), unnest($22), unnest($23), unnest($24), unnest($25), unnest($26), \
             unnest($27)) AS u (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z) \
             WHERE k.sys_id = u.id",
            list.contacts
        ),
        &args,
    );
}

/// Whether the contact's own row stays as it is; its records are rows of their own.
fn same_row(before: &Contact, now: &Contact) -> bool {
    (before.code, before.type_codes, before.attempts, before.type_attempts)
        == (now.code, now.type_codes, now.attempts, now.type_attempts)
        && (before.last_record, before.last_attempt_at, before.wait_until)
            == (now.last_record, now.last_attempt_at, now.wait_until)
        && (before.due, before.callbacks) == (now.due, now.callbacks)
        && before.open == now.open
}

/// The stored form: null is now, infinity is never.
const fn stored_due(due: Due) -> Option<Micros> {
    match due {
        Due::Now => None,
        Due::At(moment) => Some(moment),
        Due::Never => Some(i64::MAX),
    }
}

fn letter(code: &str) -> u8 {
    code.bytes().next().unwrap_or(b'?')
}

fn write_records(list: &List, held: &[Held]) {
    let changed: Vec<(&str, &Record)> = held
        .iter()
        .flat_map(|contact| {
            contact
                .now
                .records
                .iter()
                .zip(&contact.before.records)
                .filter(|(now, before)| now != before)
                .map(|(now, _)| (contact.now.id.as_str(), now))
        })
        .collect();
    if changed.is_empty() {
        return;
    }
    let numbers =
        |read: fn(&Record) -> i32| Arg::Int4s(changed.iter().map(|(_, r)| read(r)).collect());
    let ids =
        |read: fn(&Record) -> Option<i64>| Arg::Int8s(changed.iter().map(|(_, r)| read(r)).collect());
    let times = |read: fn(&Record) -> Option<Micros>| {
        Arg::Times(changed.iter().map(|(_, r)| read(r)).collect())
    };
    let code = |read: fn(&Record) -> RecordCode| {
        Arg::Chars(changed.iter().map(|(_, r)| Some(letter(read(r).as_str()))).collect())
    };
    let args = [
        Arg::Texts(changed.iter().map(|(contact, _)| Some(*contact)).collect()),
        ids(|r| Some(r.id)),
        code(|r| r.code),
        numbers(|r| r.attempts),
        numbers(|r| r.by_category[0]),
        numbers(|r| r.by_category[1]),
        numbers(|r| r.by_category[2]),
        numbers(|r| r.by_category[3]),
        times(|r| r.scheduled_at),
        times(|r| r.last_attempt_at),
        ids(|r| r.last_campaign),
        Arg::Texts(changed.iter().map(|(_, r)| r.last_dialog.as_deref()).collect()),
        ids(|r| r.last_result),
    ];
    spi::run(
        &format!(
            "UPDATE {} AS d SET sys_status = u.a, sys_attempts = u.b, sys_attempts_abandoned = u.c, sys_attempts_busy = u.d, \
             sys_attempts_noanswer = u.e, sys_attempts_machine = u.f, sys_scheduled_at = u.g, sys_last_attempt_datetime = u.h, \
             sys_last_attempt_campaign_id = u.i, sys_last_attempt_dialog_id = u.j, \
             sys_last_attempt_dialer_attempt_result_id = u.k, sys_updated_at = pg_catalog.now() \
             FROM ROWS FROM (unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), \
             unnest($9), unnest($10), unnest($11), unnest($12), unnest($13)) AS u (contact, id, a, b, c, d, e, f, g, h, i, j, k) \
             WHERE d.sys_contact_id = u.contact AND d.sys_id = u.id",
            list.details
        ),
        &args,
    );
}
