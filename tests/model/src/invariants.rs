//! The invariants P1 to P32 of contact-lists §13, each a check with its name: over what a database
//! shows at a moment, or over what it shows before and after an event.

pub mod moment;
pub mod pair;

use std::collections::BTreeMap;

use crate::history::Event;
use crate::model::World;
use crate::model::apply::Answer;
use crate::model::settings::Time;
use crate::snapshot::Snapshot;

/// What is known at a moment: the rows of the database, and the settings and attempts so far.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Settings and attempts.
    pub world: &'a World,
    /// What the database shows.
    pub rows: &'a Snapshot,
}

/// When rows were made and last changed, in microseconds, by list and row.
pub type Stamps = BTreeMap<(String, String), (i64, i64)>;

/// Two moments and the event between them.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Before the event.
    pub before: Moment<'a>,
    /// After it.
    pub after: Moment<'a>,
    /// Stamps before.
    pub stamps_before: &'a Stamps,
    /// Stamps after.
    pub stamps_after: &'a Stamps,
    /// The event.
    pub event: &'a Event,
    /// When it happened.
    pub at: Time,
    /// What was answered.
    pub answer: &'a Answer,
}

/// Where an invariant is proved that no check over rows can prove.
#[cfg(test)]
pub const PROVED_ELSEWHERE: [(&str, &str); 6] = [
    (
        "P19",
        "driver: a call is repeated at once and must change nothing",
    ),
    (
        "P20",
        "driver: a call whose transaction is lost must change nothing; ended leases are events",
    ),
    (
        "P22",
        "driver: an upload is repeated at once and must add nothing",
    ),
    (
        "P25",
        "driver: two events of different contacts in both orders give the same rows",
    ),
    (
        "P27",
        "driver: a fair history is drained and must leave nobody callable",
    ),
    (
        "P31",
        "the preview of lists from conversations, in the end-to-end tests",
    ),
];

/// Every invariant that does not hold, as name and reason.
#[must_use]
pub fn check(pair: &Pair<'_>) -> Vec<(&'static str, String)> {
    let moments = moment::CHECKS
        .iter()
        .filter_map(|(name, check)| Some((*name, check(&pair.after)?)));
    let pairs = pair::CHECKS
        .iter()
        .filter_map(|(name, check)| Some((*name, check(pair)?)));
    moments.chain(pairs).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{PROVED_ELSEWHERE, moment, pair};

    #[test]
    fn every_invariant_is_checked_somewhere() {
        let names: BTreeSet<&str> = moment::CHECKS
            .iter()
            .map(|(name, _)| *name)
            .chain(pair::CHECKS.iter().map(|(name, _)| *name))
            .chain(PROVED_ELSEWHERE.iter().map(|(name, _)| *name))
            .collect();
        for number in 1..=32 {
            assert!(names.contains(format!("P{number}").as_str()), "P{number}");
        }
        assert_eq!(names.len(), 32);
    }
}
