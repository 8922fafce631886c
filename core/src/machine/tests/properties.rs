//! The invariants of contact-lists §13 over random histories.

use proptest::prelude::*;

use super::history::{Event, History, changing, shared, steady};
use super::reference::{Derived, closed, has_come, kinds, reached};
use super::*;
use RecordCode::{AgentCallback, AutoScheduled, Exhausted, InProgress, Purged, Queued, Uncallable};

/// Later than anything that is planned.
const END_OF_TIME: Micros = i64::MAX - 1;

fn with_code(contact: &Contact, code: RecordCode) -> Vec<&Record> {
    contact.records.iter().filter(|r| r.code == code).collect()
}

/// Any campaign's choice for any type at this moment.
fn choices(history: &History, at: Micros) -> Vec<(ConversationType, Limits, Option<&Record>)> {
    let campaigns = history.limits().iter();
    campaigns
        .flat_map(|limits| kinds().map(|kind| (kind, limits)))
        .map(|(kind, limits)| {
            let claimant = Claimant { kind, limits };
            let record = choose(&history.contact, claimant, at, |_| false);
            (kind, *limits, record)
        })
        .collect()
}

/// What a claim took: the record as it was before, and the limits of the campaign.
fn claimed<'a>(step: &super::history::Step<'a>) -> Option<(&'a Record, Limits)> {
    let Event::Claim(place, _) = step.event else {
        return None;
    };
    let open = step.after.contact.open.as_ref().filter(|_| !step.refused)?;
    let record = step.before.contact.record(open.record)?;
    Some((record, step.before.campaign(place).0))
}

