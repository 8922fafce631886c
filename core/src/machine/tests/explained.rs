//! Explanations: what they say must be what a claim does (contact-lists §7.1).

use proptest::prelude::*;

use super::history::{any_kind, any_limits};
use super::reference::may_be_claimed;
use super::*;
use crate::machine::gate::{Gate, choice_gate, choose, explain};
use ConversationType::Call;

fn gates(contact: &Contact, claimant: Claimant<'_>, at: Micros, blocked: &[i64]) -> Vec<Gate> {
    let mut gates = explain(contact, claimant, at, |r| {
        blocked.contains(&r.id).then(|| "no calls".to_owned())
    });
    let chosen = choose(contact, claimant, at, |r| blocked.contains(&r.id));
    gates.push(choice_gate(chosen.map(|r| r.id)));
    gates
}

impl Story {
    fn gates(&self) -> Vec<Gate> {
        let claimant = Claimant {
            kind: Call,
            limits: &self.policy.limits,
        };
        gates(&self.contact, claimant, self.now, &[])
    }

    fn gate(&self, name: &str) -> Gate {
        self.gates()
            .into_iter()
            .find(|gate| gate.name == name)
            .unwrap()
    }

    /// The gates that are shut, each with the time until it opens by itself.
    fn shut(&self) -> Vec<(&'static str, Option<Micros>)> {
        let shut = self.gates().into_iter().filter(|gate| !gate.passes);
        shut.map(|gate| (gate.name, gate.possible_at.map(|moment| moment - self.now)))
            .collect()
    }
}

#[test]
fn the_gates_stand_in_the_order_of_a_claim() {
    let story = Story::of("c", FREE);
    let gates = story.gates();
    let names: Vec<&str> = gates.iter().map(|gate| gate.name).collect();
    assert_eq!(
        names,
        [
            "unit",
            "contact_code",
            "type_code",
            "record_code",
            "due",
            "spacing",
            "contact_limit",
            "record_limit",
            "do_not_contact",
            "record"
        ]
    );
    assert!(
        gates
            .iter()
            .all(|gate| gate.passes && gate.possible_at.is_none())
    );
    assert_eq!(
        story.gate("spacing").evidence,
        "the contact was never attempted"
    );
    assert_eq!(story.gate("record").evidence, "record 1 would be used");
}

#[test]
fn a_contact_that_has_to_wait_says_until_when() {
    let mut story = Story::of(
        "c",
        Limits {
            minimum: HOUR,
            ..FREE
        },
    );
    story
        .claim(1)
        .start()
        .later(10 * MINUTE)
        .settle(Category::NoAnswer);
    assert_eq!(
        story.shut(),
        [
            ("due", Some(HOUR)),
            ("spacing", Some(50 * MINUTE)),
            ("record", None)
        ]
    );
}

#[test]
fn a_minimum_for_records_is_explained_by_the_first_that_has_waited() {
    let limits = Limits {
        minimum: HOUR,
        minimum_per_record: true,
        ..FREE
    };
    let mut story = Story::of("cc", limits);
    story.claim(1).settle(Category::NoAnswer).later(10 * MINUTE);
    assert_eq!(story.shut(), []);
    let evidence = "no least time between attempts holds for it";
    assert_eq!(story.gate("spacing").evidence, evidence);
    story.claim(2).settle(Category::NoAnswer);
    story.contact.reset(None, false, &story.rules).unwrap();
    assert_eq!(
        story.shut(),
        [("spacing", Some(50 * MINUTE)), ("record", None)]
    );
}

#[test]
fn a_pending_callback_opens_every_gate_that_time_and_limits_shut() {
    let limits = Limits {
        per_contact: Some(1),
        per_record: Some(1),
        minimum: 3 * HOUR,
        ..FREE
    };
    let mut story = Story::of("c", limits);
    story.reached_with_callback(1, HOUR);
    let open = Some(HOUR);
    assert_eq!(
        story.shut(),
        [
            ("due", open),
            ("spacing", open),
            ("contact_limit", open),
            ("record_limit", open),
            ("record", None)
        ]
    );
    story.later(HOUR);
    assert_eq!(story.shut(), []);
    assert_eq!(
        story.gate("spacing").evidence,
        "an agent's callback does not wait"
    );
    assert_eq!(
        story.gate("contact_limit").evidence,
        "no limit stops an agent's callback"
    );
}

#[test]
fn what_time_cannot_open_has_no_moment() {
    let mut story = Story::of(
        "cc",
        Limits {
            per_contact: Some(1),
            ..FREE
        },
    );
    story.claim(1);
    assert_eq!(
        story.shut(),
        [
            ("contact_code", None),
            ("type_code", None),
            ("record", None)
        ]
    );
    story.settle(Category::Busy);
    assert_eq!(
        story.shut(),
        [
            ("contact_code", None),
            ("contact_limit", None),
            ("record", None)
        ]
    );
    assert_eq!(
        story.gate("contact_limit").evidence,
        "1 of 1 attempts a contact are made"
    );
    let none = Story::of("e", FREE);
    let shut: Vec<&str> = none.shut().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        shut,
        [
            "unit",
            "type_code",
            "record_code",
            "due",
            "record_limit",
            "record"
        ]
    );
}

