//! The dialer's calls about attempts that it has (contact-lists §7.2, §8.2, §9).

use super::apply::{Answer, Row};
use super::settings::{Category, Kind, Time, UnitType, WRAP_UP_CODES};
use super::{Attempt, Contact, Stage, World};

impl World {
    fn row(&self, attempt: usize, outcomes: &[&'static str]) -> Row {
        const IDLE: [&str; 5] = [
            "foreign",
            "already_settled",
            "corrected",
            "expired",
            "refused",
        ];
        let record = self
            .attempt(attempt)
            .map(|of| (of.list, of.contact, of.record));
        let changed = !outcomes.iter().all(|outcome| IDLE.contains(outcome));
        Row {
            outcomes: outcomes.to_vec(),
            record,
            changed,
        }
    }

    /// What a call about an attempt that is over is answered.
    fn over(&self, attempt: usize, of: &Attempt) -> Row {
        match of.stage {
            Stage::Expired => self.row(attempt, &["expired", "already_settled"]),
            _ => self.row(attempt, &["already_settled"]),
        }
    }

    /// Whether somebody else asks. When the attempt is over anyway, saying that is as good.
    fn is_foreign(of: &Attempt, dialer: Option<&str>) -> bool {
        let open = of.in_progress() || of.stage == Stage::Queued;
        open && dialer.is_some_and(|dialer| dialer != of.dialer)
    }

    /// Step 2 of §8.2: the last checks, and the interaction begins.
    pub(super) fn start(&mut self, attempt: usize, dialer: Option<&str>, at: Time) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        if Self::is_foreign(&of, dialer) {
            return self.row(attempt, &["foreign"]);
        }
        match of.stage {
            Stage::Started => return self.row(attempt, &["started"]),
            Stage::Claimed if of.lease_until <= at => return self.expired(attempt, &of),
            Stage::Claimed => {}
            _ => return self.over(attempt, &of),
        }
        match self.last_check(&of) {
            LastCheck::Missing => {
                self.purge(attempt);
                return self.row(attempt, &["purged"]);
            }
            LastCheck::Busy => {
                if let Some(of) = self.attempts.get_mut(attempt) {
                    of.started_at = Some(at);
                }
                self.count(attempt, Category::Busy, None);
                self.retry(attempt, Category::Busy, at);
                return self.row(attempt, &["busy"]);
            }
            LastCheck::Free => {}
        }
        let lease = self
            .campaigns
            .get(&of.campaign)
            .map_or(0, |campaign| campaign.settings.lease_started_seconds);
        if let Some(of) = self.attempts.get_mut(attempt) {
            of.started_at = Some(at);
            of.lease_until = at + lease;
            of.stage = Stage::Started;
        }
        self.row(attempt, &["started"])
    }

    fn last_check(&self, of: &Attempt) -> LastCheck {
        let Some(record) = self
            .contact(&of.list, &of.contact)
            .and_then(|contact| contact.record(of.record))
        else {
            return LastCheck::Free;
        };
        if record.unit_type != UnitType::ConversationId {
            return LastCheck::Free;
        }
        let pending = self
            .campaigns
            .get(&of.campaign)
            .is_some_and(|campaign| campaign.settings.pending_is_busy);
        match self.conversations.get(&record.unit) {
            None => LastCheck::Missing,
            Some(_) if record.kind == Some(Kind::Call) => LastCheck::Free,
            Some(conversation) if conversation.status == "open" => LastCheck::Busy,
            Some(conversation) if conversation.status == "pending" && pending => LastCheck::Busy,
            Some(_) => LastCheck::Free,
        }
    }

    /// Step 3 of §8.2: the result. The log keeps the dialog that was named with it.
    pub(super) fn settle(
        &mut self,
        attempt: usize,
        result: Category,
        ended: bool,
        dialog: Option<String>,
        dialer: Option<&str>,
        at: Time,
    ) -> Row {
        let row = self.settle_with(attempt, result, ended, dialog.clone(), dialer, at);
        if row.changed
            && let Some(of) = self.attempts.get_mut(attempt)
        {
            of.dialog = dialog;
        }
        row
    }

