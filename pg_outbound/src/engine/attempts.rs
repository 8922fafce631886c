//! What a dialer says of its attempts: started, settled, given back, kept longer, finished, to be called
//! back (contact-lists §8.2, §9). Calls take arrays; each attempt gets an answer of its own, and one that is
//! refused never fails the others. Every call may be repeated: an attempt that has ended already says so.
//!
//! The functions here stand behind those of the same name in `sql/28_dialer.sql`, which carry the rights and
//! the planner's settings: Postgres would set them anew for every row of an answer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use outbound_core::campaign::Afterwards;
use outbound_core::machine::attempt::{Refusal, Reported, WrapUp};
use outbound_core::machine::gate::shown;
use outbound_core::machine::{Category, Contact, Micros, Rules, result_id};
use pgrx::prelude::*;
use serde_json::json;

use super::catalog::{self, Campaign, List};
use super::journal::{self, Ended, Event};
use super::spi::{self, Arg};
use super::store::{self, Held, Which};
use super::{claim, counters};
use crate::error::{given, invalid, raise};

/// Most attempts in one call.
const MOST_AT_ONCE: usize = 10_000;

/// What became of one attempt.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    attempt: i64,
    outcome: &'static str,
    record: Option<i8>,
    contact: Option<i8>,
    scheduled_at: Option<Micros>,
    message: Option<String>,
}

/// The answers of a call, as rows. The calls spell it out, because the install script is made from what
/// stands there.
type Answers = TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
>;

fn rows(answers: Vec<Answer>) -> Answers {
    TableIterator::new(answers.into_iter().map(|a| {
        (
            a.attempt,
            a.outcome,
            a.record,
            a.contact,
            a.scheduled_at.and_then(spi::timestamp),
            a.message,
        )
    }))
}

/// The interaction is about to begin: last checks, then the longer lease. A conversation that is gone is
/// purged, and one that somebody has in hand makes the attempt `busy`, as settled.
///
/// # Errors
/// Raises `invalid_parameter_value` for more than 10,000 attempts.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _start(
    attempt_ids: Option<Vec<Option<i64>>>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let (attempt_ids, at) = (given("attempt_ids", attempt_ids), moment("at", at));
    rows(each(&attempt_ids, dialer, at, |work, place| work.start(place)))
}

/// The attempts have these results. `dialog_ids` names the conversations they made; `is_final` is for
/// successes that need no end. Without `start`, a reported result means that the attempt was started.
///
/// # Errors
/// Raises `array_subscript_error` for arrays of different length, `undefined_object` for a result that does
/// not exist; nothing is changed then.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _settle(
    attempt_ids: Option<Vec<Option<i64>>>,
    results: Option<Vec<Option<String>>>,
    dialog_ids: Option<Vec<Option<String>>>,
    is_final: Option<bool>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let (attempt_ids, results) = (given("attempt_ids", attempt_ids), given("results", results));
    let at = moment("at", at);
    same_length("results", attempt_ids.len(), results.len());
    if let Some(dialogs) = &dialog_ids {
        same_length("dialog_ids", attempt_ids.len(), dialogs.len());
    }
    let known = spi::connected(|| {
        catalog::refresh();
        catalog::results()
    });
    let reported: Vec<(i64, Category)> = results
        .iter()
        .map(|name| known.reported(name.as_deref().unwrap_or_default()))
        .collect();
    let of: HashMap<i64, usize> = attempt_ids
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(place, id)| id.map(|id| (id, place)))
        .collect();
    let mut answers = each(&attempt_ids, dialer, at, |work, place| {
        let attempt = work.attempt(place);
        let given = of.get(&attempt).copied().unwrap_or(0);
        let (result, category) = reported.get(given).copied().unwrap_or((0, Category::Unknown));
        let dialog = dialog_ids.as_ref().and_then(|d| d.get(given)).and_then(Option::as_deref);
        work.settle(
            place,
            Reported {
                result,
                category,
                dialog,
                is_final: is_final.unwrap_or(false),
            },
        )
    });
    correct(&mut answers, &of, &results, at);
    rows(answers)
}

