//! Rates of inboxes, over all campaigns (contact-lists §7.1 G9), while one call claims.

use std::collections::HashMap;

use outbound_core::machine::Micros;

use super::capacity;

/// Rates of the inboxes that claims of one call use.
pub struct InboxRates {
    free: HashMap<i64, i64>,
    taken: HashMap<i64, usize>,
}

impl InboxRates {
    /// Takes the turns of all inboxes that have a rate, and looks what each has left.
    pub fn take_turns(at: Micros) -> Self {
        let rates = capacity::take_inbox_turns().into_iter();
        Self {
            free: rates
                .map(|(inbox, limit)| (inbox, capacity::of_rate(inbox, limit, at).free))
                .collect(),
            taken: HashMap::new(),
        }
    }

    /// Takes a place of an inbox, if it has one left.
    pub fn take(&mut self, inbox: Option<i64>) -> bool {
        let Some((inbox, free)) =
            inbox.and_then(|id| self.free.get_mut(&id).map(|free| (id, free)))
        else {
            return true;
        };
        if *free <= 0 {
            return false;
        }
        *free -= 1;
        *self.taken.entry(inbox).or_default() += 1;
        true
    }

    /// Notes what was taken.
    pub fn note(&self, at: Micros) {
        for (inbox, claims) in &self.taken {
            capacity::note("inbox_id", *inbox, *claims, at);
        }
    }
}
