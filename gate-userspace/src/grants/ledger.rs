//! Who holds which source: the packet ring's entries are the union, counted by holder.
//!
//! Does not touch the kernel. A source goes when its last holder goes, and never before.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry};

use ipnet::IpNet;
use smallvec::SmallVec;

use super::{holders::Holders, load::pack};
use crate::{
    clock::Stamp,
    ident::{ClientId, HostName, RolloutSerial},
    source::Source,
};

/// What the packet ring matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    pub net: IpNet,
    pub interface: Option<Box<str>>,
}

/// What a source may reach, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whom the packet ring names in its counters.
    pub client: ClientId,
    pub until: Option<Stamp>,
    /// Guarded ports besides the gate's own.
    pub ports: BTreeSet<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    Client(ClientId),
    Rollout(RolloutSerial),
}

/// A change of the union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    Shut(SourceKey),
    Open(SourceKey, Opened),
}

impl Delta {
    pub fn key(&self) -> &SourceKey {
        match self {
            Self::Shut(key) | Self::Open(key, _) => key,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    held: BTreeMap<SourceKey, Holders>,
    of: HashMap<Holder, Keys, foldhash::fast::RandomState>,
}

/// Almost always one.
type Keys = SmallVec<[SourceKey; 1]>;

impl Ledger {
    /// Makes `holder` hold exactly these sources, as far as they mean something on `host`.
    pub(super) fn set(
        &mut self,
        holder: Holder,
        sources: &[Source],
        opened: &Opened,
        host: &HostName,
    ) -> Vec<Delta> {
        let places = sources.iter().filter_map(|source| source.place_on(host));
        let mut want: Keys = places
            .map(|place| SourceKey {
                net: place.net,
                interface: place.interface.clone(),
            })
            .collect();
        want.sort_unstable();
        want.dedup();
        let have = self.of.remove(&holder).unwrap_or_default();
        let mut deltas = Vec::new();
        for gone in have.iter().filter(|key| want.binary_search(key).is_err()) {
            deltas.extend(self.release(&holder, gone));
        }
        for key in &want {
            deltas.extend(self.hold(&holder, key, opened));
        }
        if !want.is_empty() {
            self.of.insert(holder, want);
        }
        deltas
    }

    /// Makes room for so many holders.
    pub(super) fn expect(&mut self, holders: usize) {
        self.of.reserve(holders);
    }

    pub(super) fn pack(&mut self) {
        pack(&mut self.held);
    }

    pub(super) fn clear(&mut self, holder: &Holder) -> Vec<Delta> {
        let have = self.of.remove(holder).unwrap_or_default();
        have.iter()
            .filter_map(|key| self.release(holder, key))
            .collect()
    }

    /// What is held by anybody.
    pub(super) fn keys(&self) -> impl Iterator<Item = &SourceKey> {
        self.held.keys()
    }

    pub(super) fn all(&self) -> BTreeMap<SourceKey, Opened> {
        let union = self.held.iter().map(|(key, by)| (key.clone(), by.merged()));
        union.collect()
    }

    fn hold(&mut self, holder: &Holder, key: &SourceKey, opened: &Opened) -> Option<Delta> {
        let one = (holder.clone(), opened.clone());
        let after = match self.held.entry(key.clone()) {
            Entry::Vacant(free) => free.insert(Holders::one(one)).merged(),
            Entry::Occupied(mut by) => {
                let before = by.get().merged();
                by.get_mut().put(one);
                let after = by.get().merged();
                if before == after {
                    return None;
                }
                after
            }
        };
        Some(Delta::Open(key.clone(), after))
    }

    fn release(&mut self, holder: &Holder, key: &SourceKey) -> Option<Delta> {
        let Entry::Occupied(mut by) = self.held.entry(key.clone()) else {
            return None;
        };
        if by.get().are_only(holder) {
            by.remove();
            return Some(Delta::Shut(key.clone()));
        }
        let before = by.get().merged();
        by.get_mut().remove(holder);
        let after = by.get().merged();
        (after != before).then(|| Delta::Open(key.clone(), after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn an_entry_goes_with_its_last_holder() {
        let (mut ledger, host) = (Ledger::default(), host());
        let source = [Source::on(&host, "10.0.0.5").unwrap()];
        let (a, b) = (Holder::Client(client(1)), Holder::Rollout(RolloutSerial(9)));
        assert!(matches!(
            ledger.set(a.clone(), &source, &open(1), &host)[..],
            [Delta::Open(..)]
        ));
        assert_eq!(ledger.set(b.clone(), &source, &open(1), &host), []);
        assert_eq!(ledger.clear(&a), []);
        assert!(matches!(ledger.clear(&b)[..], [Delta::Shut(_)]));
        assert!(ledger.all().is_empty());
    }

    #[test]
    fn the_longest_lease_of_all_holders_counts() {
        let (mut ledger, host) = (Ledger::default(), host());
        let source = [Source::on(&host, "10.0.0.5").unwrap()];
        let (a, b) = (Holder::Client(client(1)), Holder::Client(client(2)));
        ledger.set(a.clone(), &source, &until(open(1), 10), &host);
        ledger.set(b.clone(), &source, &until(open(2), 20), &host);
        assert_eq!(ledger.all().values().next().unwrap().until, Some(Stamp(20)));
        let deltas = ledger.clear(&b);
        assert!(matches!(&deltas[..], [Delta::Open(_, o)] if o.until == Some(Stamp(10))));
    }

    #[test]
    fn another_hosts_source_opens_nothing_here() {
        let mut ledger = Ledger::default();
        let source = [Source::on(&"b".parse().unwrap(), "10.0.0.5").unwrap()];
        assert_eq!(
            ledger.set(Holder::Client(client(1)), &source, &open(1), &host()),
            []
        );
        assert!(ledger.of.is_empty());
    }

    fn host() -> HostName {
        "a".parse().unwrap()
    }

    fn client(id: u32) -> ClientId {
        ClientId(NonZeroU32::new(id).unwrap())
    }

    fn open(id: u32) -> Opened {
        Opened {
            client: client(id),
            until: None,
            ports: BTreeSet::new(),
        }
    }

    fn until(opened: Opened, until: i64) -> Opened {
        Opened {
            until: Some(Stamp(until)),
            ..opened
        }
    }
}
