//! What a random history starts with: limits, calendars, lists of different shapes, contacts, and
//! campaigns that share them.

use std::collections::BTreeMap;

use crate::model::settings::{
    Calendar, CampaignSettings, Category, CategoryLimit, Condition, Control, Exception, Kind,
    Policy, Scope, UnitType,
};
use crate::random::Random;

use super::{Column, Event, Upload};

const COLUMNS: [(&str, UnitType, Option<Kind>); 6] = [
    ("phone", UnitType::Phone, Some(Kind::Call)),
    ("mobile", UnitType::Phone, Some(Kind::Call)),
    ("mail", UnitType::Email, Some(Kind::Email)),
    ("account", UnitType::MessengerId, Some(Kind::SocialMedia)),
    ("viber", UnitType::Phone, Some(Kind::SocialMedia)),
    ("conversation", UnitType::ConversationId, None),
];

/// The events that set a history up. A fair one can be drained (P27): it has limits everywhere, and
/// nothing but time keeps a contact from being attempted.
pub fn events(random: &mut Random, fair: bool) -> Vec<Event> {
    let mut events = Vec::new();
    let calendars = if fair { 0 } else { random.below(3) };
    for number in 0..calendars {
        events.push(Event::Calendar {
            name: format!("c{number}"),
            calendar: calendar(random),
        });
    }
    let controls = if fair { 1 } else { random.below(4) };
    for number in 0..controls {
        events.push(Event::Control {
            name: format!("k{number}"),
            control: control(random, fair),
        });
    }
    let suppressions = if fair || random.chance(50) {
        0
    } else {
        1 + random.below(2)
    };
    for number in 0..suppressions {
        events.push(Event::Suppression {
            name: format!("d{number}"),
            applies_to_all: random.chance(25),
        });
    }
    for id in 0..4 {
        let kind = *random.pick(&Kind::ALL).unwrap_or(&Kind::Email);
        events.push(Event::Conversation {
            id: format!("v{id}"),
            kind,
            status: (*random
                .pick(&["open", "pending", "pending", "resolved"])
                .unwrap_or(&"open"))
            .to_owned(),
        });
    }
    let mut units = Units::default();
    for number in 0..if random.chance(30) { 2 } else { 1 } {
        let name = format!("l{number}");
        let columns = columns(random, fair);
        let contacts = 1 + if random.chance(30) {
            random.below(20)
        } else {
            random.below(6)
        };
        let uploads = (0..contacts)
            .map(|id| upload(random, &format!("c{id:02}"), &columns, &mut units))
            .collect();
        events.push(Event::List {
            name: name.clone(),
            close_if_all: random.chance(50),
            columns,
        });
        events.push(Event::Contacts {
            list: name,
            contacts: uploads,
            update: false,
            twice: random.chance(20),
        });
    }
    if suppressions > 0 {
        let suppressed = |random: &mut Random, event: &Event| match event {
            Event::Contacts { contacts, .. } => {
                let units = contacts.iter().flat_map(|upload| upload.units.values());
                units
                    .filter(|unit| !unit.starts_with('x') && random.chance(12))
                    .cloned()
                    .collect()
            }
            _ => Vec::new(),
        };
        let units: Vec<String> = events
            .iter()
            .flat_map(|event| suppressed(random, event))
            .collect();
        let name = format!("d{}", random.below(suppressions));
        events.extend((!units.is_empty()).then_some(Event::Suppress { name, units }));
    }
    let lists: Vec<(String, Vec<Kind>)> = events
        .iter()
        .filter_map(|event| match event {
            Event::List { name, columns, .. } => {
                let kinds = Kind::ALL.into_iter().filter(|kind| {
                    columns
                        .iter()
                        .any(|column| column.kind.is_none_or(|of| of == *kind))
                });
                Some((name.clone(), kinds.collect()))
            }
            _ => None,
        })
        .collect();
    let mut campaigns = Vec::new();
    for (list, kinds) in &lists {
        for kind in kinds {
            for _ in 0..if fair {
                1
            } else {
                1 + usize::from(random.chance(40))
            } {
                let mut of = vec![list.clone()];
                let shared = lists.iter().all(|(_, kinds)| kinds.contains(kind));
                if !fair && shared && random.chance(20) {
                    of = lists.iter().map(|(name, _)| name.clone()).collect();
                }
                campaigns.push((of, *kind));
            }
        }
    }
    for (number, (lists, kind)) in campaigns.into_iter().enumerate() {
        let name = format!("p{number}");
        let mut settings = settings(random, calendars, controls, suppressions);
        if fair {
            settings.attempt_control = Some(format!("k{}", random.below(controls)));
            settings.always_active = true;
            settings.filter = Vec::new();
        }
        events.push(Event::Campaign {
            name: name.clone(),
            lists,
            kind,
            settings,
        });
        events.push(Event::StartCampaign { name });
    }
    events
}

fn columns(random: &mut Random, fair: bool) -> Vec<Column> {
    let mut chosen: Vec<Column> = COLUMNS
        .iter()
        .filter(|(_, unit, _)| *unit != UnitType::ConversationId || (!fair && random.chance(60)))
        .map(|(name, unit, kind)| Column {
            name: (*name).to_owned(),
            unit: *unit,
            kind: *kind,
        })
        .collect();
    while chosen.len() > 1 && random.chance(60) {
        chosen.remove(random.below(chosen.len()));
    }
    // The order of the columns decides between units.
    if random.chance(50) {
        chosen.reverse();
    }
    chosen
}

