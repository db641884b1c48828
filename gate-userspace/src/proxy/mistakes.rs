//! The common mistakes, with count and source, for whoever asks why nothing works.
//!
//! Written only where a call is refused anyway. Bounded: with too many sources the oldest go.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::counters::Count;
use crate::{clock::Stamp, secret::Look, source::Peer};

/// Pairs of mistake and source that are kept.
const KEPT: usize = 4096;

#[derive(Default)]
pub(crate) struct Mistakes(Mutex<BTreeMap<(Count, Peer), Seen>>);

/// One mistake from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub what: Count,
    pub source: Peer,
    pub count: u64,
    pub last: Stamp,
}

#[derive(Clone, Copy)]
struct Seen {
    count: u64,
    last: Stamp,
}

impl Mistakes {
    pub(crate) fn note(&self, what: Count, source: Peer, now: Stamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= KEPT && !seen.contains_key(&(what, source)) {
            let oldest = seen.iter().min_by_key(|(_, seen)| seen.last);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                seen.remove(&oldest);
            }
        }
        let entry = seen.entry((what, source));
        let entry = entry.or_insert(Seen {
            count: 0,
            last: now,
        });
        entry.count += 1;
        entry.last = now;
    }

    /// The most frequent first.
    pub(crate) fn list(&self) -> Vec<Mistake> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Mistake> = seen
            .iter()
            .map(|((what, source), seen)| Mistake {
                what: *what,
                source: *source,
                count: seen.count,
                last: seen.last,
            })
            .collect();
        list.sort_by_key(|mistake| {
            (
                std::cmp::Reverse(mistake.count),
                mistake.what,
                mistake.source,
            )
        });
        list
    }
}

/// The mistake that an unknown credential shows by its look.
pub(crate) fn of_look(look: Look) -> Option<Count> {
    match look {
        Look::Gate(_) => Some(Count::ForeignGate),
        Look::Mistyped => Some(Count::Mistyped),
        Look::Placeholder => Some(Count::Placeholder),
        Look::ProviderKey => Some(Count::ProviderKey),
        Look::Foreign => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_source_makes_room() {
        let mistakes = Mistakes::default();
        let peer = |number: u32| Peer::Address(std::net::Ipv4Addr::from(number).into());
        for number in 0..5000 {
            mistakes.note(Count::Placeholder, peer(number), Stamp(i64::from(number)));
        }
        mistakes.note(Count::Placeholder, peer(4999), Stamp(5000));
        let list = mistakes.list();
        assert_eq!(list.len(), KEPT);
        assert_eq!((list[0].source, list[0].count), (peer(4999), 2));
        assert!(list.iter().all(|mistake| mistake.source != peer(0)));
    }
}
