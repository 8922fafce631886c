//! Events applied to the model, and what the database is expected to answer.

use crate::history::Event;

use super::settings::Time;
use super::{Conversation, Suppression, World};

/// What was seen in the database after an event, where the rules leave something free.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Records that a load shut out at once.
    pub shut: Vec<Shut>,
    /// Campaigns that switched themselves off.
    pub completed: Vec<String>,
}

/// A record that was found blocked, or without conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    /// Its list.
    pub list: String,
    /// Its contact.
    pub contact: String,
    /// Its unit.
    pub unit: String,
    /// U by do-not-contact, or P without conversation.
    pub code: char,
}

/// What the database must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing that is compared.
    Nothing,
    /// A row for each attempt that was named, in order.
    Rows(Vec<Row>),
    /// Claimed attempts in order, as places in [`World::attempts`].
    Claimed(Vec<usize>),
    /// An error, and nothing changed.
    Refused,
}

/// What must become of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Outcomes that are right.
    pub outcomes: Vec<&'static str>,
    /// List, contact and record whose codes the row shows.
    pub record: Option<(String, String, u64)>,
    /// Whether the call changed anything.
    pub changed: bool,
}

impl Row {
    /// A row of an attempt that nobody knows.
    #[must_use]
    pub fn not_found() -> Self {
        Self {
            outcomes: vec!["not_found"],
            record: None,
            changed: false,
        }
    }
}

impl World {
    /// Applies an event. With `seen` the model follows what the database did where it was free to
    /// choose, and an error says what it did against the rules; without, the model chooses.
    ///
    /// # Errors
    ///
    /// What was seen and is not allowed, in words.
    pub fn apply(
        &mut self,
        at: Time,
        event: &Event,
        seen: Option<&Seen>,
    ) -> Result<Answer, String> {
        let complete_before = self.complete();
        let answer = self.happen(at, event, seen)?;
        if let Some(seen) = seen {
            for campaign in &seen.completed {
                self.follow_completion(campaign, complete_before.contains(campaign))?;
            }
        }
        Ok(answer)
    }

    fn happen(&mut self, at: Time, event: &Event, seen: Option<&Seen>) -> Result<Answer, String> {
        match event {
            Event::Claim {
                campaign,
                n,
                dialer,
            } => {
                let n = usize::try_from(*n).unwrap_or(0);
                return Ok(Answer::Claimed(self.claim(campaign, n, dialer, at)));
            }
            Event::Contacts {
                list,
                contacts,
                update,
                ..
            } => {
                self.load(list, contacts, *update);
                self.follow_shut(seen)?;
            }
            Event::Start { attempts, dialer } => {
                return Ok(Answer::Rows(self.each(attempts, |world, attempt| {
                    world.start(attempt, dialer.as_deref(), at)
                })));
            }
            Event::Settle {
                attempts,
                results,
                ended,
                dialer,
                ..
            } => {
                if attempts.len() != results.len() {
                    return Ok(Answer::Refused);
                }
                return Ok(Answer::Rows(self.each_or(
                    attempts,
                    |world, place, attempt| {
                        let given = attempts.get(place).zip(results.get(place)).zip(attempt);
                        given.map_or_else(Row::not_found, |((name, result), attempt)| {
                            let dialog = Some(format!("dialog {name}"));
                            world.settle(attempt, *result, *ended, dialog, dialer.as_deref(), at)
                        })
                    },
                )));
            }
            Event::Release { attempts, dialer } => {
                return Ok(Answer::Rows(self.each(attempts, |world, attempt| {
                    world.release(attempt, dialer.as_deref())
                })));
            }
            Event::Extend {
                attempts,
                seconds,
                dialer,
            } => {
                return Ok(Answer::Rows(self.each(attempts, |world, attempt| {
                    world.extend(attempt, at + seconds, dialer.as_deref(), at)
                })));
            }
            Event::Finish { attempt, code } => {
                let names = std::slice::from_ref(attempt);
                return Ok(Answer::Rows(self.each(names, |world, attempt| {
                    world.finish(attempt, code.as_deref(), at)
                })));
            }
            Event::ScheduleCallback { attempt, seconds } => {
                if *seconds <= 0 {
                    return Ok(Answer::Refused);
                }
                let names = std::slice::from_ref(attempt);
                return Ok(Answer::Rows(self.each(names, |world, attempt| {
                    world.schedule_callback(attempt, at + seconds, at)
                })));
            }
            Event::MoveCallback {
                list,
                contact,
                unit,
                seconds,
            } => {
                if *seconds <= 0 {
                    return Ok(Answer::Refused);
                }
                return Ok(self.move_callback(list, contact, unit.as_deref(), Some(at + seconds)));
            }
            Event::CancelCallback {
                list,
                contact,
                unit,
            } => {
                return Ok(self.move_callback(list, contact, unit.as_deref(), None));
            }
            Event::StopStart { name } => {
                self.stop_campaign(name);
                self.start_campaign(name);
            }
            Event::Commute { first, second } => {
                self.happen(at, first, seen)?;
                self.happen(at, second, seen)?;
            }
            Event::Torn { .. } | Event::Drain { .. } => {}
            Event::Exclude {
                list,
                contact,
                unit,
            } => return Ok(self.exclude(list, contact, unit.as_deref())),
            Event::Reset {
                list,
                contact,
                unit,
                zero,
            } => {
                return Ok(self.reset(list, contact.as_deref(), unit.as_deref(), *zero));
            }
            Event::Reevaluate { list, contact } => {
                return Ok(self.reevaluate(list, contact.as_deref()));
            }
            Event::Maintain => self.maintain(at),
            _ => self.set(event),
        }
        Ok(Answer::Nothing)
    }

