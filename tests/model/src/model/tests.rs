//! The model by itself: over random histories its own states keep the invariants.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::history::generate::Generator;
use crate::history::{Event, History, Step};
use crate::invariants::{Moment, Pair, Stamps, check};
use crate::model::settings::Category;
use crate::snapshot::Snapshot;

use super::World;
use super::apply::Answer;

/// Applies a step and checks everything about it.
fn apply(world: &mut World, step: &Step, history: &History) -> Answer {
    let before = world.clone();
    let answer = world.apply(step.at, &step.event, None).unwrap();
    let (rows_before, rows_after) = (Snapshot::of(&before), Snapshot::of(world));
    let pair = Pair {
        before: Moment {
            world: &before,
            rows: &rows_before,
        },
        after: Moment {
            world,
            rows: &rows_after,
        },
        stamps_before: &Stamps::new(),
        stamps_after: &Stamps::new(),
        event: &step.event,
        at: step.at,
        answer: &answer,
    };
    let failed = check(&pair);
    assert!(
        failed.is_empty(),
        "{failed:?}\nin step {step}\nof\n{history}"
    );
    answer
}

/// A history made and applied by the model alone.
fn random_history(seed: u64) -> (History, World) {
    let mut generator = Generator::new(seed);
    let mut history = History {
        base: Generator::base(),
        steps: Vec::new(),
    };
    let mut world = World::new(history.base);
    while let Some(step) = generator.next(&world) {
        history.steps.push(step.clone());
        if let Event::Commute { first, second } = &step.event {
            let mut other = world.clone();
            other.apply(step.at, second, None).unwrap();
            other.apply(step.at, first, None).unwrap();
            apply(&mut world, &step, &history);
            assert_eq!(
                Snapshot::of(&world).lists,
                Snapshot::of(&other).lists,
                "P25 in {step} of\n{history}"
            );
        } else if let Event::Drain { rounds } = step.event {
            drain(&mut world, &step, rounds, &history);
        } else {
            apply(&mut world, &step, &history);
        }
        if matches!(
            step.event,
            Event::Settle { .. } | Event::Contacts { .. } | Event::StopStart { .. }
        ) {
            let once = Snapshot::of(&world).lists;
            let mut again = world.clone();
            again.apply(step.at, &step.event, None).unwrap();
            assert_eq!(
                once,
                Snapshot::of(&again).lists,
                "twice is not once in {step} of\n{history}"
            );
        }
    }
    (history, world)
}

fn drain(world: &mut World, step: &Step, rounds: i64, history: &History) {
    let mut at = step.at;
    let campaigns: Vec<String> = world.campaigns.keys().cloned().collect();
    let revive = campaigns.iter().flat_map(|name| {
        [
            Event::RestoreCampaign { name: name.clone() },
            Event::StartCampaign { name: name.clone() },
        ]
    });
    let evaluate = world.lists.keys().map(|list| Event::Reevaluate {
        list: list.clone(),
        contact: None,
    });
    for event in revive.chain(evaluate).collect::<Vec<_>>() {
        if world.is_possible(&event) {
            apply(world, &Step { at, event }, history);
        }
    }
    for _ in 0..rounds {
        at += 90_001;
        let lists: Vec<String> = world.lists.keys().cloned().collect();
        let evaluate = lists.into_iter().map(|list| Event::Reevaluate {
            list,
            contact: None,
        });
        for event in std::iter::once(Event::Maintain).chain(evaluate) {
            apply(world, &Step { at, event }, history);
        }
        for campaign in &campaigns {
            let claim = Event::Claim {
                campaign: campaign.clone(),
                n: 1000,
                dialer: "d".to_owned(),
            };
            let Answer::Claimed(places) = apply(world, &Step { at, event: claim }, history) else {
                panic!("a claim claims")
            };
            let attempts: Vec<String> = places
                .iter()
                .map(|place| world.name_of(*place).unwrap())
                .collect();
            let results = vec![Category::Noanswer; attempts.len()];
            at += 1;
            apply(
                world,
                &Step {
                    at,
                    event: Event::Settle {
                        attempts,
                        results,
                        ended: false,
                        dialer: None,
                        twice: false,
                    },
                },
                history,
            );
        }
    }
    for (name, list) in &world.lists {
        for (id, contact) in &list.contacts {
            assert!(
                matches!(contact.code, 'A' | 'U' | 'F'),
                "P27: list {name} contact {id} is {} after\n{history}",
                contact.code
            );
        }
    }
}

#[test]
fn random_histories_keep_the_invariants_and_reach_every_code_and_result() {
    let mut codes = BTreeSet::new();
    let mut results = BTreeSet::new();
    for seed in 0..250 {
        let (_, world) = random_history(seed);
        for contact in world.lists.values().flat_map(|list| list.contacts.values()) {
            codes.extend(contact.records.iter().map(|record| record.code));
            results.extend(
                contact
                    .records
                    .iter()
                    .filter_map(|record| record.last_result),
            );
        }
    }
    assert_eq!(codes.into_iter().collect::<String>(), "ACIOPQSU");
    assert_eq!(results.len(), 13, "{results:?}");
}

#[test]
fn a_history_reads_as_it_was_printed() {
    for seed in 0..20 {
        let (history, _) = random_history(seed);
        assert_eq!(History::from_str(&history.to_string()).unwrap(), history);
    }
}

#[test]
fn the_same_seed_makes_the_same_history() {
    assert_eq!(random_history(5).0, random_history(5).0);
    assert_ne!(random_history(5).0, random_history(6).0);
}

#[test]
fn a_history_without_its_base_or_with_a_strange_step_is_refused() {
    for text in [
        "",
        "1 {\"do\":\"maintain\"}",
        "base yesterday",
        "base 2035-03-05T06:00:00+00:00\nx",
        "base 2035-03-05T06:00:00+00:00\n1 {\"do\":\"dance\"}",
    ] {
        assert!(History::from_str(text).is_err(), "{text}");
    }
}
