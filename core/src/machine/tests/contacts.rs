//! The close rule, and the worked examples (contact-lists §7.3, §14).

use super::*;
use Category::{Busy, NoAnswer, NotFound, Success};
use ConversationType::{Call, Email, SocialMedia};

#[test]
fn busy_twice_by_a_limit_of_its_category() {
    let limits = Limits {
        per_record: Some(3),
        categories: category_limit(Busy, Some(2), Some(30 * MINUTE)),
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.claim(1).settle(Busy);
    assert_eq!(story.codes(), "C CFF O");
    story.later(30 * MINUTE).claim(1).settle(Busy);
    assert_eq!(story.codes(), "F FFF A");
}

#[test]
fn two_attempts_a_contact_and_an_hour_between_them() {
    let limits = Limits {
        per_contact: Some(2),
        minimum: HOUR,
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.claim(1).settle(NoAnswer);
    assert_eq!(story.codes(), "C CFF O");
    story.later(HOUR).claim(1).settle(NoAnswer);
    assert_eq!(story.codes(), "A CFF O");
    story.later(HOUR);
    assert_eq!(story.chosen(Call), None);
}

#[test]
fn the_wrong_party_on_the_first_phone_leaves_the_second() {
    let mut story = Story::of("cc", FREE);
    story.claim(1).settle(Success).finish(false, true);
    assert_eq!(story.codes(), "C CFF UC");
    assert_eq!(story.chosen(Call), Some(2));
}

#[test]
fn one_type_closes_the_contact() {
    let mut story = Story::of("ce", FREE);
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "U UCF UC");
    assert_eq!(story.chosen(Email), None);
}

#[test]
fn all_types_close_the_contact_one_after_the_other() {
    let mut story = Story::of("ce", FREE).closing_with_all_types();
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "C UCF UC", "K06");
    assert_eq!(story.chosen(Call), None);
    story.claim(2).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "U UUF UU");
}

#[test]
fn all_types_and_one_attempt_a_contact() {
    let limits = Limits {
        per_contact: Some(1),
        ..FREE
    };
    let mut story = Story::of("ce", limits).closing_with_all_types();
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(story.codes(), "A UCF UC");
}

#[test]
fn all_types_of_a_contact_that_has_one() {
    let mut story = Story::of("cc?", FREE).closing_with_all_types();
    story.claim(1).settle(Success).finish(true, true);
    assert_eq!(
        story.codes(),
        "U UFF UCP",
        "one success is enough within a type"
    );
}

#[test]
fn all_types_and_one_that_ends_in_vain_never_close() {
    let limits = Limits {
        per_record: Some(1),
        ..FREE
    };
    let mut story = Story::of("ce", limits).closing_with_all_types();
    story
        .claim(2)
        .settle(NoAnswer)
        .claim(1)
        .settle(Success)
        .finish(true, true);
    assert_eq!(story.codes(), "F UFF UA", "K09");
}

#[test]
fn a_conversation_in_open_is_busy() {
    let by_delay = Limits {
        categories: category_limit(Busy, None, Some(HOUR)),
        ..FREE
    };
    let by_limit = Limits {
        categories: category_limit(Busy, Some(1), Some(HOUR)),
        ..FREE
    };
    for (limits, codes) in [(by_delay, "C FFC O"), (by_limit, "F FFF A")] {
        let mut story = Story::of("v", limits);
        story.claim(1).start().settle(Busy);
        assert_eq!((story.codes().as_str(), story.contact.attempts), (codes, 1));
    }
}

#[test]
fn a_callback_on_the_last_permitted_attempt() {
    let limits = Limits {
        per_contact: Some(1),
        ..FREE
    };
    for (category, codes) in [(NoAnswer, "A CFF C"), (Success, "U UFF U")] {
        let mut story = Story::of("c", limits);
        story.reached_with_callback(1, HOUR).later(HOUR);
        assert_eq!(story.codes(), "C CFF S");
        story.claim(1).settle(category);
        if category == Success {
            story.finish(true, true);
        }
        assert_eq!(story.codes(), codes);
    }
}

#[test]
fn a_conversation_that_is_deleted_before_its_turn() {
    let mut story = Story::of("v", FREE);
    story.contact.shut_out(1, NotFound, &story.rules);
    assert_eq!(story.codes(), "F FFF P");
    assert_eq!(story.chosen(SocialMedia), None);
}
