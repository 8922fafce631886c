//! The life of an attempt: claimed, started, settled, handed over, finished (contact-lists §7.2, §8.2).
//!
//! Each function changes the contact and derives its codes, or refuses and changes nothing.

use thiserror::Error;

use super::{Category, Contact, Limits, Micros, OpenAttempt, Record, Rules, result_id};
use crate::status::RecordCode;

/// Why an event was refused; the contact is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No attempt is under way, or another one.
    #[error("the attempt is not under way")]
    NotOpen,
    /// The record is with the campaign manager already.
    #[error("the attempt was settled: the contact is with the campaign manager")]
    Queued,
    /// The event needs a contact that was reached.
    #[error("the contact was not reached: settle the attempt first")]
    NotQueued,
    /// The lease was over before the attempt started.
    #[error("the lease of the attempt is over")]
    Expired,
    /// The attempt has started, so it cannot be given back.
    #[error("the attempt has started: settle it with its result")]
    Started,
    /// `not_found` is for conversations.
    #[error("only a conversation can be missing")]
    NoConversation,
    /// The event needs a callback that an agent planned.
    #[error("no callback is planned by an agent")]
    NoCallback,
    /// The contact is in progress or with the campaign manager.
    #[error("the contact is in progress or with the campaign manager")]
    Busy,
    /// Nothing of the contact is in a state that the event concerns.
    #[error("no record is in a state for this")]
    Nothing,
}

/// What a campaign says of the attempts it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Limits of its attempt control.
    pub limits: Limits,
    /// Whether an attempt whose outcome was lost is tried again (contact-lists §16 Q7).
    pub retry_unknown: bool,
    /// How long a reached contact may wait for its end (§16 Q6).
    pub waiting: Micros,
}

/// The result of an attempt, as a dialer reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported<'a> {
    /// Number of the result.
    pub result: i64,
    /// Its category.
    pub category: Category,
    /// Dialog that the attempt made.
    pub dialog: Option<&'a str>,
    /// A success that needs no end: nothing is waited for (§16 Q20).
    pub is_final: bool,
}

impl Reported<'_> {
    /// A result and nothing more.
    #[must_use]
    pub const fn plain(result: i64, category: Category) -> Self {
        Self {
            result,
            category,
            dialog: None,
            is_final: false,
        }
    }
}

/// The two switches of a wrap-up code (contact-lists §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapUp {
    /// The contact is done with.
    pub contact_uncallable: bool,
    /// The unit is done with.
    pub number_uncallable: bool,
}

impl Contact {
    /// R10–R12: a dialer takes the record. The caller has checked the gates.
    pub fn claim(&mut self, attempt: OpenAttempt, rules: &Rules) {
        if let Some(record) = self.record_mut(attempt.record) {
            record.code = RecordCode::InProgress;
        }
        self.open = Some(attempt);
        self.derive(rules);
    }

    /// §8.2 step 2: the interaction begins; its lease is longer from now on. An attempt that has started is
    /// left as it is.
    ///
    /// # Errors
    /// Refused without a record in progress, and with [`Refusal::Expired`] when the lease is over: the caller
    /// releases it.
    pub fn start(&mut self, at: Micros, until: Micros) -> Result<(), Refusal> {
        self.in_progress()?;
        match &mut self.open {
            Some(open) if open.started_at.is_some() => Ok(()),
            Some(open) if open.until <= at => Err(Refusal::Expired),
            Some(open) => {
                open.started_at = Some(at);
                open.until = until;
                Ok(())
            }
            None => Err(Refusal::NotOpen),
        }
    }

    /// R20: nothing was sent; the record is what it was before the claim.
    ///
    /// # Errors
    /// Refused without a record in progress, and with [`Refusal::Started`] after the start: then there is
    /// exactly one count (P20).
    pub fn release(&mut self, rules: &Rules) -> Result<(), Refusal> {
        let open = self.in_progress()?;
        if open.started_at.is_some() {
            return Err(Refusal::Started);
        }
        let (id, previous) = (open.record, open.previous);
        if let Some(record) = self.record_mut(id) {
            record.code = previous;
        }
        self.open = None;
        self.derive(rules);
        Ok(())
    }

    /// R20–R29: the attempt has a result. Returns whether it counted.
    ///
    /// # Errors
    /// Refused without a record in progress, for `not_performed` after the start, and for `not_found` where
    /// the unit is no conversation.
    pub fn settle(
        &mut self,
        reported: Reported<'_>,
        at: Micros,
        policy: &Policy,
        rules: &Rules,
    ) -> Result<bool, Refusal> {
        if reported.category == Category::NotPerformed {
            return self.release(rules).map(|()| false);
        }
        let open = self.in_progress()?.clone();
        let record = self.record_mut(open.record).ok_or(Refusal::NotOpen)?;
        if reported.category == Category::NotFound && !record.is_conversation {
            return Err(Refusal::NoConversation);
        }
        record.last_result = Some(reported.result);
        if reported.category.counts() {
            self.count(&open, reported, &policy.limits);
        }
        let record = self.record_mut(open.record).ok_or(Refusal::NotOpen)?;
        record.scheduled_at = None;
        let mut waiting = None;
        match reported.category {
            Category::Success if !reported.is_final => {
                record.code = RecordCode::Queued;
                waiting = Some(OpenAttempt {
                    started_at: Some(open.started_at.unwrap_or(open.claimed_at)),
                    until: at.saturating_add(policy.waiting),
                    ..open
                });
            }
            Category::Success
            | Category::WrongParty
            | Category::Invalid
            | Category::Suppressed
            | Category::Manual
            | Category::Removed => record.code = RecordCode::Uncallable,
            Category::NotFound => record.code = RecordCode::Purged,
            Category::Unknown if !policy.retry_unknown => record.code = RecordCode::Uncallable,
            category => retry(record, category, at, &policy.limits),
        }
        self.open = waiting;
        self.derive(rules);
        Ok(reported.category.counts())
    }

