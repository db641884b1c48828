//! Keeps the bit filter of the kernel: how many entries stand behind each bit.
//!
//! A bit is set before its entry exists and cleared after the entry went, so the filter may only
//! ever say "perhaps" too often.

use std::collections::BTreeMap;

use gate_common::address::Address;
use gate_common::filter::place;

/// Entries per bit; only bits in use take room.
#[derive(Debug, Default)]
pub(super) struct Filter {
    seed: u64,
    counts: BTreeMap<(u32, u8), u32>,
}

/// A word of the filter that must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) index: u32,
    pub(super) set: u64,
    pub(super) clear: u64,
}

impl Filter {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            counts: BTreeMap::new(),
        }
    }

    /// Bits to set before the entry is written.
    pub(super) fn add<A: Address>(&mut self, address: A) -> Word {
        let (index, bits) = place(address, self.seed);
        for bit in each(bits) {
            *self.counts.entry((index, bit)).or_insert(0) += 1;
        }
        Word {
            index,
            set: bits,
            clear: 0,
        }
    }

    /// Bits to clear after the entry went.
    pub(super) fn remove<A: Address>(&mut self, address: A) -> Word {
        let (index, bits) = place(address, self.seed);
        let mut clear = 0;
        for bit in each(bits) {
            if let Some(count) = self.counts.get_mut(&(index, bit)) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&(index, bit));
                    clear |= 1 << bit;
                }
            }
        }
        Word {
            index,
            set: 0,
            clear,
        }
    }
}

fn each(bits: u64) -> impl Iterator<Item = u8> {
    (0..64).filter(move |bit| bits & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use gate_common::address::V4;

    use super::*;

    #[test]
    fn a_bit_goes_with_its_last_entry() {
        let mut filter = Filter::new(7);
        let word = filter.add(V4(1));
        assert_eq!(filter.add(V4(1)), word);
        assert_eq!(filter.remove(V4(1)).clear, 0);
        assert_eq!(filter.remove(V4(1)).clear, word.set);
        assert_eq!(filter.remove(V4(1)).clear, 0);
    }
}
