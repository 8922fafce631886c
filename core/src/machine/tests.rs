//! What must hold for the status machine.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod contacts;
mod endings;
mod explained;
mod gates;
mod history;
mod operator;
mod properties;
mod reference;
mod transitions;

use super::attempt::{Policy, Refusal, Reported, WrapUp};
use super::gate::{Claimant, choose};
use super::*;

/// The campaign of all stories.
const CAMPAIGN: i64 = 1;

/// No particular moment.
const BEGINNING: Micros = 1_800_000_000_000_000;

const HOUR: Micros = 60 * MINUTE;

/// Limits that limit nothing: no maximum, no time between attempts.
const FREE: Limits = Limits {
    per_contact: None,
    per_record: None,
    per_type: [None; 3],
    minimum: 0,
    minimum_per_record: false,
    categories: [CategoryLimit {
        max_attempts: None,
        delay: None,
    }; 4],
};

/// The system's own result of each category: they are numbered in the same order.
fn result_of(category: Category) -> i64 {
    category as i64 + 1
}

fn reported(category: Category) -> Reported<'static> {
    Reported {
        result: result_of(category),
        category,
        dialog: None,
        is_final: false,
    }
}

/// A record as a load makes it: `c` a phone number, `e` an address, `m` a messenger, `v` a conversation in
/// a messenger, `?` an unknown conversation.
fn loaded(id: i64, unit: char) -> Record {
    let kind = match unit {
        'c' => Some(ConversationType::Call),
        'e' => Some(ConversationType::Email),
        '?' => None,
        _ => Some(ConversationType::SocialMedia),
    };
    Record {
        id,
        kind,
        inbox: kind.map(|kind| kind as i64),
        is_conversation: matches!(unit, 'v' | '?'),
        position: i32::try_from(id).unwrap(),
        code: if kind.is_some() {
            RecordCode::Callable
        } else {
            RecordCode::Purged
        },
        attempts: 0,
        by_category: [0; 4],
        scheduled_at: None,
        last_attempt_at: None,
        last_campaign: None,
        last_dialog: None,
        last_result: None,
    }
}

/// A contact as a load makes it, with a record for each letter of `units`, numbered from 1.
fn new_contact(units: &str, rules: &Rules) -> Contact {
    let mut contact = Contact {
        id: "1".to_owned(),
        code: ContactCode::Flagged,
        type_codes: [ContactCode::Flagged; 3],
        attempts: 0,
        type_attempts: [0; 3],
        last_record: None,
        last_attempt_at: None,
        wait_until: None,
        due: [Due::Now; 3],
        callbacks: [None; 3],
        open: None,
        records: (1..)
            .zip(units.chars())
            .map(|(id, unit)| loaded(id, unit))
            .collect(),
    };
    contact.derive(rules);
    contact
}

/// One contact and one campaign, event by event.
struct Story {
    contact: Contact,
    rules: Rules,
    policy: Policy,
    now: Micros,
}

impl Story {
    /// Begins with a contact that was just loaded, see [`loaded`].
    fn of(units: &str, limits: Limits) -> Self {
        let rules = Rules {
            close_if_all: false,
            limits: HashMap::from([(CAMPAIGN, limits)]),
            successes: vec![result_id::SUCCESS],
        };
        Self {
            contact: new_contact(units, &rules),
            policy: Policy {
                limits,
                retry_unknown: true,
                waiting: 72 * HOUR,
            },
            rules,
            now: BEGINNING,
        }
    }

    fn closing_with_all_types(mut self) -> Self {
        self.rules.close_if_all = true;
        self
    }

    /// Codes in one line: the contact, its types, its records.
    fn codes(&self) -> String {
        let types = self.contact.type_codes.map(ContactCode::as_str).concat();
        let records: String = self
            .contact
            .records
            .iter()
            .map(|r| r.code.as_str())
            .collect();
        format!("{} {types} {records}", self.contact.code)
    }

    fn record(&self, id: i64) -> &Record {
        self.contact.record(id).unwrap()
    }

    fn scheduled(&self, id: i64) -> Option<Micros> {
        self.record(id).scheduled_at
    }

    /// The limits change, and nothing moves by itself.
    fn limit(&mut self, limits: Limits) -> &mut Self {
        self.policy.limits = limits;
        self.rules.limits.insert(CAMPAIGN, limits);
        self
    }

    fn later(&mut self, time: Micros) -> &mut Self {
        self.now += time;
        self
    }

    /// The record that a claim for this type would use.
    fn chosen(&self, kind: ConversationType) -> Option<i64> {
        let claimant = Claimant {
            kind,
            limits: &self.policy.limits,
        };
        choose(&self.contact, claimant, self.now, |_| false).map(|record| record.id)
    }

    /// Claims this record, as the one whose turn it is.
    fn claim(&mut self, record: i64) -> &mut Self {
        let kind = self.record(record).kind.unwrap();
        assert_eq!(self.chosen(kind), Some(record), "{}", self.codes());
        let previous = self.record(record).code;
        self.contact
            .claim(claim_of(record, previous, self.now), &self.rules);
        self
    }

    fn start(&mut self) -> &mut Self {
        let until = self.now + HOUR;
        self.contact.start(self.now, until).unwrap();
        self
    }

    /// The attempt has this result; whether it counted is as its category says.
    fn settle(&mut self, category: Category) -> &mut Self {
        let counted = self.report(reported(category)).unwrap();
        assert_eq!(counted, category.counts());
        self
    }

    fn report(&mut self, reported: Reported<'_>) -> Result<bool, Refusal> {
        self.contact
            .settle(reported, self.now, &self.policy, &self.rules)
    }

