//! Contacts and records of one list: locking, reading, writing.
//!
//! Whoever changes a contact or one of its records holds the contact's row lock, so records are read by a
//! second look, whose snapshot is newer than the lock. Rows are written only where something changed, and
//! only the columns in which any of them did are named as changed.

use outbound_core::machine::{Contact, Due, Micros, OpenAttempt, Record};
use outbound_core::status::ContactCode;
use outbound_core::unit::{ConversationType, UnitType};
use pgrx::prelude::*;

use super::catalog::List;
use super::columns::{Columns, Values};
use super::enums;
use super::fields;
use super::marks;
use super::rows::{self, Sight};
use super::spi::{self, Arg, Place, Row};
use crate::error::raise;
use crate::list_ddl::sql_type;

/// Columns of a contact, in the order in which [`contact_of`] reads them.
const CONTACT_COLUMNS: [&str; 27] = [
    "sys_id",
    "sys_status",
    "sys_status_call",
    "sys_status_email",
    "sys_status_social_media",
    "sys_attempts",
    "sys_attempts_call",
    "sys_attempts_email",
    "sys_attempts_social_media",
    "sys_last_attempt_cld_id",
    "sys_last_attempt_at",
    "sys_wait_until",
    "sys_open_attempt_id",
    "sys_open_record_id",
    "sys_open_campaign_id",
    "sys_open_dialer",
    "sys_open_claimed_at",
    "sys_open_started_at",
    "sys_open_until",
    "sys_open_previous",
    "sys_due_call",
    "sys_due_email",
    "sys_due_social_media",
    "sys_callback_call",
    "sys_callback_email",
    "sys_callback_social_media",
    "sys_unit_types",
];

/// What a statement reads besides: the row's place, the contact's name, and the user's columns.
const PLACE: usize = CONTACT_COLUMNS.len();
const NAME: usize = PLACE + 1;
const FIELDS: usize = PLACE + 2;

/// A contact as it was read and as it is now, with what a dialer needs of it.
#[derive(Debug)]
pub struct Held {
    /// As stored.
    pub before: Contact,
    /// Conversation types it has units of, as stored: a load may have changed the records since.
    pub types_before: i16,
    /// Where its row is.
    place: Place,
    /// As it will be.
    pub now: Contact,
    /// Units of the records, in their order.
    units: Vec<Unit>,
    /// The user's own columns, a `jsonb`, where they were asked for.
    pub fields: Option<pg_sys::Datum>,
    /// The contact's name, where it was asked for.
    pub name: Option<String>,
}

impl Held {
    /// The unit of a record.
    pub fn unit(&self, record: i64) -> Option<&Unit> {
        let records = &self.before.records;
        let place = records.iter().position(|of| of.id == record)?;
        self.units.get(place)
    }
}

/// A communication unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its type, as in `outbound.unit_type`.
    pub unit_type: UnitType,
    /// Its normal form.
    pub value: String,
    /// Where the record's row is.
    place: Place,
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

/// Reads contacts with all their records, without a lock, as [`spi::look`] sees them.
pub fn look(list: &List, which: &Which<'_>) -> Vec<Held> {
    read(list, which, false)
}

/// All that `work` looks at of the list is of one moment, in which nobody was putting other rows in its place.
pub fn at_one_moment<T>(list: &List, work: impl FnOnce() -> T) -> T {
    rows::expect(&list.contacts, &CONTACT_COLUMNS);
    rows::expect(&list.details, &RECORD_COLUMNS);
    spi::at_one_moment(work)
}

