//! Records from a claim to its end (contact-lists §7.2 R10–R36, without callbacks), with what becomes of
//! type and contact (§7.4, §7.5).

use super::*;
use Category::{
    Abandoned, Busy, Failed, Invalid, Machine, Manual, NoAnswer, NotFound, NotPerformed, Removed,
    Success, Suppressed, Unknown, WrongParty,
};
use ConversationType::{Call, Email, SocialMedia};

/// Everything that may be repeated.
const RETRYABLE: [Category; 5] = [Busy, NoAnswer, Machine, Abandoned, Failed];

#[test]
fn t01_k01_a_load_makes_types_with_a_usable_record_callable() {
    for (units, codes) in [
        ("c", "C CFF C"),
        ("cee", "C CCF CEE"),
        ("v", "C FFC C"),
        ("?", "F FFF P"),
        ("", "F FFF "),
    ] {
        let codes = codes.replace('E', "C");
        assert_eq!(Story::of(units, FREE).codes(), codes);
    }
}

#[test]
fn r10_a_claim_reserves_the_record_and_counts_nothing() {
    let mut story = Story::of("cce", FREE);
    story.claim(1);
    assert_eq!(story.codes(), "I ICF ICC");
    assert_eq!(story.contact.attempts, 0);
    assert_eq!(story.record(1).last_attempt_at, None);
    for kind in [Call, Email, SocialMedia] {
        assert_eq!(story.chosen(kind), None, "one open attempt a contact");
    }
}

