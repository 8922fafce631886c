//! Numbers that look drawn and are not: the same seed gives the same ones, in every version of this program.
//! The generator is `SplitMix64` (Steele, Lea and Flood, 2014): good enough to draw results with, and nothing
//! to keep a secret with.

use std::hash::{BuildHasher, RandomState};

/// What the state grows by: 2⁶⁴ divided by the golden ratio, odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of one of many that share a seed.
    #[must_use]
    pub const fn new(seed: u64, number: u64) -> Self {
        Self {
            state: mixed(seed ^ mixed(number)),
        }
    }

    /// A number from 0 to 1, 1 excluded.
    pub fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(STEP);
        let bits = u32::try_from(mixed(self.state) >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// Whether something happens that has this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.draw() < probability
    }

    /// One of some, evenly; none of none.
    pub fn one_of<'t, T>(&mut self, these: &'t [T]) -> Option<&'t T> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let place = (self.draw() * these.len() as f64) as usize;
        these.get(place.min(these.len().saturating_sub(1)))
    }
}

/// A seed that nobody chose.
#[must_use]
pub fn any_seed() -> u64 {
    // Short enough to be typed again.
    u64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0))
}

const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mut random: Random) -> Vec<f64> {
        (0..1_000).map(|_| random.draw()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(drawn(Random::new(1, 1)), drawn(Random::new(1, 1)));
        assert_ne!(drawn(Random::new(1, 1)), drawn(Random::new(2, 1)));
        assert_ne!(drawn(Random::new(1, 1)), drawn(Random::new(1, 2)));
    }

    #[test]
    fn what_is_drawn_is_spread_evenly() {
        for seed in 0..20 {
            let numbers = drawn(Random::new(seed, 1));
            assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
            for tenth in 0..10 {
                let bounds = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
                let inside = numbers.iter().filter(|n| bounds.contains(n)).count();
                assert!(
                    (60..=140).contains(&inside),
                    "seed {seed}: {inside} in {bounds:?}"
                );
            }
        }
    }

    #[test]
    fn one_of_some_is_any_of_them() {
        let mut random = Random::new(3, 1);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[*random.one_of(&[0_usize, 1, 2]).unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(random.one_of::<u8>(&[]), None);
    }

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        let mut random = Random::new(4, 1);
        assert!((0..1_000).all(|_| random.happens(1.0)));
        assert!((0..1_000).all(|_| !random.happens(0.0)));
    }
}
