//! The attempt log, one row an attempt, written when it ends, and the journal of what else befell contacts.
//! Both are only ever added to.

use outbound_core::machine::{Micros, OpenAttempt};

use super::catalog::List;
use super::spi::{self, Arg};
use super::store::Held;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The attempt.
    pub attempt: OpenAttempt,
    /// The contact.
    pub contact: String,
    /// When it ended.
    pub at: Micros,
    /// Its result.
    pub result: i64,
    /// Whether it counted.
    pub counted: bool,
    /// Dialog it made.
    pub dialog: Option<String>,
    /// The unit it used.
    pub unit: String,
    /// Inbox of the unit.
    pub inbox: Option<i64>,
}

impl Ended {
    /// The end of an attempt that a held contact had open before.
    #[must_use]
    pub fn of(held: &Held, at: Micros, result: i64, counted: bool, dialog: Option<&str>) -> Option<Self> {
        let attempt = held.before.open.clone()?;
        let inbox = held.before.record(attempt.record).and_then(|record| record.inbox);
        let unit = held.units.get(&attempt.record).map_or_else(String::new, |unit| unit.value.clone());
        Some(Self {
            contact: held.before.id.clone(),
            at,
            result,
            counted,
            dialog: dialog.map(str::to_owned),
            unit,
            inbox,
            attempt,
        })
    }
}

/// Writes the ends of attempts into the log.
pub fn log(list: &List, ended: &[Ended]) {
    if ended.is_empty() {
        return;
    }
    let times = |read: fn(&Ended) -> Option<Micros>| Arg::Times(ended.iter().map(read).collect());
    let ids = |read: fn(&Ended) -> Option<i64>| Arg::Int8s(ended.iter().map(read).collect());
    spi::run(
        "INSERT INTO outbound.attempt_log (attempt_id, list_id, contact_id, record_id, unit, inbox_id, campaign_id, dialer, origin, \
         claimed_at, started_at, settled_at, result_id, counted, dialog_id) \
         SELECT u.attempt, $1, u.contact, u.record, u.unit, u.inbox, u.campaign, u.dialer, u.origin, u.claimed, u.started, u.settled, \
         u.result, u.counted, u.dialog \
         FROM ROWS FROM (unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), \
         unnest($11), unnest($12), unnest($13), unnest($14), unnest($15)) \
         AS u (attempt, contact, record, unit, inbox, campaign, dialer, origin, claimed, started, settled, result, counted, dialog)",
        &[
            Arg::Int4(list.id),
            ids(|e| Some(e.attempt.id)),
            Arg::Texts(ended.iter().map(|e| Some(e.contact.as_str())).collect()),
            ids(|e| Some(e.attempt.record)),
            Arg::Texts(ended.iter().map(|e| Some(e.unit.as_str())).collect()),
            ids(|e| e.inbox),
            ids(|e| Some(e.attempt.campaign)),
            Arg::Texts(ended.iter().map(|e| Some(e.attempt.dialer.as_str())).collect()),
            Arg::Texts(ended.iter().map(|e| Some(origin(&e.attempt))).collect()),
            times(|e| Some(e.attempt.claimed_at)),
            times(|e| {
                e.counted
                    .then(|| e.attempt.started_at.unwrap_or(e.attempt.claimed_at))
                    .or(e.attempt.started_at)
            }),
            times(|e| Some(e.at)),
            ids(|e| Some(e.result)),
            Arg::Booleans(ended.iter().map(|e| e.counted).collect()),
            Arg::Texts(ended.iter().map(|e| e.dialog.as_deref()).collect()),
        ],
    );
}

/// Who wanted the attempt: the campaign, or an agent who had planned a callback.
#[must_use]
pub fn origin(attempt: &OpenAttempt) -> &'static str {
    if attempt.previous == outbound_core::status::RecordCode::AgentCallback {
        "agent_callback"
    } else {
        "auto"
    }
}

/// Something that befell a contact and is no attempt.
#[derive(Debug, Clone)]
pub struct Event {
    /// The contact.
    pub contact: String,
    /// The record concerned, where it is one.
    pub record: Option<i64>,
    /// The attempt it belongs to.
    pub attempt: Option<i64>,
    /// The campaign it belongs to.
    pub campaign: Option<i64>,
    /// What happened, a stable name.
    pub kind: &'static str,
    /// Facts, as JSON text.
    pub details: String,
}

/// Writes events into the journal.
pub fn tell(list: &List, events: &[Event], at: Micros) {
    if events.is_empty() {
        return;
    }
    let ids = |read: fn(&Event) -> Option<i64>| Arg::Int8s(events.iter().map(read).collect());
    spi::run(
        "INSERT INTO outbound.contact_event (list_id, at, contact_id, record_id, attempt_id, campaign_id, kind, details) \
         SELECT $1, $2, u.contact, u.record, u.attempt, u.campaign, u.kind, u.details::jsonb \
         FROM ROWS FROM (unnest($3), unnest($4), unnest($5), unnest($6), unnest($7), unnest($8)) \
         AS u (contact, record, attempt, campaign, kind, details)",
        &[
            Arg::Int4(list.id),
            Arg::Time(at),
            Arg::Texts(events.iter().map(|e| Some(e.contact.as_str())).collect()),
            ids(|e| e.record),
            ids(|e| e.attempt),
            ids(|e| e.campaign),
            Arg::Texts(events.iter().map(|e| Some(e.kind)).collect()),
            Arg::Texts(events.iter().map(|e| Some(e.details.as_str())).collect()),
        ],
    );
}
