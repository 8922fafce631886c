//! What simulated dialers did, for people and for programs.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use outbound_core::machine::Category;
use serde::Serialize;

use super::Plan;
use super::calls::Answer;

/// Why the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As many attempts were made as were asked for.
    Limit,
    /// Nothing was left.
    Empty,
    /// The time was over.
    Time,
    /// The process was told to stop.
    Signal,
    /// A dialer failed.
    Failure,
}

/// What one dialer did, or several.
#[derive(Debug, Default)]
pub struct Tally {
    results: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    claims: u64,
    empty_claims: u64,
    claimed: u64,
    finished: u64,
    callbacks: u64,
    claim_times: Times,
    settle_times: Times,
}

/// What all dialers of one command did.
#[derive(Debug, Clone, Serialize)]
pub struct DialReport {
    /// The campaign.
    pub campaign: String,
    /// How many dialers there were.
    pub dialers: u16,
    /// What decided the results.
    pub seed: u64,
    /// Why the work ended.
    pub ended: Ended,
    /// Attempts that were made.
    pub attempts: u64,
    /// Attempts by result, those that were given back among them as `not_performed`.
    pub results: BTreeMap<String, u64>,
    /// Claimed attempts that ended without this dialer, by what the database answered: the campaign was
    /// stopped, the lease was over.
    pub dropped: BTreeMap<String, u64>,
    /// Claims that were made.
    pub claims: u64,
    /// Claims that found nothing.
    pub empty_claims: u64,
    /// Attempts that were claimed.
    pub claimed: u64,
    /// Successes that were finished afterwards.
    pub finished: u64,
    /// Callbacks that were planned.
    pub callbacks: u64,
    /// What the clock showed at the end, where it was not the real time.
    pub clock: Option<String>,
    /// Seconds from beginning to end.
    pub seconds: f64,
    /// Attempts a second.
    pub attempts_per_second: f64,
    /// How long a claim took, in milliseconds.
    pub claim_ms: Percentiles,
    /// How long it took to settle what one claim brought, in milliseconds.
    pub settle_ms: Percentiles,
    /// Whether the arguments named an end.
    #[serde(skip)]
    pub bounded: bool,
}

/// What half of the times, and all but one in a hundred, were not longer than.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Of half of them; none: there were no times.
    pub p50: Option<f64>,
    /// Of 99 in 100.
    pub p99: Option<f64>,
}

impl Tally {
    /// A claim brought so many attempts.
    pub fn claimed(&mut self, attempts: usize, time: Duration) {
        self.claims += 1;
        self.empty_claims += u64::from(attempts == 0);
        self.claimed += attempts as u64;
        self.claim_times.note(time);
    }

    /// Attempts were started; some may have ended by that. Returns how many attempts were made.
    pub fn started(&mut self, answers: &[Answer]) -> u64 {
        let mut made = 0;
        for answer in answers {
            match answer.outcome.as_str() {
                "started" => {}
                "busy" => {
                    self.ended(Category::Busy);
                    made += 1;
                }
                "purged" => self.ended(Category::NotFound),
                _ => self.dropped(answer),
            }
        }
        made
    }

    /// A call that settles took so long.
    pub fn took_to_settle(&mut self, time: Duration) {
        self.settle_times.note(time);
    }

    /// Attempts were settled with these results. Returns how many attempts were made.
    pub fn settled(&mut self, answers: &[Answer], of: &HashMap<i64, Category>) -> u64 {
        let mut made = 0;
        for answer in answers {
            match of.get(&answer.attempt) {
                Some(category) if answer.outcome == "settled" => {
                    self.ended(*category);
                    made += 1;
                }
                _ => self.dropped(answer),
            }
        }
        made
    }

    /// Attempts were given back.
    pub fn gave_back(&mut self, answers: &[Answer]) {
        for answer in answers {
            if answer.outcome == "released" {
                self.ended(Category::NotPerformed);
            } else {
                self.dropped(answer);
            }
        }
    }

    /// Successes were finished.
    pub fn finished(&mut self, answers: &[Answer]) {
        self.finished += with_outcome(answers, "finished");
    }

    /// Callbacks were planned.
    pub fn called_back(&mut self, answers: &[Answer]) {
        self.callbacks += with_outcome(answers, "callback_scheduled");
    }

    fn ended(&mut self, category: Category) {
        *self
            .results
            .entry(category.as_str().to_owned())
            .or_default() += 1;
    }

    fn dropped(&mut self, answer: &Answer) {
        *self.dropped.entry(answer.outcome.clone()).or_default() += 1;
    }

    /// Adds what another dialer did.
    pub fn add(&mut self, other: &Self) {
        for (sums, more) in [
            (&mut self.results, &other.results),
            (&mut self.dropped, &other.dropped),
        ] {
            for (name, count) in more {
                *sums.entry(name.clone()).or_default() += count;
            }
        }
        self.claims += other.claims;
        self.empty_claims += other.empty_claims;
        self.claimed += other.claimed;
        self.finished += other.finished;
        self.callbacks += other.callbacks;
        self.claim_times.add(&other.claim_times);
        self.settle_times.add(&other.settle_times);
    }