/// A result that comes after the attempt was given up: only the journal learns of it (contact-lists §8.2).
fn correct(answers: &mut [Answer], of: &HashMap<i64, usize>, results: &[Option<String>], at: Micros) {
    let late: Vec<(i64, &str)> = answers
        .iter()
        .filter(|answer| answer.outcome == "already_settled" && answer.contact.is_none())
        .filter_map(|answer| Some((answer.attempt, results.get(*of.get(&answer.attempt)?)?.as_deref()?)))
        .collect();
    if late.is_empty() {
        return;
    }
    let mut corrected = Vec::new();
    spi::connected(|| {
        spi::execute(
            "INSERT INTO outbound.contact_event (list_id, at, contact_id, record_id, attempt_id, campaign_id, kind, details) \
             SELECT l.list_id, $1, l.contact_id, l.record_id, l.attempt_id, l.campaign_id, 'corrected', \
                    pg_catalog.jsonb_build_object('result', u.result) \
             FROM ROWS FROM (unnest($2), unnest($3)) AS u (attempt, result) \
             JOIN outbound.attempt_log AS l ON l.attempt_id = u.attempt \
             WHERE l.result_id = ANY ($4) AND NOT EXISTS (SELECT 1 FROM outbound.contact_event AS e \
                 WHERE e.list_id = l.list_id AND e.contact_id = l.contact_id AND e.attempt_id = l.attempt_id AND e.kind = 'corrected') \
             RETURNING attempt_id",
            &[
                Arg::Time(at),
                Arg::Int8s(late.iter().map(|(id, _)| Some(*id)).collect()),
                Arg::Texts(late.iter().map(|(_, name)| Some(*name)).collect()),
                Arg::Int8s(vec![Some(result_id::NOT_PERFORMED), Some(result_id::UNKNOWN)]),
            ],
            |row| corrected.extend(row.int8(0)),
        );
    });
    for answer in answers.iter_mut().filter(|answer| corrected.contains(&answer.attempt)) {
        answer.outcome = "corrected";
        answer.message = Some("the attempt had been given up; its result is noted in the journal".to_owned());
    }
}

/// The attempts will not be made: their records are what they were before the claim (R20).
///
/// # Errors
/// Raises `invalid_parameter_value` for more than 10,000 attempts.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _release(
    attempt_ids: Option<Vec<Option<i64>>>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let (attempt_ids, at) = (given("attempt_ids", attempt_ids), moment("at", at));
    rows(each(&attempt_ids, dialer, at, |work, place| work.release(place)))
}

/// The attempts need longer: their leases end at `until`.
///
/// # Errors
/// Raises `invalid_parameter_value` when `until` is over already.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _extend(
    attempt_ids: Option<Vec<Option<i64>>>,
    until: Option<TimestampWithTimeZone>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let attempt_ids = given("attempt_ids", attempt_ids);
    let (at, until) = (moment("at", at), moment("until", until));
    future("the end of a lease", until, at);
    rows(each(&attempt_ids, dialer, at, |work, place| work.extend(place, until)))
}

/// The campaign manager is done with the contact that the attempt reached; the wrap-up code decides what
/// becomes of it (contact-lists §6.3). Without a code it is closed.
///
/// # Errors
/// Raises `undefined_object` for an unknown wrap-up code.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _finish_attempt(
    attempt_id: Option<i64>,
    wrap_up_code: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let (attempt_id, at) = (given("attempt_id", attempt_id), moment("at", at));
    let switches = spi::connected(|| wrap_up_code.map(catalog::wrap_up));
    rows(each(&[Some(attempt_id)], None, at, |work, place| {
        let limits = work.campaign(place).map(|campaign| campaign.policy.limits).unwrap_or_default();
        let rules = &work.rules;
        match work.held[place].now.finish(switches, at, &limits, rules) {
            Ok(()) => {
                work.event(place, "finished", json!({ "wrap_up_code": wrap_up_code }));
                work.answer(place, "finished")
            }
            Err(refusal) => work.refused(place, refusal),
        }
    }))
}

