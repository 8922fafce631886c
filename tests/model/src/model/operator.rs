//! What operators do (contact-lists §7.2 R42, R50-R52, §8.4).

use super::apply::Answer;
use super::codes::record_limit_met;
use super::settings::{Category, Control};
use super::{Contact, Record, World};

impl World {
    /// Changed limits change no code by themselves (§16 Q14).
    pub(super) fn alter_control(&mut self, name: &str, control: &Control) {
        self.controls.insert(name.to_owned(), control.clone());
        let users = self
            .campaigns
            .values()
            .filter(|campaign| campaign.settings.attempt_control.as_deref() == Some(name));
        let lists: Vec<String> = users.flat_map(|campaign| campaign.lists.clone()).collect();
        for list in lists {
            if let Some(list) = self.lists.get_mut(&list) {
                list.limits_changed = true;
            }
        }
    }

    fn ids(&self, list: &str, contact: Option<&str>) -> Vec<String> {
        match (contact, self.lists.get(list)) {
            (Some(contact), _) => vec![contact.to_owned()],
            (None, Some(list)) => list.contacts.keys().cloned().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Whether somebody else relies on a contact's state: then operators are refused.
    fn is_busy(&self, list: &str, contact: &str) -> bool {
        self.contact(list, contact)
            .is_some_and(|known| matches!(known.code, 'I' | 'Q'))
    }

    /// R42.
    pub(super) fn exclude(&mut self, list: &str, contact: &str, unit: Option<&str>) -> Answer {
        if self.is_busy(list, contact) {
            return Answer::Refused;
        }
        let mut changed = false;
        if let Some(known) = self.contact_mut(list, contact) {
            for record in &mut known.records {
                if matches!(record.code, 'C' | 'O' | 'S')
                    && unit.is_none_or(|unit| unit == record.unit)
                {
                    record.shut(Category::Manual);
                    changed = true;
                }
            }
        }
        if changed {
            self.derive(list, contact, false);
        }
        Answer::Nothing
    }

    /// R50: not for contacts that are in progress or queued; a unit that never was valid, or whose
    /// conversation is unknown, stays shut out.
    pub(super) fn reset(
        &mut self,
        list: &str,
        contact: Option<&str>,
        unit: Option<&str>,
        zero: bool,
    ) -> Answer {
        if contact.is_some_and(|contact| self.is_busy(list, contact)) {
            return Answer::Refused;
        }
        for id in self.ids(list, contact) {
            let Some(mut known) = self
                .contact(list, &id)
                .cloned()
                .filter(|known| !matches!(known.code, 'I' | 'Q'))
            else {
                continue;
            };
            let mut changed = false;
            for record in &mut known.records {
                // What never was valid, and what is no longer the contact's, must not be called.
                let gone = record.code == 'U'
                    && match record.last_result {
                        Some(Category::Invalid) => record.attempts == 0,
                        result => result == Some(Category::Removed),
                    };
                let code = if zero {
                    'C'
                } else {
                    self.callable_code(record)
                };
                let stays = record.code == code && !(zero && record.attempts > 0);
                if unit.is_some_and(|unit| unit != record.unit)
                    || record.kind.is_none()
                    || gone
                    || stays
                {
                    continue;
                }
                changed = true;
                if zero {
                    record.attempts = 0;
                    record.by_category = [0; 4];
                    record.last_at = None;
                    record.last_campaign = None;
                    record.last_dialog = None;
                    record.last_result = None;
                }
                record.enter(code);
            }
            if !changed {
                continue;
            }
            if zero {
                self.count_again(&mut known);
            }
            if let Some(place) = self.contact_mut(list, &id) {
                *place = known;
            }
            self.derive(list, &id, true);
        }
        Answer::Nothing
    }

    /// C, or A when a limit of the record is met: nobody may be callable who cannot be claimed (P32).
    pub(super) fn callable_code(&self, record: &Record) -> char {
        if self.limited(record) { 'A' } else { 'C' }
    }

    /// A contact's counts and latest record from its records, after some were set to zero.
    fn count_again(&mut self, contact: &mut Contact) {
        contact.count_by_type();
        let tried = contact.records.iter().filter(|record| record.attempts > 0);
        let latest = tried.max_by_key(|record| record.last_at);
        contact.last_start = latest.and_then(|record| record.last_at);
        let latest = latest.map(|record| record.id);
        if contact.last_record != latest {
            contact.last_record = latest;
            contact.wait_until = None;
        }
        for attempt in &contact.attempts {
            if let Some(attempt) = self.attempts.get_mut(*attempt)
                && contact
                    .record(attempt.record)
                    .is_none_or(|record| record.attempts == 0)
            {
                attempt.counted = false;
            }
        }
    }

    /// R51, R52: limits as they are now, those of the campaign of each record's latest attempt.
    pub(super) fn reevaluate(&mut self, list: &str, contact: Option<&str>) -> Answer {
        if contact.is_some_and(|contact| self.is_busy(list, contact)) {
            return Answer::Refused;
        }
        let mut all = contact.is_none();
        for id in self.ids(list, contact) {
            if self.is_busy(list, &id) {
                all = false;
                continue;
            }
            let Some(mut known) = self.contact(list, &id).cloned() else {
                continue;
            };
            for record in &mut known.records {
                let limited = self.limited(record);
                match record.code {
                    'A' if !limited => record.enter('C'),
                    'C' | 'O' if limited && record.last_campaign.is_some() => record.enter('A'),
                    _ => {}
                }
            }
            if let Some(place) = self.contact_mut(list, &id) {
                *place = known;
            }
            self.derive(list, &id, false);
        }
        if all && let Some(list) = self.lists.get_mut(list) {
            list.limits_changed = false;
        }
        Answer::Nothing
    }

    /// Whether a limit of the campaign of its latest attempt is met by a record.
    #[must_use]
    pub fn limited(&self, record: &Record) -> bool {
        record
            .last_campaign
            .as_ref()
            .is_some_and(|campaign| record_limit_met(&self.control_of(campaign), record))
    }
}
