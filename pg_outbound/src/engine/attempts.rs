//! What a dialer says of its attempts: started, settled, given back, kept longer, finished, to be called
//! back (contact-lists §8.2, §9). Calls take arrays; each attempt gets an answer of its own, and one that is
//! refused never fails the others. Every call may be repeated: an attempt that has ended already says so.
//!
//! The functions are declared in `sql/28_dialer.sql`, with their defaults, rights and the planner's settings.

use std::collections::HashMap;

use outbound_core::machine::attempt::Reported;
use outbound_core::machine::gate::shown;
use outbound_core::machine::{Category, Micros, result_id};
use pgrx::prelude::*;
use serde_json::json;

use super::answers::Answers;
use super::arguments::{future, moment};
use super::catalog;
use super::spi::{self, Arg};
use super::work::{Answer, each};
use crate::error::{given, raise};

/// The answers as rows of `outbound.attempt_answer`.
fn rows(answers: Vec<Answer>) -> Answers {
    let letter = |code: i8| pgrx::pg_sys::Datum::from(code);
    let mut rows = Answers::default();
    for a in answers {
        rows.add([
            a.attempt.into_datum(),
            a.outcome.into_datum(),
            a.record.map(letter),
            a.contact.map(letter),
            a.scheduled_at.and_then(spi::timestamp).into_datum(),
            a.message.into_datum(),
        ]);
    }
    rows
}

/// The interaction is about to begin: last checks, then the longer lease. A conversation that is gone is
/// purged, and one that somebody has in hand makes the attempt `busy`, as settled.
///
/// # Errors
/// Raises `invalid_parameter_value` for more than 10,000 attempts.
#[pg_extern(sql = false)]
pub fn start_attempts(
    attempt_ids: Option<Vec<Option<i64>>>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let (attempt_ids, at) = (given("attempt_ids", attempt_ids), moment("at", at));
    rows(each(&attempt_ids, dialer, at, |work, place| {
        work.start(place)
    }))
}

/// The attempts have these results. `dialog_ids` names the conversations they made; `is_final` is for
/// successes that need no end. Without `start`, a reported result means that the attempt was started.
///
/// # Errors
/// Raises `array_subscript_error` for arrays of different length, `undefined_object` for a result that does
/// not exist; nothing is changed then.
#[pg_extern(sql = false)]
pub fn settle_attempts(
    attempt_ids: Option<Vec<Option<i64>>>,
    results: Option<Vec<Option<String>>>,
    dialog_ids: Option<Vec<Option<String>>>,
    is_final: Option<bool>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
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
        let (result, category) = reported
            .get(given)
            .copied()
            .unwrap_or((0, Category::Unknown));
        let dialog = dialog_ids
            .as_ref()
            .and_then(|d| d.get(given))
            .and_then(Option::as_deref);
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
fn correct(
    answers: &mut [Answer],
    of: &HashMap<i64, usize>,
    results: &[Option<String>],
    at: Micros,
) {
    let late: Vec<(i64, &str)> = answers
        .iter()
        .filter(|answer| answer.outcome == "already_settled" && answer.contact.is_none())
        .filter_map(|answer| {
            Some((
                answer.attempt,
                results.get(*of.get(&answer.attempt)?)?.as_deref()?,
            ))
        })
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
                Arg::Int8s(vec![
                    Some(result_id::NOT_PERFORMED),
                    Some(result_id::UNKNOWN),
                ]),
            ],
            |row| corrected.extend(row.int8(0)),
        );
    });
    for answer in answers
        .iter_mut()
        .filter(|answer| answer.outcome == "already_settled" && corrected.contains(&answer.attempt))
    {
        answer.outcome = "corrected";
        answer.message =
            Some("the attempt had been given up; its result is noted in the journal".to_owned());
    }
}

/// The attempts will not be made: their records are what they were before the claim (R20).
///
/// # Errors
/// Raises `invalid_parameter_value` for more than 10,000 attempts.
#[pg_extern(sql = false)]
pub fn release_attempts(
    attempt_ids: Option<Vec<Option<i64>>>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let (attempt_ids, at) = (given("attempt_ids", attempt_ids), moment("at", at));
    rows(each(&attempt_ids, dialer, at, |work, place| {
        work.release(place)
    }))
}

/// The attempts need longer: their leases end at `until`.
///
/// # Errors
/// Raises `invalid_parameter_value` when `until` is over already.
#[pg_extern(sql = false)]
pub fn extend_attempts(
    attempt_ids: Option<Vec<Option<i64>>>,
    until: Option<TimestampWithTimeZone>,
    dialer: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let attempt_ids = given("attempt_ids", attempt_ids);
    let (at, until) = (moment("at", at), moment("until", until));
    future("the end of a lease", until, at);
    rows(each(&attempt_ids, dialer, at, |work, place| {
        work.extend(place, until)
    }))
}

/// The campaign manager is done with the contact that the attempt reached; the wrap-up code decides what
/// becomes of it (contact-lists §6.3). Without a code it is closed.
///
/// # Errors
/// Raises `undefined_object` for an unknown wrap-up code.
#[pg_extern(sql = false)]
pub fn finish_attempt(
    attempt_id: Option<i64>,
    wrap_up_code: Option<&str>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let (attempt_id, at) = (given("attempt_id", attempt_id), moment("at", at));
    let switches = spi::connected(|| wrap_up_code.map(catalog::wrap_up));
    rows(each(&[Some(attempt_id)], None, at, |work, place| {
        let limits = work.limits(place);
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
#[pg_extern(sql = false)]
pub fn schedule_callback(
    attempt_id: Option<i64>,
    callback_at: Option<TimestampWithTimeZone>,
    at: Option<TimestampWithTimeZone>,
) -> Answers {
    let attempt_id = given("attempt_id", attempt_id);
    let (at, callback_at) = (moment("at", at), moment("callback_at", callback_at));
    future("a callback", callback_at, at);
    rows(each(&[Some(attempt_id)], None, at, |work, place| {
        let limits = work.limits(place);
        let rules = &work.rules;
        match work.held[place]
            .now
            .schedule_callback(callback_at, &limits, rules)
        {
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
