//! How a reached contact ends (contact-lists §7.2 R30–R35), and which code wins when several could
//! (§7.4, §7.5).

use super::*;
use Category::{NoAnswer, Success, WrongParty};
use ConversationType::{Call, Email};

#[test]
fn r30_t10_a_finished_contact_is_closed_by_default_and_whenever_the_contact_is_uncallable() {
    for wrap_up in [None, Some((true, true)), Some((true, false))] {
        let mut story = Story::of("ce", FREE);
        story.claim(1).settle(Success);
        match wrap_up {
            Some((contact, number)) => {
                story.finish(contact, number);
            }
            None => story
                .contact
                .finish(None, story.now, &FREE, &story.rules)
                .unwrap(),
        }
        assert_eq!(story.codes(), "U UCF UC", "{wrap_up:?}");
        assert_eq!(story.record(1).last_result, Some(result_id::SUCCESS));
        assert_eq!(story.contact.attempts, 1, "not counted again");
    }
}

#[test]
fn r31_t11_a_wrong_party_found_by_the_agent_leaves_the_other_units() {
    let mut story = Story::of("cc", FREE);
    story.claim(1).settle(Success).finish(false, true);
    assert_eq!(story.codes(), "C CFF UC");
    assert_eq!(story.record(1).last_result, Some(result_id::WRONG_PARTY));
    story.claim(2);
}

#[test]
fn r32_r33_r35_another_try_is_planned_unless_a_limit_of_the_record_is_met() {
    for (minimum, max, codes) in [
        (HOUR, None, "C CFF O"),
        (0, None, "C CFF C"),
        (HOUR, Some(1), "F FFF A"),
    ] {
        let limits = Limits {
            minimum,
            per_record: max,
            ..FREE
        };
        let mut story = Story::of("c", limits);
        story
            .claim(1)
            .settle(Success)
            .later(MINUTE)
            .finish(false, false);
        assert_eq!(story.codes(), codes);
        let planned = (codes == "C CFF O").then(|| story.now + minimum);
        assert_eq!(story.scheduled(1), planned);
        assert_eq!(story.contact.attempts, 1);
    }
}

#[test]
fn t07_k07_the_type_and_the_contact_are_exhausted_by_their_own_limits() {
    let by_type = Limits {
        per_type: [Some(1), None, None],
        ..FREE
    };
    let mut story = Story::of("cce", by_type);
    story.claim(1).settle(NoAnswer);
    assert_eq!(story.codes(), "C ACF CCC", "the other type goes on");
    assert_eq!((story.chosen(Call), story.chosen(Email)), (None, Some(3)));

    let by_contact = Limits {
        per_contact: Some(1),
        ..FREE
    };
    let mut story = Story::of("cce", by_contact);
    story.claim(1).settle(NoAnswer);
    assert_eq!(story.codes(), "A CCF CCC", "its records keep their codes");
    assert_eq!((story.chosen(Call), story.chosen(Email)), (None, None));
}

#[test]
fn success_stands_above_exhaustion_on_the_last_permitted_attempt() {
    let limits = Limits {
        per_contact: Some(1),
        per_record: Some(1),
        per_type: [Some(1), None, None],
        ..FREE
    };
    let mut story = Story::of("ce", limits);
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "U UCF UC");
}

#[test]
fn exhaustion_stands_above_callable_and_flagged() {
    let limits = Limits {
        per_contact: Some(1),
        per_type: [Some(1), None, None],
        ..FREE
    };
    let mut callable = Story::of("cc", limits);
    callable.claim(1).settle(NoAnswer);
    assert_eq!(callable.codes(), "A AFF CC");
    let mut flagged = Story::of("c", limits);
    flagged.claim(1).settle(WrongParty);
    assert_eq!(flagged.codes(), "A AFF U");
}

#[test]
fn limits_are_those_of_the_campaign_of_the_latest_attempt() {
    let mut story = Story::of("ce", FREE);
    story.rules.limits.insert(
        2,
        Limits {
            per_contact: Some(1),
            per_type: [Some(1); 3],
            ..FREE
        },
    );
    story.claim(1).settle(NoAnswer).later(1);
    assert_eq!(story.codes(), "C CCF CC");
    let email = OpenAttempt {
        campaign: 2,
        ..claim_of(2, RecordCode::Callable, story.now)
    };
    story.contact.claim(email, &story.rules);
    story.settle(NoAnswer);
    assert_eq!(
        story.codes(),
        "A CAF CC",
        "the type of the first campaign has no limit"
    );
}

#[test]
fn the_latest_attempt_of_a_type_is_so_by_its_moment_and_by_the_contact_when_two_began_at_once() {
    for between in [0, MINUTE] {
        let mut story = Story::of("cc", FREE);
        let limited = Limits {
            per_type: [Some(1); 3],
            ..FREE
        };
        story.rules.limits.insert(2, limited);
        story.contact.exclude(Some(1), &story.rules).unwrap();
        story.claim(2).settle(NoAnswer).later(between);
        story.contact.reset(Some(1), false, &story.rules).unwrap();
        assert_eq!(story.codes(), "C CFF CC");
        let other = OpenAttempt {
            campaign: 2,
            ..claim_of(1, RecordCode::Callable, story.now)
        };
        story.contact.claim(other, &story.rules);
        story.settle(NoAnswer);
        assert_eq!(story.codes(), "F AFF CC", "{between}");
    }
}

#[test]
fn a_callback_of_a_type_that_succeeded_keeps_no_contact_callable() {
    let limits = Limits {
        per_contact: Some(2),
        ..FREE
    };
    let mut story = Story::of("cce", limits).closing_with_all_types();
    story.reached_with_callback(1, HOUR);
    story.claim(2).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "A UCF SUC");
}
