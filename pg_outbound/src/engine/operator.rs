//! What operators do to contacts and lists (contact-lists §8.4): exclude, reset, re-evaluate, move and
//! cancel callbacks. And what loads need after they changed records: new codes.

use outbound_core::machine::attempt::Refusal;
use outbound_core::machine::{Contact, Micros, Rules};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::json;

use super::arguments::{future, moment};
use super::catalog::{self, List};
use super::counters;
use super::journal::{self, Event};
use super::spi::{self, Arg};
use super::store::{self, Held, Which};
use crate::error::{given, raise};

/// Contacts in one portion of a whole list.
const PORTION: i64 = 5_000;

/// What an event did.
#[derive(Default)]
struct Done {
    contacts: i64,
    records: i64,
    busy: i64,
}

impl Done {
    fn document(&self) -> JsonB {
        JsonB(json!({"contacts": self.contacts, "records": self.records, "busy": self.busy}))
    }
}

/// Shuts a contact's record, or all that could be claimed, out of all campaigns (R42); `outbound.reset`
/// takes it back. Returns `{"contacts", "records", "busy"}`.
///
/// # Errors
/// Raises `undefined_object` for an unknown list or contact, `object_in_use` while the contact is in
/// progress or with the campaign manager.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn exclude(
    list: Option<&str>,
    contact_id: Option<&str>,
    record_id: default!(Option<i64>, "NULL"),
    at: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
) -> JsonB {
    let list = given("list", list);
    let contact_id = given("contact_id", contact_id);
    on_one(
        list,
        contact_id,
        record_id,
        moment("at", at),
        "excluded",
        |contact, rules| contact.exclude(record_id, rules),
    )
}

/// Makes records callable again (R50): of one record, one contact, or the whole list. With `zero_counters`
/// their attempts are forgotten too; without, a limit that is met still holds. Contacts in progress or with
/// the campaign manager are left alone and counted as busy.
///
/// # Errors
/// Raises `undefined_object` for an unknown list or contact, `object_in_use` for one contact that is busy.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn reset(
    list: Option<&str>,
    contact_id: default!(Option<&str>, "NULL"),
    record_id: default!(Option<i64>, "NULL"),
    zero_counters: default!(bool, "false"),
    at: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
) -> JsonB {
    let list = given("list", list);
    let event =
        |contact: &mut Contact, rules: &Rules| contact.reset(record_id, zero_counters, rules);
    match contact_id {
        Some(contact) => on_one(list, contact, record_id, moment("at", at), "reset", event),
        None => on_all(list, moment("at", at), Some("reset"), event),
    }
}

/// Applies limits that were changed (R51, R52): to one contact, or to the whole list.
///
/// # Errors
/// Raises `undefined_object` for an unknown list or contact, `object_in_use` for one contact that is busy.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn reevaluate(
    list: Option<&str>,
    contact_id: default!(Option<&str>, "NULL"),
    at: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
) -> JsonB {
    let list = given("list", list);
    let event = |contact: &mut Contact, rules: &Rules| contact.reevaluate(rules);
    match contact_id {
        Some(contact) => on_one(list, contact, None, moment("at", at), "reevaluated", event),
        None => on_all(list, moment("at", at), Some("reevaluated"), event),
    }
}

/// Moves a callback that an agent planned (R41): of the record named, or the contact's next one.
///
/// # Errors
/// Raises `invalid_parameter_value` for a moment that is not in the future, `undefined_object` for an
/// unknown list or contact, or one without a planned callback.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn move_callback(
    list: Option<&str>,
    contact_id: Option<&str>,
    callback_at: Option<TimestampWithTimeZone>,
    record_id: default!(Option<i64>, "NULL"),
    at: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
) -> JsonB {
    let list = given("list", list);
    let contact_id = given("contact_id", contact_id);
    let (at, callback_at) = (moment("at", at), moment("callback_at", callback_at));
    future("a callback", callback_at, at);
    on_one(
        list,
        contact_id,
        record_id,
        at,
        "callback_moved",
        |contact, rules| {
            contact
                .move_callback(record_id, callback_at, rules)
                .map(|_| 1)
        },
    )
}

/// Cancels a callback that an agent planned (R40): of the record named, or the contact's next one.
///
/// # Errors
/// Raises `undefined_object` for an unknown list or contact, or one without a planned callback.
#[pg_extern(security_definer)]
#[search_path(pg_catalog, pg_temp)]
pub fn cancel_callback(
    list: Option<&str>,
    contact_id: Option<&str>,
    record_id: default!(Option<i64>, "NULL"),
    at: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
) -> JsonB {
    let list = given("list", list);
    let contact_id = given("contact_id", contact_id);
    on_one(
        list,
        contact_id,
        record_id,
        moment("at", at),
        "callback_cancelled",
        |contact, rules| contact.cancel_callback(record_id, rules).map(|_| 1),
    )
}

/// Computes the codes of all contacts of a list again: after its close rule was changed.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _rederive_list(list_id: i32) -> i64 {
    spi::connected(|| {
        catalog::refresh();
        catalog::list(list_id).map_or(0, |list| {
            through(&list, 0, None, |contact, rules| {
                contact.derive(rules);
                Ok(0)
            })
            .contacts
        })
    })
}