#[test]
fn a_blocked_unit_is_named_with_its_list() {
    let story = Story::of("cc", FREE);
    let claimant = Claimant {
        kind: Call,
        limits: &FREE,
    };
    for (blocked, passes) in [(&[1][..], true), (&[1, 2], false)] {
        let gates = gates(&story.contact, claimant, story.now, blocked);
        let gate = gates
            .iter()
            .find(|gate| gate.name == "do_not_contact")
            .unwrap();
        assert_eq!(gate.passes, passes);
        assert!(
            gate.evidence.ends_with("record 1 on \"no calls\""),
            "{}",
            gate.evidence
        );
    }
}

/// A moment around the one of the question, or none.
fn any_moment() -> impl Strategy<Value = Option<Micros>> {
    prop::option::of((-6..4_i64).prop_map(|step| BEGINNING + step * 30 * MINUTE))
}

prop_compose! {
    fn any_record(id: i64)(
        unit in prop::sample::select(vec!['c', 'c', 'c', 'e', 'v', '?']),
        code in prop::sample::select(RecordCode::ALL),
        attempts in prop::array::uniform5(0..2_i32),
        scheduled_at in any_moment(),
        last_attempt_at in any_moment(),
        last_result in prop::option::of(1..15_i64),
        position in 0..2_i32,
    ) -> Record {
        let [more, a, b, c, d] = attempts;
        let attempts = more + a + b + c + d;
        let attempted = |moment: Option<Micros>| moment.or(Some(BEGINNING)).filter(|_| attempts > 0);
        Record {
            code: if unit == '?' { RecordCode::Purged } else { code },
            attempts,
            by_category: [a, b, c, d],
            scheduled_at: scheduled_at.or(Some(BEGINNING))
                .filter(|_| matches!(code, RecordCode::AutoScheduled | RecordCode::AgentCallback)),
            last_attempt_at: attempted(last_attempt_at),
            last_campaign: (attempts > 0).then_some(CAMPAIGN),
            last_result,
            position,
            ..loaded(id, unit)
        }
    }
}

prop_compose! {
    /// A contact in any state, whatever led there, with the limits of the campaign of its attempts.
    fn any_contact()(
        records in (any_record(1), any_record(2), any_record(3), any_record(4)),
        number in 1..5_usize,
        wait_until in any_moment(),
        limits in any_limits(),
        close_if_all in any::<bool>(),
    ) -> Contact {
        let rules = Rules {
            close_if_all,
            limits: HashMap::from([(CAMPAIGN, limits)]),
            successes: vec![result_id::SUCCESS],
        };
        let mut contact = new_contact("", &rules);
        contact.records = [records.0, records.1, records.2, records.3][..number].to_vec();
        let latest = contact.records.iter().filter(|r| r.attempts > 0);
        let latest = latest.max_by_key(|r| r.last_attempt_at).cloned();
        contact.last_record = latest.as_ref().map(|r| r.id);
        contact.last_attempt_at = latest.and_then(|r| r.last_attempt_at);
        contact.wait_until = wait_until.filter(|_| contact.last_record.is_some());
        for record in &contact.records {
            contact.attempts += record.attempts;
            if let Some(kind) = record.kind {
                contact.type_attempts[kind as usize] += record.attempts;
            }
        }
        contact.derive(&rules);
        contact
    }
}

fn any_blocked() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(1..5_i64, 0..4)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_choice_is_the_first_record_that_passes_all_gates(
        contact in any_contact(), limits in any_limits(), kind in any_kind(), blocked in any_blocked(),
    ) {
        let claimant = Claimant { kind, limits: &limits };
        let passing: Vec<&Record> = contact.records.iter()
            .filter(|r| may_be_claimed(&contact, r, claimant, BEGINNING, blocked.contains(&r.id)))
            .collect();
        let callback = passing.iter().filter(|r| r.code == RecordCode::AgentCallback)
            .min_by_key(|r| (r.scheduled_at, r.id));
        let first = callback.or_else(|| passing.iter().min_by_key(|r| (r.attempts, r.position, r.id)));
        let chosen = choose(&contact, claimant, BEGINNING, |r| blocked.contains(&r.id));
        prop_assert_eq!(chosen.map(|r| r.id), first.map(|r| r.id));
    }

    #[test]
    fn all_gates_pass_if_and_only_if_a_record_is_chosen(
        contact in any_contact(), limits in any_limits(), kind in any_kind(), blocked in any_blocked(),
    ) {
        let claimant = Claimant { kind, limits: &limits };
        let chosen = choose(&contact, claimant, BEGINNING, |r| blocked.contains(&r.id)).is_some();
        let gates = gates(&contact, claimant, BEGINNING, &blocked);
        let shut: Vec<&Gate> = gates.iter().filter(|gate| !gate.passes).collect();
        prop_assert_eq!(shut.is_empty(), chosen, "{:?}", shut);
    }

    #[test]
    fn a_gate_that_time_opens_is_shut_until_its_moment_and_open_at_it(
        contact in any_contact(), limits in any_limits(), kind in any_kind(),
    ) {
        let claimant = Claimant { kind, limits: &limits };
        for (place, gate) in gates(&contact, claimant, BEGINNING, &[]).into_iter().enumerate() {
            let at = |moment| gates(&contact, claimant, moment, &[]).swap_remove(place);
            if let Some(moment) = gate.possible_at {
                prop_assert!(!gate.passes && moment > BEGINNING, "{:?}", gate);
                prop_assert!(at(moment).passes, "{:?}", at(moment));
                prop_assert!(!at(moment - 1).passes, "{:?}", at(moment - 1));
            } else if !gate.passes && gate.name != "record" {
                prop_assert!(!at(i64::MAX - 1).passes, "{:?}", gate);
            }
        }
    }
}