/// An agent plans a callback with the contact that the attempt reached, or is speaking to (R34, R36).
///
/// # Errors
/// Raises `invalid_parameter_value` for a moment that is not in the future.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
pub fn _schedule_callback(
    attempt_id: Option<i64>,
    callback_at: Option<TimestampWithTimeZone>,
    at: Option<TimestampWithTimeZone>,
) -> TableIterator<
    'static,
    (
        name!(attempt_id, i64),
        name!(outcome, &'static str),
        name!(record_status, Option<i8>),
        name!(contact_status, Option<i8>),
        name!(scheduled_at, Option<TimestampWithTimeZone>),
        name!(message, Option<String>),
    ),
> {
    let attempt_id = given("attempt_id", attempt_id);
    let (at, callback_at) = (moment("at", at), moment("callback_at", callback_at));
    future("a callback", callback_at, at);
    rows(each(&[Some(attempt_id)], None, at, |work, place| {
        let limits = work.campaign(place).map(|campaign| campaign.policy.limits).unwrap_or_default();
        let rules = &work.rules;
        match work.held[place].now.schedule_callback(callback_at, &limits, rules) {
            Ok(counted) => {
                if counted {
                    work.ended(place, result_id::SUCCESS, true, None);
                }
                work.event(
                    place,
                    "callback_scheduled",
                    json!({ "callback_at": shown(callback_at) }),
                );
                work.answer(place, "callback_scheduled")
            }
            Err(refusal) => work.refused(place, refusal),
        }
    }))
}

/// A moment that must be given.
pub fn moment(name: &str, at: Option<TimestampWithTimeZone>) -> Micros {
    spi::moment(given(name, at))
}

fn same_length(name: &str, attempts: usize, given: usize) {
    if attempts != given {
        raise(
            PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
            format!("{name} has {given} elements and attempt_ids has {attempts}"),
            "",
            "Give one element for each attempt.",
        );
    }
}

/// Refuses a moment that is not in the future.
///
/// # Errors
/// Raises `invalid_parameter_value`.
pub fn future(what: &str, moment: Micros, at: Micros) {
    if moment <= at || moment == i64::MAX {
        invalid(
            format!("{what} cannot be at {}", shown(moment)),
            &format!("The call was made at {}.", shown(at)),
            "Give a moment in the future.",
        );
    }
}

/// The attempts of one list, held, while a call goes through them.
pub struct Work<'a> {
    /// The list.
    pub list: &'a List,
    /// The contacts.
    pub held: Vec<Held>,
    /// What the machine has to know.
    pub rules: Rules,
    at: Micros,
    conversations: HashMap<String, String>,
    ended: Vec<Ended>,
    events: Vec<Event>,
}

impl<'a> Work<'a> {
    /// Begins work on contacts that are held.
    pub fn on(list: &'a List, held: Vec<Held>, at: Micros) -> Self {
        let rules = catalog::rules(list, &held, None);
        let units = held.iter().filter_map(|contact| {
            let record = contact.before.record(contact.before.open.as_ref()?.record)?;
            record.is_conversation.then(|| contact.units.get(&record.id).map(|unit| unit.value.as_str())).flatten()
        });
        let units: Vec<&str> = units.collect();
        let conversations = if units.is_empty() {
            HashMap::new()
        } else {
            claim::statuses(units.into_iter())
        };
        Self {
            list,
            held,
            rules,
            at,
            conversations,
            ended: Vec::new(),
            events: Vec::new(),
        }
    }

    fn attempt(&self, place: usize) -> i64 {
        self.held[place].before.open.as_ref().map_or(0, |open| open.id)
    }

