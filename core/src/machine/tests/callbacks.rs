//! Callbacks that agents plan (contact-lists §7.2 R12, R34, R36, R40, R41; §16 Q9).

use super::*;
use Category::{NoAnswer, Success};
use ConversationType::{Call, Email};

#[test]
fn r34_an_agent_plans_a_callback_which_is_not_counted_again() {
    let mut story = Story::of("ce", FREE);
    story.claim(1).settle(Success);
    assert!(!story.callback(HOUR));
    assert_eq!(story.codes(), "C CCF SC");
    assert_eq!(story.scheduled(1), Some(story.now + HOUR));
    assert_eq!(
        story.contact.callbacks,
        [Some(story.now + HOUR), None, None]
    );
    assert_eq!(
        (story.contact.attempts, story.contact.open.clone()),
        (1, None)
    );
}

#[test]
fn r36_a_callback_from_a_live_call_counts_as_a_success() {
    for started in [true, false] {
        let mut story = Story::of("c", FREE);
        story.claim(1);
        if started {
            story.start();
        }
        assert!(story.callback(HOUR));
        assert_eq!(story.codes(), "C CFF S");
        assert_eq!(story.contact.attempts, 1);
        assert_eq!(story.record(1).last_result, Some(result_id::SUCCESS));
        assert_eq!(story.record(1).last_attempt_at, Some(BEGINNING));
    }
}

#[test]
fn r12_a_callback_that_is_due_is_stopped_by_no_limit_and_waits_for_no_minimum() {
    let limits = Limits {
        per_contact: Some(1),
        per_record: Some(1),
        per_type: [Some(1), None, None],
        minimum: 24 * HOUR,
        ..FREE
    };
    let mut story = Story::of("cc", limits);
    story.reached_with_callback(1, HOUR);
    // T15: on the last permitted attempt, and it never settles in A.
    assert_eq!(story.codes(), "C CFF SC");
    story.later(HOUR - 1);
    assert_eq!(
        story.chosen(Call),
        None,
        "only the callback, and not before its moment"
    );
    story.later(1).claim(1);
    assert_eq!(
        story.contact.open.clone().unwrap().previous,
        RecordCode::AgentCallback
    );
    // It counts, and is settled like any other.
    story.settle(NoAnswer);
    assert_eq!(
        (story.contact.attempts, story.codes().as_str()),
        (2, "A AFF AC")
    );
}

#[test]
fn a_callback_that_succeeds_closes_beyond_the_limit() {
    let limits = Limits {
        per_contact: Some(1),
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.reached_with_callback(1, HOUR).later(HOUR);
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(
        (story.contact.attempts, story.codes().as_str()),
        (2, "U UFF U")
    );
}

#[test]
fn a_pending_callback_of_another_type_keeps_the_contact_callable_for_that_one_alone() {
    let limits = Limits {
        per_contact: Some(1),
        ..FREE
    };
    let mut story = Story::of("ce", limits);
    story.reached_with_callback(1, HOUR);
    assert_eq!(story.codes(), "C CCF SC");
    assert_eq!((story.chosen(Call), story.chosen(Email)), (None, None));
    story.later(HOUR);
    assert_eq!((story.chosen(Call), story.chosen(Email)), (Some(1), None));
}

#[test]
fn due_callbacks_come_before_everything_the_earliest_first() {
    let mut story = Story::of("ccc", FREE);
    story.reached_with_callback(1, 2 * HOUR);
    story.reached_with_callback(2, HOUR);
    assert_eq!(
        story.chosen(Call),
        Some(3),
        "callbacks that are not due hold nobody off"
    );
    story.later(HOUR);
    assert_eq!(story.chosen(Call), Some(2));
    story.later(5 * HOUR);
    assert_eq!(
        story.chosen(Call),
        Some(2),
        "the earliest, although both are due"
    );
    story.claim(2).settle(NoAnswer);
    assert_eq!(story.chosen(Call), Some(1));
}

#[test]
fn r40_a_cancelled_callback_is_callable_like_any_other() {
    let mut story = Story::of("c", FREE);
    story.reached_with_callback(1, HOUR);
    assert_eq!(story.contact.cancel_callback(None, &story.rules), Ok(1));
    assert_eq!(story.codes(), "C CFF C");
    assert_eq!(
        (story.scheduled(1), story.contact.callbacks[0]),
        (None, None)
    );
    assert_eq!(
        story.refuses(|c, rules| c.cancel_callback(None, rules)),
        Refusal::NoCallback
    );
}

#[test]
fn r40_limits_that_were_met_hold_once_the_callback_is_cancelled() {
    for (limits, codes) in [
        (
            Limits {
                per_record: Some(1),
                ..FREE
            },
            "F FFF A",
        ),
        (
            Limits {
                per_contact: Some(1),
                ..FREE
            },
            "A CFF C",
        ),
        (
            Limits {
                per_type: [Some(1), None, None],
                ..FREE
            },
            "F AFF C",
        ),
    ] {
        let mut story = Story::of("c", limits);
        story.reached_with_callback(1, HOUR);
        assert_eq!(story.codes(), "C CFF S");
        story
            .contact
            .cancel_callback(Some(1), &story.rules)
            .unwrap();
        assert_eq!(story.codes(), codes);
    }
}

#[test]
fn r40_the_least_time_between_attempts_holds_once_the_callback_is_cancelled() {
    for minimum_per_record in [false, true] {
        let limits = Limits {
            minimum: 24 * HOUR,
            minimum_per_record,
            ..FREE
        };
        let mut story = Story::of("c", limits);
        story.reached_with_callback(1, HOUR);
        story.contact.cancel_callback(None, &story.rules).unwrap();
        assert_eq!(story.chosen(Call), None);
        story.later(24 * HOUR - 1);
        assert_eq!(story.chosen(Call), None);
        story.later(1).claim(1);
    }
}

#[test]
fn r41_a_moved_callback_is_due_at_its_new_moment() {
    let mut story = Story::of("cc", FREE);
    story.reached_with_callback(1, 2 * HOUR);
    story.reached_with_callback(2, HOUR);
    let moment = story.now + 5 * HOUR;
    let mut moved = |only, to| story.contact.move_callback(only, to, &story.rules);
    // The earliest, unless one is named.
    assert_eq!(moved(None, moment), Ok(2));
    assert_eq!(moved(Some(1), moment + HOUR), Ok(1));
    assert_eq!(
        [story.scheduled(1), story.scheduled(2)],
        [Some(moment + HOUR), Some(moment)]
    );
    assert_eq!(story.contact.callbacks[0], Some(moment));
    assert_eq!(story.codes(), "C CFF SS");
    assert_eq!(
        story.refuses(|c, rules| c.move_callback(Some(3), moment, rules)),
        Refusal::NoCallback
    );
    assert_eq!(story.contact.cancel_callback(None, &story.rules), Ok(2));
}

#[test]
fn callbacks_of_a_closed_contact_stay_and_are_not_placed() {
    let mut story = Story::of("cc", FREE);
    story.reached_with_callback(1, HOUR);
    story.claim(2).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "U UFF SU");
    story.later(2 * HOUR);
    assert_eq!(story.chosen(Call), None);
    story.contact.cancel_callback(None, &story.rules).unwrap();
    assert_eq!(story.codes(), "U UFF CU", "K13: final");
}
