//! How often a simulated dialer reports each result.

use outbound_core::machine::Category;

/// The results that are drawn; their categories are results of the same name in `outbound.attempt_result`.
pub const RESULTS: [Category; 8] = [
    Category::Success,
    Category::Busy,
    Category::NoAnswer,
    Category::Machine,
    Category::Abandoned,
    Category::Failed,
    Category::WrongParty,
    Category::Invalid,
];

/// A usual mix of calls, in the order of [`RESULTS`].
const USUAL: [f64; RESULTS.len()] = [0.25, 0.15, 0.35, 0.15, 0.03, 0.04, 0.02, 0.01];

/// How far from 1 a sum may be that is meant to be 1.
const ROUNDING: f64 = 1e-6;

/// Probability of each result.
#[derive(Debug, Clone, PartialEq)]
pub struct Odds {
    /// Where each result ends, in the order of [`RESULTS`], when all of them are laid between 0 and 1.
    ends: [f64; RESULTS.len()],
}

impl Odds {
    /// A usual mix.
    #[must_use]
    pub fn usual() -> Self {
        Self::laid(&USUAL)
    }

    /// The mix that is given; where some probability is, the others are 0.
    ///
    /// # Errors
    /// When they do not make 1; says what they make.
    pub fn of(given: &[Option<f64>; RESULTS.len()]) -> Result<Self, String> {
        if given.iter().all(Option::is_none) {
            return Ok(Self::usual());
        }
        let probabilities = given.map(|probability| probability.unwrap_or(0.0));
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > ROUNDING {
            let sum = (sum * 1e6).round() / 1e6;
            return Err(format!(
                "the probabilities of the results make {sum}, not 1; those that are not given are 0"
            ));
        }
        Ok(Self::laid(&probabilities))
    }

    fn laid(probabilities: &[f64; RESULTS.len()]) -> Self {
        let mut end = 0.0;
        Self {
            ends: probabilities.map(|probability| {
                end += probability;
                end
            }),
        }
    }

    /// The result at a place between 0 and 1.
    #[must_use]
    pub fn drawn(&self, place: f64) -> Category {
        let mut begin = 0.0;
        let mut last = Category::Success;
        for (category, end) in RESULTS.into_iter().zip(self.ends) {
            if end > begin {
                last = category;
                if place < end {
                    break;
                }
            }
            begin = end;
        }
        // Where rounding left a gap before 1, the last that can happen fills it.
        last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dial::random::Random;

    #[test]
    fn the_usual_mix_is_complete() {
        let sum: f64 = USUAL.iter().sum();
        assert!((sum - 1.0).abs() < ROUNDING, "{sum}");
        assert_eq!(Odds::of(&[None; 8]), Ok(Odds::usual()));
    }

    #[test]
    fn results_come_as_often_as_they_are_probable() {
        let odds = Odds::usual();
        let mut random = Random::new(1, 1);
        let mut counts = [0_u32; RESULTS.len()];
        for _ in 0..100_000 {
            let drawn = odds.drawn(random.draw());
            let place = RESULTS
                .iter()
                .position(|category| *category == drawn)
                .unwrap();
            counts[place] += 1;
        }
        for (count, probability) in counts.into_iter().zip(USUAL) {
            let share = f64::from(count) / 100_000.0;
            assert!(
                (share - probability).abs() < 0.005,
                "{share} for {probability}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_has_no_probability_is_never_drawn(
            parts in prop::array::uniform8(0_u32..4), place in 0.0_f64..1.0
        ) {
            let sum: u32 = parts.iter().sum();
            prop_assume!(sum > 0);
            let given = parts.map(|part| Some(f64::from(part) / f64::from(sum)));
            let drawn = Odds::of(&given).unwrap().drawn(place);
            let place = RESULTS.iter().position(|category| *category == drawn).unwrap();
            prop_assert!(parts[place] > 0);
        }

        #[test]
        fn sums_other_than_1_are_refused(parts in prop::array::uniform8(0.0_f64..1.0)) {
            let sum: f64 = parts.iter().sum();
            prop_assume!((sum - 1.0).abs() > 1e-3);
            prop_assert!(Odds::of(&parts.map(Some)).is_err());
        }
    }
}