    fn settle_with(
        &mut self,
        attempt: usize,
        result: Category,
        ended: bool,
        dialog: Option<String>,
        dialer: Option<&str>,
        at: Time,
    ) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        if Self::is_foreign(&of, dialer) {
            return self.row(attempt, &["foreign"]);
        }
        match of.stage {
            Stage::Claimed | Stage::Started => {}
            // What was given up is corrected in the log, once.
            Stage::Lost | Stage::Expired | Stage::Released => {
                return self.row(attempt, &["corrected", "already_settled"]);
            }
            Stage::Ended if of.result == Some(Category::Unknown) => {
                return self.row(attempt, &["corrected", "already_settled"]);
            }
            _ => return self.over(attempt, &of),
        }
        let unit_type = self
            .contact(&of.list, &of.contact)
            .and_then(|contact| contact.record(of.record))
            .map(|record| record.unit_type);
        match result {
            Category::NotPerformed => return self.release(attempt, dialer),
            Category::NotFound if unit_type == Some(UnitType::ConversationId) => {
                self.purge(attempt)
            }
            Category::NotFound | Category::Dnc | Category::Manual | Category::Removed => {
                return self.row(attempt, &["refused"]);
            }
            Category::Unknown => self.lose(attempt, dialog, at),
            Category::Success => {
                self.count(attempt, result, dialog);
                if ended {
                    self.close(attempt);
                } else {
                    self.queue(attempt, at);
                }
            }
            Category::WrongParty | Category::Invalid => {
                self.count(attempt, result, dialog);
                self.close(attempt);
            }
            Category::Busy
            | Category::Noanswer
            | Category::Machine
            | Category::Abandoned
            | Category::Failed => {
                self.count(attempt, result, dialog);
                self.retry(attempt, result, at);
            }
        }
        self.row(attempt, &["settled"])
    }

    fn queue(&mut self, attempt: usize, at: Time) {
        if let Some(of) = self.attempts.get_mut(attempt) {
            of.stage = Stage::Queued;
            of.queued_at = Some(at);
        }
        self.on_record(attempt, |record| record.enter('Q'));
    }

    /// A lease that is over and was not swept yet: what had not started is given back (R20).
    fn expired(&mut self, attempt: usize, of: &Attempt) -> Row {
        let changed = of.stage == Stage::Claimed;
        if changed {
            self.give_back(attempt, Stage::Expired);
        }
        let row = self.row(attempt, &["expired"]);
        Row { changed, ..row }
    }

    /// R20 by the dialer: nothing was sent.
    pub(super) fn release(&mut self, attempt: usize, dialer: Option<&str>) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        if Self::is_foreign(&of, dialer) {
            return self.row(attempt, &["foreign"]);
        }
        match of.stage {
            Stage::Claimed => {
                self.give_back(attempt, Stage::Released);
                self.row(attempt, &["released"])
            }
            Stage::Started => self.row(attempt, &["refused"]),
            _ => self.over(attempt, &of),
        }
    }

    /// More time for an attempt that is under way.
    pub(super) fn extend(
        &mut self,
        attempt: usize,
        until: Time,
        dialer: Option<&str>,
        at: Time,
    ) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        if Self::is_foreign(&of, dialer) {
            return self.row(attempt, &["foreign"]);
        }
        if !of.in_progress() {
            return self.over(attempt, &of);
        }
        if of.lease_until <= at {
            return self.expired(attempt, &of);
        }
        if let Some(of) = self.attempts.get_mut(attempt) {
            of.lease_until = until;
        }
        self.row(attempt, &["extended"])
    }

    /// R30-R33: the campaign manager is done; the wrap-up code says what follows (§6.3).
    pub(super) fn finish(&mut self, attempt: usize, code: Option<&str>, at: Time) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        match of.stage {
            Stage::Queued => {}
            Stage::Claimed | Stage::Started => return self.row(attempt, &["refused"]),
            _ => return self.over(attempt, &of),
        }
        let known = WRAP_UP_CODES
            .iter()
            .find(|(known, ..)| Some(*known) == code);
        match known.map_or((true, true), |(_, contact, number)| (*contact, *number)) {
            (true, _) => self.close(attempt),
            (false, true) => {
                self.on_record(attempt, |record| {
                    record.last_result = Some(Category::WrongParty)
                });
                self.close(attempt);
            }
            (false, false) => self.retry(attempt, Category::Success, at),
        }
        self.row(attempt, &["finished"])
    }

    /// R34, R36: an agent plans another interaction.
    pub(super) fn schedule_callback(&mut self, attempt: usize, when: Time, _at: Time) -> Row {
        let Some(of) = self.attempt(attempt) else {
            return Row::not_found();
        };
        match of.stage {
            Stage::Queued => {}
            Stage::Started | Stage::Claimed => self.count(attempt, Category::Success, None),
            _ => return self.over(attempt, &of),
        }
        self.stage(attempt, Stage::Ended);
        self.on_record(attempt, |record| record.schedule('S', when));
        self.row(attempt, &["callback_scheduled"])
    }

    /// R40, R41: a callback is moved, or cancelled when there is no moment. Without unit it is the
    /// contact's earliest one.
    pub(super) fn move_callback(
        &mut self,
        list: &str,
        contact: &str,
        unit: Option<&str>,
        when: Option<Time>,
    ) -> Answer {
        let callbacks = |known: &Contact| {
            let planned = known
                .records
                .iter()
                .filter(|record| record.code == 'S' && unit.is_none_or(|unit| unit == record.unit));
            planned
                .min_by_key(|record| (record.scheduled_at, record.id))
                .map(|record| (record.id, self.callable_code(record)))
        };
        let Some((id, code)) = self.contact(list, contact).and_then(callbacks) else {
            return Answer::Refused;
        };
        if let Some(record) = self
            .contact_mut(list, contact)
            .and_then(|known| known.record_mut(id))
        {
            match when {
                Some(when) => record.schedule('S', when),
                None => record.enter(code),
            }
        }
        self.derive(list, contact, false);
        Answer::Nothing
    }
}

/// What the last checks before an interaction find.
enum LastCheck {
    /// Nothing.
    Free,
    /// The conversation is in somebody's hands.
    Busy,
    /// The conversation does not exist.
    Missing,
}