    /// R30–R33: the campaign manager is done with the contact. Without a wrap-up code, both switches are on.
    ///
    /// # Errors
    /// [`Refusal::NotQueued`] unless the contact was reached.
    pub fn finish(
        &mut self,
        wrap_up: Option<WrapUp>,
        at: Micros,
        limits: &Limits,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let record = self.queued_record()?;
        match wrap_up {
            None
            | Some(WrapUp {
                contact_uncallable: true,
                ..
            }) => record.code = RecordCode::Uncallable,
            Some(WrapUp {
                number_uncallable: true,
                ..
            }) => {
                record.code = RecordCode::Uncallable;
                record.last_result = Some(result_id::WRONG_PARTY);
            }
            Some(_) => retry(record, Category::Success, at, limits),
        }
        self.open = None;
        self.derive(rules);
        Ok(())
    }

    /// R34, R36: an agent plans a callback, from a contact that was reached or a call that is live. A live
    /// call counts as a success. Returns whether it counted now.
    ///
    /// # Errors
    /// [`Refusal::NotOpen`] without an attempt.
    pub fn schedule_callback(
        &mut self,
        callback_at: Micros,
        limits: &Limits,
        rules: &Rules,
    ) -> Result<bool, Refusal> {
        let open = self.open.clone().ok_or(Refusal::NotOpen)?;
        let live = self
            .record(open.record)
            .is_some_and(|record| record.code == RecordCode::InProgress);
        if live {
            let success = Reported::plain(result_id::SUCCESS, Category::Success);
            self.count(&open, success, limits);
        }
        let record = self.record_mut(open.record).ok_or(Refusal::NotOpen)?;
        if live {
            record.last_result = Some(result_id::SUCCESS);
        }
        record.code = RecordCode::AgentCallback;
        record.scheduled_at = Some(callback_at);
        self.open = None;
        self.derive(rules);
        Ok(live)
    }

    /// R13, R14 at the claim check: the record can never be used; no attempt is made.
    pub fn shut_out(&mut self, record: i64, category: Category, rules: &Rules) {
        if let Some(record) = self.record_mut(record) {
            record.scheduled_at = None;
            (record.code, record.last_result) = if category == Category::NotFound {
                (RecordCode::Purged, Some(result_id::NOT_FOUND))
            } else {
                (RecordCode::Uncallable, Some(result_id::SUPPRESSED))
            };
        }
        self.derive(rules);
    }

    /// The attempt under way, if its record is in progress.
    fn in_progress(&self) -> Result<&OpenAttempt, Refusal> {
        let open = self.open.as_ref().ok_or(Refusal::NotOpen)?;
        match self.record(open.record).map(|record| record.code) {
            Some(RecordCode::InProgress) => Ok(open),
            Some(RecordCode::Queued) => Err(Refusal::Queued),
            _ => Err(Refusal::NotOpen),
        }
    }

    fn queued_record(&mut self) -> Result<&mut Record, Refusal> {
        let id = self.open.as_ref().ok_or(Refusal::NotOpen)?.record;
        let record = self.record_mut(id).ok_or(Refusal::NotOpen)?;
        if record.code == RecordCode::Queued {
            Ok(record)
        } else {
            Err(Refusal::NotQueued)
        }
    }

    /// One more attempt, at all three levels (contact-lists §7.2, "count").
    fn count(&mut self, open: &OpenAttempt, reported: Reported<'_>, limits: &Limits) {
        let started = open.started_at.unwrap_or(open.claimed_at);
        let mut kind = None;
        if let Some(record) = self.record_mut(open.record) {
            record.attempts += 1;
            if let Some(counter) = reported.category.counter() {
                record.by_category[counter] += 1;
            }
            record.last_attempt_at = Some(started);
            record.last_campaign = Some(open.campaign);
            record.last_dialog = reported.dialog.map(str::to_owned);
            kind = record.kind;
        }
        if let Some(kind) = kind {
            self.type_attempts[kind as usize] += 1;
        }
        self.attempts += 1;
        self.last_record = Some(open.record);
        self.last_attempt_at = Some(started);
        self.wait_until = (!limits.minimum_per_record && limits.minimum > 0)
            .then(|| started.saturating_add(limits.minimum));
    }
}

/// R23–R25, R32, R33: another attempt of the record, unless a limit of it is met.
fn retry(record: &mut Record, category: Category, at: Micros, limits: &Limits) {
    let delay = limits.delay_after(category);
    (record.code, record.scheduled_at) = if limits.record_exhausted(record) {
        (RecordCode::Exhausted, None)
    } else if delay > 0 {
        (RecordCode::AutoScheduled, Some(at.saturating_add(delay)))
    } else {
        (RecordCode::Callable, None)
    };
}
