//! Random histories of a contact: what they begin with, what may happen, and what is known of it besides.

use proptest::prelude::*;

use super::reference::kinds;
use super::*;

/// What a history begins with.
#[derive(Debug, Clone)]
pub struct Setting {
    units: String,
    close_if_all: bool,
    retry_unknown: bool,
    campaigns: Vec<Limits>,
}

/// What may happen. Campaigns are numbered from 0 here, records from 1.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    Claim(usize, ConversationType),
    Start,
    Settle(Category, bool),
    Release,
    Finish(Option<WrapUp>),
    Callback(Micros),
    MoveCallback(Micros),
    CancelCallback,
    Exclude(Option<i64>),
    Reset(Option<i64>, bool),
    Reevaluate,
    ShutOut(usize, ConversationType, Category),
    Limit(usize, Limits),
    Wait(Micros),
}

/// An attempt that was counted, and still is.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub record: i64,
    pub campaign: i64,
    pub category: Category,
    pub started_at: Micros,
}

/// A contact and what befell it.
#[derive(Debug, Clone)]
pub struct History {
    pub contact: Contact,
    pub rules: Rules,
    pub now: Micros,
    pub attempts: Vec<Counted>,
    pub had_callback: bool,
    campaigns: Vec<Limits>,
    retry_unknown: bool,
}

/// One event.
pub struct Step<'a> {
    pub before: &'a History,
    pub after: &'a History,
    pub event: Event,
    /// Whether it was refused, or nothing was there for it.
    pub refused: bool,
}

impl Setting {
    pub fn begin(&self) -> History {
        let rules = Rules {
            close_if_all: self.close_if_all,
            limits: (1..).zip(self.campaigns.iter().copied()).collect(),
            successes: vec![result_id::SUCCESS],
        };
        History {
            contact: new_contact(&self.units, &rules),
            rules,
            now: BEGINNING,
            attempts: Vec::new(),
            had_callback: false,
            campaigns: self.campaigns.clone(),
            retry_unknown: self.retry_unknown,
        }
    }
}

impl History {
    /// The limits of a campaign, and its number.
    pub fn campaign(&self, place: usize) -> (Limits, i64) {
        let place = place % self.campaigns.len();
        (self.campaigns[place], i64::try_from(place).unwrap() + 1)
    }

    /// The limits of all campaigns.
    pub fn limits(&self) -> &[Limits] {
        &self.campaigns
    }

    /// The record that the campaign would claim: for this type, or for the next one that has any.
    fn turn(&self, limits: &Limits, first: ConversationType) -> Option<i64> {
        (0..3).find_map(|next| {
            let kind = kinds()[(first as usize + next) % 3];
            choose(&self.contact, Claimant { kind, limits }, self.now, |_| {
                false
            })
            .map(|r| r.id)
        })
    }

    fn count(&mut self, open: &OpenAttempt, category: Category) {
        self.attempts.push(Counted {
            record: open.record,
            campaign: open.campaign,
            category,
            started_at: open.started_at.unwrap_or(open.claimed_at),
        });
    }

    /// Lets the event happen; the reason when it is refused.
    fn happen(&mut self, event: Event) -> Result<(), Refusal> {
        self.now += 1;
        let (now, rules) = (self.now, self.rules.clone());
        let open = self.contact.open.clone();
        let of = open.as_ref().map_or(0, |open| open.campaign as usize - 1);
        let limits = self.campaign(of).0;
        match event {
            Event::Claim(place, kind) => {
                let (limits, campaign) = self.campaign(place);
                let record = self.turn(&limits, kind).ok_or(Refusal::Nothing)?;
                let previous = self.contact.record(record).unwrap().code;
                let attempt = OpenAttempt {
                    campaign,
                    ..claim_of(record, previous, now)
                };
                self.contact.claim(attempt, &rules);
            }
            Event::Start => self.contact.start(now, now + HOUR)?,
            Event::Settle(category, is_final) => {
                let policy = Policy {
                    limits,
                    retry_unknown: self.retry_unknown,
                    waiting: HOUR,
                };
                let reported = Reported {
                    is_final,
                    ..reported(category)
                };
                if self.contact.settle(reported, now, &policy, &rules)? {
                    self.count(&open.unwrap(), category);
                }
            }
            Event::Release => self.contact.release(&rules)?,
            Event::Finish(wrap_up) => self.contact.finish(wrap_up, now, &limits, &rules)?,
            Event::Callback(after) => {
                if self
                    .contact
                    .schedule_callback(now + after, &limits, &rules)?
                {
                    self.count(&open.unwrap(), Category::Success);
                }
                self.had_callback = true;
            }
            Event::MoveCallback(after) => {
                self.contact.move_callback(None, now + after, &rules)?;
            }
            Event::CancelCallback => {
                self.contact.cancel_callback(None, &rules)?;
            }
            Event::Exclude(only) => {
                self.contact.exclude(only, &rules)?;
            }
            Event::Reset(only, zero) => {
                self.contact.reset(only, zero, &rules)?;
                let contact = &self.contact;
                self.attempts
                    .retain(|a| contact.record(a.record).unwrap().attempts > 0);
            }
            Event::Reevaluate => {
                self.contact.reevaluate(&rules)?;
            }
            Event::ShutOut(place, kind, category) => {
                let limits = self.campaign(place).0;
                let record = self.turn(&limits, kind).ok_or(Refusal::Nothing)?;
                if category == Category::NotFound
                    && !self.contact.record(record).unwrap().is_conversation
                {
                    return Err(Refusal::Nothing);
                }
                self.contact.shut_out(record, category, &rules);
            }
            Event::Limit(place, limits) => {
                let campaign = self.campaign(place).1;
                let place = place % self.campaigns.len();
                self.campaigns[place] = limits;
                self.rules.limits.insert(campaign, limits);
            }
            Event::Wait(time) => self.now += time,
        }
        Ok(())
    }

