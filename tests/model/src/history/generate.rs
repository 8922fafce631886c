//! Random events, chosen by what the model says is there, so that most of them do something.

use chrono::{DateTime, Utc};

use crate::model::settings::{Category, Time, WRAP_UP_CODES};
use crate::model::{Attempt, Stage, World};
use crate::random::Random;

use super::setup;
use super::{Event, Step};

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
    pub(super) random: Random,
    now: Time,
    setup: std::vec::IntoIter<Event>,
    pub(super) units: usize,
    left: usize,
    drain: bool,
    /// Attempts of the latest claim begin at this place; none after another event.
    claimed: Option<usize>,
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
            claimed: None,
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
        if let Some(event) = self.follow_up(world) {
            self.now += self.random.between(1, 40);
            return Some(Step {
                at: self.now,
                event,
            });
        }
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

    /// Most claims are followed by the start of what was claimed, and many starts by a result.
    fn follow_up(&mut self, world: &World) -> Option<Event> {
        let from = self.claimed.take()?;
        let mut attempts: Vec<String> = (from..world.attempts.len())
            .filter_map(|place| world.name_of(place))
            .collect();
        attempts.truncate(4);
        if attempts.is_empty() || self.random.chance(50) {
            return None;
        }
        let started = |name: &String| {
            let attempt = world.find(name).and_then(|place| world.attempts.get(place));
            attempt.is_some_and(|attempt| attempt.stage != Stage::Claimed)
        };
        if attempts.iter().any(started) {
            let results = attempts.iter().map(|_| self.result()).collect();
            return Some(Event::Settle {
                attempts,
                results,
                ended: self.random.chance(30),
                dialer: None,
                twice: false,
            });
        }
        self.claimed = Some(from);
        Some(Event::Start {
            attempts,
            dialer: None,
        })
    }

    fn result(&mut self) -> Category {
        match self.random.below(50) {
            0 => Category::Unknown,
            1 => Category::NotFound,
            _ => *self.random.pick(&RESULTS).unwrap_or(&Category::Busy),
        }
    }

    fn claim(&mut self, world: &World) -> Option<Event> {
        self.claimed = Some(world.attempts.len());
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
        let results = attempts.iter().map(|_| self.result()).collect();
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

    pub(super) fn someone(&mut self, world: &World) -> Option<(String, String, Option<String>)> {
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