    fn campaign(&self, place: usize) -> Option<Rc<Campaign>> {
        let open = self.held[place].before.open.as_ref()?;
        catalog::campaign(open.campaign)
    }

    fn start(&mut self, place: usize) -> Answer {
        let Some(campaign) = self.campaign(place) else {
            return self.refused(place, Refusal::NotOpen);
        };
        if let Some(answer) = self.check_conversation(place, &campaign) {
            return answer;
        }
        let until = self.at + i64::from(campaign.settings.lease_started_seconds) * 1_000_000;
        let open_before = self.held[place].now.open.clone();
        let queued = open_before.as_ref().is_some_and(|open| self.code_of(place, open.record) == Some("Q"));
        if queued {
            return self.refused(place, Refusal::Queued);
        }
        match self.held[place].now.start(self.at, until) {
            Ok(()) => self.answer(place, "started"),
            Err(Refusal::Expired) => self.expired(place),
            Err(refusal) => self.refused(place, refusal),
        }
    }

    /// The lease is over: an attempt that has not started is given back, as the sweep would.
    fn expired(&mut self, place: usize) -> Answer {
        let answer = self.release(place);
        if answer.outcome == "released" {
            Answer {
                outcome: "expired",
                message: Some("the lease was over before the attempt started; it is given back".to_owned()),
                ..answer
            }
        } else {
            self.refused(place, Refusal::Expired)
        }
    }

