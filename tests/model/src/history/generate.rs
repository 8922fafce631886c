//! Random events, chosen by what the model says is there, so that most of them do something.

use chrono::{DateTime, Utc};

use crate::model::settings::{Category, Kind, Time, UnitType, WRAP_UP_CODES};
use crate::model::{Attempt, Stage, World};
use crate::random::Random;

use super::setup::{self, Units};
use super::{Event, Step, Upload};

const RESULTS: [Category; 13] = [
    Category::Busy,
    Category::Busy,
    Category::Noanswer,
    Category::Noanswer,
    Category::Machine,
    Category::Abandoned,
    Category::Failed,
    Category::Success,
    Category::Success,
    Category::Success,
    Category::WrongParty,
    Category::Invalid,
    Category::NotPerformed,
];

/// Makes the steps of one history, one at a time.
#[derive(Debug, Clone)]
pub struct Generator {
    random: Random,
    now: Time,
    setup: std::vec::IntoIter<Event>,
    units: usize,
    left: usize,
    drain: bool,
}

impl Generator {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let fair = random.chance(15);
        let setup = setup::events(&mut random, fair).into_iter();
        let left = 10 + random.below(60);
        Self {
            random,
            now: 0,
            setup,
            units: 1000,
            left,
            drain: fair,
        }
    }

    /// The first moment of every history: a Monday morning.
    #[must_use]
    pub fn base() -> DateTime<Utc> {
        DateTime::from_timestamp(2_056_687_200, 0).unwrap_or_default()
    }

    /// The next step; none: the history is over.
    pub fn next(&mut self, world: &World) -> Option<Step> {
        if let Some(event) = self.setup.next() {
            self.now += 1;
            return Some(Step {
                at: self.now,
                event,
            });
        }
        if self.left == 0 {
            if std::mem::take(&mut self.drain) {
                self.now += 1;
                return Some(Step {
                    at: self.now,
                    event: Event::Drain { rounds: 40 },
                });
            }
            return None;
        }
        self.left -= 1;
        if let Some((moment, telling)) = self.moment(world) {
            self.now = moment;
            if self.random.chance(60) {
                let event = if telling {
                    Some(Event::Maintain)
                } else {
                    self.claim(world)
                };
                if let Some(event) = event {
                    return Some(Step {
                        at: self.now,
                        event,
                    });
                }
            }
        } else {
            self.now += match self.random.below(20) {
                0..10 => self.random.between(1, 30),
                10..15 => self.random.between(61, 1201),
                15..18 => self.random.between(1801, 12_007),
                18 => self.random.between(40_003, 260_009),
                _ => 301,
            };
        }
        let event =
            (0..50).find_map(|_| self.event(world).filter(|event| world.is_possible(event)))?;
        Some(Step {
            at: self.now,
            event,
        })
    }

    /// Now and then the clock stops just before, at or after a moment at which something ends:
    /// a lease or a waiting, which the periodic duties tell of, or what holds off a claim.
    fn moment(&mut self, world: &World) -> Option<(Time, bool)> {
        if !self.random.chance(20) {
            return None;
        }
        let open = world
            .attempts
            .iter()
            .filter_map(|attempt| match attempt.stage {
                Stage::Claimed | Stage::Started => Some((attempt.lease_until, true)),
                Stage::Queued => {
                    let hours = world
                        .campaigns
                        .get(&attempt.campaign)?
                        .settings
                        .waiting_hours;
                    Some((attempt.queued_at? + 3600 * hours, true))
                }
                _ => None,
            });
        let contacts = world.lists.values().flat_map(|list| list.contacts.values());
        let held = contacts.flat_map(|contact| {
            let records = contact
                .records
                .iter()
                .filter_map(|record| record.scheduled_at);
            contact
                .wait_until
                .into_iter()
                .chain(records)
                .map(|moment| (moment, false))
        });
        let moments: Vec<(Time, bool)> = open
            .chain(held)
            .filter(|(moment, _)| *moment > self.now + 1)
            .collect();
        let (moment, telling) = self.random.pick(&moments).copied()?;
        Some((moment + self.random.between(-1, 1), telling))
    }

    fn claim(&mut self, world: &World) -> Option<Event> {
        Some(Event::Claim {
            campaign: self.campaign(world)?,
            n: if self.random.chance(15) {
                100
            } else {
                i32::try_from(self.random.between(1, 6)).unwrap_or(1)
            },
            dialer: self.dialer(),
        })
    }

    fn event(&mut self, world: &World) -> Option<Event> {
        Some(match self.random.below(100) {
            0..24 => self.claim(world)?,
            24..32 => Event::Start {
                attempts: self.attempts(world, &[Stage::Claimed])?,
                dialer: self.asking(),
            },
            32..54 => self.settle(world, &[Stage::Claimed, Stage::Started])?,
            54..57 => Event::Release {
                attempts: self.attempts(world, &[Stage::Claimed])?,
                dialer: self.asking(),
            },
            57..59 => Event::Extend {
                attempts: self.attempts(world, &[Stage::Claimed, Stage::Started])?,
                seconds: self.random.between(1000, 4000),
                dialer: self.asking(),
            },
            59..66 => Event::Finish {
                attempt: self.attempt(world, &[Stage::Queued])?,
                code: self.wrap_up_code(),
            },
            66..70 => Event::ScheduleCallback {
                attempt: self.attempt(world, &[Stage::Queued, Stage::Started])?,
                seconds: if self.random.chance(4) {
                    -60
                } else {
                    self.random.between(30, 7200)
                },
            },
            70..72 => {
                let (list, contact, unit) = self.callback(world)?;
                Event::MoveCallback {
                    list,
                    contact,
                    unit,
                    seconds: self.random.between(30, 7200),
                }
            }
            72..74 => {
                let (list, contact, unit) = self.callback(world)?;
                Event::CancelCallback {
                    list,
                    contact,
                    unit,
                }
            }
            74..76 => {
                let (list, contact, unit) = self.someone(world)?;
                Event::Exclude {
                    list,
                    contact,
                    unit: unit.filter(|_| self.random.chance(60)),
                }
            }
            76..79 => {
                let (list, contact, unit) = self.someone(world)?;
                let contact = self.random.chance(80).then_some(contact);
                let unit = unit.filter(|_| contact.is_some() && self.random.chance(40));
                Event::Reset {
                    list,
                    contact,
                    unit,
                    zero: self.random.chance(60),
                }
            }
            79..81 => self.limits(world)?,
            81..86 => self.upload(world)?,
            86..88 => self.suppress(world)?,
            88..90 => self.conversation(world)?,
            90..92 => self.switch(world)?,
            92..96 => Event::Maintain,
            96..98 => self.commute(world)?,
            _ => Event::Torn {
                event: Box::new(self.settle(world, &[Stage::Claimed, Stage::Started])?),
            },
        })
    }

    fn dialer(&mut self) -> String {
        format!("dialer {}", self.random.below(2))
    }

    /// Most calls do not say who asks.
    fn asking(&mut self) -> Option<String> {
        self.random.chance(15).then(|| self.dialer())
    }

    fn campaign(&mut self, world: &World) -> Option<String> {
        let active: Vec<&String> = world
            .campaigns
            .iter()
            .filter(|(_, campaign)| campaign.state == "active")
            .map(|(name, _)| name)
            .collect();
        let all: Vec<&String> = world.campaigns.keys().collect();
        let from = if active.is_empty() || self.random.chance(5) {
            &all
        } else {
            &active
        };
        self.random.pick(from).map(|name| (*name).clone())
    }

    /// One attempt, most of the time in one of these stages.
    fn attempt(&mut self, world: &World, stages: &[Stage]) -> Option<String> {
        if self.random.chance(1) {
            return Some("unknown".to_owned());
        }
        let fitting = |attempt: &&Attempt| stages.contains(&attempt.stage);
        let any = self.random.chance(12);
        let places: Vec<usize> = (0..world.attempts.len())
            .filter(|place| any || world.attempts.get(*place).as_ref().is_some_and(fitting))
            .collect();
        self.random
            .pick(&places)
            .and_then(|place| world.name_of(*place))
    }

    fn attempts(&mut self, world: &World, stages: &[Stage]) -> Option<Vec<String>> {
        let count = 1 + self.random.below(4);
        let mut names: Vec<String> = Vec::new();
        for _ in 0..count {
            let name = self.attempt(world, stages)?;
            if !names.contains(&name) || self.random.chance(5) {
                names.push(name);
            }
        }
        Some(names)
    }

    fn settle(&mut self, world: &World, stages: &[Stage]) -> Option<Event> {
        let attempts = self.attempts(world, stages)?;
        let results = attempts
            .iter()
            .map(|_| match self.random.below(50) {
                0 => Category::Unknown,
                1 => Category::NotFound,
                _ => *self.random.pick(&RESULTS).unwrap_or(&Category::Busy),
            })
            .collect();
        Some(Event::Settle {
            attempts,
            results,
            ended: self.random.chance(20),
            dialer: self.asking(),
            twice: self.random.chance(15),
        })
    }

    fn wrap_up_code(&mut self) -> Option<String> {
        let (code, ..) = self.random.pick(&WRAP_UP_CODES)?;
        self.random.chance(85).then(|| (*code).to_owned())
    }

    fn someone(&mut self, world: &World) -> Option<(String, String, Option<String>)> {
        let lists: Vec<&String> = world.lists.keys().collect();
        let list = (*self.random.pick(&lists)?).clone();
        let contacts: Vec<&String> = world.lists.get(&list)?.contacts.keys().collect();
        let contact = (*self.random.pick(&contacts)?).clone();
        let units: Vec<String> = world
            .contact(&list, &contact)?
            .records
            .iter()
            .map(|record| record.unit.clone())
            .collect();
        let unit = self.random.pick(&units).cloned();
        Some((list, contact, unit))
    }

    /// A callback that is planned, or somebody's unit now and then.
    fn callback(&mut self, world: &World) -> Option<(String, String, Option<String>)> {
        if self.random.chance(5) {
            return self.someone(world).filter(|(_, _, unit)| unit.is_some());
        }
        let mut planned = Vec::new();
        for (list, of) in &world.lists {
            for (id, contact) in &of.contacts {
                planned.extend(
                    contact
                        .records
                        .iter()
                        .filter(|record| record.code == 'S')
                        .map(|record| (list, id, &record.unit)),
                );
            }
        }
        let (list, contact, unit) = self.random.pick(&planned).copied()?;
        let only = planned
            .iter()
            .filter(|(of, id, _)| *of == list && *id == contact)
            .count()
            == 1;
        let named = !only || self.random.chance(50);
        Some((list.clone(), contact.clone(), named.then(|| unit.clone())))
    }

    fn limits(&mut self, world: &World) -> Option<Event> {
        let (list, contact, _) = self.someone(world)?;
        if self.random.chance(60) {
            return Some(Event::Reevaluate {
                list,
                contact: self.random.chance(30).then_some(contact),
            });
        }
        let names: Vec<&String> = world.controls.keys().collect();
        let name = (*self.random.pick(&names)?).clone();
        Some(Event::AlterControl {
            name,
            control: setup::control(&mut self.random, self.drain),
        })
    }

    /// New contacts, known ones again, and known ones with more or fewer units.
    fn upload(&mut self, world: &World) -> Option<Event> {
        let (list, _, _) = self.someone(world)?;
        let of = world.lists.get(&list)?;
        let mut units = Units::after(self.units);
        let mut contacts = Vec::new();
        for _ in 0..=self.random.below(3) {
            let number = self.random.below(of.contacts.len() + 3);
            // A closed contact stays closed, whatever it gets (§16 Q15).
            let closed: Vec<&String> = of
                .contacts
                .iter()
                .filter(|(_, contact)| contact.code == 'U')
                .map(|(id, _)| id)
                .collect();
            let id = match self.random.pick(&closed) {
                Some(id) if self.random.chance(50) => (*id).clone(),
                _ => format!("c{number:02}"),
            };
            if contacts.iter().any(|upload: &Upload| upload.id == id) && self.random.chance(70) {
                continue;
            }
            let mut made = setup::upload(&mut self.random, &id, &of.columns, &mut units);
            if let Some(known) = of.contacts.get(&id) {
                for record in &known.records {
                    let column = &of.columns.get(record.column)?.name;
                    if self.random.chance(85) {
                        made.units.insert(column.clone(), record.unit.clone());
                    }
                }
            }
            contacts.push(made);
        }
        self.units += 100;
        contacts.retain(|upload: &Upload| has_no_unit_twice(upload));
        Some(Event::Contacts {
            list,
            contacts,
            update: self.random.chance(60),
            twice: self.random.chance(25),
        })
    }

    fn suppress(&mut self, world: &World) -> Option<Event> {
        let names: Vec<&String> = world.suppression.keys().collect();
        let name = (*self.random.pick(&names)?).clone();
        let (list, contact, unit) = self.someone(world)?;
        let record = world.contact(&list, &contact)?.record_of(&unit?)?;
        let units = vec![
            Some(record)
                .filter(|record| !record.unit.starts_with('x'))?
                .unit
                .clone(),
        ];
        Some(if self.random.chance(70) {
            Event::Suppress { name, units }
        } else {
            Event::Unsuppress { name, units }
        })
    }

    fn conversation(&mut self, world: &World) -> Option<Event> {
        let names: Vec<&String> = world.conversations.keys().collect();
        let id = (*self.random.pick(&names)?).clone();
        let kind: Kind = world.conversations.get(&id)?.kind;
        if self.random.chance(40) {
            return Some(Event::DropConversation { id });
        }
        let status = (*self
            .random
            .pick(&["open", "pending", "resolved", "snoozed"])?)
        .to_owned();
        Some(Event::Conversation { id, kind, status })
    }

    fn switch(&mut self, world: &World) -> Option<Event> {
        let names: Vec<&String> = world.campaigns.keys().collect();
        let name = (*self.random.pick(&names)?).clone();
        Some(match world.campaigns.get(&name)?.state {
            "deleted" => Event::RestoreCampaign { name },
            "off" if self.random.chance(90) => Event::StartCampaign { name },
            "active" if self.random.chance(45) => Event::StopStart { name },
            "active" if self.random.chance(80) => Event::StopCampaign { name },
            _ => Event::DeleteCampaign { name },
        })
    }

    /// Two results for different contacts.
    fn commute(&mut self, world: &World) -> Option<Event> {
        let stages = [Stage::Claimed, Stage::Started];
        let first = self.settle(world, &stages)?;
        let second = self.settle(world, &stages)?;
        let contact = |name: &str| name.rsplit_once('/').map(|(contact, _)| contact.to_owned());
        let apart = first.attempts().iter().all(|one| {
            second
                .attempts()
                .iter()
                .all(|other| contact(one) != contact(other))
        });
        apart.then(|| Event::Commute {
            first: Box::new(first),
            second: Box::new(second),
        })
    }
}

/// Whether no unit stands in two cells: which of them counts is tested elsewhere.
fn has_no_unit_twice(upload: &Upload) -> bool {
    let mut units: Vec<&String> = upload.units.values().collect();
    units.sort();
    units.windows(2).all(|pair| pair.first() != pair.last())
}

/// Text of a unit in a database, where each history has units of its own.
#[must_use]
pub fn unit_text(unit: &str, run: u64) -> String {
    let number: u64 = unit
        .get(1..)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    match unit.chars().next() {
        Some('p') => format!("+38044{:07}", 1_000_000 + (run % 300) * 20_000 + number),
        Some('e') => format!("unit{number}.run{run}@example.org"),
        Some('m') => format!("account-{run}-{number}"),
        Some('v') => format!("conversation-{run}-{number}"),
        _ => format!("{number}"),
    }
}

/// Kind of a unit by its name.
#[must_use]
pub fn unit_type(unit: &str) -> UnitType {
    match unit.chars().next() {
        Some('e') => UnitType::Email,
        Some('m') => UnitType::MessengerId,
        Some('v') => UnitType::ConversationId,
        _ => UnitType::Phone,
    }
}