#[test]
fn r11_a_planned_repeat_is_claimed_when_it_is_due_and_not_before() {
    let limits = Limits {
        categories: category_limit(Busy, None, Some(30 * MINUTE)),
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.attempt(1, Busy).later(30 * MINUTE - 1);
    assert_eq!(story.chosen(Call), None);
    story.later(1).claim(1);
    assert_eq!(story.codes(), "I IFF I");
    let open = story.contact.open.clone().unwrap();
    assert_eq!(open.previous, RecordCode::AutoScheduled);
}

#[test]
fn r13_r14_what_is_found_at_the_claim_shuts_the_record_out_without_an_attempt() {
    for (category, codes, after) in [(NotFound, "C FFC PC", 'P'), (Suppressed, "C FFC UC", 'U')] {
        let mut story = Story::of("vv", FREE);
        story.contact.shut_out(1, category, &story.rules);
        assert_eq!(story.codes(), codes);
        assert_eq!(story.record(1).last_result, Some(result_of(category)));
        assert_eq!(story.contact.attempts, 0);
        // T12, K10.
        story.contact.shut_out(2, category, &story.rules);
        assert_eq!(story.codes(), format!("F FFF {after}{after}"));
    }
}

#[test]
fn r14_a_planned_repeat_loses_its_moment() {
    let mut story = Story::of(
        "c",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story.attempt(1, NoAnswer);
    assert!(story.scheduled(1).is_some());
    story.contact.shut_out(1, Suppressed, &story.rules);
    assert_eq!(
        (story.codes().as_str(), story.scheduled(1)),
        ("F FFF U", None)
    );
}

#[test]
fn r20_t03_k03_a_release_leaves_everything_as_before_the_claim() {
    let limits = Limits {
        minimum: HOUR,
        ..FREE
    };
    let callable = Story::of("ce", limits);
    let mut planned = Story::of("ce", limits);
    planned.attempt(1, Busy).later(HOUR);
    let mut callback = Story::of("ce", limits);
    callback.reached_with_callback(1, HOUR).later(HOUR);
    for mut story in [callable, planned, callback] {
        let before = story.contact.clone();
        story.claim(1);
        story.contact.release(&story.rules).unwrap();
        assert_eq!(story.contact, before);
        // `not_performed` is the same.
        story.claim(1).settle(NotPerformed);
        assert_eq!(story.contact, before);
    }
}

#[test]
fn r20_is_refused_after_the_start() {
    let mut story = Story::of("c", FREE);
    story.claim(1).start();
    assert_eq!(story.refuses(|c, rules| c.release(rules)), Refusal::Started);
    let (now, policy) = (story.now, story.policy);
    let refusal = story.refuses(|c, rules| c.settle(reported(NotPerformed), now, &policy, rules));
    assert_eq!(refusal, Refusal::Started);
}

#[test]
fn r21_t04_k04_a_success_is_handed_over() {
    let mut story = Story::of("ce", FREE);
    story.claim(1).later(MINUTE).start().later(MINUTE);
    let with_dialog = Reported {
        dialog: Some("d-1"),
        ..reported(Success)
    };
    assert_eq!(story.report(with_dialog), Ok(true));
    assert_eq!(story.codes(), "Q QCF QC");
    let open = story.contact.open.clone().unwrap();
    assert_eq!(open.until, story.now + 72 * HOUR, "the waiting time begins");
    let record = story.record(1);
    assert_eq!((record.attempts, record.by_category), (1, [0; 4]));
    assert_eq!(record.last_attempt_at, Some(BEGINNING + MINUTE));
    assert_eq!(record.last_campaign, Some(CAMPAIGN));
    assert_eq!(record.last_dialog.as_deref(), Some("d-1"));
    assert_eq!(record.last_result, Some(result_id::SUCCESS));
    assert_eq!(record.scheduled_at, None);
    assert_eq!(story.contact.attempts, 1);
    assert_eq!(story.contact.type_attempts, [1, 0, 0]);
    assert_eq!(story.contact.last_record, Some(1));
    assert_eq!(story.contact.last_attempt_at, Some(BEGINNING + MINUTE));
}

#[test]
fn a_result_without_a_start_means_that_it_started_at_the_claim() {
    let mut story = Story::of("c", FREE);
    story.claim(1).later(MINUTE).settle(Success);
    assert_eq!(story.record(1).last_attempt_at, Some(BEGINNING));
    assert_eq!(story.contact.open.unwrap().started_at, Some(BEGINNING));
}

#[test]
fn r22_t05_k05_a_final_success_closes_at_once() {
    let mut story = Story::of("ce", FREE);
    story.claim(1);
    let last = Reported {
        is_final: true,
        ..reported(Success)
    };
    assert_eq!(story.report(last), Ok(true));
    assert_eq!(story.codes(), "U UCF UC");
    assert_eq!(story.contact.open, None);
    assert_eq!(story.contact.attempts, 1);
}

#[test]
fn r23_t06_k08_what_may_be_repeated_is_planned_and_counted_once() {
    for category in RETRYABLE {
        let mut story = Story::of(
            "c",
            Limits {
                minimum: HOUR,
                ..FREE
            },
        );
        story.claim(1).start().later(10 * MINUTE).settle(category);
        assert_eq!(story.codes(), "C CFF O");
        assert_eq!(
            story.scheduled(1),
            Some(story.now + HOUR),
            "from the settlement"
        );
        assert_eq!(story.contact.attempts, 1);
        let mut counters = [0; 4];
        if let Some(counter) = category.counter() {
            counters[counter] = 1;
        }
        assert_eq!(story.record(1).by_category, counters);
        assert_eq!(story.record(1).last_result, Some(result_of(category)));
    }
}

#[test]
fn r24_without_any_delay_the_record_stays_callable() {
    for category in RETRYABLE {
        let mut story = Story::of("c", FREE);
        story.claim(1).settle(category);
        assert_eq!(
            (story.codes().as_str(), story.scheduled(1)),
            ("C CFF C", None)
        );
        story.claim(1);
    }
}

#[test]
fn r25_t08_k09_the_last_permitted_attempt_exhausts_the_record() {
    let limits = Limits {
        per_record: Some(2),
        minimum: HOUR,
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.attempt(1, NoAnswer);
    assert_eq!(story.codes(), "C CFF O");
    story.attempt(1, Failed);
    assert_eq!(
        (story.codes().as_str(), story.scheduled(1)),
        ("F FFF A", None)
    );
}

#[test]
fn r25_counts_by_category_exhaust_and_no_other_result_clears_them() {
    let limits = Limits {
        categories: category_limit(Busy, Some(2), None),
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story
        .attempt(1, Busy)
        .attempt(1, NoAnswer)
        .attempt(1, Machine);
    assert_eq!(story.codes(), "C CFF C");
    story.attempt(1, Busy);
    assert_eq!(story.codes(), "F FFF A");
    assert_eq!(story.record(1).by_category, [0, 2, 1, 1]);
}

#[test]
fn r25_a_limit_of_another_category_that_is_met_meanwhile_exhausts_as_well() {
    let mut story = Story::of("c", FREE);
    story.attempt(1, Busy);
    story.claim(1).limit(Limits {
        categories: category_limit(Busy, Some(1), None),
        ..FREE
    });
    story.settle(NoAnswer);
    assert_eq!(story.codes(), "F FFF A");
}

#[test]
fn r26_r27_t09_an_uncallable_unit_leaves_the_other_ones() {
    for category in [WrongParty, Invalid] {
        let mut story = Story::of(
            "cc",
            Limits {
                minimum: HOUR,
                ..FREE
            },
        );
        story.attempt(1, category);
        assert_eq!(story.codes(), "C CFF UC", "no success");
        assert_eq!(story.record(1).last_result, Some(result_of(category)));
        story.attempt(2, category);
        assert_eq!(story.codes(), "F FFF UU");
        assert_eq!(story.contact.attempts, 2);
    }
}

#[test]
fn r28_a_missing_conversation_is_purged_and_not_counted() {
    let mut story = Story::of("v", FREE);
    story.claim(1).start().settle(NotFound);
    assert_eq!(story.codes(), "F FFF P");
    assert_eq!(
        (story.contact.attempts, story.contact.last_record),
        (0, None)
    );
    assert_eq!(story.record(1).last_result, Some(result_id::NOT_FOUND));
}

#[test]
fn r28_is_refused_for_what_is_no_conversation() {
    let mut story = Story::of("c", FREE);
    story.claim(1).start();
    let (now, policy) = (story.now, story.policy);
    let refusal = story.refuses(|c, rules| c.settle(reported(NotFound), now, &policy, rules));
    assert_eq!(refusal, Refusal::NoConversation);
}

#[test]
fn r29_a_lost_outcome_is_repeated_or_closed_as_the_campaign_says_and_counts_once() {
    for (retry_unknown, max, codes) in [
        (true, None, "C CFF O"),
        (true, Some(1), "F FFF A"),
        (false, None, "F FFF U"),
        (false, Some(1), "F FFF U"),
    ] {
        let limits = Limits {
            per_record: max,
            minimum: HOUR,
            ..FREE
        };
        let mut story = Story::of("c", limits);
        story.policy.retry_unknown = retry_unknown;
        story.claim(1).start().settle(Unknown);
        assert_eq!(story.codes(), codes, "{retry_unknown} {max:?}");
        assert_eq!(story.contact.attempts, 1);
        assert_eq!(story.record(1).by_category, [0; 4]);
    }
}

#[test]
fn what_only_the_system_gives_ends_a_record_without_counting() {
    for category in [Suppressed, Manual, Removed] {
        let mut story = Story::of("c", FREE);
        story.claim(1).settle(category);
        assert_eq!(story.codes(), "F FFF U");
        assert_eq!(story.contact.attempts, 0);
    }
}

#[test]
fn a_started_attempt_stays_as_it_is_and_one_whose_lease_is_over_cannot_start() {
    let mut story = Story::of("c", FREE);
    story.claim(1).start().later(MINUTE);
    let before = story.contact.clone();
    story.start();
    assert_eq!(story.contact, before);

    let mut story = Story::of("c", FREE);
    let now = story.claim(1).later(2 * MINUTE).now;
    assert_eq!(
        story.refuses(|c, _| c.start(now, now + HOUR)),
        Refusal::Expired
    );
}
