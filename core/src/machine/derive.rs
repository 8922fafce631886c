//! The codes of a contact and the moments at which it is due, from its records (contact-lists §5.4).

use super::{Contact, Due, Limits, Rules, met};
use crate::status::{ContactCode, RecordCode, TypeFacts, derive};

impl Contact {
    /// Computes codes and due moments from the records. A contact that is U stays U: only
    /// [`Contact::derive_reopened`] lets it go (contact-lists §7.5 K13).
    pub fn derive(&mut self, rules: &Rules) {
        let closed = self.code == ContactCode::Uncallable && !self.is_busy();
        self.derive_from(rules, closed);
    }

    /// The same after an explicit reset, from the records alone.
    pub fn derive_reopened(&mut self, rules: &Rules) {
        self.derive_from(rules, false);
    }

    fn derive_from(&mut self, rules: &Rules, stays_closed: bool) {
        let mut facts = [TypeFacts::default(); 3];
        let mut earliest_retry = [None; 3];
        self.callbacks = [None; 3];
        for record in &self.records {
            let Some(kind) = record.kind.map(|kind| kind as usize) else {
                continue;
            };
            let success = |id: i64| rules.successes.contains(&id);
            facts[kind].add(record.code, record.last_result.is_some_and(success));
            let retry = match record.code {
                RecordCode::Callable => Some(Due::Now),
                RecordCode::AutoScheduled => Some(record.scheduled_at.map_or(Due::Now, Due::At)),
                RecordCode::AgentCallback => {
                    self.callbacks[kind] = earlier(self.callbacks[kind], record.scheduled_at);
                    None
                }
                _ => None,
            };
            earliest_retry[kind] = earlier(earliest_retry[kind], retry);
        }
        let wait = self.wait_until.map_or(Due::Now, Due::At);
        for kind in 0..3 {
            facts[kind].limit_met = self
                .limits_of_type(rules, kind)
                .is_some_and(|limits| met(limits.per_type[kind], self.type_attempts[kind]));
            // Without a record to try, only a callback can make the type callable; where nothing can, the
            // moment means nothing and stays what a load leaves.
            let nothing = if facts[kind].agent_callback {
                Due::Never
            } else {
                Due::Now
            };
            self.due[kind] = earliest_retry[kind].map_or(nothing, |due| due.max(wait));
        }
        let limit_met = self
            .limits_of_contact(rules)
            .is_some_and(|limits| met(limits.per_contact, self.attempts));
        (self.code, self.type_codes) = derive(&facts, rules.close_if_all, stays_closed, limit_met);
    }

    /// Limits of the campaign of the latest attempt (contact-lists §5.4).
    fn limits_of_contact<'r>(&self, rules: &'r Rules) -> Option<&'r Limits> {
        let campaign = self.record(self.last_record?)?.last_campaign?;
        rules.limits.get(&campaign)
    }

    /// Limits of the campaign of the latest attempt of a type.
    fn limits_of_type<'r>(&self, rules: &'r Rules, kind: usize) -> Option<&'r Limits> {
        let latest = self
            .records
            .iter()
            .filter(|r| r.kind.is_some_and(|k| k as usize == kind) && r.last_attempt_at.is_some())
            .max_by_key(|r| (r.last_attempt_at, Some(r.id) == self.last_record, r.id))?;
        rules.limits.get(&latest.last_campaign?)
    }
}

fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
