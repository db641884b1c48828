//! Which lease ends next: a queue of deadlines, so that a look costs nothing while none is over.
//!
//! Does not end anything. What is due is looked at again in the table, where the truth is.

use std::collections::{BTreeSet, HashMap};

use crate::{
    clock::Stamp,
    ident::{ClientId, RolloutSerial},
};

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Leased {
    Client(ClientId),
    Rollout(RolloutSerial),
}

impl Leased {
    /// The least of all.
    const FIRST: Self = Self::Client(ClientId(std::num::NonZeroU32::MIN));
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    queue: BTreeSet<(Stamp, Leased)>,
    of: HashMap<Leased, Stamp>,
}

impl Leases {
    pub(super) fn set(&mut self, leased: Leased, until: Option<Stamp>) {
        if let Some(before) = self.of.remove(&leased) {
            self.queue.remove(&(before, leased));
        }
        if let Some(until) = until {
            self.of.insert(leased, until);
            self.queue.insert((until, leased));
        }
    }

    /// Fills the nodes of the queue. Filled in ascending order they are half empty.
    pub(super) fn pack(&mut self) {
        self.queue = std::mem::take(&mut self.queue).into_iter().collect();
    }

    pub(super) fn next(&self) -> Option<Stamp> {
        self.queue.first().map(|(until, _)| *until)
    }

    /// The first deadline behind that moment.
    pub(super) fn after(&self, moment: Stamp) -> Option<Stamp> {
        let later = self.queue.range(behind(moment)..).next();
        later.map(|(until, _)| *until)
    }

    /// Those whose deadline lies behind `moment`, at `now` at the latest.
    pub(super) fn between(&self, moment: Stamp, now: Stamp) -> Vec<Leased> {
        let lapsed = self.queue.range(behind(moment)..behind(now));
        lapsed.map(|(_, leased)| *leased).collect()
    }

    /// Takes out what is due.
    pub(super) fn due(&mut self, now: Stamp) -> Vec<Leased> {
        let mut due = Vec::new();
        while self.next().is_some_and(|until| until <= now) {
            if let Some((_, leased)) = self.queue.pop_first() {
                self.of.remove(&leased);
                due.push(leased);
            }
        }
        due
    }
}

/// The least that stands behind all deadlines of that moment.
fn behind(moment: Stamp) -> (Stamp, Leased) {
    (Stamp(moment.0.saturating_add(1)), Leased::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_lease_is_due_at_its_new_deadline_only() {
        let (a, b) = (rollout(1), rollout(2));
        let mut leases = Leases::default();
        leases.set(a, Some(Stamp(10)));
        leases.set(b, Some(Stamp(20)));
        leases.set(a, Some(Stamp(30)));
        assert_eq!(leases.due(Stamp(9)), []);
        assert_eq!(leases.due(Stamp(25)), [b]);
        leases.set(a, None);
        assert_eq!(leases.next(), None);
        assert!(leases.of.is_empty());
    }

    fn rollout(serial: u64) -> Leased {
        Leased::Rollout(RolloutSerial(serial))
    }
}
