//! Who may be claimed, and when (contact-lists §7.1 G2–G8, §8.1).

use super::*;
use crate::machine::gate::shown;
use Category::{Busy, NoAnswer, WrongParty};
use ConversationType::{Call, Email};

#[test]
fn a_moment_is_shown_in_utc() {
    assert_eq!(shown(0), "1970-01-01 00:00:00Z");
    assert_eq!(shown(i64::MAX), i64::MAX.to_string());
}

#[test]
fn due_moments_stand_in_the_order_of_time() {
    assert!(Due::Now < Due::At(i64::MIN));
    assert!(Due::At(1) < Due::At(2));
    assert!(Due::At(i64::MAX) < Due::Never);
}

#[test]
fn every_unit_is_tried_once_before_any_is_repeated() {
    let mut story = Story::of("ccc", FREE);
    let mut order = Vec::new();
    for _ in 0..6 {
        let record = story.chosen(Call).unwrap();
        order.push(record);
        story.claim(record).settle(NoAnswer);
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn units_with_equal_attempts_come_in_the_order_of_columns_then_of_numbers() {
    let mut story = Story::of("ccc", FREE);
    for (record, position) in story.contact.records.iter_mut().zip([2, 1, 1]) {
        record.position = position;
    }
    assert_eq!(story.chosen(Call), Some(2));
    story.claim(2).settle(WrongParty);
    assert_eq!(story.chosen(Call), Some(3));
}

#[test]
fn g2_a_campaign_uses_units_of_its_type() {
    let story = Story::of("e", FREE);
    assert_eq!((story.chosen(Call), story.chosen(Email)), (None, Some(1)));
}

#[test]
fn g5_the_limits_of_the_campaign_that_asks_hold_whatever_the_codes_say() {
    let mut story = Story::of("cce", FREE);
    story.claim(1).settle(Busy).claim(2).settle(NoAnswer);
    assert_eq!(story.codes(), "C CCF CCC");
    for (limits, call, email) in [
        (FREE, Some(1), Some(3)),
        (
            Limits {
                per_contact: Some(2),
                ..FREE
            },
            None,
            None,
        ),
        (
            Limits {
                per_contact: Some(3),
                ..FREE
            },
            Some(1),
            Some(3),
        ),
        (
            Limits {
                per_type: [Some(2), None, None],
                ..FREE
            },
            None,
            Some(3),
        ),
        (
            Limits {
                per_record: Some(1),
                ..FREE
            },
            None,
            Some(3),
        ),
        (
            Limits {
                categories: category_limit(Busy, Some(1), None),
                ..FREE
            },
            Some(2),
            Some(3),
        ),
    ] {
        story.policy.limits = limits;
        assert_eq!(
            (story.chosen(Call), story.chosen(Email)),
            (call, email),
            "{limits:?}"
        );
    }
}

#[test]
fn g6_the_minimum_holds_off_the_whole_contact_from_the_start_of_its_latest_attempt() {
    let mut story = Story::of(
        "cce",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story.claim(1).start().later(20 * MINUTE).settle(NoAnswer);
    story.later(40 * MINUTE - 1);
    assert_eq!((story.chosen(Call), story.chosen(Email)), (None, None));
    story.later(1);
    assert_eq!(
        (story.chosen(Call), story.chosen(Email)),
        (Some(2), Some(3))
    );
}

#[test]
fn g6_a_minimum_for_records_lets_the_next_unit_follow_at_once() {
    let limits = Limits {
        minimum: HOUR,
        minimum_per_record: true,
        ..FREE
    };
    let mut story = Story::of("cc", limits);
    story.claim(1).settle(NoAnswer).claim(2).settle(NoAnswer);
    assert_eq!(story.codes(), "C CFF OO");
    assert_eq!(story.contact.wait_until, None);
    assert_eq!(story.chosen(Call), None);
    story.later(HOUR).claim(1);
}

#[test]
fn g6_a_minimum_for_records_holds_for_one_that_is_callable_again() {
    let limits = Limits {
        minimum: HOUR,
        minimum_per_record: true,
        ..FREE
    };
    let mut story = Story::of("cc", limits);
    story.claim(1).settle(NoAnswer).claim(2).settle(NoAnswer);
    story.contact.reset(None, false, &story.rules).unwrap();
    assert_eq!(story.codes(), "C CFF CC");
    story.later(HOUR - 1);
    assert_eq!(story.chosen(Call), None);
    story.later(1).claim(1);
}

#[test]
fn g6_the_later_minimum_of_two_campaigns_holds() {
    for (first, second, waits) in [
        (HOUR, 0, HOUR),
        (0, 2 * HOUR, 2 * HOUR),
        (3 * HOUR, HOUR, 3 * HOUR),
    ] {
        let mut story = Story::of(
            "cc",
            Limits {
                minimum: first,
                ..FREE
            },
        );
        story.claim(1).settle(WrongParty);
        story.policy.limits.minimum = second;
        story.later(waits - 1);
        assert_eq!(story.chosen(Call), None, "{first} {second}");
        story.later(1);
        assert_eq!(story.chosen(Call), Some(2));
    }
}

#[test]
fn g8_a_blocked_unit_is_passed_over() {
    let mut story = Story::of("ccc", FREE);
    story.reached_with_callback(1, HOUR).later(HOUR);
    let claimant = Claimant {
        kind: Call,
        limits: &FREE,
    };
    for (blocked, chosen) in [
        (&[][..], Some(1)),
        (&[1], Some(2)),
        (&[1, 2], Some(3)),
        (&[1, 2, 3], None),
    ] {
        let record = choose(&story.contact, claimant, story.now, |r| {
            blocked.contains(&r.id)
        });
        assert_eq!(record.map(|r| r.id), chosen);
    }
}

#[test]
fn due_moments_say_when_a_contact_may_be_tried() {
    let limits = Limits {
        minimum: HOUR,
        categories: category_limit(Busy, None, Some(3 * HOUR)),
        ..FREE
    };
    let mut story = Story::of("cce", limits);
    assert_eq!(story.contact.due, [Due::Now; 3]);
    story.claim(1).settle(Busy);
    // The other unit follows after the minimum, and so does the other type.
    let wait = Due::At(story.now + HOUR);
    assert_eq!(story.contact.due, [wait, wait, Due::Now]);
    story.later(HOUR).claim(2).settle(NoAnswer);
    assert_eq!(story.contact.due[0], Due::At(story.now + HOUR));
    story.contact.exclude(Some(2), &story.rules).unwrap();
    assert_eq!(story.contact.due[0], Due::At(story.now + 2 * HOUR));
}

#[test]
fn a_type_with_nothing_but_callbacks_is_never_due_otherwise() {
    let mut story = Story::of("c", FREE);
    story.reached_with_callback(1, HOUR);
    assert_eq!(story.contact.due[0], Due::Never);
    assert_eq!(story.contact.callbacks[0], Some(story.now + HOUR));
}

#[test]
fn moments_beyond_the_calendar_do_not_overflow() {
    let limits = Limits {
        minimum: i64::MAX,
        ..FREE
    };
    let mut story = Story::of("cc", limits);
    story.claim(1).settle(NoAnswer);
    assert_eq!(story.scheduled(1), Some(i64::MAX));
    assert_eq!(story.contact.wait_until, Some(i64::MAX));
    story.now = i64::MAX - 1;
    assert_eq!(story.chosen(Call), None);
}