    /// Events that change settings, and those of operators.
    fn set(&mut self, event: &Event) {
        match event {
            Event::Calendar { name, calendar } => {
                self.calendars.insert(name.clone(), calendar.clone());
            }
            Event::Control { name, control } => {
                self.controls.insert(name.clone(), control.clone());
            }
            Event::AlterControl { name, control } => self.alter_control(name, control),
            Event::Suppression {
                name,
                applies_to_all,
            } => {
                let list = Suppression {
                    applies_to_all: *applies_to_all,
                    ..Suppression::default()
                };
                self.suppression.insert(name.clone(), list);
            }
            Event::Suppress { name, units } => {
                if let Some(list) = self.suppression.get_mut(name) {
                    list.units.extend(units.iter().cloned());
                }
            }
            Event::Unsuppress { name, units } => {
                if let Some(list) = self.suppression.get_mut(name) {
                    list.units.retain(|unit| !units.contains(unit));
                }
            }
            Event::Conversation { id, kind, status } => {
                self.conversations.insert(
                    id.clone(),
                    Conversation {
                        kind: *kind,
                        status: status.clone(),
                    },
                );
            }
            Event::DropConversation { id } => {
                self.conversations.remove(id);
            }
            Event::List {
                name,
                close_if_all,
                columns,
            } => self.make_list(name, *close_if_all, columns),
            Event::Campaign {
                name,
                lists,
                kind,
                settings,
            } => self.make_campaign(name, lists, *kind, settings),
            Event::StartCampaign { name } => self.start_campaign(name),
            Event::StopCampaign { name } => self.stop_campaign(name),
            Event::DeleteCampaign { name } => self.delete_campaign(name),
            Event::RestoreCampaign { name } => self.restore_campaign(name),
            _ => {}
        }
    }

    fn each(&mut self, names: &[String], mut act: impl FnMut(&mut Self, usize) -> Row) -> Vec<Row> {
        self.each_or(names, |world, _, attempt| {
            attempt.map_or_else(Row::not_found, |attempt| act(world, attempt))
        })
    }

    fn each_or(
        &mut self,
        names: &[String],
        mut act: impl FnMut(&mut Self, usize, Option<usize>) -> Row,
    ) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            // The same attempt again in one call: its first place counts.
            if let Some(first) = names.iter().take(place).position(|other| other == name) {
                let first = rows.get(first);
                let record = first.and_then(|row| row.record.clone());
                let outcomes = vec!["repeated"];
                rows.push(Row {
                    outcomes,
                    record,
                    changed: false,
                });
                continue;
            }
            let attempt = self.find(name);
            let row = act(self, place, attempt);
            rows.push(row);
        }
        rows
    }

    /// Whether what an event names is there; a history that lost steps may name what never was.
    #[must_use]
    pub fn is_possible(&self, event: &Event) -> bool {
        let campaign = |name: &String, states: &[&str]| {
            self.campaigns
                .get(name)
                .is_some_and(|campaign| states.contains(&campaign.state))
        };
        let settings = |settings: &super::settings::CampaignSettings| {
            settings
                .calendar
                .iter()
                .all(|name| self.calendars.contains_key(name))
                && settings
                    .attempt_control
                    .iter()
                    .all(|name| self.controls.contains_key(name))
                && settings
                    .do_not_contact
                    .iter()
                    .all(|name| self.suppression.contains_key(name))
        };
        let unit = |list: &String, contact: &String, unit: &Option<String>| {
            self.contact(list, contact).is_some_and(|contact| {
                unit.as_ref()
                    .is_none_or(|unit| contact.record_of(unit).is_some())
            })
        };
        match event {
            Event::Calendar { name, .. } => !self.calendars.contains_key(name),
            Event::Control { name, .. } => !self.controls.contains_key(name),
            Event::AlterControl { name, .. } => self.controls.contains_key(name),
            Event::Suppression { name, .. } => !self.suppression.contains_key(name),
            Event::Suppress { name, .. } | Event::Unsuppress { name, .. } => {
                self.suppression.contains_key(name)
            }
            Event::DropConversation { id } => self.conversations.contains_key(id),
            Event::List { name, .. } => !self.lists.contains_key(name),
            Event::Contacts { list, .. } => self.lists.contains_key(list),
            Event::Campaign {
                name,
                lists,
                settings: given,
                ..
            } => {
                !self.campaigns.contains_key(name)
                    && lists.iter().all(|list| self.lists.contains_key(list))
                    && settings(given)
            }
            Event::StartCampaign { name } => campaign(name, &["off"]),
            Event::StopCampaign { name } | Event::StopStart { name } => campaign(name, &["active"]),
            Event::DeleteCampaign { name } => campaign(name, &["off", "active"]),
            Event::RestoreCampaign { name } => campaign(name, &["deleted"]),
            Event::Claim { campaign: name, .. } => self.campaigns.contains_key(name),
            Event::MoveCallback {
                list,
                contact,
                unit: of,
                ..
            }
            | Event::CancelCallback {
                list,
                contact,
                unit: of,
            }
            | Event::Exclude {
                list,
                contact,
                unit: of,
            } => unit(list, contact, of),
            Event::Reset {
                list,
                contact,
                unit: of,
                ..
            } => match contact {
                Some(contact) => unit(list, contact, of),
                None => self.lists.contains_key(list),
            },
            Event::Reevaluate { list, contact } => match contact {
                Some(contact) => self.contact(list, contact).is_some(),
                None => self.lists.contains_key(list),
            },
            Event::Commute { first, second } => self.is_possible(first) && self.is_possible(second),
            Event::Torn { event } => self.is_possible(event),
            Event::Drain { .. } => self.is_fair(),
            _ => true,
        }
    }
}
