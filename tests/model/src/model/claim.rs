//! Claims: the guards of contact-lists §7.1 and the order of §8.1.

use std::cmp::Ordering;

use crate::history::Event;

use super::apply::{Seen, Shut};
use super::codes::record_limit_met;
use super::settings::{Category, Control, Kind, Scope, Time, UnitType, met};
use super::{Attempt, Campaign, Contact, Record, Stage, World};

/// Place of a contact in a claim: callbacks, then who was tried before, then everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Callback(Time),
    Tried(Time),
    New(Option<i64>),
}

impl Place {
    fn compare(&self, other: &Self, order: Option<&str>) -> Ordering {
        match (self, other) {
            (Self::Callback(one), Self::Callback(two)) | (Self::Tried(one), Self::Tried(two)) => {
                one.cmp(two)
            }
            (Self::New(one), Self::New(two)) => match (order, one, two) {
                (None, ..) | (_, None, None) => Ordering::Equal,
                (_, None, Some(_)) => Ordering::Greater,
                (_, Some(_), None) => Ordering::Less,
                (Some("desc"), Some(one), Some(two)) => two.cmp(one),
                (Some(_), Some(one), Some(two)) => one.cmp(two),
            },
            _ => self.group().cmp(&other.group()),
        }
    }

    const fn group(&self) -> u8 {
        match self {
            Self::Callback(_) => 0,
            Self::Tried(_) => 1,
            Self::New(_) => 2,
        }
    }
}

/// A contact that a claim may take, and by which record.
#[derive(Debug, Clone)]
struct Candidate {
    list: String,
    contact: String,
    record: u64,
    place: Place,
}

/// Whether a claim looks at blocked units too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    LeftOut,
    LookedAt,
}

impl World {
    /// G1: active and inside its calendar.
    #[must_use]
    pub fn is_open(&self, campaign: &Campaign, at: Time) -> bool {
        let calendar = campaign
            .settings
            .calendar
            .as_ref()
            .and_then(|name| self.calendars.get(name));
        campaign.state == "active"
            && calendar.is_none_or(|calendar| calendar.is_open(self.moment(at)))
    }

    /// G8: whether a unit is on a do-not-contact list that applies.
    #[must_use]
    pub fn is_suppressed(&self, campaign: &Campaign, unit: &str) -> bool {
        self.suppression.iter().any(|(name, list)| {
            (list.applies_to_all || campaign.settings.do_not_contact.contains(name))
                && list.units.contains(unit)
        })
    }

    /// Whether a record's conversation is gone.
    #[must_use]
    pub fn is_missing(&self, record: &Record) -> bool {
        record.unit_type == UnitType::ConversationId
            && !self.conversations.contains_key(&record.unit)
    }

    /// G5 above the record: limits of the contact and of the type.
    #[must_use]
    pub fn contact_limits_met(control: &Control, contact: &Contact, kind: Kind) -> bool {
        met(control.max_per_contact, contact.count())
            || met(control.max_of(kind), contact.type_attempts[kind.index()])
    }

    /// G6 above the record: the minimum minutes as they were, and as this campaign has them.
    fn must_wait(control: &Control, contact: &Contact, at: Time) -> bool {
        let own = match control.minimum_scope {
            Scope::Contact => contact.last_start.map(|start| start + control.minimum()),
            Scope::Record => None,
        };
        contact.wait_until.max(own).is_some_and(|until| at < until)
    }

    /// G6 of the record, when the minimum minutes hold off only the same record.
    fn record_must_wait(control: &Control, record: &Record, at: Time) -> bool {
        control.minimum_scope == Scope::Record
            && record
                .last_at
                .is_some_and(|start| at < start + control.minimum())
    }