proptest! {
    #[test]
    fn p2_p3_one_record_at_most_is_busy_and_all_levels_agree((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let contact = &step.after.contact;
            let busy: Vec<&Record> = contact.records.iter()
                .filter(|r| matches!(r.code, InProgress | Queued)).collect();
            prop_assert!(busy.len() <= 1);
            prop_assert_eq!(contact.is_busy(), busy.len() == 1);
            if let (Some(open), Some(record)) = (&contact.open, busy.first()) {
                prop_assert_eq!(open.record, record.id);
            }
            for (record_code, code) in [
                (InProgress, ContactCode::InProgress), (Queued, ContactCode::Queued),
            ] {
                let records = with_code(contact, record_code);
                let expected = kinds().map(|kind| records.iter().any(|r| r.kind == Some(kind)));
                prop_assert_eq!(contact.code == code, !records.is_empty());
                prop_assert_eq!(contact.type_codes.map(|of_type| of_type == code), expected);
            }
            Ok(())
        })?;
    }

    #[test]
    fn p4_codes_and_due_moments_are_what_follows_from_the_records((setting, events) in shared()) {
        History::play(&setting, &events, |step| {
            let contact = &step.after.contact;
            let reset = matches!(step.event, Event::Reset(..)) && !step.refused;
            let was_closed = step.before.contact.code == ContactCode::Uncallable && !reset;
            let expected = Derived::expected(contact, &step.after.rules, was_closed);
            prop_assert_eq!(Derived::stored(contact), expected);
            let mut again = contact.clone();
            again.derive(&step.after.rules);
            prop_assert_eq!(&again, contact);
            Ok(())
        })?;
    }

    #[test]
    fn p4_after_a_reevaluation_codes_follow_from_the_limits_as_they_are((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            if matches!(step.event, Event::Reevaluate) && !step.refused {
                let was_closed = step.before.contact.code == ContactCode::Uncallable;
                let expected = Derived::expected(&step.after.contact, &step.after.rules, was_closed);
                prop_assert_eq!(Derived::stored(&step.after.contact), expected);
                for record in with_code(&step.after.contact, Exhausted) {
                    let limits = &step.after.rules.limits[&record.last_campaign.unwrap()];
                    prop_assert!(limits.record_exhausted(record));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn p5_p6_counts_are_the_sums_of_what_was_counted((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let (contact, log) = (&step.after.contact, &step.after.attempts);
            let count = |n: usize| i32::try_from(n).unwrap();
            prop_assert_eq!(contact.attempts, count(log.len()));
            prop_assert_eq!(contact.type_attempts.iter().sum::<i32>(), contact.attempts);
            for kind in kinds() {
                let of_type = contact.records.iter().filter(|r| r.kind == Some(kind));
                let made = of_type.map(|r| r.attempts).sum::<i32>();
                prop_assert_eq!(contact.type_attempts[kind as usize], made);
            }
            for record in &contact.records {
                let own = || log.iter().filter(|a| a.record == record.id);
                prop_assert_eq!(record.attempts, count(own().count()));
                for &category in Category::ALL {
                    if let Some(counter) = category.counter() {
                        let made = own().filter(|a| a.category == category).count();
                        prop_assert_eq!(record.by_category[counter], count(made));
                    }
                }
                prop_assert!(record.by_category.iter().sum::<i32>() <= record.attempts);
            }
            Ok(())
        })?;
    }

    #[test]
    fn p7_counts_go_down_by_a_reset_alone((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            if !matches!(step.event, Event::Reset(_, true)) {
                let (before, after) = (&step.before.contact, &step.after.contact);
                prop_assert!((before.attempts..=before.attempts + 1).contains(&after.attempts));
                for (before, after) in before.records.iter().zip(&after.records) {
                    prop_assert!(before.attempts <= after.attempts);
                    prop_assert!(before.by_category.iter().zip(after.by_category).all(|(b, a)| *b <= a));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn p8_p9_p10_p11_a_claim_is_within_the_limits_and_the_times((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let Some((record, limits)) = claimed(step) else { return Ok(()) };
            let (contact, now) = (&step.before.contact, step.after.now);
            prop_assert!(record.code.is_claimable());
            prop_assert!(record.scheduled_at.is_none_or(|moment| moment <= now));
            if record.code == AgentCallback {
                return Ok(());
            }
            let kind = record.kind.unwrap() as usize;
            prop_assert!(!reached(limits.per_contact, contact.attempts));
            prop_assert!(!reached(limits.per_type[kind], contact.type_attempts[kind]));
            prop_assert!(!reached(limits.per_record, record.attempts));
            for (limit, made) in limits.categories.iter().zip(record.by_category) {
                prop_assert!(!reached(limit.max_attempts, made));
            }
            let latest = step.before.attempts.iter()
                .filter(|a| !limits.minimum_per_record || a.record == record.id)
                .map(|a| a.started_at).max();
            prop_assert!(latest.is_none_or(|latest| latest + limits.minimum <= now));
            Ok(())
        })?;
    }

    #[test]
    fn p8_without_callbacks_no_count_exceeds_its_limit((setting, events) in steady()) {
        History::play(&setting, &events, |step| {
            let (limits, contact) = (step.after.campaign(0).0, &step.after.contact);
            let within = |limit: Option<i32>, made| limit.is_none_or(|limit| made <= limit);
            if step.after.had_callback {
                return Ok(());
            }
            prop_assert!(within(limits.per_contact, contact.attempts));
            for (limit, made) in limits.per_type.iter().zip(contact.type_attempts) {
                prop_assert!(within(*limit, made));
            }
            for record in &contact.records {
                prop_assert!(within(limits.per_record, record.attempts));
                for (limit, made) in limits.categories.iter().zip(record.by_category) {
                    prop_assert!(within(limit.max_attempts, made));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn p10_what_is_planned_has_a_moment_and_nothing_else_has((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            for record in step.after.contact.records.iter().filter(|r| r.code != InProgress) {
                let planned = matches!(record.code, AutoScheduled | AgentCallback);
                prop_assert_eq!(record.scheduled_at.is_some(), planned, "{}", record.code);
            }
            Ok(())
        })?;
    }

    #[test]
    fn p13_a_contact_is_closed_by_the_close_rule_and_whenever_it_holds((setting, events) in shared()) {
        History::play(&setting, &events, |step| {
            let (before, after) = (&step.before.contact, &step.after.contact);
            let closed = closed(after, &step.after.rules);
            if closed && !after.is_busy() {
                prop_assert_eq!(after.code, ContactCode::Uncallable);
            }
            if after.code == ContactCode::Uncallable && before.code != ContactCode::Uncallable {
                prop_assert!(closed);
            }
            Ok(())
        })?;
    }

    #[test]
    fn p14_exhausted_is_a_limit_that_is_met_and_flagged_is_nothing_left((setting, events) in steady()) {
        History::play(&setting, &events, |step| {
            let (limits, contact) = (step.after.campaign(0).0, &step.after.contact);
            if contact.code == ContactCode::Exhausted {
                prop_assert!(reached(limits.per_contact, contact.attempts));
                prop_assert!(!closed(contact, &step.after.rules));
            }
            if contact.code == ContactCode::Flagged {
                prop_assert!(!contact.type_codes.contains(&ContactCode::Callable));
            }
            for kind in kinds().map(|kind| kind as usize) {
                if contact.type_codes[kind] == ContactCode::Exhausted {
                    prop_assert!(reached(limits.per_type[kind], contact.type_attempts[kind]));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn p17_what_has_ended_is_left_by_an_operator_alone((setting, events) in shared()) {
        History::play(&setting, &events, |step| {
            if matches!(step.event, Event::Reset(..)) {
                return Ok(());
            }
            let (before, after) = (&step.before.contact, &step.after.contact);
            for (before, after) in before.records.iter().zip(&after.records) {
                let raised = before.code == Exhausted && matches!(step.event, Event::Reevaluate);
                if matches!(before.code, Exhausted | Uncallable | Purged) && !raised {
                    prop_assert_eq!(before.code, after.code);
                }
            }
            let levels = before.type_codes.iter().zip(after.type_codes);
            for (before, after) in levels.chain([(&before.code, after.code)]) {
                if matches!(before, ContactCode::Uncallable | ContactCode::Exhausted) {
                    prop_assert_eq!(*before, after);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn p18_the_latest_attempt_is_known_where_there_was_any((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let (contact, log) = (&step.after.contact, &step.after.attempts);
            let latest = log.iter().max_by_key(|a| a.started_at);
            prop_assert_eq!(contact.last_record, latest.map(|a| a.record));
            prop_assert_eq!(contact.last_attempt_at, latest.map(|a| a.started_at));
            for record in &contact.records {
                let own = log.iter().filter(|a| a.record == record.id);
                let latest = own.max_by_key(|a| a.started_at);
                prop_assert_eq!(record.last_attempt_at, latest.map(|a| a.started_at));
                prop_assert_eq!(record.last_campaign, latest.map(|a| a.campaign));
            }
            Ok(())
        })?;
    }

    #[test]
    fn p28_a_refused_event_changes_nothing((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            if step.refused {
                prop_assert_eq!(&step.before.contact, &step.after.contact);
            }
            Ok(())
        })?;
    }

    #[test]
    fn p30_one_type_at_most_succeeds_where_one_closes((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let done = |code: &&ContactCode| **code == ContactCode::Uncallable;
            let types = step.after.contact.type_codes.iter().filter(done).count();
            prop_assert!(types <= 1 || step.after.rules.close_if_all);
            Ok(())
        })?;
    }

    #[test]
    fn p32_a_callable_contact_has_a_record_that_time_alone_keeps_back((setting, events) in steady()) {
        History::play(&setting, &events, |step| {
            if step.after.contact.code == ContactCode::Callable {
                let found = choices(step.after, END_OF_TIME);
                prop_assert!(found.iter().any(|(_, _, record)| record.is_some()));
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_may_be_claimed_is_found_by_its_due_moment((setting, events) in changing()) {
        History::play(&setting, &events, |step| {
            let contact = &step.after.contact;
            for at in [0, 5 * MINUTE, HOUR].map(|time| step.after.now + time) {
                for (kind, _, record) in choices(step.after, at) {
                    let (due, callback) = (contact.due[kind as usize], contact.callbacks[kind as usize]);
                    match record.map(|r| r.code) {
                        None => {}
                        Some(AgentCallback) => prop_assert!(callback.is_some_and(|moment| moment <= at)),
                        Some(_) => prop_assert!(has_come(due, at), "{:?} at {}", due, at),
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_found_by_its_due_moment_may_be_claimed((setting, events) in steady()) {
        History::play(&setting, &events, |step| {
            let (contact, limits) = (&step.after.contact, step.after.campaign(0).0);
            let at = step.after.now;
            let waited = contact.last_attempt_at.is_none_or(|moment| moment + limits.minimum <= at);
            let within = !reached(limits.per_contact, contact.attempts);
            for (kind, limits, record) in choices(step.after, at) {
                let kind = kind as usize;
                let callable = [contact.code, contact.type_codes[kind]] == [ContactCode::Callable; 2];
                let within = within && !reached(limits.per_type[kind], contact.type_attempts[kind]);
                if callable && within && waited && has_come(contact.due[kind], at) {
                    prop_assert!(record.is_some());
                }
            }
            Ok(())
        })?;
    }
}
