//! What a result does to its record (contact-lists §6.1, §7.2): counting, retrying, closing.

use super::codes::record_limit_met;
use super::settings::{Category, Policy, Scope, Time};
use super::{Attempt, Record, Stage, World};

impl World {
    /// A copy of an attempt.
    pub(super) fn attempt(&self, attempt: usize) -> Option<Attempt> {
        self.attempts.get(attempt).cloned()
    }

    /// Moves an attempt to another stage.
    pub(super) fn stage(&mut self, attempt: usize, stage: Stage) {
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.stage = stage;
        }
    }

    /// Changes the record of an attempt and derives the codes of its contact.
    pub(super) fn on_record(&mut self, attempt: usize, change: impl FnOnce(&mut Record)) {
        let Some(Attempt {
            list,
            contact,
            record,
            ..
        }) = self.attempt(attempt)
        else {
            return;
        };
        if let Some(record) = self
            .contact_mut(&list, &contact)
            .and_then(|known| known.record_mut(record))
        {
            change(record);
        }
        self.derive(&list, &contact, false);
    }

    /// "count" of §7.2. A result that is reported means that the attempt was started.
    pub(super) fn count(&mut self, attempt: usize, category: Category, dialog: Option<String>) {
        let Some(of) = self.attempts.get_mut(attempt) else {
            return;
        };
        let started = *of.started_at.get_or_insert(of.claimed_at);
        of.result = Some(category);
        of.counted = true;
        let of = of.clone();
        let control = self.control_of(&of.campaign);
        let Some(contact) = self.contact_mut(&of.list, &of.contact) else {
            return;
        };
        contact.last_record = Some(of.record);
        contact.last_start = Some(started);
        contact.wait_until = match control.minimum_scope {
            Scope::Contact if control.minimum() > 0 => Some(started + control.minimum()),
            Scope::Contact | Scope::Record => None,
        };
        let Some(record) = contact.record_mut(of.record) else {
            return;
        };
        record.attempts += 1;
        if let Some(counter) = category.counter() {
            record.by_category[counter] += 1;
        }
        record.last_at = Some(started);
        record.last_campaign = Some(of.campaign.clone());
        record.last_dialog = dialog;
        record.last_result = Some(category);
        if let Some(kind) = record.kind {
            contact.type_attempts[kind.index()] += 1;
        }
    }

    /// R23-R25, R32, R33: another attempt after one that was counted, or A. Every limit of the
    /// record counts, not only that of this result's category: what is met would keep it from
    /// being claimed (G5).
    pub(super) fn retry(&mut self, attempt: usize, category: Category, at: Time) {
        let Some(of) = self.attempt(attempt) else {
            return;
        };
        let control = self.control_of(&of.campaign);
        let delay = control.delay(category);
        self.stage(attempt, Stage::Ended);
        self.on_record(attempt, |record| {
            if record_limit_met(&control, record) {
                record.enter('A');
            } else if delay > 0 {
                record.schedule('O', at + delay);
            } else {
                record.enter('C');
            }
        });
    }

    /// R30 and its like: done, with the result that the record has.
    pub(super) fn close(&mut self, attempt: usize) {
        self.stage(attempt, Stage::Ended);
        self.on_record(attempt, |record| record.enter('U'));
    }

    /// R20: back to what it was, not counted.
    pub(super) fn give_back(&mut self, attempt: usize, stage: Stage) {
        let Some(of) = self.attempt(attempt) else {
            return;
        };
        self.stage(attempt, stage);
        self.on_record(attempt, |record| {
            record.code = of.before.0;
            record.scheduled_at = of.before.1;
        });
    }

    /// R13, R28: the conversation does not exist.
    pub(super) fn purge(&mut self, attempt: usize) {
        if let Some(of) = self.attempts.get_mut(attempt) {
            of.result = Some(Category::NotFound);
        }
        self.stage(attempt, Stage::Ended);
        self.on_record(attempt, |record| {
            record.enter('P');
            record.last_result = Some(Category::NotFound);
        });
    }

    /// R29: the outcome is lost.
    pub(super) fn lose(&mut self, attempt: usize, dialog: Option<String>, at: Time) {
        let Some(of) = self.attempt(attempt) else {
            return;
        };
        let Some(campaign) = self.campaigns.get(&of.campaign) else {
            return;
        };
        let by_default = match campaign.kind {
            super::settings::Kind::Call => Policy::Retry,
            _ => Policy::Close,
        };
        let policy = campaign.settings.unknown_outcome.unwrap_or(by_default);
        self.count(attempt, Category::Unknown, dialog);
        match policy {
            Policy::Retry => self.retry(attempt, Category::Unknown, at),
            Policy::Close => self.close(attempt),
        }
    }
}