    /// The record by which a campaign may take a contact now, and the contact's place.
    fn choose(
        &self,
        campaign: &Campaign,
        control: &Control,
        contact: &Contact,
        at: Time,
        blocked: Blocked,
    ) -> Option<(u64, Place)> {
        let kind = campaign.kind;
        let free = contact.code == 'C'
            && contact.type_codes[kind.index()] == 'C'
            && campaign.settings.accepts(contact.balance);
        if !free {
            return None;
        }
        let due: Vec<&Record> = contact
            .records
            .iter()
            .filter(|record| record.kind == Some(kind) && record.is_due(at))
            .filter(|record| {
                blocked == Blocked::LookedAt
                    || (!self.is_suppressed(campaign, &record.unit) && !self.is_missing(record))
            })
            .collect();
        let callback = due
            .iter()
            .filter(|record| record.code == 'S')
            .min_by_key(|record| (record.scheduled_at, record.id));
        if let Some(record) = callback {
            return Some((
                record.id,
                Place::Callback(record.scheduled_at.unwrap_or(at)),
            ));
        }
        if Self::contact_limits_met(control, contact, kind) || Self::must_wait(control, contact, at)
        {
            return None;
        }
        let record = due
            .into_iter()
            .filter(|record| {
                record.code != 'S'
                    && !record_limit_met(control, record)
                    && !Self::record_must_wait(control, record, at)
            })
            .min_by_key(|record| (record.attempts, record.column, record.id))?;
        // When something of the contact was due at the earliest, whatever this campaign's own limits say of it.
        let earliest = contact
            .records
            .iter()
            .filter(|record| record.kind == Some(kind) && matches!(record.code, 'C' | 'O'))
            .map(|record| record.scheduled_at)
            .min()?;
        let place = match earliest.max(contact.wait_until) {
            Some(moment) => Place::Tried(moment),
            None => Place::New(contact.balance),
        };
        Some((record.id, place))
    }

    fn candidates(&self, name: &str, at: Time, blocked: Blocked) -> Vec<Candidate> {
        let Some(campaign) = self.campaigns.get(name) else {
            return Vec::new();
        };
        if !self.is_open(campaign, at) {
            return Vec::new();
        }
        let control = self.control_of(name);
        let order = campaign.settings.order.as_deref();
        let mut all = Vec::new();
        for list in &campaign.lists {
            let Some(of) = self.lists.get(list) else {
                continue;
            };
            let mut here: Vec<Candidate> = of
                .contacts
                .iter()
                .filter_map(|(id, contact)| {
                    let (record, place) = self.choose(campaign, &control, contact, at, blocked)?;
                    Some(Candidate {
                        list: list.clone(),
                        contact: id.clone(),
                        record,
                        place,
                    })
                })
                .collect();
            here.sort_by(|one, two| {
                one.place
                    .compare(&two.place, order)
                    .then_with(|| one.contact.cmp(&two.contact))
            });
            all.extend(here);
        }
        all
    }

    /// Claims up to `n` contacts in order, leaving out blocked units.
    pub(super) fn claim(&mut self, campaign: &str, n: usize, dialer: &str, at: Time) -> Vec<usize> {
        let chosen: Vec<Candidate> = self
            .candidates(campaign, at, Blocked::LeftOut)
            .into_iter()
            .take(n)
            .collect();
        chosen
            .iter()
            .filter_map(|candidate| self.take(candidate, campaign, dialer, at))
            .collect()
    }

    /// Claims as a dialer without a database to follow would: blocked units are shut out on the way.
    pub(super) fn claim_and_shut(
        &mut self,
        campaign: &str,
        n: usize,
        dialer: &str,
        at: Time,
    ) -> Vec<usize> {
        let mut claimed = Vec::new();
        while claimed.len() < n {
            let Some(next) = self
                .candidates(campaign, at, Blocked::LookedAt)
                .into_iter()
                .next()
            else {
                break;
            };
            if let Some(shut) = self.reason_to_shut(campaign, &next) {
                self.shut(&shut);
            } else if let Some(attempt) = self.take(&next, campaign, dialer, at) {
                claimed.push(attempt);
            }
        }
        claimed
    }

    fn reason_to_shut(&self, campaign: &str, candidate: &Candidate) -> Option<Shut> {
        let record = self
            .contact(&candidate.list, &candidate.contact)?
            .record(candidate.record)?;
        let suppressed = self.is_suppressed(self.campaigns.get(campaign)?, &record.unit);
        let code = if self.is_missing(record) {
            'P'
        } else if suppressed {
            'U'
        } else {
            return None;
        };
        Some(Shut {
            list: candidate.list.clone(),
            contact: candidate.contact.clone(),
            unit: record.unit.clone(),
            code,
        })
    }