    fn code_of(&self, place: usize, record: i64) -> Option<&'static str> {
        self.held[place].now.record(record).map(|record| record.code.as_str())
    }

    /// The conversation of a message, looked at once more: gone, or in somebody's hands (§8.2 step 2).
    fn check_conversation(&mut self, place: usize, campaign: &Campaign) -> Option<Answer> {
        let contact = &self.held[place];
        let open = contact.now.open.as_ref()?;
        let record = contact.now.record(open.record)?;
        if !record.is_conversation || open.started_at.is_some() {
            return None;
        }
        let status = contact.units.get(&record.id).and_then(|unit| self.conversations.get(&unit.value));
        let report = |result, category| Reported {
            result,
            category,
            dialog: None,
            is_final: false,
        };
        match status.map(String::as_str) {
            None => {
                let answer = self.settle(place, report(result_id::NOT_FOUND, Category::NotFound));
                Some(Answer {
                    outcome: "purged",
                    message: Some("the conversation does not exist any more".to_owned()),
                    ..answer
                })
            }
            Some("open") => Some(self.busy(place)),
            Some("pending") if campaign.settings.pending_is_busy => Some(self.busy(place)),
            Some(_) => None,
        }
    }

    fn busy(&mut self, place: usize) -> Answer {
        let answer = self.settle(
            place,
            Reported {
                result: result_id::BUSY,
                category: Category::Busy,
                dialog: None,
                is_final: false,
            },
        );
        Answer {
            outcome: "busy",
            message: Some("the conversation is in somebody's hands; the attempt counts as busy".to_owned()),
            ..answer
        }
    }

    fn settle(&mut self, place: usize, reported: Reported<'_>) -> Answer {
        let policy = self.campaign(place).map(|campaign| campaign.policy);
        let Some(policy) = policy else {
            return self.refused(place, Refusal::NotOpen);
        };
        match self.held[place].now.settle(reported, self.at, &policy, &self.rules) {
            Ok(counted) => {
                self.ended(place, reported.result, counted, reported.dialog);
                let released = reported.category == Category::NotPerformed;
                self.answer(place, if released { "released" } else { "settled" })
            }
            Err(refusal) => self.refused(place, refusal),
        }
    }

    fn release(&mut self, place: usize) -> Answer {
        let started = self.held[place].now.open.as_ref().is_some_and(|open| open.started_at.is_some());
        if started {
            return self.refused(place, Refusal::Started);
        }
        match self.held[place].now.release(&self.rules) {
            Ok(()) => {
                self.ended(place, result_id::NOT_PERFORMED, false, None);
                self.answer(place, "released")
            }
            Err(refusal) => self.refused(place, refusal),
        }
    }

    fn extend(&mut self, place: usize, until: Micros) -> Answer {
        let open = self.held[place].now.open.as_ref();
        if open.is_some_and(|open| self.code_of(place, open.record) == Some("Q")) {
            return self.refused(place, Refusal::Queued);
        }
        if open.is_some_and(|open| open.until <= self.at) {
            return self.expired(place);
        }
        if let Some(open) = &mut self.held[place].now.open {
            open.until = until;
        }
        Answer {
            scheduled_at: Some(until),
            ..self.answer(place, "extended")
        }
    }

    /// Gives an attempt back, or settles it as lost, because its lease is over (§8.3).
    pub fn end_lease(&mut self, place: usize) {
        let started = self.held[place].now.open.as_ref().is_some_and(|open| open.started_at.is_some());
        if started {
            self.settle(
                place,
                Reported {
                    result: result_id::UNKNOWN,
                    category: Category::Unknown,
                    dialog: None,
                    is_final: false,
                },
            );
        } else {
            self.release(place);
        }
    }

    /// Ends the waiting of a contact that was reached and never finished (R35).
    pub fn end_waiting(&mut self, place: usize) {
        let Some(campaign) = self.campaign(place) else { return };
        let retry = campaign.settings.on_waiting_over == Afterwards::Retry;
        let switches = retry.then_some(WrapUp {
            contact_uncallable: false,
            number_uncallable: false,
        });
        let rules = &self.rules;
        if self.held[place].now.finish(switches, self.at, &campaign.policy.limits, rules).is_ok() {
            self.event(
                place,
                "waiting_over",
                json!({ "then": if retry { "retry" } else { "close" } }),
            );
        }
    }

    fn ended(&mut self, place: usize, result: i64, counted: bool, dialog: Option<&str>) {
        self.ended.extend(Ended::of(&self.held[place], self.at, result, counted, dialog));
    }

    fn event(&mut self, place: usize, kind: &'static str, details: serde_json::Value) {
        let contact = &self.held[place];
        let open = contact.before.open.as_ref();
        self.events.push(Event {
            contact: contact.before.id.clone(),
            record: open.map(|open| open.record),
            attempt: open.map(|open| open.id),
            campaign: open.map(|open| open.campaign),
            kind,
            details: details.to_string(),
        });
    }

    fn answer(&self, place: usize, outcome: &'static str) -> Answer {
        let contact: &Contact = &self.held[place].now;
        let used = self.held[place].before.open.as_ref().map(|open| open.record);
        let record = used.and_then(|id| contact.record(id));
        let letter = |code: &str| code.bytes().next().map(u8::cast_signed);
        Answer {
            attempt: self.attempt(place),
            outcome,
            record: record.and_then(|record| letter(record.code.as_str())),
            contact: letter(contact.code.as_str()),
            scheduled_at: record.and_then(|record| record.scheduled_at),
            message: None,
        }
    }

    fn refused(&self, place: usize, refusal: Refusal) -> Answer {
        let outcome = match refusal {
            Refusal::Queued => "already_settled",
            Refusal::Expired => "expired",
            _ => "refused",
        };
        Answer {
            message: Some(refusal.to_string()),
            ..self.answer(place, outcome)
        }
    }

    /// Writes everything that changed.
    pub fn write(&self) {
        store::write(self.list, &self.held);
        counters::note(self.list, &self.held);
        journal::log(self.list, &self.ended);
        journal::tell(self.list, &self.events, self.at);
    }
}

