//! Going through attempts: their contacts are held list by list, an event happens to each, and everything
//! that changed is written at once: rows, counters, log and journal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use outbound_core::campaign::Afterwards;
use outbound_core::machine::attempt::{Refusal, Reported, WrapUp};
use outbound_core::machine::{Category, Contact, Limits, Micros, Rules, result_id};
use outbound_core::unit::ConversationType;
use serde_json::json;

use super::catalog::{self, Campaign, List};
use super::counters;
use super::journal::{self, Ended, Event};
use super::spi::{self, Arg, Place};
use super::store::{self, Held};
use super::unit_checks;
use crate::error::invalid;

/// Most attempts in one call.
pub const MOST_AT_ONCE: usize = 10_000;

/// What became of one attempt.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The attempt.
    pub attempt: i64,
    /// A stable word for it.
    pub outcome: &'static str,
    /// Code of its record.
    pub record: Option<i8>,
    /// Code of its contact.
    pub contact: Option<i8>,
    /// When the record is planned, or the lease ends.
    pub scheduled_at: Option<Micros>,
    /// The same in words, where there is more to say.
    pub message: Option<String>,
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
            let record = contact
                .before
                .record(contact.before.open.as_ref()?.record)?;
            record
                .is_conversation
                .then(|| contact.unit(record.id).map(|unit| unit.value.as_str()))
                .flatten()
        });
        let units: Vec<&str> = units.collect();
        let conversations = if units.is_empty() {
            HashMap::new()
        } else {
            unit_checks::statuses(units.into_iter())
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

    /// Number of the attempt at this place.
    pub fn attempt(&self, place: usize) -> i64 {
        self.held[place]
            .before
            .open
            .as_ref()
            .map_or(0, |open| open.id)
    }

    /// Its campaign.
    pub fn campaign(&self, place: usize) -> Option<Rc<Campaign>> {
        let open = self.held[place].before.open.as_ref()?;
        catalog::campaign(open.campaign)
    }

    /// Limits of its campaign; none when it is gone.
    pub fn limits(&self, place: usize) -> Limits {
        self.campaign(place)
            .map(|campaign| campaign.policy.limits)
            .unwrap_or_default()
    }

    /// The interaction begins, after a last look at its conversation.
    pub fn start(&mut self, place: usize) -> Answer {
        let Some(campaign) = self.campaign(place) else {
            return self.refused(place, Refusal::NotOpen);
        };
        let until = self.at + i64::from(campaign.settings.lease_started_seconds) * 1_000_000;
        let open = self.held[place].now.open.as_ref();
        // A lease that is over comes first: nothing is made of an attempt that is given back.
        let over = open.is_some_and(|open| open.started_at.is_none() && open.until <= self.at);
        if !over && let Some(answer) = self.check_conversation(place, &campaign) {
            return answer;
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
                message: Some(
                    "the lease was over before the attempt started; it is given back".to_owned(),
                ),
                ..answer
            }
        } else {
            self.refused(place, Refusal::Expired)
        }
    }

    fn code_of(&self, place: usize, record: i64) -> Option<&'static str> {
        self.held[place]
            .now
            .record(record)
            .map(|record| record.code.as_str())
    }

    /// The conversation of a message, looked at once more: gone, or in somebody's hands (§8.2 step 2).
    fn check_conversation(&mut self, place: usize, campaign: &Campaign) -> Option<Answer> {
        let contact = &self.held[place];
        let open = contact.now.open.as_ref()?;
        let record = contact.now.record(open.record)?;
        if !record.is_conversation || open.started_at.is_some() {
            return None;
        }
        let status = contact
            .unit(record.id)
            .and_then(|unit| self.conversations.get(&unit.value));
        match status.map(String::as_str) {
            None => {
                let answer = self.settle(
                    place,
                    Reported::plain(result_id::NOT_FOUND, Category::NotFound),
                );
                Some(Answer {
                    outcome: "purged",
                    message: Some("the conversation does not exist any more".to_owned()),
                    ..answer
                })
            }
            // A call needs only that there is a conversation (§8.2).
            Some(_) if campaign.kind == ConversationType::Call => None,
            Some("open") => Some(self.busy(place)),
            Some("pending") if campaign.settings.pending_is_busy => Some(self.busy(place)),
            Some(_) => None,
        }
    }

    fn busy(&mut self, place: usize) -> Answer {
        if let Some(open) = &mut self.held[place].now.open {
            open.started_at = Some(self.at);
        }
        let answer = self.settle(place, Reported::plain(result_id::BUSY, Category::Busy));
        Answer {
            outcome: "busy",
            message: Some(
                "the conversation is in somebody's hands; the attempt counts as busy".to_owned(),
            ),
            ..answer
        }
    }

    /// The attempt has a result.
    pub fn settle(&mut self, place: usize, reported: Reported<'_>) -> Answer {
        let policy = self.campaign(place).map(|campaign| campaign.policy);
        let Some(policy) = policy else {
            return self.refused(place, Refusal::NotOpen);
        };
        match self.held[place]
            .now
            .settle(reported, self.at, &policy, &self.rules)
        {
            Ok(counted) => {
                self.ended(place, reported.result, counted, reported.dialog);
                let released = reported.category == Category::NotPerformed;
                self.answer(place, if released { "released" } else { "settled" })
            }
            Err(refusal) => self.refused(place, refusal),
        }
    }

    /// The attempt is given back.
    pub fn release(&mut self, place: usize) -> Answer {
        match self.held[place].now.release(&self.rules) {
            Ok(()) => {
                self.ended(place, result_id::NOT_PERFORMED, false, None);
                self.answer(place, "released")
            }
            Err(refusal) => self.refused(place, refusal),
        }
    }

    /// The lease is to end at that moment.
    pub fn extend(&mut self, place: usize, until: Micros) -> Answer {
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
        let started = self.held[place]
            .now
            .open
            .as_ref()
            .is_some_and(|open| open.started_at.is_some());
        if started {
            self.settle(
                place,
                Reported::plain(result_id::UNKNOWN, Category::Unknown),
            );
        } else {
            self.release(place);
        }
    }

    /// Ends the waiting of a contact that was reached and never finished (R35).
    pub fn end_waiting(&mut self, place: usize) {
        let Some(campaign) = self.campaign(place) else {
            return;
        };
        let retry = campaign.settings.on_waiting_over == Afterwards::Retry;
        let switches = retry.then_some(WrapUp {
            contact_uncallable: false,
            number_uncallable: false,
        });
        let rules = &self.rules;
        if self.held[place]
            .now
            .finish(switches, self.at, &campaign.policy.limits, rules)
            .is_ok()
        {
            self.event(
                place,
                "waiting_over",
                json!({ "then": if retry { "retry" } else { "close" } }),
            );
        }
    }

    /// Notes the end of the attempt for the log.
    pub fn ended(&mut self, place: usize, result: i64, counted: bool, dialog: Option<&str>) {
        self.ended.extend(Ended::of(
            &self.held[place],
            self.at,
            result,
            counted,
            dialog,
        ));
    }

    /// Notes an event for the journal.
    pub fn event(&mut self, place: usize, kind: &'static str, details: serde_json::Value) {
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

    /// What is to be answered for it.
    pub fn answer(&self, place: usize, outcome: &'static str) -> Answer {
        let contact: &Contact = &self.held[place].now;
        let used = self.held[place]
            .before
            .open
            .as_ref()
            .map(|open| open.record);
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

    /// The answer to an event that was refused.
    pub fn refused(&self, place: usize, refusal: Refusal) -> Answer {
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
pub fn each(
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
            let Some(list) = catalog::list(list) else {
                continue;
            };
            let held = hold_attempts(&list, &ids);
            let mut work = Work::on(&list, held, at);
            for place in 0..work.held.len() {
                let open = work.held[place].before.open.clone();
                let foreign = open
                    .as_ref()
                    .is_some_and(|open| dialer.is_some_and(|name| name != open.dialer));
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
        let gone = attempts
            .iter()
            .flatten()
            .copied()
            .filter(|id| !answers.contains_key(id))
            .collect::<Vec<_>>();
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
                        message: Some(
                            "the call names the attempt twice; its first place counted".to_owned(),
                        ),
                        ..answer
                    }
                }
            })
            .collect()
    })
}