    /// The campaign manager is done, with a wrap-up code of these switches.
    fn finish(&mut self, contact_uncallable: bool, number_uncallable: bool) -> &mut Self {
        let wrap_up = WrapUp {
            contact_uncallable,
            number_uncallable,
        };
        self.contact
            .finish(Some(wrap_up), self.now, &self.policy.limits, &self.rules)
            .unwrap();
        self
    }

    /// An agent plans a callback after this time. Returns whether it counted.
    fn callback(&mut self, after: Micros) -> bool {
        self.contact
            .schedule_callback(self.now + after, &self.policy.limits, &self.rules)
            .unwrap()
    }

    /// Reached, and to be called back by an agent after this time.
    fn reached_with_callback(&mut self, record: i64, after: Micros) -> &mut Self {
        assert!(!self.claim(record).settle(Category::Success).callback(after));
        self
    }

    /// An attempt of the record with this result, after the minimum time.
    fn attempt(&mut self, record: i64, category: Category) -> &mut Self {
        self.later(self.policy.limits.minimum)
            .claim(record)
            .settle(category)
    }

    /// An event that must be refused, and change nothing.
    fn refuses<T: std::fmt::Debug>(
        &mut self,
        event: impl FnOnce(&mut Contact, &Rules) -> Result<T, Refusal>,
    ) -> Refusal {
        let before = self.contact.clone();
        let refusal = event(&mut self.contact, &self.rules).unwrap_err();
        assert_eq!(self.contact, before);
        refusal
    }
}

fn claim_of(record: i64, previous: RecordCode, at: Micros) -> OpenAttempt {
    OpenAttempt {
        id: 7,
        record,
        campaign: CAMPAIGN,
        dialer: "dialer".to_owned(),
        claimed_at: at,
        started_at: None,
        until: at + 2 * MINUTE,
        previous,
    }
}

/// A limit of one category and the time after it.
fn category_limit(
    category: Category,
    max_attempts: Option<i32>,
    delay: Option<Micros>,
) -> [CategoryLimit; 4] {
    let mut limits = FREE.categories;
    limits[category.counter().unwrap()] = CategoryLimit {
        max_attempts,
        delay,
    };
    limits
}

#[test]
fn results_of_the_system_stand_in_the_order_of_their_categories() {
    for (category, id) in [
        (Category::Busy, result_id::BUSY),
        (Category::Success, result_id::SUCCESS),
        (Category::WrongParty, result_id::WRONG_PARTY),
        (Category::Invalid, result_id::INVALID),
        (Category::NotFound, result_id::NOT_FOUND),
        (Category::Suppressed, result_id::SUPPRESSED),
        (Category::NotPerformed, result_id::NOT_PERFORMED),
        (Category::Unknown, result_id::UNKNOWN),
        (Category::Manual, result_id::MANUAL),
        (Category::Removed, result_id::REMOVED),
    ] {
        assert_eq!(result_of(category), id, "{category}");
    }
}

#[test]
fn categories_count_and_are_reported_as_the_table_says() {
    use Category::*;
    let not_counted = [NotFound, Suppressed, NotPerformed, Manual, Removed];
    let by_the_system = [Suppressed, Manual, Removed];
    for &category in Category::ALL {
        assert_eq!(category.counts(), !not_counted.contains(&category));
        assert_eq!(category.is_reported(), !by_the_system.contains(&category));
    }
    let columns = [Abandoned, Busy, NoAnswer, Machine];
    for &category in Category::ALL {
        let column = columns.iter().position(|of| *of == category);
        assert_eq!(category.counter(), column, "{category}");
    }
}

#[test]
fn an_attempt_control_becomes_the_limits_of_the_machine() {
    let mut control = AttemptControl {
        max_per_contact: Some(6),
        max_per_record: Some(3),
        max_per_type: [Some(4), None, Some(1)],
        minimum_minutes: 60,
        minimum_scope: MinimumScope::Record,
        ..AttemptControl::default()
    };
    control.categories[1].max_attempts = Some(2);
    control.categories[1].minutes = Some(15);
    assert_eq!(
        Limits::from(&control),
        Limits {
            per_contact: Some(6),
            per_record: Some(3),
            per_type: [Some(4), None, Some(1)],
            minimum: HOUR,
            minimum_per_record: true,
            categories: category_limit(Category::Busy, Some(2), Some(15 * MINUTE)),
        }
    );
    let default = Limits::from(&AttemptControl::default());
    assert_eq!(
        default,
        Limits {
            minimum: 5 * MINUTE,
            ..FREE
        }
    );
}

#[test]
fn the_delay_is_the_categorys_own_or_the_minimum_and_never_less_than_the_minimum() {
    for (own, minimum, delay) in [
        (None, 0, 0),
        (None, HOUR, HOUR),
        (Some(30 * MINUTE), 0, 30 * MINUTE),
        (Some(30 * MINUTE), HOUR, HOUR),
        (Some(2 * HOUR), HOUR, 2 * HOUR),
        (Some(0), HOUR, HOUR),
    ] {
        let limits = Limits {
            minimum,
            categories: category_limit(Category::Busy, None, own),
            ..FREE
        };
        assert_eq!(limits.delay_after(Category::Busy), delay);
        assert_eq!(limits.delay_after(Category::Machine), minimum);
        assert_eq!(limits.delay_after(Category::Failed), minimum);
    }
}

#[test]
fn types_of_units_are_bits() {
    let rules = Rules::default();
    for (units, bits) in [
        ("", 0),
        ("?", 0),
        ("cc", 1),
        ("e", 2),
        ("vc", 5),
        ("cem", 7),
    ] {
        assert_eq!(new_contact(units, &rules).unit_types(), bits, "{units}");
    }
}
