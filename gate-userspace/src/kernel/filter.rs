//! Keeps the bit filter of the kernel: how many entries stand behind each bit.
//!
//! A bit is set before its entry exists and cleared after the entry went, so the filter may only
//! ever say "perhaps" too often. The words are kept here as well, because most changes touch bits
//! that are set already and then cost no system call.

use gate_common::address::Address;
use gate_common::filter::{FILTER_WORDS, place};

const BITS: usize = u64::BITS as usize;

#[derive(Debug)]
pub(super) struct Filter {
    seed: u64,
    words: Vec<u64>,
    /// Entries behind each bit.
    counts: Vec<u32>,
}

/// A word of the filter that must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) index: u32,
    pub(super) bits: u64,
}

impl Filter {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            words: vec![0; FILTER_WORDS],
            counts: vec![0; FILTER_WORDS * BITS],
        }
    }

    /// To be written before the entry.
    pub(super) fn add<A: Address>(&mut self, address: A) -> Option<Word> {
        self.change(address, |count| count.saturating_add(1))
    }

    /// To be written after the entry went.
    pub(super) fn remove<A: Address>(&mut self, address: A) -> Option<Word> {
        self.change(address, |count| count.saturating_sub(1))
    }

    /// What the kernel must hold.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    fn change<A: Address>(&mut self, address: A, step: impl Fn(u32) -> u32) -> Option<Word> {
        let (index, bits) = place(address, self.seed);
        let at = index as usize;
        let word = self.words.get_mut(at)?;
        let old = *word;
        for bit in (0..BITS).filter(|bit| bits & (1 << bit) != 0) {
            let count = self.counts.get_mut(at * BITS + bit)?;
            *count = step(*count);
            if *count == 0 {
                *word &= !(1 << bit);
            } else {
                *word |= 1 << bit;
            }
        }
        (*word != old).then_some(Word { index, bits: *word })
    }
}

#[cfg(test)]
mod tests {
    use gate_common::address::V4;

    use super::*;

    #[test]
    fn a_bit_goes_with_its_last_entry() {
        let mut filter = Filter::new(7);
        let word = filter.add(V4(1)).unwrap();
        assert_ne!(word.bits, 0);
        assert_eq!(filter.add(V4(1)), None);
        assert_eq!(filter.remove(V4(1)), None);
        assert_eq!(filter.remove(V4(1)), Some(Word { bits: 0, ..word }));
        assert_eq!(filter.remove(V4(1)), None);
    }
}