/// Numbers the units of a history.
#[derive(Debug, Clone, Default)]
pub struct Units(usize);

impl Units {
    /// A unit for a column that nobody else has.
    pub fn make(&mut self, unit: UnitType) -> String {
        self.0 += 1;
        let letter = match unit {
            UnitType::Phone => 'p',
            UnitType::Email => 'e',
            UnitType::MessengerId => 'm',
            UnitType::ConversationId => return format!("v{}", self.0 % 5),
        };
        format!("{letter}{}", self.0)
    }

    /// Numbers from here on.
    #[must_use]
    pub const fn after(number: usize) -> Self {
        Self(number)
    }
}

/// A contact with units in some of the columns.
pub fn upload(random: &mut Random, id: &str, columns: &[Column], units: &mut Units) -> Upload {
    let mut cells = BTreeMap::new();
    for column in columns {
        if random.chance(55) {
            let unit = match column.unit {
                UnitType::Phone if random.chance(4) => format!("x{}", columns.len() + cells.len()),
                unit => units.make(unit),
            };
            cells.insert(column.name.clone(), unit);
        }
    }
    let balance = random.chance(80).then(|| random.between(0, 9) * 10);
    Upload {
        id: id.to_owned(),
        balance,
        units: cells,
    }
}

/// A random attempt control.
pub fn control(random: &mut Random, fair: bool) -> Control {
    let mut limit = |percent| random.chance(percent).then(|| random.between(1, 4));
    let mut control = Control {
        max_per_contact: limit(40),
        max_per_conversation: limit(40),
        max_call: limit(25),
        max_email: limit(25),
        max_social_media: limit(25),
        ..Control::default()
    };
    if fair {
        control.max_per_conversation.get_or_insert(3);
    }
    control.minimum_minutes = random
        .chance(70)
        .then(|| *random.pick(&[0, 0, 1, 5, 30, 60]).unwrap_or(&5));
    if random.chance(35) {
        control.minimum_scope = Scope::Record;
        control.minimum_minutes = Some(*random.pick(&[0, 30, 240]).unwrap_or(&30));
    }
    for category in Category::COUNTED {
        if random.chance(35) {
            let limit = CategoryLimit {
                max_attempts: random.chance(60).then(|| random.between(1, 3)),
                minutes: random
                    .chance(70)
                    .then(|| *random.pick(&[0, 2, 10, 45]).unwrap_or(&2)),
            };
            control.categories.insert(category.name().to_owned(), limit);
        }
    }
    control
}

fn calendar(random: &mut Random) -> Calendar {
    let from = random.between(0, 10);
    let till = random.between(from + 6, 24);
    let mut hours = BTreeMap::new();
    for day in ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] {
        if random.chance(85) {
            hours.insert(
                day.to_owned(),
                vec![(format!("{from:02}:00"), format!("{till:02}:00"))],
            );
        }
    }
    let mut exceptions = Vec::new();
    if random.chance(40) {
        exceptions.push(Exception {
            date: "2035-03-06".to_owned(),
            hours: Vec::new(),
        });
        let short = vec![
            ("10:00".to_owned(), "11:30".to_owned()),
            ("23:00".to_owned(), "24:00".to_owned()),
        ];
        exceptions.push(Exception {
            date: "2035-03-07".to_owned(),
            hours: short,
        });
    }
    let zone = *random
        .pick(&["Europe/Kyiv", "America/New_York", "UTC", "Asia/Kolkata"])
        .unwrap_or(&"UTC");
    Calendar {
        time_zone: zone.to_owned(),
        hours,
        exceptions,
    }
}

fn settings(
    random: &mut Random,
    calendars: usize,
    controls: usize,
    suppressions: usize,
) -> CampaignSettings {
    let mut filter = Vec::new();
    if random.chance(30) {
        filter.push(vec![
            Condition::GreaterThan(random.between(0, 3) * 10),
            Condition::LessThan(random.between(4, 9) * 10),
        ]);
        if random.chance(50) {
            filter.push(vec![Condition::IsEmpty]);
        }
    }
    let policy = |random: &mut Random| {
        if random.chance(50) {
            Policy::Retry
        } else {
            Policy::Close
        }
    };
    CampaignSettings {
        calendar: (calendars > 0 && random.chance(60))
            .then(|| format!("c{}", random.below(calendars))),
        attempt_control: (controls > 0 && random.chance(85))
            .then(|| format!("k{}", random.below(controls))),
        do_not_contact: (0..suppressions)
            .filter(|_| random.chance(60))
            .map(|number| format!("d{number}"))
            .collect(),
        always_active: random.chance(50),
        filter,
        order: random.chance(50).then(|| {
            random
                .pick(&["asc", "desc"])
                .map_or_else(String::new, |order| (*order).to_owned())
        }),
        waiting_hours: *random.pick(&[1, 24, 72]).unwrap_or(&72),
        on_waiting_over: policy(random),
        unknown_outcome: random.chance(50).then(|| policy(random)),
        pending_is_busy: random.chance(50),
        lease_seconds: *random.pick(&[60, 120, 600]).unwrap_or(&120),
        lease_started_seconds: *random.pick(&[300, 900, 3600]).unwrap_or(&900),
    }
}