fn read(list: &List, which: &Which<'_>, lock: bool) -> Vec<Held> {
    let own = if which.fields {
        let columns = list
            .fields
            .iter()
            .map(|field| format!(", k.{}::{}", field.column, sql_type(field.column_type)));
        format!(", {}{}", list.contact_name, columns.collect::<String>())
    } else {
        String::new()
    };
    let locking = match (lock, which.skip_locked) {
        (false, _) => "",
        (true, false) => " FOR NO KEY UPDATE",
        (true, true) => " FOR NO KEY UPDATE SKIP LOCKED",
    };
    let statement = format!(
        "SELECT k.{}, k.ctid{own} FROM ONLY {} AS k {}{locking}",
        CONTACT_COLUMNS.join(", k."),
        list.contacts,
        which.clauses
    );
    rows::expect(&list.contacts, &CONTACT_COLUMNS);
    let mut held = Vec::new();
    let each = |row: &Row<'_>| {
        held.push(Held {
            name: which.fields.then(|| row.text(NAME)).flatten(),
            fields: which
                .fields
                .then(|| fields::object(&list.fields, row, FIELDS)),
            ..held_of(row, row.place(PLACE))
        });
    };
    let sight = if lock {
        spi::execute(&statement, which.args, each);
        Sight::Newest
    } else {
        spi::look(&statement, which.args, each);
        Sight::OfOneMoment
    };
    read_records(list, &mut held, sight);
    held
}

/// Locks contacts that were found at these places a moment ago, in this order, and reads them with all their
/// records. Those that are gone are left out.
pub fn hold_at(list: &List, places: &[Place]) -> Vec<Held> {
    let mut held = Vec::with_capacity(places.len());
    rows::lock(&list.contacts, places, &CONTACT_COLUMNS, |row, place| {
        held.push(held_of(row, place));
    });
    read_records(list, &mut held, Sight::Newest);
    held
}

fn held_of(row: &Row<'_>, place: Place) -> Held {
    let contact = contact_of(row);
    Held {
        before: contact.clone(),
        types_before: row.int2(26).unwrap_or(0),
        place,
        now: contact,
        units: Vec::new(),
        fields: None,
        name: None,
    }
}

