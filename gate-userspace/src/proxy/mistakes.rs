//! The common mistakes, with count and source, for whoever asks why nothing works.
//!
//! Written only where a call is refused anyway, or its answer is not what was meant. Bounded: with
//! too many sources the oldest go, and who watches is told less often the more often it happens.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::broadcast;

use super::counters::Count;
use crate::{
    clock::Stamp,
    ident::{ClientName, RolloutId, TokenId},
    secret::Look,
    source::{Peer, Source},
};

/// Pairs of mistake and source that are kept.
const KEPT: usize = 4096;

/// What a watcher may miss before it hears of that.
const WATCHED: usize = 256;

pub(crate) struct Mistakes {
    seen: Mutex<BTreeMap<(Count, Peer), Seen>>,
    watchers: broadcast::Sender<Noticed>,
}

/// A mistake as it happens, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    pub mistake: Mistake,
    /// Both sides, where a bound token came from elsewhere.
    pub replay: Option<Replay>,
}

/// A bound token that somebody presented from elsewhere: provisioned wrong, or stolen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub token: TokenId,
    pub client: ClientName,
    pub rollout: Option<RolloutId>,
    /// Where it belongs.
    pub bound: Vec<Source>,
}

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

impl Default for Mistakes {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            watchers: broadcast::Sender::new(WATCHED),
        }
    }
}

impl Mistakes {
    pub(crate) fn note(&self, what: Count, source: Peer, now: Stamp, replay: Option<Replay>) {
        let count = self.count(what, source, now);
        // The first, the tenth, the hundredth; of replays each, for each may be of another token.
        let is_told = replay.is_some() || count == 10_u64.pow(count.ilog10());
        if is_told && self.watchers.receiver_count() > 0 {
            let mistake = Mistake {
                what,
                source,
                count,
                last: now,
            };
            // An error only says that the last watcher has just left.
            _ = self.watchers.send(Noticed { mistake, replay });
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Noticed> {
        self.watchers.subscribe()
    }

    /// How often that makes it.
    fn count(&self, what: Count, source: Peer, now: Stamp) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
        entry.count
    }

    /// The most frequent first.
    pub(crate) fn list(&self) -> Vec<Mistake> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
            mistakes.note(
                Count::Placeholder,
                peer(number),
                Stamp(i64::from(number)),
                None,
            );
        }
        mistakes.note(Count::Placeholder, peer(4999), Stamp(5000), None);
        let list = mistakes.list();
        assert_eq!(list.len(), KEPT);
        assert_eq!((list[0].source, list[0].count), (peer(4999), 2));
        assert!(list.iter().all(|mistake| mistake.source != peer(0)));
    }

    #[test]
    fn a_watcher_hears_less_often_of_what_happens_often() {
        let mistakes = Mistakes::default();
        let mut watcher = mistakes.watch();
        for _ in 0..120 {
            mistakes.note(Count::Placeholder, Peer::Loopback, Stamp(1), None);
        }
        let heard = std::iter::from_fn(|| watcher.try_recv().ok());
        let counts: Vec<u64> = heard.map(|noticed| noticed.mistake.count).collect();
        assert_eq!(counts, [1, 10, 100]);
    }
}
