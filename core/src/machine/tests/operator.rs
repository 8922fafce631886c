//! What operators do (contact-lists §7.2 R42–R60, §8.4).

use super::*;
use Category::{Busy, Invalid, NoAnswer, Removed, Success, Suppressed, WrongParty};
use ConversationType::Call;

const ONCE: Limits = Limits {
    per_record: Some(1),
    ..FREE
};

fn later_limit(story: &mut Story, limits: Limits) -> Result<usize, Refusal> {
    story.limit(limits);
    story.contact.reevaluate(&story.rules)
}

#[test]
fn r42_t12_k10_an_excluded_record_is_shut_out_and_never_a_success() {
    let mut story = Story::of(
        "cc",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story.claim(1).settle(NoAnswer);
    assert_eq!(story.contact.exclude(Some(1), &story.rules), Ok(1));
    assert_eq!(
        (story.codes().as_str(), story.scheduled(1)),
        ("C CFF UC", None)
    );
    assert_eq!(story.record(1).last_result, Some(result_id::MANUAL));
    assert_eq!(story.contact.exclude(None, &story.rules), Ok(1));
    assert_eq!(story.codes(), "F FFF UU");
    assert_eq!(
        story.refuses(|c, rules| c.exclude(None, rules)),
        Refusal::Nothing
    );
}

#[test]
fn r42_concerns_callbacks_and_leaves_what_has_ended() {
    let mut story = Story::of("ccv", ONCE);
    story.reached_with_callback(1, HOUR);
    story.claim(2).settle(NoAnswer);
    story.contact.shut_out(3, Category::NotFound, &story.rules);
    assert_eq!(story.codes(), "C CFF SAP");
    assert_eq!(story.contact.exclude(None, &story.rules), Ok(1));
    assert_eq!(story.codes(), "F FFF UAP");
    assert_eq!(story.contact.callbacks, [None; 3]);
}

#[test]
fn r50_a_reset_makes_every_code_callable_and_takes_planned_moments() {
    let mut story = Story::of(
        "ccccc",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story.claim(1).settle(NoAnswer).later(HOUR);
    story.claim(2).settle(WrongParty).later(HOUR);
    story.claim(3).settle(Success);
    story.callback(HOUR);
    story.contact.shut_out(4, Suppressed, &story.rules);
    assert_eq!(story.codes(), "C CFF OUSUC");
    assert_eq!(story.contact.reset(None, false, &story.rules), Ok(4));
    assert_eq!(story.codes(), "C CFF CCCCC");
    assert!(
        story
            .contact
            .records
            .iter()
            .all(|r| r.scheduled_at.is_none())
    );
    assert_eq!(story.contact.attempts, 3, "counts are kept");
}

#[test]
fn r50_a_purged_conversation_that_is_known_again_is_reset() {
    let mut story = Story::of("v?", FREE);
    story.contact.shut_out(1, Category::NotFound, &story.rules);
    assert_eq!(story.codes(), "F FFF PP");
    assert_eq!(story.contact.reset(None, false, &story.rules), Ok(1));
    assert_eq!(story.codes(), "C FFC CP", "T13, K11; the unknown one stays");
    // A conversation whose type or inbox alone is not known cannot be used either.
    for (kind, inbox) in [(None, Some(1)), (Some(Call), None)] {
        let record = story.contact.record_mut(2).unwrap();
        (record.kind, record.inbox) = (kind, inbox);
        let refusal = story.refuses(|c, rules| c.reset(Some(2), false, rules));
        assert_eq!(refusal, Refusal::Nothing);
    }
}

#[test]
fn r50_units_that_never_were_valid_or_were_taken_away_stay_shut_out() {
    for zero in [false, true] {
        let mut story = Story::of("ccc", FREE);
        story.claim(1).settle(NoAnswer);
        for (id, category) in [(1, Removed), (2, Invalid)] {
            let record = story.contact.record_mut(id).unwrap();
            record.code = RecordCode::Uncallable;
            record.last_result = Some(result_of(category));
        }
        story.contact.derive(&story.rules);
        assert_eq!(
            story.refuses(|c, rules| c.reset(None, zero, rules)),
            Refusal::Nothing
        );
        // One that was dialled in vain did exist.
        story.claim(3).settle(Invalid);
        assert_eq!(story.contact.reset(None, zero, &story.rules), Ok(1));
        assert_eq!(story.codes(), "C CFF UUC");
    }
}

#[test]
fn r50_without_zeroing_a_limit_that_is_met_still_holds() {
    for (limits, codes) in [
        (ONCE, "F FFF A"),
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
        (
            Limits {
                categories: category_limit(Busy, Some(1), None),
                ..FREE
            },
            "F FFF A",
        ),
    ] {
        let mut story = Story::of("c", limits);
        story.claim(1).settle(Busy);
        assert_eq!(story.codes(), codes);
        assert_eq!(
            story.refuses(|c, rules| c.reset(None, false, rules)),
            Refusal::Nothing
        );
        // T14, K12.
        assert_eq!(story.contact.reset(None, true, &story.rules), Ok(1));
        assert_eq!(story.codes(), "C CFF C");
        story.claim(1);
    }
}

#[test]
fn r50_zeroed_counters_forget_the_attempts_at_all_levels() {
    let mut story = Story::of(
        "ce",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    let new = story.contact.clone();
    story.claim(1).settle(NoAnswer).later(HOUR);
    story.claim(2).settle(Busy);
    // One of them: the other one's attempt is the latest then.
    assert_eq!(story.contact.reset(Some(2), true, &story.rules), Ok(1));
    assert_eq!(story.contact.type_attempts, [1, 0, 0]);
    assert_eq!(
        (story.contact.attempts, story.contact.last_record),
        (1, Some(1))
    );
    assert_eq!(story.contact.last_attempt_at, Some(BEGINNING));
    assert_eq!(story.contact.reset(None, true, &story.rules), Ok(1));
    assert_eq!(story.contact, new);
}

#[test]
fn r50_the_minimum_time_holds_as_long_as_the_latest_attempt_is_remembered() {
    let limits = Limits {
        minimum: HOUR,
        ..FREE
    };
    for (zeroed, holds) in [(1, true), (2, false)] {
        let mut story = Story::of("ccc", limits);
        story.claim(1).settle(NoAnswer).later(HOUR);
        story.claim(2).settle(NoAnswer);
        story
            .contact
            .reset(Some(zeroed), true, &story.rules)
            .unwrap();
        // Whatever the campaign that asks would permit.
        story.policy.limits = FREE;
        assert_eq!(story.chosen(Call).is_none(), holds, "{zeroed}");
    }
}

#[test]
fn r50_a_reset_reopens_what_is_closed() {
    let mut story = Story::of("ce", FREE);
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "U UCF UC");
    // The success stands, so the contact stays closed.
    assert_eq!(
        story.refuses(|c, rules| c.reset(Some(2), false, rules)),
        Refusal::Nothing
    );
    assert_eq!(story.contact.reset(Some(1), false, &story.rules), Ok(1));
    assert_eq!(story.codes(), "C CCF CC");
}

#[test]
fn k13_t16_only_a_reset_leads_out_of_u() {
    let mut story = Story::of("ce", FREE).closing_with_all_types();
    story
        .claim(1)
        .settle(Success)
        .finish(true, true)
        .claim(2)
        .settle(Success)
        .finish(true, true);
    assert_eq!(story.codes(), "U UUF UU");
    // A unit that a later load adds undoes the close rule, and not the code.
    story.contact.records.push(loaded(3, 'm'));
    story.contact.derive(&story.rules);
    assert_eq!(story.codes(), "U UUC UUC");
    assert_eq!(story.contact.reevaluate(&story.rules), Ok(0));
    assert_eq!(story.contact.exclude(None, &story.rules), Ok(1));
    assert_eq!(story.codes(), "U UUF UUU");
    assert_eq!(story.contact.reset(Some(3), false, &story.rules), Ok(1));
    assert_eq!(story.codes(), "C UUC UUC");
}

#[test]
fn r51_t14_a_raised_limit_lets_the_record_go_on_once_it_is_evaluated() {
    let mut story = Story::of("c", ONCE);
    story.claim(1).settle(NoAnswer);
    let raised = Limits {
        per_record: Some(2),
        ..FREE
    };
    story.limit(raised);
    assert_eq!(story.codes(), "F FFF A", "nothing moves by itself");
    assert_eq!(later_limit(&mut story, raised), Ok(1));
    assert_eq!(story.codes(), "C CFF C");
    assert_eq!(later_limit(&mut story, raised), Ok(0), "once");
}

#[test]
fn r51_a_campaign_without_limits_has_none_that_is_met() {
    let mut story = Story::of("c", ONCE);
    story.claim(1).settle(NoAnswer);
    story.rules.limits.clear();
    assert_eq!(story.contact.reevaluate(&story.rules), Ok(1));
    assert_eq!(story.codes(), "C CFF C");
}

#[test]
fn r52_a_lowered_limit_exhausts_what_has_met_it_but_no_callback() {
    let mut story = Story::of(
        "cccc",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story.claim(1).settle(NoAnswer).later(HOUR);
    story.reached_with_callback(2, HOUR).later(HOUR);
    // The callback is due, so it is the one: move it out of the way.
    let moment = story.now + 9 * HOUR;
    story
        .contact
        .move_callback(None, moment, &story.rules)
        .unwrap();
    story.claim(3).settle(NoAnswer);
    story.contact.reset(Some(3), false, &story.rules).unwrap();
    assert_eq!(story.codes(), "C CFF OSCC");
    assert_eq!(later_limit(&mut story, ONCE), Ok(2));
    assert_eq!(story.codes(), "C CFF ASAC");
    assert_eq!(story.scheduled(1), None);
}

#[test]
fn k14_a_lowered_limit_of_contact_or_type_exhausts_them_and_no_record() {
    for (limits, codes) in [
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
        let mut story = Story::of("c", FREE);
        story.claim(1).settle(NoAnswer);
        assert_eq!(later_limit(&mut story, limits), Ok(0));
        assert_eq!(story.codes(), codes);
        assert_eq!(later_limit(&mut story, FREE), Ok(0));
        assert_eq!(story.codes(), "C CFF C");
    }
}

#[test]
fn r60_in_progress_and_queued_contacts_refuse_operators() {
    let mut progressing = Story::of("cc", FREE);
    progressing.reached_with_callback(1, HOUR).claim(2);
    let mut queued = Story::of("cc", FREE);
    queued
        .reached_with_callback(1, HOUR)
        .claim(2)
        .settle(Success);
    for mut story in [progressing, queued] {
        for only in [None, Some(1), Some(2)] {
            let refusals = [
                story.refuses(|c, rules| c.exclude(only, rules)),
                story.refuses(|c, rules| c.reset(only, false, rules)),
                story.refuses(|c, rules| c.reset(only, true, rules)),
                story.refuses(|c, rules| c.reevaluate(rules)),
            ];
            assert_eq!(refusals, [Refusal::Busy; 4]);
        }
        for refusal in [
            story.refuses(|c, rules| c.cancel_callback(Some(2), rules)),
            story.refuses(|c, rules| c.move_callback(Some(2), BEGINNING, rules)),
        ] {
            assert_eq!(refusal, Refusal::NoCallback);
        }
    }
}

#[test]
fn r60_a_queued_contact_refuses_what_is_for_an_attempt_in_progress() {
    let mut story = Story::of("v", FREE);
    story.claim(1).start().settle(Success);
    let (now, policy) = (story.now, story.policy);
    for &category in Category::ALL {
        let refusal = story.refuses(|c, rules| c.settle(reported(category), now, &policy, rules));
        assert_eq!(refusal, Refusal::Queued, "{category}");
    }
    assert_eq!(story.refuses(|c, rules| c.release(rules)), Refusal::Queued);
    assert_eq!(
        story.refuses(|c, _| c.start(now, now + HOUR)),
        Refusal::Queued
    );
}

#[test]
fn r60_an_attempt_in_progress_refuses_the_campaign_manager() {
    let mut story = Story::of("c", FREE);
    let now = story.claim(1).start().now;
    assert_eq!(
        story.refuses(|c, rules| c.finish(None, now, &FREE, rules)),
        Refusal::NotQueued
    );
}

#[test]
fn without_an_attempt_every_event_of_one_is_refused() {
    let mut story = Story::of("c", FREE);
    let (now, policy) = (story.now, story.policy);
    for refusal in [
        story.refuses(|c, _| c.start(now, now + HOUR)),
        story.refuses(|c, rules| c.release(rules)),
        story.refuses(|c, rules| c.settle(reported(Success), now, &policy, rules)),
        story.refuses(|c, rules| c.settle(reported(Category::NotPerformed), now, &policy, rules)),
        story.refuses(|c, rules| c.finish(None, now, &FREE, rules)),
        story.refuses(|c, rules| c.schedule_callback(now + HOUR, &FREE, rules)),
    ] {
        assert_eq!(refusal, Refusal::NotOpen);
    }
    assert_eq!(story.chosen(Call), Some(1));
}
