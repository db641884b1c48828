//! Is this address on the list? The connection ring's copy of what the packet ring holds.
//!
//! Read on every accept, written on every change. A source on two interfaces counts twice, because
//! a socket does not tell the interface.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use ipnet::IpNet;

use super::ledger::{Delta, SourceKey};

#[derive(Default)]
pub(super) struct Listed {
    nets: RwLock<Nets>,
    /// Counts the changes, so that who was found on the list need not be looked up until the next.
    changes: AtomicU64,
}

#[derive(Default)]
struct Nets {
    /// Where a network is held.
    held: HashMap<IpNet, Held, foldhash::fast::RandomState>,
    /// How many networks there are of each prefix length, so that a look-up tries only those.
    lengths: BTreeMap<(bool, u8), usize>,
}

/// By interface. Most networks are held on none by name, and that needs no list.
#[derive(Default)]
struct Held {
    anywhere: bool,
    #[expect(clippy::box_collection, reason = "one word in a million of these")]
    on: Option<Box<BTreeSet<Box<str>>>>,
}

impl Listed {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let nets = self.nets.read().unwrap_or_else(PoisonError::into_inner);
        let family = address.is_ipv6();
        nets.lengths
            .range((family, 0)..=(family, 128))
            .any(|((_, length), _)| {
                IpNet::new(address, *length).is_ok_and(|net| nets.held.contains_key(&net.trunc()))
            })
    }

    /// Makes room for so many networks.
    pub(super) fn expect(&self, count: usize) {
        let mut nets = self.nets.write().unwrap_or_else(PoisonError::into_inner);
        nets.held.reserve(count);
    }

    pub(super) fn apply(&self, delta: &Delta) {
        let mut nets = self.nets.write().unwrap_or_else(PoisonError::into_inner);
        match delta {
            Delta::Open(key, _) => nets.hold(key),
            Delta::Shut(key) => nets.release(key),
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

impl Nets {
    fn hold(&mut self, key: &SourceKey) {
        let held = self.held.entry(key.net).or_default();
        if held.is_empty() {
            *self.lengths.entry(length(key.net)).or_default() += 1;
        }
        match &key.interface {
            None => held.anywhere = true,
            Some(interface) => _ = held.on.get_or_insert_default().insert(interface.clone()),
        }
    }

    fn release(&mut self, key: &SourceKey) {
        let Some(held) = self.held.get_mut(&key.net) else {
            return;
        };
        match (&key.interface, &mut held.on) {
            (None, _) => held.anywhere = false,
            (Some(interface), Some(on)) => _ = on.remove(interface),
            (Some(_), None) => {}
        }
        if held.is_empty() {
            self.held.remove(&key.net);
            if let Some(count) = self.lengths.get_mut(&length(key.net)) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&length(key.net));
                }
            }
        }
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        !self.anywhere && self.on.as_ref().is_none_or(|on| on.is_empty())
    }
}

fn length(net: IpNet) -> (bool, u8) {
    (matches!(net, IpNet::V6(_)), net.prefix_len())
}
