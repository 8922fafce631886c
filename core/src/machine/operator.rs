//! What operators do to contacts: exclude, reset, re-evaluate, move and cancel callbacks
//! (contact-lists §7.2 R40–R52, §8.4). Refused while the contact is in progress or with the campaign
//! manager, where another party relies on its state.

use super::attempt::Refusal;
use super::{Contact, Micros, Record, Rules, result_id};
use crate::status::RecordCode;

impl Contact {
    /// R42: the record, or all records, will not be used. Returns how many changed.
    ///
    /// # Errors
    /// [`Refusal::Busy`], and [`Refusal::Nothing`] when no record could be claimed anyway.
    pub fn exclude(&mut self, only: Option<i64>, rules: &Rules) -> Result<usize, Refusal> {
        self.change(only, rules, false, |record| {
            record.code.is_claimable().then(|| {
                record.code = RecordCode::Uncallable;
                record.scheduled_at = None;
                record.last_result = Some(result_id::MANUAL);
            })
        })
    }

    /// R50: the record, or all records, become callable again; `zero` makes their counters 0 as well. Without
    /// it a limit that is met still holds: such a record is A. Shut out stay a unit that never was valid, one that
    /// an update took away, and a conversation that is still unknown.
    ///
    /// # Errors
    /// [`Refusal::Busy`], and [`Refusal::Nothing`] when nothing is left to reset.
    pub fn reset(
        &mut self,
        only: Option<i64>,
        zero: bool,
        rules: &Rules,
    ) -> Result<usize, Refusal> {
        let changed = self.change(only, rules, true, |record| {
            let never_valid =
                record.attempts == 0 && record.last_result == Some(result_id::INVALID);
            let removed = record.last_result == Some(result_id::REMOVED);
            let stays_out = record.code == RecordCode::Uncallable && (never_valid || removed);
            let unknown = record.kind.is_none() || record.inbox.is_none();
            let code = if zero {
                RecordCode::Callable
            } else {
                untried_code(record, rules)
            };
            let stays = record.code == code && !(zero && record.attempts > 0);
            (!stays_out && !unknown && !stays).then(|| {
                record.code = code;
                record.scheduled_at = None;
                if zero {
                    record.attempts = 0;
                    record.by_category = [0; 4];
                    record.last_attempt_at = None;
                    record.last_campaign = None;
                    record.last_dialog = None;
                    record.last_result = None;
                }
            })
        })?;
        if zero {
            self.recount();
            self.derive_reopened(rules);
        }
        Ok(changed)
    }

    /// R51, R52: limits have changed; records that met one go on, and the other way round, by the limits of
    /// the campaign of their latest attempt. Returns how many records changed.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub fn reevaluate(&mut self, rules: &Rules) -> Result<usize, Refusal> {
        match self.change(None, rules, false, |record| {
            let code = untried_code(record, rules);
            let crosses = match record.code {
                RecordCode::Exhausted => code == RecordCode::Callable,
                RecordCode::Callable | RecordCode::AutoScheduled => code == RecordCode::Exhausted,
                _ => false,
            };
            crosses.then(|| {
                record.code = code;
                record.scheduled_at = None;
            })
        }) {
            Err(Refusal::Nothing) => {
                // The limits of the contact and of its types may have changed all the same.
                self.derive(rules);
                Ok(0)
            }
            outcome => outcome,
        }
    }

    /// R40: the callback is cancelled; the record is callable like any other, or A by a limit that it has met.
    ///
    /// # Errors
    /// [`Refusal::NoCallback`] when the record, or the contact, has none.
    pub fn cancel_callback(&mut self, only: Option<i64>, rules: &Rules) -> Result<i64, Refusal> {
        let record = self.callback(only)?;
        let id = record.id;
        record.code = untried_code(record, rules);
        record.scheduled_at = None;
        self.derive(rules);
        Ok(id)
    }

    /// R41: the callback is moved.
    ///
    /// # Errors
    /// [`Refusal::NoCallback`] when the record, or the contact, has none.
    pub fn move_callback(
        &mut self,
        only: Option<i64>,
        callback_at: Micros,
        rules: &Rules,
    ) -> Result<i64, Refusal> {
        let record = self.callback(only)?;
        let id = record.id;
        record.scheduled_at = Some(callback_at);
        self.derive(rules);
        Ok(id)
    }

    /// The record named, or the one whose callback comes first.
    fn callback(&mut self, only: Option<i64>) -> Result<&mut Record, Refusal> {
        self.records
            .iter_mut()
            .filter(|r| r.code == RecordCode::AgentCallback && only.is_none_or(|only| r.id == only))
            .min_by_key(|r| (r.scheduled_at, r.id))
            .ok_or(Refusal::NoCallback)
    }

    fn change(
        &mut self,
        only: Option<i64>,
        rules: &Rules,
        reopens: bool,
        mut event: impl FnMut(&mut Record) -> Option<()>,
    ) -> Result<usize, Refusal> {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        let changed = self
            .records
            .iter_mut()
            .filter(|record| only.is_none_or(|only| record.id == only))
            .filter_map(&mut event)
            .count();
        if changed == 0 {
            return Err(Refusal::Nothing);
        }
        if reopens {
            self.derive_reopened(rules);
        } else {
            self.derive(rules);
        }
        Ok(changed)
    }

    /// Counts and latest attempt of the contact from its records (contact-lists §13 P5, P18).
    fn recount(&mut self) {
        self.type_attempts = [0; 3];
        for record in &self.records {
            if let Some(kind) = record.kind {
                self.type_attempts[kind as usize] += record.attempts;
            }
        }
        self.attempts = self.type_attempts.iter().sum();
        let latest = self
            .records
            .iter()
            .filter(|record| record.attempts > 0)
            .max_by_key(|record| (record.last_attempt_at, record.id));
        let same = latest.map(|record| record.id) == self.last_record;
        self.last_record = latest.map(|record| record.id);
        self.last_attempt_at = latest.and_then(|record| record.last_attempt_at);
        if !same {
            self.wait_until = None;
        }
    }
}

/// Code of a record that nothing shuts out but the limits of the campaign of its latest attempt.
fn untried_code(record: &Record, rules: &Rules) -> RecordCode {
    let limits = record.last_campaign.and_then(|id| rules.limits.get(&id));
    if limits.is_some_and(|limits| limits.record_exhausted(record)) {
        RecordCode::Exhausted
    } else {
        RecordCode::Callable
    }
}
