//! The attempt log, one row an attempt, written when it ends, and the journal of what else befell contacts.
//! Both are only ever added to.

use outbound_core::machine::{Micros, OpenAttempt};

use super::catalog::List;
use super::columns::{Columns, Values};
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
    pub fn of(
        held: &Held,
        at: Micros,
        result: i64,
        counted: bool,
        dialog: Option<&str>,
    ) -> Option<Self> {
        let mut attempt = held.before.open.clone()?;
        if counted {
            // It may have begun with this very call.
            attempt.started_at = held.now.last_attempt_at;
        }
        let inbox = held
            .before
            .record(attempt.record)
            .and_then(|record| record.inbox);
        let unit = held
            .unit(attempt.record)
            .map_or_else(String::new, |unit| unit.value.clone());
        Some(Self {
            contact: held.before.id.clone(),
            // A call may have begun before the claim whose attempt it ends.
            at: at.max(attempt.claimed_at),
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
    let mut columns = Columns::default();
    let ids: [(&str, fn(&Ended) -> Option<i64>); 5] = [
        ("attempt_id", |e| Some(e.attempt.id)),
        ("record_id", |e| Some(e.attempt.record)),
        ("inbox_id", |e| e.inbox),
        ("campaign_id", |e| Some(e.attempt.campaign)),
        ("result_id", |e| Some(e.result)),
    ];
    for (column, read) in ids {
        columns.set(column, Values::Int8(ended.iter().map(read).collect()));
    }
    let times: [(&str, fn(&Ended) -> Option<Micros>); 3] = [
        ("claimed_at", |e| Some(e.attempt.claimed_at)),
        ("started_at", |e| {
            let reported = e
                .counted
                .then(|| e.attempt.started_at.unwrap_or(e.attempt.claimed_at));
            reported.or(e.attempt.started_at)
        }),
        ("settled_at", |e| Some(e.at)),
    ];
    for (column, read) in times {
        columns.set(column, Values::Time(ended.iter().map(read).collect()));
    }
    columns.set("list_id", Values::Int4(vec![Some(list.id); ended.len()]));
    columns.set(
        "contact_id",
        Values::Text(ended.iter().map(|e| Some(e.contact.as_str())).collect()),
    );
    columns.set(
        "unit",
        Values::Text(ended.iter().map(|e| Some(e.unit.as_str())).collect()),
    );
    columns.set(
        "dialer",
        Values::Text(
            ended
                .iter()
                .map(|e| Some(e.attempt.dialer.as_str()))
                .collect(),
        ),
    );
    columns.set(
        "origin",
        Values::Text(ended.iter().map(|e| Some(origin(&e.attempt))).collect()),
    );
    columns.set(
        "dialog_id",
        Values::Text(ended.iter().map(|e| e.dialog.as_deref()).collect()),
    );
    columns.set(
        "counted",
        Values::Boolean(ended.iter().map(|e| Some(e.counted)).collect()),
    );
    columns.insert("outbound.attempt_log", ended.len());
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
    let mut columns = Columns::default();
    let ids: [(&str, fn(&Event) -> Option<i64>); 3] = [
        ("record_id", |e| e.record),
        ("attempt_id", |e| e.attempt),
        ("campaign_id", |e| e.campaign),
    ];
    for (column, read) in ids {
        columns.set(column, Values::Int8(events.iter().map(read).collect()));
    }
    columns.set("list_id", Values::Int4(vec![Some(list.id); events.len()]));
    columns.set("at", Values::Time(vec![Some(at); events.len()]));
    columns.set(
        "contact_id",
        Values::Text(events.iter().map(|e| Some(e.contact.as_str())).collect()),
    );
    columns.set(
        "kind",
        Values::Text(events.iter().map(|e| Some(e.kind)).collect()),
    );
    columns.set_as(
        "details",
        "jsonb",
        events.iter().map(|e| Some(e.details.as_str())).collect(),
    );
    columns.insert("outbound.contact_event", events.len());
}