fn read_records(list: &List, held: &mut [Held], sight: Sight) {
    let mut found: Vec<Vec<(Record, Unit)>> = held.iter().map(|_| Vec::new()).collect();
    let owners: Vec<&str> = held.iter().map(|h| h.before.id.as_str()).collect();
    rows::read_by_key(
        &list.details,
        &owners,
        &RECORD_COLUMNS,
        sight,
        |owner, row, place| {
            found[owner].push(record_of(list, row, place));
        },
    );
    for (contact, records) in held.iter_mut().zip(found) {
        for (record, unit) in records {
            contact.units.push(unit);
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

/// Columns of a record, in the order in which [`record_of`] reads them.
const RECORD_COLUMNS: [&str; 17] = [
    "sys_id",
    "sys_conversation_type",
    "sys_inbox_id",
    "sys_channel_user_type",
    "sys_cl_source_column",
    "sys_status",
    "sys_attempts",
    "sys_attempts_abandoned",
    "sys_attempts_busy",
    "sys_attempts_noanswer",
    "sys_attempts_machine",
    "sys_scheduled_at",
    "sys_last_attempt_datetime",
    "sys_last_attempt_campaign_id",
    "sys_last_attempt_dialog_id",
    "sys_last_attempt_dialer_attempt_result_id",
    "sys_channel_user",
];

fn record_of(list: &List, row: &Row<'_>, place: Place) -> (Record, Unit) {
    let count = |column| row.int4(column).unwrap_or(0);
    let unit_type = row
        .oid(3)
        .and_then(enums::unit_type)
        .unwrap_or(UnitType::Phone);
    let position = row.with_text(4, |source| list.positions.get(source).copied());
    let record = Record {
        id: row.int8(0).unwrap_or(0),
        kind: row.oid(1).and_then(enums::conversation_type),
        inbox: row.int8(2),
        is_conversation: unit_type == UnitType::ConversationId,
        position: position.flatten().unwrap_or(i32::MAX),
        code: code(row.char(5)),
        attempts: count(6),
        by_category: [count(7), count(8), count(9), count(10)],
        scheduled_at: row.time(11),
        last_attempt_at: row.time(12),
        last_campaign: row.int8(13),
        last_dialog: row.text(14),
        last_result: row.int8(15),
    };
    let unit = Unit {
        unit_type,
        value: row.text(16).unwrap_or_default(),
        place,
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
///
/// # Errors
/// Raises `serialization_failure` when a row is no longer where it was read: somebody changed a record
/// without its contact's lock.
pub fn write(list: &List, held: &[Held]) {
    write_contacts(list, held);
    write_records(list, held);
}

fn write_contacts(list: &List, held: &[Held]) {
    let rows: Vec<&Held> = held
        .iter()
        .filter(|h| !same_row(&h.before, &h.now) || h.types_before != h.now.unit_types())
        .collect();
    if rows.is_empty() {
        return;
    }
    for kind in ConversationType::ALL.iter().copied() {
        let place = kind as usize;
        if rows.iter().any(|h| {
            h.now.code == ContactCode::Callable
                && h.now.type_codes[place] == ContactCode::Callable
                && h.now.due[place] == Due::Now
        }) {
            marks::forget(list.id, kind);
        }
    }
    let mut changes = Changes::of(rows.iter().map(|h| (&h.before, &h.now)).collect());
    changes.codes("sys_status", |c| Some(c.code.as_str()));
    changes.codes("sys_status_call", |c| Some(c.type_codes[0].as_str()));
    changes.codes("sys_status_email", |c| Some(c.type_codes[1].as_str()));
    changes.codes("sys_status_social_media", |c| {
        Some(c.type_codes[2].as_str())
    });
    changes.counts("sys_attempts", |c| c.attempts);
    changes.counts("sys_attempts_call", |c| c.type_attempts[0]);
    changes.counts("sys_attempts_email", |c| c.type_attempts[1]);
    changes.counts("sys_attempts_social_media", |c| c.type_attempts[2]);
    changes.ids("sys_last_attempt_cld_id", |c| c.last_record);
    changes.times("sys_last_attempt_at", |c| c.last_attempt_at);
    changes.times("sys_wait_until", |c| c.wait_until);
    changes.times("sys_due_call", |c| stored_due(c.due[0]));
    changes.times("sys_due_email", |c| stored_due(c.due[1]));
    changes.times("sys_due_social_media", |c| stored_due(c.due[2]));
    changes.times("sys_callback_call", |c| c.callbacks[0]);
    changes.times("sys_callback_email", |c| c.callbacks[1]);
    changes.times("sys_callback_social_media", |c| c.callbacks[2]);
    changes.ids("sys_open_attempt_id", |c| c.open.as_ref().map(|o| o.id));
    changes.ids("sys_open_record_id", |c| c.open.as_ref().map(|o| o.record));
    changes.ids("sys_open_campaign_id", |c| {
        c.open.as_ref().map(|o| o.campaign)
    });
    changes.texts("sys_open_dialer", |c| {
        c.open.as_ref().map(|o| o.dialer.as_str())
    });
    changes.times("sys_open_claimed_at", |c| {
        c.open.as_ref().map(|o| o.claimed_at)
    });
    changes.times("sys_open_started_at", |c| {
        c.open.as_ref().and_then(|o| o.started_at)
    });
    changes.times("sys_open_until", |c| c.open.as_ref().map(|o| o.until));
    changes.codes("sys_open_previous", |c| {
        c.open.as_ref().map(|o| o.previous.as_str())
    });
    if rows.iter().any(|h| h.types_before != h.now.unit_types()) {
        let types = rows.iter().map(|h| Some(h.now.unit_types())).collect();
        changes.columns.set("sys_unit_types", Values::Int2(types));
    }
    let places: Vec<Place> = rows.iter().map(|h| h.place).collect();
    changes.write(&list.contacts, &places);
}

/// Rows as they were and as they are now, and the columns in which any of them differs.
struct Changes<'a, R> {
    rows: Vec<(&'a R, &'a R)>,
    columns: Columns<'a>,
}

impl<'a, R> Changes<'a, R> {
    fn of(rows: Vec<(&'a R, &'a R)>) -> Self {
        Self {
            rows,
            columns: Columns::default(),
        }
    }

    fn set<T: PartialEq>(
        &mut self,
        column: &'static str,
        read: impl Fn(&'a R) -> Option<T>,
        values: impl FnOnce(Vec<Option<T>>) -> Values<'a>,
    ) {
        if self
            .rows
            .iter()
            .any(|(before, now)| read(before) != read(now))
        {
            let now = self.rows.iter().map(|(_, now)| read(now)).collect();
            self.columns.set(column, values(now));
        }
    }

    fn codes(&mut self, column: &'static str, read: impl Fn(&'a R) -> Option<&'static str>) {
        let letter = |code: &str| code.bytes().next();
        self.set(column, |row| read(row).and_then(letter), Values::Char);
    }

    fn counts(&mut self, column: &'static str, read: impl Fn(&'a R) -> i32) {
        self.set(column, |row| Some(read(row)), Values::Int4);
    }

    fn ids(&mut self, column: &'static str, read: impl Fn(&'a R) -> Option<i64>) {
        self.set(column, read, Values::Int8);
    }

    fn times(&mut self, column: &'static str, read: impl Fn(&'a R) -> Option<Micros>) {
        self.set(column, read, Values::Time);
    }

    fn texts(&mut self, column: &'static str, read: impl Fn(&'a R) -> Option<&'a str>) {
        self.set(column, read, Values::Text);
    }

    /// Writes all rows, which stand at these places, and makes sure that they were there.
    fn write(self, table: &str, places: &[Place]) {
        let written = self.columns.update(table, places);
        if written != places.len() {
            raise(
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                format!(
                    "{written} of {} rows of {table} are where they were",
                    places.len()
                ),
                "Somebody changed records without locking their contacts, or a trigger keeps rows from being changed.",
                "Try again.",
            );
        }
    }
}

