//! The rules of codes, due moments and gates once more, written from their tables and not from the machine
//! (contact-lists §5.4, §7.1, §7.3).

use super::*;

/// What follows from a contact's records.
#[derive(Debug, PartialEq, Eq)]
pub struct Derived {
    code: ContactCode,
    types: [ContactCode; 3],
    due: [Due; 3],
    callbacks: [Option<Micros>; 3],
}

impl Derived {
    /// As it is stored.
    pub fn stored(contact: &Contact) -> Self {
        Self {
            code: contact.code,
            types: contact.type_codes,
            due: contact.due,
            callbacks: contact.callbacks,
        }
    }

    /// As it should be; `was_closed` when the contact was U before and no reset has happened since.
    pub fn expected(contact: &Contact, rules: &Rules, was_closed: bool) -> Self {
        let types = kinds().map(|kind| type_code(contact, rules, kind));
        Self {
            code: contact_code(contact, rules, &types, was_closed),
            types,
            due: kinds().map(|kind| due(contact, kind)),
            callbacks: kinds().map(|kind| {
                let planned =
                    of_type(contact, kind).filter(|r| r.code == RecordCode::AgentCallback);
                planned.filter_map(|r| r.scheduled_at).min()
            }),
        }
    }
}

pub fn kinds() -> [ConversationType; 3] {
    [
        ConversationType::Call,
        ConversationType::Email,
        ConversationType::SocialMedia,
    ]
}

fn of_type(contact: &Contact, kind: ConversationType) -> impl Iterator<Item = &Record> {
    contact.records.iter().filter(move |r| r.kind == Some(kind))
}

/// Whether a maximum is reached.
pub fn reached(limit: Option<i32>, made: i32) -> bool {
    limit.is_some_and(|limit| made >= limit)
}

fn type_code(contact: &Contact, rules: &Rules, kind: ConversationType) -> ContactCode {
    let any = |code| of_type(contact, kind).any(|r| r.code == code);
    let success = |r: &Record| {
        r.last_result
            .is_some_and(|id| rules.successes.contains(&id))
    };
    let latest = of_type(contact, kind)
        .filter(|r| r.last_attempt_at.is_some())
        .max_by_key(|r| r.last_attempt_at);
    let limit = latest
        .and_then(|r| rules.limits.get(&r.last_campaign?))
        .and_then(|limits| limits.per_type[kind as usize]);
    let made = of_type(contact, kind).map(|r| r.attempts).sum();
    if any(RecordCode::InProgress) {
        ContactCode::InProgress
    } else if any(RecordCode::Queued) {
        ContactCode::Queued
    } else if of_type(contact, kind).any(|r| r.code == RecordCode::Uncallable && success(r)) {
        ContactCode::Uncallable
    } else if any(RecordCode::AgentCallback) {
        ContactCode::Callable
    } else if reached(limit, made) {
        ContactCode::Exhausted
    } else if any(RecordCode::Callable) || any(RecordCode::AutoScheduled) {
        ContactCode::Callable
    } else {
        ContactCode::Flagged
    }
}

fn contact_code(
    contact: &Contact,
    rules: &Rules,
    types: &[ContactCode; 3],
    was_closed: bool,
) -> ContactCode {
    let any = |code| {
        contact
            .records
            .iter()
            .any(|r| r.code == code && r.kind.is_some())
    };
    let latest = contact
        .records
        .iter()
        .filter(|r| r.last_attempt_at.is_some());
    let limit = latest
        .max_by_key(|r| r.last_attempt_at)
        .and_then(|r| rules.limits.get(&r.last_campaign?))
        .and_then(|limits| limits.per_contact);
    let made = contact.records.iter().map(|r| r.attempts).sum();
    let awaited = contact.records.iter().any(|r| {
        r.code == RecordCode::AgentCallback
            && r.kind
                .is_some_and(|kind| types[kind as usize] == ContactCode::Callable)
    });
    if any(RecordCode::InProgress) {
        ContactCode::InProgress
    } else if any(RecordCode::Queued) {
        ContactCode::Queued
    } else if was_closed || closed(contact, rules) {
        ContactCode::Uncallable
    } else if awaited {
        ContactCode::Callable
    } else if reached(limit, made) {
        ContactCode::Exhausted
    } else if types.contains(&ContactCode::Callable) {
        ContactCode::Callable
    } else {
        ContactCode::Flagged
    }
}

/// The close rule.
pub fn closed(contact: &Contact, rules: &Rules) -> bool {
    let done =
        |kind: &ConversationType| type_code(contact, rules, *kind) == ContactCode::Uncallable;
    let own: Vec<ConversationType> = kinds()
        .into_iter()
        .filter(|kind| of_type(contact, *kind).next().is_some())
        .collect();
    if rules.close_if_all {
        !own.is_empty() && own.iter().all(done)
    } else {
        own.iter().any(done)
    }
}

/// The earliest moment at which any record may be tried, callbacks aside.
fn due(contact: &Contact, kind: ConversationType) -> Due {
    let moments: Vec<Option<Micros>> = of_type(contact, kind)
        .filter(|r| matches!(r.code, RecordCode::Callable | RecordCode::AutoScheduled))
        .map(|r| r.scheduled_at.max(contact.wait_until))
        .collect();
    let callback = of_type(contact, kind).any(|r| r.code == RecordCode::AgentCallback);
    match moments.iter().min() {
        Some(Some(moment)) => Due::At(*moment),
        None if callback => Due::Never,
        Some(None) | None => Due::Now,
    }
}

/// Whether a due moment has come.
pub fn has_come(due: Due, at: Micros) -> bool {
    match due {
        Due::Now => true,
        Due::At(moment) => moment <= at,
        Due::Never => false,
    }
}

/// G2 to G6 and G8 of one record.
pub fn may_be_claimed(
    contact: &Contact,
    record: &Record,
    claimant: Claimant<'_>,
    at: Micros,
    blocked: bool,
) -> bool {
    let (kind, limits) = (claimant.kind as usize, claimant.limits);
    let callable =
        contact.code == ContactCode::Callable && contact.type_codes[kind] == ContactCode::Callable;
    let due = matches!(
        record.code,
        RecordCode::Callable | RecordCode::AutoScheduled | RecordCode::AgentCallback
    ) && record.scheduled_at.is_none_or(|moment| moment <= at);
    let exempt = record.code == RecordCode::AgentCallback;
    let within_limits = !reached(limits.per_contact, contact.attempts)
        && !reached(limits.per_type[kind], contact.type_attempts[kind])
        && !reached(limits.per_record, record.attempts)
        && (0..4).all(|c| !reached(limits.categories[c].max_attempts, record.by_category[c]));
    let latest = if limits.minimum_per_record {
        record.last_attempt_at
    } else {
        contact.last_attempt_at
    };
    let waited = latest.is_none_or(|moment| moment + limits.minimum <= at)
        && contact.wait_until.is_none_or(|moment| moment <= at);
    record.kind == Some(claimant.kind)
        && callable
        && due
        && (exempt || within_limits)
        && (exempt || waited)
        && !blocked
}
