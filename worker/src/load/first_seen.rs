//! Which identifiers of a file were surely not there before.
//!
//! One Bloom filter of fixed size stands in for the set of all identifiers of a file, so that
//! memory does not grow with the number of rows. Its answer "new" is certain; its answer "maybe
//! seen" sends the row to the suspects, which are settled exactly against the loaded table
//! (list-automation §4.8 V-2). At three million identifiers a few new rows in a
//! thousand million are suspected for nothing.

use std::hash::{BuildHasher, RandomState};

/// Bytes of the filter.
pub const FILTER_BYTES: usize = 64 << 20;

const WORDS: usize = FILTER_BYTES / size_of::<u64>();
/// A key sets its bits in one cache line, so that a look-up costs one miss.
const BLOCK_WORDS: usize = 8;
const BLOCKS: u64 = (WORDS / BLOCK_WORDS) as u64;

/// Identifiers seen so far, approximately.
pub struct FirstSeen {
    words: Box<[u64]>,
    /// Random per filter: nobody can prepare a file of identifiers that collide.
    hasher: RandomState,
}

impl Default for FirstSeen {
    fn default() -> Self {
        Self::new()
    }
}

impl FirstSeen {
    /// A filter that has seen nothing.
    pub fn new() -> Self {
        Self {
            words: vec![0; WORDS].into_boxed_slice(),
            hasher: RandomState::new(),
        }
    }

    /// Notes an identifier; true when it is certain that it was never noted before.
    pub fn is_new(&mut self, identifier: &str) -> bool {
        let hash = self.hasher.hash_one(identifier);
        let block = (hash % BLOCKS) as usize * BLOCK_WORDS;
        // One bit in each word of the block, from six bits of a second hash each.
        let mut bits = (hash / BLOCKS).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut known = true;
        for word in &mut self.words[block..block + BLOCK_WORDS] {
            let bit = 1u64 << (bits >> 58);
            known &= *word & bit != 0;
            *word |= bit;
            bits = bits.wrapping_mul(0xD129_0D3B_3D4C_8A2D).rotate_left(29);
        }
        !known
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_new_identifiers_are_suspected() {
        let mut filter = FirstSeen::new();
        let suspected = (0..1_000_000u32)
            .filter(|number| !filter.is_new(&format!("client-{number}")))
            .count();
        assert!(suspected <= 3, "{suspected} of a million");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_seen_identifier_is_never_called_new(identifiers in proptest::collection::vec("[a-c]{0,4}", 0..400)) {
            let (mut filter, mut seen) = (FirstSeen::new(), HashSet::new());
            for identifier in &identifiers {
                let new = filter.is_new(identifier);
                prop_assert!(!new || !seen.contains(identifier));
                seen.insert(identifier);
            }
        }
    }
}
