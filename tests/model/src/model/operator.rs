//! What operators do (contact-lists §7.2 R42, R50-R52, §8.4).

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

    /// R42.
    pub(super) fn exclude(&mut self, list: &str, contact: &str, unit: Option<&str>) {
        let Some(known) = self.contact_mut(list, contact) else {
            return;
        };
        for record in &mut known.records {
            if matches!(record.code, 'C' | 'O' | 'S') && unit.is_none_or(|unit| unit == record.unit)
            {
                record.shut(Category::Manual);
            }
        }
        self.derive(list, contact, false);
    }

    /// R50: not for contacts that are in progress or queued. Counters that are kept keep their
    /// limits: a record whose limit is still met stays exhausted (§8.4).
    pub(super) fn reset(
        &mut self,
        list: &str,
        contact: Option<&str>,
        unit: Option<&str>,
        zero: bool,
    ) {
        for id in self.ids(list, contact) {
            let Some(mut known) = self.contact(list, &id).cloned() else {
                continue;
            };
            if matches!(known.code, 'I' | 'Q') {
                continue;
            }
            for record in &mut known.records {
                if unit.is_some_and(|unit| unit != record.unit) || record.kind.is_none() {
                    continue;
                }
                if zero {
                    record.attempts = 0;
                    record.by_category = [0; 4];
                    record.last_at = None;
                    record.last_campaign = None;
                    record.last_dialog = None;
                    record.last_result = None;
                }
                let limited = self.limited(record);
                record.enter(if limited { 'A' } else { 'C' });
            }
            Self::count_again(&mut known);
            if zero {
                for attempt in &known.attempts {
                    let zeroed = |record: u64| {
                        known
                            .record(record)
                            .is_none_or(|record| record.attempts == 0)
                    };
                    if let Some(attempt) = self.attempts.get_mut(*attempt)
                        && zeroed(attempt.record)
                    {
                        attempt.counted = false;
                    }
                }
            }
            if let Some(place) = self.contact_mut(list, &id) {
                *place = known;
            }
            self.derive(list, &id, true);
        }
    }

    /// A contact's counts and latest record from its records.
    fn count_again(contact: &mut Contact) {
        contact.type_attempts = [0; 3];
        for record in &contact.records {
            if let Some(kind) = record.kind {
                contact.type_attempts[kind.index()] += record.attempts;
            }
        }
        let tried = contact.records.iter().filter(|record| record.attempts > 0);
        contact.last_record = tried
            .max_by_key(|record| record.last_at)
            .map(|record| record.id);
    }

    /// R51, R52: limits as they are now, those of the campaign of each record's latest attempt.
    pub(super) fn reevaluate(&mut self, list: &str, contact: Option<&str>) {
        for id in self.ids(list, contact) {
            let Some(mut known) = self.contact(list, &id).cloned() else {
                continue;
            };
            for record in &mut known.records {
                let limited = self.limited(record);
                match record.code {
                    'A' if !limited => record.enter('C'),
                    'C' | 'O' if limited => record.enter('A'),
                    _ => {}
                }
            }
            if let Some(place) = self.contact_mut(list, &id) {
                *place = known;
            }
            self.derive(list, &id, false);
        }
        if contact.is_none()
            && let Some(list) = self.lists.get_mut(list)
        {
            list.limits_changed = false;
        }
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