    /// Plays the events one by one, and looks at each step.
    pub fn play(
        setting: &Setting,
        events: &[Event],
        mut look: impl FnMut(&Step<'_>) -> Result<(), TestCaseError>,
    ) -> Result<Self, TestCaseError> {
        let mut now = setting.begin();
        for &event in events {
            let before = now.clone();
            let refused = now.happen(event).is_err();
            look(&Step {
                before: &before,
                after: &now,
                event,
                refused,
            })?;
        }
        Ok(now)
    }
}

pub fn any_time() -> impl Strategy<Value = Micros> {
    prop::sample::select(vec![MINUTE, 5 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR])
}

pub fn any_kind() -> impl Strategy<Value = ConversationType> {
    prop::sample::select(kinds().to_vec())
}

prop_compose! {
    pub fn any_limits()(
        per_contact in prop::option::weighted(0.4, 1..6_i32),
        per_record in prop::option::weighted(0.4, 1..4_i32),
        per_type in prop::array::uniform3(prop::option::weighted(0.3, 1..5_i32)),
        minimum in prop::sample::select(vec![0, 0, 5 * MINUTE, HOUR]),
        minimum_per_record in any::<bool>(),
        categories in prop::array::uniform4((
            prop::option::weighted(0.2, 1..3_i32),
            prop::option::weighted(0.3, prop::sample::select(vec![0, 30 * MINUTE, 3 * HOUR])),
        )),
    ) -> Limits {
        Limits {
            per_contact,
            per_record,
            per_type,
            minimum,
            minimum_per_record,
            categories: categories.map(|(max_attempts, delay)| CategoryLimit { max_attempts, delay }),
        }
    }
}

fn any_setting(campaigns: usize) -> impl Strategy<Value = Setting> {
    (
        prop::string::string_regex("[cemv]{1,4}|[cemv?]{2,4}").unwrap(),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(any_limits(), campaigns),
    )
        .prop_map(|(units, close_if_all, retry_unknown, campaigns)| Setting {
            units,
            close_if_all,
            retry_unknown,
            campaigns,
        })
}

fn any_event() -> impl Strategy<Value = Event> {
    let reportable = Category::ALL.iter().copied().filter(|c| c.is_reported());
    let category = prop_oneof![
        1 => Just(Category::Success),
        3 => prop::sample::select(reportable.collect::<Vec<_>>()),
    ];
    let wrap_up = (any::<bool>(), any::<bool>()).prop_map(|(contact, number)| WrapUp {
        contact_uncallable: contact,
        number_uncallable: number,
    });
    let only = || prop::option::of(1..5_i64);
    let shut_out = prop::sample::select(vec![Category::NotFound, Category::Suppressed]);
    prop_oneof![
        12 => (0..2_usize, any_kind()).prop_map(|(place, kind)| Event::Claim(place, kind)),
        3 => Just(Event::Start),
        12 => (category, prop::bool::weighted(0.2)).prop_map(|(c, last)| Event::Settle(c, last)),
        1 => Just(Event::Release),
        4 => prop::option::weighted(0.8, wrap_up).prop_map(Event::Finish),
        3 => any_time().prop_map(Event::Callback),
        1 => any_time().prop_map(Event::MoveCallback),
        1 => Just(Event::CancelCallback),
        1 => only().prop_map(Event::Exclude),
        2 => (only(), any::<bool>()).prop_map(|(only, zero)| Event::Reset(only, zero)),
        1 => Just(Event::Reevaluate),
        1 => (0..2_usize, any_kind(), shut_out).prop_map(|(place, k, c)| Event::ShutOut(place, k, c)),
        8 => any_time().prop_map(Event::Wait),
    ]
}

/// A history of one campaign whose limits stay as they are.
pub fn steady() -> impl Strategy<Value = (Setting, Vec<Event>)> {
    (any_setting(1), prop::collection::vec(any_event(), 1..60))
}

/// A history of two campaigns whose limits stay as they are.
pub fn shared() -> impl Strategy<Value = (Setting, Vec<Event>)> {
    (any_setting(2), prop::collection::vec(any_event(), 1..60))
}

/// A history of two campaigns whose limits change on the way.
pub fn changing() -> impl Strategy<Value = (Setting, Vec<Event>)> {
    let change = (0..2_usize, any_limits()).prop_map(|(place, limits)| Event::Limit(place, limits));
    let event = prop_oneof![9 => any_event(), 1 => change];
    (any_setting(2), prop::collection::vec(event, 1..60))
}
