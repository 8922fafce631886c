//! Campaigns: states, completion and counters (contact-lists §10, §12).

use super::codes::record_limit_met;
use super::settings::{CampaignSettings, Kind};
use super::{Campaign, Contact, Stage, World};

/// The codes in the order of the counters: callable, planning, open, attempted, flagged, closed.
pub const COUNTED_CODES: [char; 6] = ['C', 'I', 'Q', 'A', 'F', 'U'];

/// Total and the six counters of the codes of contacts.
#[must_use]
pub fn count(codes: impl Iterator<Item = char>) -> [i64; 7] {
    let mut counters = [0; 7];
    for code in codes {
        counters[0] += 1;
        if let Some(place) = COUNTED_CODES.iter().position(|counted| *counted == code) {
            counters[place + 1] += 1;
        }
    }
    counters
}

/// Code of a contact as a campaign of a type sees it (§12).
#[must_use]
pub fn effective(code: char, type_code: char) -> char {
    match (code, type_code) {
        ('U', _) => 'U',
        (_, 'I' | 'Q' | 'U' | 'A' | 'F') => type_code,
        ('A', _) => 'A',
        _ => 'C',
    }
}

impl World {
    pub(super) fn make_campaign(
        &mut self,
        name: &str,
        lists: &[String],
        kind: Kind,
        settings: &CampaignSettings,
    ) {
        let made = Campaign {
            lists: lists.to_vec(),
            kind,
            settings: settings.clone(),
            state: "off",
            off_reason: Some("new"),
        };
        self.campaigns.insert(name.to_owned(), made);
    }

    fn enter(&mut self, name: &str, state: &'static str, reason: Option<&'static str>) {
        if let Some(campaign) = self.campaigns.get_mut(name) {
            campaign.state = state;
            campaign.off_reason = reason;
        }
    }

    pub(super) fn start_campaign(&mut self, name: &str) {
        self.enter(name, "active", None);
    }

    /// §8.3: what was claimed and not started goes back; the rest finishes.
    pub(super) fn stop_campaign(&mut self, name: &str) {
        self.return_claims(name);
        self.enter(name, "off", Some("manual"));
    }

    pub(super) fn delete_campaign(&mut self, name: &str) {
        self.return_claims(name);
        self.enter(name, "deleted", None);
    }

    pub(super) fn restore_campaign(&mut self, name: &str) {
        self.enter(name, "off", Some("manual"));
    }

    fn return_claims(&mut self, name: &str) {
        for attempt in 0..self.attempts.len() {
            let claimed = |of: &super::Attempt| of.campaign == name && of.stage == Stage::Claimed;
            if self.attempts.get(attempt).is_some_and(claimed) {
                self.give_back(attempt, Stage::Released);
            }
        }
    }

    /// The contacts that a campaign is about (§12).
    pub fn sample<'a>(&'a self, campaign: &'a Campaign) -> impl Iterator<Item = &'a Contact> {
        campaign
            .lists
            .iter()
            .filter_map(|list| self.lists.get(list))
            .flat_map(|list| list.contacts.values())
            .filter(|contact| {
                campaign.settings.accepts(contact.balance)
                    && contact
                        .records
                        .iter()
                        .any(|record| record.kind == Some(campaign.kind))
            })
    }

    /// Whether an active campaign has nothing left to do (§10.3).
    #[must_use]
    pub fn is_complete(&self, name: &str) -> bool {
        let Some(campaign) = self.campaigns.get(name) else {
            return false;
        };
        if campaign.state != "active" || campaign.settings.always_active {
            return false;
        }
        let control = self.control_of(name);
        let kind = campaign.kind;
        self.sample(campaign).all(|contact| {
            let code = contact.type_codes[kind.index()];
            if matches!(effective(contact.code, code), 'I' | 'Q') {
                return false;
            }
            // Under way by another type: this one may follow.
            if matches!(contact.code, 'I' | 'Q') && code == 'C' {
                return false;
            }
            if contact.code != 'C' || code != 'C' {
                return true;
            }
            let limits = Self::contact_limits_met(&control, contact, kind);
            !contact.records.iter().any(|record| {
                record.kind == Some(kind)
                    && !self.is_suppressed(campaign, &record.unit)
                    && match record.code {
                        'S' => true,
                        'C' | 'O' => !limits && !record_limit_met(&control, record),
                        _ => false,
                    }
            })
        })
    }

    /// Whether every unit has a campaign that nothing but time and limits keeps from it, as P27 asks.
    #[must_use]
    pub fn is_fair(&self) -> bool {
        self.lists.iter().all(|(name, list)| {
            list.columns.iter().all(|column| {
                self.campaigns.iter().any(|(id, campaign)| {
                    column.kind == Some(campaign.kind)
                        && campaign.lists.contains(name)
                        && campaign.settings.always_active
                        && campaign.settings.filter.is_empty()
                        && campaign.settings.calendar.is_none()
                        && self.control_of(id).max_per_conversation.is_some()
                })
            })
        })
    }

    /// The campaigns that have nothing left to do.
    #[must_use]
    pub fn complete(&self) -> Vec<String> {
        self.campaigns
            .keys()
            .filter(|name| self.is_complete(name))
            .cloned()
            .collect()
    }

    /// Automatic completion.
    pub(super) fn switch_off(&mut self, name: &str) {
        self.enter(name, "off", Some("auto"));
    }

    /// Notes that a campaign was seen to switch itself off, after checking that it may.
    pub(super) fn follow_completion(
        &mut self,
        name: &str,
        was_complete: bool,
    ) -> Result<(), String> {
        let off = self
            .campaigns
            .get(name)
            .is_some_and(|campaign| campaign.off_reason == Some("auto"));
        if off {
            return Ok(());
        }
        if !was_complete && !self.is_complete(name) {
            return Err(format!(
                "campaign {name} switched itself off with work left"
            ));
        }
        self.switch_off(name);
        Ok(())
    }

    /// Counters of a campaign (§12).
    #[must_use]
    pub fn campaign_counters(&self, campaign: &Campaign) -> [i64; 7] {
        let code =
            |contact: &Contact| effective(contact.code, contact.type_codes[campaign.kind.index()]);
        count(self.sample(campaign).map(code))
    }
}