/// Whether the contact's own row stays as it is; its records are rows of their own.
fn same_row(before: &Contact, now: &Contact) -> bool {
    (
        before.code,
        before.type_codes,
        before.attempts,
        before.type_attempts,
    ) == (now.code, now.type_codes, now.attempts, now.type_attempts)
        && (
            before.last_record,
            before.last_attempt_at,
            before.wait_until,
        ) == (now.last_record, now.last_attempt_at, now.wait_until)
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

fn write_records(list: &List, held: &[Held]) {
    let changed = held.iter().flat_map(|contact| {
        let pairs = contact.before.records.iter().zip(&contact.now.records);
        pairs
            .filter(|(before, now)| before != now)
            .filter_map(|(before, now)| {
                let unit = contact.unit(now.id)?;
                Some(((before, now), unit.place))
            })
    });
    let (rows, places): (Vec<_>, Vec<_>) = changed.unzip();
    if rows.is_empty() {
        return;
    }
    let mut changes = Changes::of(rows);
    changes.codes("sys_status", |r: &Record| Some(r.code.as_str()));
    changes.counts("sys_attempts", |r| r.attempts);
    changes.counts("sys_attempts_abandoned", |r| r.by_category[0]);
    changes.counts("sys_attempts_busy", |r| r.by_category[1]);
    changes.counts("sys_attempts_noanswer", |r| r.by_category[2]);
    changes.counts("sys_attempts_machine", |r| r.by_category[3]);
    changes.times("sys_scheduled_at", |r| r.scheduled_at);
    changes.times("sys_last_attempt_datetime", |r| r.last_attempt_at);
    changes.ids("sys_last_attempt_campaign_id", |r| r.last_campaign);
    changes.ids("sys_last_attempt_dialer_attempt_result_id", |r| {
        r.last_result
    });
    changes.texts("sys_last_attempt_dialog_id", |r| r.last_dialog.as_deref());
    changes.write(&list.details, &places);
}
