//! The worked examples of contact-lists §14, played on the model.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::history::{Column, Event, Upload};
use crate::model::settings::{
    CampaignSettings, Category, CategoryLimit, Control, Kind, Policy, UnitType,
};

use super::{Contact, Record, World};

struct Played {
    world: World,
    at: i64,
}

impl Played {
    /// One contact with units of these kinds, and a campaign for each kind.
    fn new(kinds: &[Kind], close_if_all: bool, control: Control) -> Self {
        let mut played = Self {
            world: World::new(DateTime::default()),
            at: 0,
        };
        let column = |(place, kind): (usize, &Kind)| Column {
            name: format!("column {place}"),
            unit: match kind {
                Kind::Call => UnitType::Phone,
                Kind::Email => UnitType::Email,
                Kind::SocialMedia => UnitType::ConversationId,
            },
            kind: (*kind != Kind::SocialMedia).then_some(*kind),
        };
        let columns: Vec<Column> = kinds.iter().enumerate().map(column).collect();
        let units: BTreeMap<String, String> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                (
                    column.name.clone(),
                    format!(
                        "{}{place}",
                        if column.unit == UnitType::ConversationId {
                            'v'
                        } else {
                            'p'
                        }
                    ),
                )
            })
            .collect();
        for unit in units.values().filter(|unit| unit.starts_with('v')) {
            played.happen(Event::Conversation {
                id: unit.clone(),
                kind: Kind::SocialMedia,
                status: "resolved".to_owned(),
            });
        }
        played.happen(Event::Control {
            name: "k".to_owned(),
            control,
        });
        played.happen(Event::List {
            name: "l".to_owned(),
            close_if_all,
            columns,
        });
        let upload = Upload {
            id: "anna".to_owned(),
            balance: None,
            units,
        };
        played.happen(Event::Contacts {
            list: "l".to_owned(),
            contacts: vec![upload],
            update: false,
            twice: false,
        });
        for kind in Kind::ALL {
            let settings = CampaignSettings {
                calendar: None,
                attempt_control: Some("k".to_owned()),
                do_not_contact: Vec::new(),
                always_active: true,
                filter: Vec::new(),
                order: None,
                waiting_hours: 72,
                on_waiting_over: Policy::Close,
                unknown_outcome: None,
                pending_is_busy: false,
                lease_seconds: 120,
                lease_started_seconds: 900,
            };
            let name = kind.name().to_owned();
            played.happen(Event::Campaign {
                name: name.clone(),
                lists: vec!["l".to_owned()],
                kind,
                settings,
            });
            played.happen(Event::StartCampaign { name });
        }
        played
    }

    fn happen(&mut self, event: Event) -> super::apply::Answer {
        self.at += 1;
        self.world.apply(self.at, &event, None).unwrap()
    }

    /// Claims after a long pause; whether there was something.
    fn claim(&mut self, kind: Kind) -> bool {
        self.at += 100_000;
        let before = self.world.attempts.len();
        self.happen(Event::Claim {
            campaign: kind.name().to_owned(),
            n: 10,
            dialer: "d".to_owned(),
        });
        self.world.attempts.len() > before
    }

    fn latest(&self) -> String {
        format!("l/anna/{}", self.anna().attempts.len() - 1)
    }

    fn attempt(&mut self, kind: Kind, result: Category) {
        assert!(self.claim(kind));
        let attempts = vec![self.latest()];
        self.happen(Event::Settle {
            attempts,
            results: vec![result],
            ended: false,
            dialer: None,
            twice: false,
        });
    }

    fn finish(&mut self, code: &str) {
        let attempt = self.latest();
        self.happen(Event::Finish {
            attempt,
            code: Some(code.to_owned()),
        });
    }

    fn anna(&self) -> &Contact {
        self.world.contact("l", "anna").unwrap()
    }

    fn record(&self, place: usize) -> &Record {
        &self.anna().records[place]
    }

    fn codes(&self) -> (char, String) {
        (self.anna().code, self.anna().type_codes.iter().collect())
    }
}

fn codes(contact: char, types: &str) -> (char, String) {
    (contact, types.to_owned())
}

#[test]
fn one_phone_and_two_busy_lines() {
    let busy = CategoryLimit {
        max_attempts: Some(2),
        minutes: Some(30),
    };
    let control = Control {
        max_per_conversation: Some(3),
        categories: BTreeMap::from([("busy".to_owned(), busy)]),
        ..Control::default()
    };
    let mut played = Played::new(&[Kind::Call], false, control);
    played.attempt(Kind::Call, Category::Busy);
    assert_eq!(
        (played.record(0).code, played.record(0).scheduled_at),
        ('O', Some(played.at + 1800))
    );
    played.attempt(Kind::Call, Category::Busy);
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('A', codes('F', "FFF"))
    );
}

