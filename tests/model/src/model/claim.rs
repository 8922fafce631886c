//! Claims: the guards of contact-lists §7.1 and the order of §8.1.

use std::cmp::Ordering;

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

    fn candidates(&self, name: &str, at: Time) -> Vec<Candidate> {
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
                    let (record, place) = self.choose(campaign, &control, contact, at)?;
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
        // Groups go first; inside a group the lists stand in the campaign's order.
        all.sort_by_key(|candidate: &Candidate| candidate.place.group());
        all
    }

    /// Claims up to `n` contacts in order. Each is looked at when its turn comes: units that are
    /// blocked are shut out then, and another unit of the contact may follow.
    pub(super) fn claim(&mut self, name: &str, n: usize, dialer: &str, at: Time) -> Vec<usize> {
        let mut claimed = Vec::new();
        let control = self.control_of(name);
        for mut candidate in self.candidates(name, at) {
            if claimed.len() == n {
                break;
            }
            while let Some(shut) = self.reason_to_shut(name, &candidate) {
                self.shut(&shut);
                let next = self
                    .campaigns
                    .get(name)
                    .zip(self.contact(&candidate.list, &candidate.contact));
                let next = next
                    .and_then(|(campaign, contact)| self.choose(campaign, &control, contact, at));
                let Some((record, _)) = next else { break };
                candidate.record = record;
            }
            let free = self
                .contact(&candidate.list, &candidate.contact)
                .and_then(|contact| contact.record(candidate.record))
                .is_some_and(|record| matches!(record.code, 'C' | 'O' | 'S'));
            if free {
                claimed.extend(self.take(&candidate, name, dialer, at));
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
            dialog: None,
            counted: false,
        });
        Some(attempt)
    }

    /// Shuts out what a load was seen to shut out, after checking that it may (R03).
    pub(super) fn follow_shut(&mut self, seen: Option<&Seen>) -> Result<(), String> {
        for shut in seen.iter().flat_map(|seen| &seen.shut) {
            let record = self
                .contact(&shut.list, &shut.contact)
                .and_then(|contact| contact.record_of(&shut.unit));
            let allowed = record.is_some_and(|record| {
                record.code == 'C'
                    && record.attempts == 0
                    && self
                        .suppression
                        .values()
                        .any(|list| list.units.contains(&record.unit))
            });
            if !allowed {
                return Err(format!(
                    "list {} contact {}: {} was shut out without reason",
                    shut.list, shut.contact, shut.unit
                ));
            }
            self.shut(shut);
        }
        Ok(())
    }
}