    /// The report of what was done in this time.
    pub async fn report(self, plan: &Plan, ended: Ended, time: Duration) -> DialReport {
        let given_back = self
            .results
            .get(Category::NotPerformed.as_str())
            .copied()
            .unwrap_or(0);
        let missing = self
            .results
            .get(Category::NotFound.as_str())
            .copied()
            .unwrap_or(0);
        let attempts = self.results.values().sum::<u64>() - given_back - missing;
        let seconds = time.as_secs_f64();
        let clock = plan.clock.shown().await.map(DateTime::<Utc>::from);
        DialReport {
            campaign: plan.campaign.clone(),
            dialers: plan.dialers,
            seed: plan.seed,
            ended,
            attempts,
            results: self.results,
            dropped: self.dropped,
            claims: self.claims,
            empty_claims: self.empty_claims,
            claimed: self.claimed,
            finished: self.finished,
            callbacks: self.callbacks,
            clock: clock.map(|moment| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            seconds,
            #[allow(clippy::cast_precision_loss, reason = "a rate, not a count")]
            attempts_per_second: attempts as f64 / seconds.max(f64::EPSILON),
            claim_ms: self.claim_times.percentiles(),
            settle_ms: self.settle_times.percentiles(),
            bounded: plan.is_bounded(),
        }
    }
}

fn with_outcome(answers: &[Answer], outcome: &str) -> u64 {
    answers
        .iter()
        .filter(|answer| answer.outcome == outcome)
        .count() as u64
}

impl DialReport {
    /// One JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for DialReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} attempts in {:.1} s ({:.0} a second), seed {}",
            self.attempts, self.seconds, self.attempts_per_second, self.seed
        )?;
        let counts = |counts: &BTreeMap<String, u64>| {
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            counts.join(", ")
        };
        if !self.results.is_empty() {
            writeln!(f, "  results: {}", counts(&self.results))?;
        }
        if !self.dropped.is_empty() {
            writeln!(f, "  dropped: {}", counts(&self.dropped))?;
        }
        if self.finished + self.callbacks > 0 {
            writeln!(
                f,
                "  finished {}, callbacks {}",
                self.finished, self.callbacks
            )?;
        }
        write!(
            f,
            "  claims: {}, of them empty {}",
            self.claims, self.empty_claims
        )?;
        for (what, times) in [("claim", self.claim_ms), ("settle", self.settle_ms)] {
            if let (Some(p50), Some(p99)) = (times.p50, times.p99) {
                write!(
                    f,
                    "\n  {what}: half within {p50:.1} ms, 99 % within {p99:.1} ms"
                )?;
            }
        }
        if let Some(clock) = &self.clock {
            write!(f, "\n  its clock shows {clock}")?;
        }
        Ok(())
    }
}

/// Steps of a doubling, so that a time is known to within 1/32.
const STEPS: u64 = 32;

/// How often calls took how long, in microseconds, however many there are: exact below `STEPS`, then a
/// counter for each of `STEPS` parts of a doubling.
#[derive(Debug, Default)]
struct Times {
    counts: BTreeMap<u64, u64>,
}

impl Times {
    fn note(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let width = u64::BITS - micros.leading_zeros();
        let spare = width.saturating_sub(STEPS.ilog2() + 1);
        // The longest time that this counter stands for.
        let bound = ((micros >> spare) << spare) | ((1_u64 << spare) - 1);
        *self.counts.entry(bound).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (bound, count) in &other.counts {
            *self.counts.entry(*bound).or_default() += count;
        }
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.percentile(50),
            p99: self.percentile(99),
        }
    }

    /// Milliseconds within which this share of the calls ended.
    fn percentile(&self, percent: u64) -> Option<f64> {
        let total: u64 = self.counts.values().sum();
        let wanted = (total * percent).div_ceil(100);
        let mut seen = 0;
        let bound = self.counts.iter().find_map(|(bound, count)| {
            seen += count;
            (seen >= wanted).then_some(*bound)
        })?;
        Some(Duration::from_micros(bound).as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(attempt: i64, outcome: &str) -> Answer {
        Answer {
            attempt,
            outcome: outcome.to_owned(),
        }
    }

    #[test]
    fn attempts_count_by_what_the_database_made_of_them() {
        let mut tally = Tally::default();
        assert_eq!(
            tally.started(&[
                answer(1, "started"),
                answer(2, "busy"),
                answer(3, "purged"),
                answer(4, "expired")
            ]),
            1
        );
        let of = HashMap::from([(1, Category::Machine), (5, Category::Success)]);
        assert_eq!(
            tally.settled(&[answer(1, "settled"), answer(5, "already_settled")], &of),
            1
        );
        tally.gave_back(&[answer(6, "released"), answer(7, "not_found")]);
        let mut sum = Tally::default();
        sum.add(&tally);
        sum.add(&tally);
        let pairs = |counts: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
            counts.clone().into_iter().collect()
        };
        let named = |names: &[&str]| {
            names
                .iter()
                .map(|n| ((*n).to_owned(), 2))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            pairs(&sum.results),
            named(&["busy", "machine", "not_found", "not_performed"])
        );
        assert_eq!(
            pairs(&sum.dropped),
            named(&["already_settled", "expired", "not_found"])
        );
    }

    #[test]
    fn without_times_there_are_no_percentiles() {
        assert_eq!(
            Times::default().percentiles(),
            Percentiles {
                p50: None,
                p99: None
            }
        );
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_within_a_thirtieth(
            mut micros in prop::collection::vec(0_u64..100_000_000, 1..200)
        ) {
            let mut times = Times::default();
            for time in &micros {
                times.note(Duration::from_micros(*time));
            }
            micros.sort_unstable();
            for percent in [50, 99] {
                let place = (micros.len() as u64 * percent).div_ceil(100);
                let exact = micros[usize::try_from(place).unwrap() - 1] as f64 / 1e3;
                let found = times.percentile(percent).unwrap();
                prop_assert!(found >= exact - 1e-6 && found <= exact * (1.0 + 1.0 / 30.0) + 1e-6, "{found} for {exact}");
            }
        }
    }
}
