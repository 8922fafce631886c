//! The periodic duties (contact-lists §8.3, §8.5): ended leases, the waiting limit, completion.

use super::settings::{Category, Policy, Time};
use super::{Stage, World};

impl World {
    pub(super) fn maintain(&mut self, at: Time) {
        for attempt in 0..self.attempts.len() {
            self.end_lease(attempt, at);
        }
        for attempt in 0..self.attempts.len() {
            self.end_waiting(attempt, at);
        }
        for campaign in self.complete() {
            self.switch_off(&campaign);
        }
    }

    fn end_lease(&mut self, attempt: usize, at: Time) {
        let Some(of) = self.attempt(attempt) else {
            return;
        };
        if of.lease_until > at {
            return;
        }
        match of.stage {
            Stage::Claimed => self.give_back(attempt, Stage::Expired),
            Stage::Started => {
                self.lose(attempt, None, at);
                self.stage(attempt, Stage::Lost);
            }
            _ => {}
        }
    }

    /// R35.
    fn end_waiting(&mut self, attempt: usize, at: Time) {
        let Some(of) = self.attempt(attempt) else {
            return;
        };
        let Some(campaign) = self.campaigns.get(&of.campaign) else {
            return;
        };
        let over = of
            .queued_at
            .is_some_and(|since| since + 3600 * campaign.settings.waiting_hours <= at);
        if of.stage != Stage::Queued || !over {
            return;
        }
        match campaign.settings.on_waiting_over {
            Policy::Close => self.close(attempt),
            Policy::Retry => self.retry(attempt, Category::Success, at),
        }
    }
}
