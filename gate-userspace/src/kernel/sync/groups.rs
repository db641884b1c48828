//! Numbers of the sources that are bound to interfaces.
//!
//! An entry has room for 23 bits of it, so numbers are used again: only once no binding of the
//! former holder is left, and as late as the others allow.

use std::collections::BTreeSet;

use gate_common::entry::GROUP_MAX;

pub(super) struct Groups {
    used: BTreeSet<u32>,
    last: u32,
    max: u32,
}

impl Groups {
    pub(super) const fn new() -> Self {
        Self {
            used: BTreeSet::new(),
            last: 0,
            max: GROUP_MAX,
        }
    }

    /// Somebody has this number already; 0 is no number.
    pub(super) fn mark(&mut self, group: u32) {
        if group != 0 {
            self.used.insert(group);
        }
    }

    /// `None`: all are in use.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.used.len() >= self.max as usize {
            return None;
        }
        loop {
            self.last = if self.last >= self.max {
                1
            } else {
                self.last + 1
            };
            if self.used.insert(self.last) {
                return Some(self.last);
            }
        }
    }

    /// Nothing in the kernel names it any more.
    pub(super) fn give_back(&mut self, group: u32) {
        self.used.remove(&group);
    }

    /// These and no others are in use.
    pub(super) fn keep(&mut self, groups: impl Iterator<Item = u32>) {
        self.used = groups.filter(|group| *group != 0).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_after_it_came_back() {
        let mut groups = Groups {
            max: 3,
            ..Groups::new()
        };
        groups.mark(2);
        assert_eq!([groups.take(), groups.take()], [Some(1), Some(3)]);
        assert_eq!(groups.take(), None);
        groups.give_back(3);
        groups.give_back(1);
        assert_eq!([groups.take(), groups.take()], [Some(1), Some(3)]);
        groups.keep([0, 3].into_iter());
        assert_eq!([groups.take(), groups.take()], [Some(1), Some(2)]);
        assert_eq!(groups.take(), None);
    }

    #[test]
    fn the_last_number_fits_its_entry() {
        let mut groups = Groups::new();
        groups.last = GROUP_MAX - 1;
        let entry = gate_common::entry::Entry {
            shape: gate_common::entry::Entry::shape(32, true, groups.take().unwrap()),
            ..Default::default()
        };
        assert_eq!((entry.group(), entry.prefix()), (GROUP_MAX, 32));
        assert_eq!(groups.take(), Some(1));
    }
}