    /// R13, R14.
    fn shut(&mut self, shut: &Shut) {
        let of = |contact: &Contact| contact.record_of(&shut.unit).map(|record| record.id);
        let id = self.contact(&shut.list, &shut.contact).and_then(of);
        let record = self.contact_mut(&shut.list, &shut.contact).zip(id);
        if let Some(record) = record.and_then(|(contact, id)| contact.record_mut(id)) {
            if shut.code == 'P' {
                record.enter('P');
                record.last_result = Some(Category::NotFound);
            } else {
                record.shut(Category::Dnc);
            }
        }
        self.derive(&shut.list, &shut.contact, false);
    }

    /// R10-R12.
    fn take(
        &mut self,
        candidate: &Candidate,
        campaign: &str,
        dialer: &str,
        at: Time,
    ) -> Option<usize> {
        let lease = self.campaigns.get(campaign)?.settings.lease_seconds;
        let attempt = self.attempts.len();
        let contact = self.contact_mut(&candidate.list, &candidate.contact)?;
        contact.attempts.push(attempt);
        let record = contact.record_mut(candidate.record)?;
        let before = (record.code, record.scheduled_at);
        record.enter('I');
        self.derive(&candidate.list, &candidate.contact, false);
        self.attempts.push(Attempt {
            list: candidate.list.clone(),
            contact: candidate.contact.clone(),
            record: candidate.record,
            campaign: campaign.to_owned(),
            dialer: dialer.to_owned(),
            callback: before.0 == 'S',
            claimed_at: at,
            lease_until: at + lease,
            started_at: None,
            queued_at: None,
            before,
            stage: Stage::Claimed,
            result: None,
            counted: false,
        });
        Some(attempt)
    }

    /// Shuts out what the database was seen to shut out, after checking that it may.
    pub(super) fn follow_shut(
        &mut self,
        at: Time,
        event: &Event,
        seen: Option<&Seen>,
    ) -> Result<(), String> {
        let Some(seen) = seen else { return Ok(()) };
        for shut in &seen.shut {
            let Some(record) = self
                .contact(&shut.list, &shut.contact)
                .and_then(|contact| contact.record_of(&shut.unit))
            else {
                return Err(format!(
                    "{} {} unit {}: shut out, but never made",
                    shut.list, shut.contact, shut.unit
                ));
            };
            let asking = |campaign: &&Campaign| campaign.lists.contains(&shut.list);
            let allowed = match event {
                Event::Claim { campaign, .. } => self
                    .campaigns
                    .get(campaign)
                    .filter(asking)
                    .is_some_and(|campaign| {
                        self.is_open(campaign, at)
                            && record.kind == Some(campaign.kind)
                            && if shut.code == 'P' {
                                self.is_missing(record)
                            } else {
                                self.is_suppressed(campaign, &record.unit)
                            }
                    }),
                _ => {
                    shut.code == 'U'
                        && record.attempts == 0
                        && self
                            .suppression
                            .values()
                            .any(|list| list.units.contains(&record.unit))
                }
            };
            if !allowed || !matches!(record.code, 'C' | 'O' | 'S') {
                return Err(format!(
                    "{} {} unit {}: {} became {} without reason",
                    shut.list, shut.contact, record.unit, record.code, shut.code
                ));
            }
            self.shut(shut);
        }
        Ok(())
    }

    /// Contacts that nothing but blocked units keeps from being claimed: a claim with room left looks at them.
    #[must_use]
    pub fn only_blocked(&self, campaign: &str, at: Time) -> Vec<String> {
        let free: Vec<Candidate> = self.candidates(campaign, at, Blocked::LeftOut);
        self.candidates(campaign, at, Blocked::LookedAt)
            .into_iter()
            .filter(|one| {
                !free
                    .iter()
                    .any(|other| other.list == one.list && other.contact == one.contact)
            })
            .map(|candidate| format!("{} {}", candidate.list, candidate.contact))
            .collect()
    }
}