#[test]
fn one_phone_and_two_attempts_for_the_contact() {
    let control = Control {
        max_per_contact: Some(2),
        minimum_minutes: Some(60),
        ..Control::default()
    };
    let mut played = Played::new(&[Kind::Call], false, control);
    played.attempt(Kind::Call, Category::Noanswer);
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('O', codes('C', "CFF"))
    );
    played.attempt(Kind::Call, Category::Noanswer);
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('O', codes('A', "CFF"))
    );
    assert!(!played.claim(Kind::Call));
}

#[test]
fn two_phones_and_the_wrong_party_on_the_first() {
    let mut played = Played::new(&[Kind::Call, Kind::Call], false, Control::default());
    played.attempt(Kind::Call, Category::Success);
    played.finish("other");
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('U', codes('C', "CFF"))
    );
    assert!(played.claim(Kind::Call));
    assert_eq!(played.record(1).code, 'I');
}

#[test]
fn a_call_that_succeeds_closes_the_contact() {
    let mut played = Played::new(&[Kind::Call, Kind::Email], false, Control::default());
    played.attempt(Kind::Call, Category::Success);
    assert_eq!(played.codes(), codes('Q', "QCF"));
    played.finish("done");
    assert_eq!(played.codes(), codes('U', "UCF"));
    let campaign = &played.world.campaigns["email"];
    assert_eq!(
        played.world.campaign_counters(campaign),
        [1, 0, 0, 0, 0, 0, 1]
    );
    assert!(!played.claim(Kind::Email));
}

#[test]
fn with_close_if_all_every_type_must_succeed() {
    let mut played = Played::new(&[Kind::Call, Kind::Email], true, Control::default());
    played.attempt(Kind::Call, Category::Success);
    played.finish("done");
    assert_eq!(played.codes(), codes('C', "UCF"));
    played.attempt(Kind::Email, Category::Success);
    played.finish("done");
    assert_eq!(played.codes(), codes('U', "UUF"));
}

#[test]
fn with_close_if_all_the_limit_of_the_contact_may_come_first() {
    let control = Control {
        max_per_contact: Some(1),
        ..Control::default()
    };
    let mut played = Played::new(&[Kind::Call, Kind::Email], true, control);
    played.attempt(Kind::Call, Category::Success);
    played.finish("done");
    assert_eq!(played.codes(), codes('A', "UCF"));
}

#[test]
fn a_conversation_in_open_is_busy() {
    let busy = CategoryLimit {
        max_attempts: Some(2),
        minutes: Some(10),
    };
    let control = Control {
        categories: BTreeMap::from([("busy".to_owned(), busy)]),
        ..Control::default()
    };
    let mut played = Played::new(&[Kind::SocialMedia], false, control);
    for expected in ['O', 'A'] {
        played.happen(Event::Conversation {
            id: "v0".to_owned(),
            kind: Kind::SocialMedia,
            status: "open".to_owned(),
        });
        assert!(played.claim(Kind::SocialMedia));
        let attempts = vec![played.latest()];
        played.happen(Event::Start {
            attempts,
            dialer: None,
        });
        assert_eq!(played.record(0).code, expected);
    }
    assert_eq!(
        (played.record(0).by_category, played.anna().count()),
        ([0, 2, 0, 0], 2)
    );
}

#[test]
fn an_agent_plans_a_callback_on_the_last_attempt() {
    let control = Control {
        max_per_contact: Some(1),
        max_call: Some(1),
        ..Control::default()
    };
    let mut played = Played::new(&[Kind::Call], false, control);
    played.attempt(Kind::Call, Category::Success);
    let attempt = played.latest();
    played.happen(Event::ScheduleCallback {
        attempt,
        seconds: 600,
    });
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('S', codes('C', "CFF"))
    );
    played.attempt(Kind::Call, Category::Noanswer);
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('O', codes('A', "AFF"))
    );
}

#[test]
fn a_conversation_is_deleted_before_its_turn() {
    let mut played = Played::new(&[Kind::SocialMedia], false, Control::default());
    played.happen(Event::DropConversation {
        id: "v0".to_owned(),
    });
    assert!(!played.claim(Kind::SocialMedia));
    assert_eq!(
        (played.record(0).code, played.codes()),
        ('P', codes('F', "FFF"))
    );
}