/// Finds the attempts, holds their contacts list by list, lets `event` happen to each, and writes. Answers
/// stand in the order of the attempts; one that is named twice happens once.
fn each(
    attempts: &[Option<i64>],
    dialer: Option<&str>,
    at: Micros,
    mut event: impl FnMut(&mut Work<'_>, usize) -> Answer,
) -> Vec<Answer> {
    if attempts.len() > MOST_AT_ONCE {
        invalid(
            format!("{} attempts are too many for one call", attempts.len()),
            "",
            "Give at most 10000.",
        );
    }
    spi::connected(|| {
        catalog::refresh();
        let mut answers: HashMap<i64, Answer> = HashMap::new();
        let mut by_list: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for id in attempts.iter().flatten() {
            if let Some(list) = catalog::list_of_attempt(*id) {
                by_list.entry(list).or_default().push(*id);
            }
        }
        for (list, ids) in by_list {
            let Some(list) = catalog::list(list) else { continue };
            let held = hold_attempts(&list, &ids);
            let mut work = Work::on(&list, held, at);
            for place in 0..work.held.len() {
                let open = work.held[place].before.open.clone();
                let foreign = open.as_ref().is_some_and(|open| dialer.is_some_and(|name| name != open.dialer));
                let answer = if foreign {
                    Answer {
                        message: Some("another dialer claimed the attempt".to_owned()),
                        ..work.answer(place, "foreign")
                    }
                } else {
                    event(&mut work, place)
                };
                answers.insert(answer.attempt, answer);
            }
            work.write();
        }
        let gone = attempts.iter().flatten().copied().filter(|id| !answers.contains_key(id)).collect::<Vec<_>>();
        for answer in ended_before(&gone) {
            answers.insert(answer.attempt, answer);
        }
        let mut named = HashSet::new();
        attempts
            .iter()
            .map(|id| {
                let id = id.unwrap_or(0);
                let answer = answers.get(&id).cloned().unwrap_or(Answer {
                    attempt: id,
                    outcome: "not_found",
                    message: Some("no such attempt is under way or in the log".to_owned()),
                    ..Answer::default()
                });
                if named.insert(id) {
                    answer
                } else {
                    Answer {
                        outcome: "repeated",
                        message: Some("the call names the attempt twice; its first place counted".to_owned()),
                        ..answer
                    }
                }
            })
            .collect()
    })
}

/// Contacts whose open attempt is one of these: in progress, then those that were reached.
fn hold_attempts(list: &List, ids: &[i64]) -> Vec<Held> {
    let wanted: Vec<Option<i64>> = ids.iter().copied().map(Some).collect();
    let held = store::hold(
        list,
        &Which {
            clauses: "WHERE k.sys_open_attempt_id = ANY ($1) AND k.sys_status = 'I' ORDER BY k.sys_id",
            args: &[Arg::Int8s(wanted)],
            skip_locked: false,
            fields: false,
        },
    );
    if held.len() == ids.len() {
        return held;
    }
    let missing: Vec<Option<i64>> = ids
        .iter()
        .copied()
        .filter(|id| !held.iter().any(|h| h.before.open.as_ref().is_some_and(|open| open.id == *id)))
        .map(Some)
        .collect();
    let queued = store::hold(
        list,
        &Which {
            clauses: "WHERE k.sys_open_attempt_id = ANY ($1) AND k.sys_status = 'Q' ORDER BY k.sys_id",
            args: &[Arg::Int8s(missing)],
            skip_locked: false,
            fields: false,
        },
    );
    held.into_iter().chain(queued).collect()
}

/// Answers for attempts that are in the log: they ended before.
fn ended_before(ids: &[i64]) -> Vec<Answer> {
    let mut answers = Vec::new();
    if !ids.is_empty() {
        spi::execute(
            "SELECT l.attempt_id, r.name FROM outbound.attempt_log AS l JOIN outbound.attempt_result AS r USING (result_id) \
             WHERE l.attempt_id = ANY ($1)",
            &[Arg::Int8s(ids.iter().copied().map(Some).collect())],
            |row| {
                if let Some(attempt) = row.int8(0) {
                    answers.push(Answer {
                        attempt,
                        outcome: "already_settled",
                        message: row.text(1).map(|name| format!("the attempt ended before, as {name}")),
                        ..Answer::default()
                    });
                }
            },
        );
    }
    answers
}