/// Contacts whose open attempt is one of these, in progress or reached. They are looked up first and then
/// locked in one pass by identifier, as every caller locks: a row whose code changes meanwhile is locked
/// whatever it has become, so two passes, one a code, could wait for each other.
fn hold_attempts(list: &List, ids: &[i64]) -> Vec<Held> {
    let mut contacts: Vec<(String, Place)> = Vec::with_capacity(ids.len());
    for code in ["I", "Q"] {
        if contacts.len() < ids.len() {
            spi::execute(
                &format!(
                    "SELECT k.sys_id, k.ctid FROM ONLY {} AS k WHERE k.sys_open_attempt_id = ANY ($1) AND k.sys_status = '{code}'",
                    list.contacts
                ),
                &[Arg::Int8s(ids.iter().copied().map(Some).collect())],
                |row| contacts.extend(row.text(0).map(|id| (id, row.place(1)))),
            );
        }
    }
    contacts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    // One that went from in progress to reached between the two looks was found twice.
    contacts.dedup_by(|(a, _), (b, _)| a == b);
    let places: Vec<Place> = contacts.into_iter().map(|(_, place)| place).collect();
    let wanted: HashSet<i64> = ids.iter().copied().collect();
    let mut held = store::hold_at(list, &places);
    held.retain(|h| {
        let open = h.before.open.as_ref();
        open.is_some_and(|open| wanted.contains(&open.id))
    });
    held
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
                        message: row
                            .text(1)
                            .map(|name| format!("the attempt ended before, as {name}")),
                        ..Answer::default()
                    });
                }
            },
        );
    }
    answers
}