/// Computes the codes and due moments of these contacts again: after their records were added or removed.
/// The caller holds their locks.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _rederive_contacts(list_id: i32, contact_ids: Vec<String>) -> i64 {
    spi::connected(|| {
        catalog::refresh();
        let Some(list) = catalog::list(list_id) else {
            return 0;
        };
        let mut held = store::hold(
            &list,
            &Which {
                clauses: "WHERE k.sys_id = ANY ($1) ORDER BY k.sys_id",
                args: &[Arg::Texts(
                    contact_ids.iter().map(|id| Some(id.as_str())).collect(),
                )],
                skip_locked: false,
                fields: false,
            },
        );
        let rules = catalog::rules(&list, &held, None);
        for contact in &mut held {
            contact.now.derive(&rules);
        }
        store::write(&list, &held);
        counters::note(&list, &held);
        i64::try_from(held.len()).unwrap_or(0)
    })
}

/// The next contacts of a list by identifier, locked or only looked at.
pub fn portion(list: &List, after: &str, lock: bool) -> Vec<Held> {
    let which = Which {
        clauses: "WHERE k.sys_id > $1 ORDER BY k.sys_id LIMIT $2",
        args: &[Arg::Text(after), Arg::Int8(PORTION)],
        skip_locked: false,
        fields: false,
    };
    if lock {
        store::hold(list, &which)
    } else {
        store::look(list, &which)
    }
}

fn on_one(
    list: &str,
    contact_id: &str,
    record_id: Option<i64>,
    at: Micros,
    kind: &'static str,
    mut event: impl FnMut(&mut Contact, &Rules) -> Result<usize, Refusal>,
) -> JsonB {
    spi::connected(|| {
        catalog::refresh();
        let list = catalog::list_by_name(list);
        let mut held = store::hold(
            &list,
            &Which {
                clauses: "WHERE k.sys_id = $1",
                args: &[Arg::Text(contact_id)],
                skip_locked: false,
                fields: false,
            },
        );
        let rules = catalog::rules(&list, &held, None);
        let Some(contact) = held.first_mut() else {
            no_such_contact(&list, contact_id)
        };
        if let Some(record) = record_id
            && contact.now.record(record).is_none()
        {
            raise(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("contact \"{contact_id}\" has no record {record}"),
                "",
                "The detail table of the list shows the records of a contact.",
            )
        }
        let records = match event(&mut contact.now, &rules) {
            Ok(records) => i64::try_from(records).unwrap_or(0),
            Err(Refusal::Nothing) => 0,
            Err(refusal) => refuse(contact_id, refusal),
        };
        let done = Done {
            contacts: i64::from(contact.now != contact.before),
            records,
            busy: 0,
        };
        if done.contacts > 0 {
            tell(&list, &held, kind, at);
        }
        store::write(&list, &held);
        counters::note(&list, &held);
        done.document()
    })
}

fn on_all(
    list: &str,
    at: Micros,
    kind: Option<&'static str>,
    event: impl FnMut(&mut Contact, &Rules) -> Result<usize, Refusal>,
) -> JsonB {
    spi::connected(|| {
        catalog::refresh();
        let list = catalog::list_by_name(list);
        through(&list, at, kind, event).document()
    })
}

/// Lets an event happen to every contact of a list, a portion at a time.
fn through(
    list: &List,
    at: Micros,
    kind: Option<&'static str>,
    mut event: impl FnMut(&mut Contact, &Rules) -> Result<usize, Refusal>,
) -> Done {
    let mut done = Done::default();
    let mut after = String::new();
    loop {
        let mut held = portion(list, &after, true);
        let Some(last) = held.last() else { return done };
        after.clone_from(&last.now.id);
        let rules = catalog::rules(list, &held, None);
        for contact in &mut held {
            match event(&mut contact.now, &rules) {
                Ok(records) => done.records += i64::try_from(records).unwrap_or(0),
                Err(Refusal::Busy) => done.busy += 1,
                Err(_) => {}
            }
        }
        held.retain(|contact| contact.now != contact.before);
        done.contacts += i64::try_from(held.len()).unwrap_or(0);
        if let Some(kind) = kind {
            tell(list, &held, kind, at);
        }
        store::write(list, &held);
        counters::note(list, &held);
    }
}

fn tell(list: &List, held: &[Held], kind: &'static str, at: Micros) {
    let events: Vec<Event> = held
        .iter()
        .map(|contact| Event {
            contact: contact.now.id.clone(),
            record: contact
                .now
                .records
                .iter()
                .zip(&contact.before.records)
                .find(|(now, before)| now != before)
                .map(|(now, _)| now.id),
            attempt: None,
            campaign: None,
            kind,
            details: json!({ "code": contact.now.code.as_str() }).to_string(),
        })
        .collect();
    journal::tell(list, &events, at);
}

/// Raises `undefined_object`.
pub fn no_such_contact(list: &List, contact_id: &str) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!(
            "contact list \"{}\" has no contact \"{contact_id}\"",
            list.name
        ),
        "",
        "Identifiers are compared byte by byte; the list's table shows them.",
    )
}

fn refuse(contact_id: &str, refusal: Refusal) -> ! {
    let (code, hint) = match refusal {
        Refusal::Busy => (
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            "Wait until its attempt has ended; outbound.contact_history shows it.",
        ),
        _ => (
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "Callbacks are planned with outbound.schedule_callback.",
        ),
    };
    raise(
        code,
        format!("contact \"{contact_id}\": {refusal}"),
        "",
        hint,
    )
}
