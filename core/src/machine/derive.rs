//! The codes of a contact and the moments at which it is due, from its records (contact-lists §5.4).

use super::{Contact, Due, Limits, Rules, met};
use crate::status::{
    ContactCode, ContactFacts, RecordCode, TypeFacts, contact_status, is_closed, type_status,
};

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
        let mut has_units = [false; 3];
        let mut earliest_retry = [None; 3];
        self.callbacks = [None; 3];
        for record in &self.records {
            let Some(kind) = record.kind.map(|kind| kind as usize) else {
                continue;
            };
            has_units[kind] = true;
            let fact = &mut facts[kind];
            match record.code {
                RecordCode::InProgress => fact.in_progress = true,
                RecordCode::Queued => fact.queued = true,
                RecordCode::AgentCallback => {
                    fact.agent_callback = true;
                    self.callbacks[kind] = earlier(self.callbacks[kind], record.scheduled_at);
                }
                RecordCode::Callable => {
                    fact.callable = true;
                    earliest_retry[kind] = Some(Due::Now);
                }
                RecordCode::AutoScheduled => {
                    fact.callable = true;
                    let due = record.scheduled_at.map_or(Due::Now, Due::At);
                    earliest_retry[kind] =
                        Some(earliest_retry[kind].map_or(due, |d: Due| d.min(due)));
                }
                RecordCode::Uncallable => {
                    fact.succeeded |= record
                        .last_result
                        .is_some_and(|id| rules.successes.contains(&id));
                }
                RecordCode::Exhausted | RecordCode::Purged => {}
            }
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
            self.type_codes[kind] = type_status(&facts[kind]);
        }
        let with_units: Vec<ContactCode> = (0..3)
            .filter(|kind| has_units[*kind])
            .map(|kind| self.type_codes[kind])
            .collect();
        self.code = contact_status(&ContactFacts {
            in_progress: facts.iter().any(|f| f.in_progress),
            queued: facts.iter().any(|f| f.queued),
            closed: stays_closed || is_closed(rules.close_if_all, &with_units),
            agent_callback: (0..3).any(|kind| {
                facts[kind].agent_callback && self.type_codes[kind] == ContactCode::Callable
            }),
            limit_met: self
                .limits_of_contact(rules)
                .is_some_and(|limits| met(limits.per_contact, self.attempts)),
            callable: self.type_codes.contains(&ContactCode::Callable),
        });
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

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
