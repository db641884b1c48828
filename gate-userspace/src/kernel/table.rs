//! Handles on the kernel's maps, typed once.
//!
//! Knows keys, values and the words the kernel answers with; not what they mean. A full table is
//! told apart from every other failure here, because the two kinds of map say it differently
//! (`E2BIG` from a hash, `ENOSPC` from a trie).

mod many;
mod outcome;
mod place;

use std::borrow::Borrow;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, Pod};
use gate_common::address::{V4, V6};
use gate_common::entry::{BindKey, Config, Entry, Near6, SpoofKey};
use gate_common::name;
use ipnet::IpNet;

use self::outcome::{fault, found, gone, refused};
use self::place::{Place, net, place};
use super::fault::KernelError;
use super::filter::Word;
use super::sys;

type Hash<K, V> = HashMap<MapData, K, V>;

/// A write that did not happen.
#[derive(Debug)]
pub(super) enum WriteError {
    Full(&'static str),
    Kernel(KernelError),
}

/// Every map that userspace reads or writes.
pub(super) struct Tables {
    exact4: Hash<u32, Entry>,
    exact6: Hash<[u32; 4], Entry>,
    cidr4: LpmTrie<MapData, u32, Entry>,
    cidr6: LpmTrie<MapData, [u32; 4], Entry>,
    bind: Hash<BindKey, Entry>,
    links: Hash<u32, u32>,
    filter: Array<MapData, u64>,
    ports: Array<MapData, u64>,
    local4: Hash<u32, u32>,
    local6: Hash<[u32; 4], u32>,
    near4: Array<MapData, u64>,
    near6: Array<MapData, Near6>,
    localnet4: LpmTrie<MapData, u32, u32>,
    localnet6: LpmTrie<MapData, [u32; 4], u32>,
    config: Array<MapData, Config>,
    stats: PerCpuArray<MapData, u64>,
    spoofs: Hash<SpoofKey, u64>,
}

impl Tables {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            exact4: take(object, name::EXACT4)?,
            exact6: take(object, name::EXACT6)?,
            cidr4: take(object, name::CIDR4)?,
            cidr6: take(object, name::CIDR6)?,
            bind: take(object, name::BIND)?,
            links: take(object, name::LINKS)?,
            filter: take(object, name::FILTER)?,
            ports: take(object, name::PORTS)?,
            local4: take(object, name::LOCAL4)?,
            local6: take(object, name::LOCAL6)?,
            near4: take(object, name::NEAR4)?,
            near6: take(object, name::NEAR6)?,
            localnet4: take(object, name::LOCALNET4)?,
            localnet6: take(object, name::LOCALNET6)?,
            config: take(object, name::CONFIG)?,
            stats: take(object, name::STATS)?,
            spoofs: take(object, name::SPOOFS)?,
        })
    }

    pub(super) fn config(&self) -> Result<Config, KernelError> {
        self.config
            .get(&0, 0)
            .map_err(|cause| fault(name::CONFIG, cause))
    }

    pub(super) fn set_config(&mut self, config: Config) -> Result<(), KernelError> {
        self.config
            .set(0, config, 0)
            .map_err(|cause| fault(name::CONFIG, cause))
    }

    /// The entry of a source: an address in the exact tables, a network in the tries.
    pub(super) fn write(&mut self, net: IpNet, entry: Entry) -> Result<(), WriteError> {
        match place(net) {
            Place::Exact4(key) => insert(&mut self.exact4, name::EXACT4, key, entry),
            Place::Exact6(key) => insert(&mut self.exact6, name::EXACT6, key, entry),
            Place::Net4(key) => self
                .cidr4
                .insert(&key, entry, 0)
                .map_err(|cause| refused(name::CIDR4, cause)),
            Place::Net6(key) => self
                .cidr6
                .insert(&key, entry, 0)
                .map_err(|cause| refused(name::CIDR6, cause)),
        }
    }

    /// `false`: it was not there.
    pub(super) fn erase(&mut self, net: IpNet) -> Result<bool, KernelError> {
        match place(net) {
            Place::Exact4(key) => remove(&mut self.exact4, name::EXACT4, &key),
            Place::Exact6(key) => remove(&mut self.exact6, name::EXACT6, &key),
            Place::Net4(key) => gone(name::CIDR4, self.cidr4.remove(&key)),
            Place::Net6(key) => gone(name::CIDR6, self.cidr6.remove(&key)),
        }
    }

    pub(super) fn read(&self, net: IpNet) -> Result<Option<Entry>, KernelError> {
        match place(net) {
            Place::Exact4(key) => found(name::EXACT4, self.exact4.get(&key, 0)),
            Place::Exact6(key) => found(name::EXACT6, self.exact6.get(&key, 0)),
            Place::Net4(key) => found(name::CIDR4, self.cidr4.get(&key, 0)),
            Place::Net6(key) => found(name::CIDR6, self.cidr6.get(&key, 0)),
        }
    }

    pub(super) fn write_bind(&mut self, key: BindKey, entry: Entry) -> Result<(), WriteError> {
        insert(&mut self.bind, name::BIND, key, entry)
    }

    pub(super) fn erase_bind(&mut self, key: BindKey) -> Result<bool, KernelError> {
        remove(&mut self.bind, name::BIND, &key)
    }

    pub(super) fn write_link(&mut self, ifindex: u32, link: u32) -> Result<(), WriteError> {
        insert(&mut self.links, name::LINKS, ifindex, link)
    }

    pub(super) fn erase_link(&mut self, ifindex: u32) -> Result<bool, KernelError> {
        remove(&mut self.links, name::LINKS, &ifindex)
    }

    pub(super) fn links(&self) -> Result<Vec<(u32, u32)>, KernelError> {
        pairs(name::LINKS, &self.links)
    }

    pub(super) fn write_filter(&mut self, word: Word) -> Result<(), KernelError> {
        self.filter
            .set(word.index, word.bits, 0)
            .map_err(|cause| fault(name::FILTER, cause))
    }

    pub(super) fn write_ports(&mut self, index: u32, word: u64) -> Result<(), KernelError> {
        self.ports
            .set(index, word, 0)
            .map_err(|cause| fault(name::PORTS, cause))
    }

    /// Classes that hold at each address or network of this host.
    pub(super) fn local(&self) -> Result<Vec<(IpNet, u32)>, KernelError> {
        let mut all = Vec::new();
        for (key, classes) in pairs(name::LOCAL4, &self.local4)? {
            all.push((IpAddr::V4(V4(key).into()).into(), classes));
        }
        for (key, classes) in pairs(name::LOCAL6, &self.local6)? {
            all.push((IpAddr::V6(V6(key).into()).into(), classes));
        }
        for pair in &self.localnet4 {
            let (key, classes) = pair.map_err(|cause| fault(name::LOCALNET4, cause))?;
            all.extend(
                net(IpAddr::V4(V4(key.data()).into()), key.prefix_len()).map(|net| (net, classes)),
            );
        }
        for pair in &self.localnet6 {
            let (key, classes) = pair.map_err(|cause| fault(name::LOCALNET6, cause))?;
            all.extend(
                net(IpAddr::V6(V6(key.data()).into()), key.prefix_len()).map(|net| (net, classes)),
            );
        }
        Ok(all)
    }

    pub(super) fn write_local(&mut self, net: IpNet, classes: u32) -> Result<(), WriteError> {
        match place(net) {
            Place::Exact4(key) => insert(&mut self.local4, name::LOCAL4, key, classes),
            Place::Exact6(key) => insert(&mut self.local6, name::LOCAL6, key, classes),
            Place::Net4(key) => self
                .localnet4
                .insert(&key, classes, 0)
                .map_err(|e| refused(name::LOCALNET4, e)),
            Place::Net6(key) => self
                .localnet6
                .insert(&key, classes, 0)
                .map_err(|e| refused(name::LOCALNET6, e)),
        }
    }

    pub(super) fn erase_local(&mut self, net: IpNet) -> Result<bool, KernelError> {
        match place(net) {
            Place::Exact4(key) => remove(&mut self.local4, name::LOCAL4, &key),
            Place::Exact6(key) => remove(&mut self.local6, name::LOCAL6, &key),
            Place::Net4(key) => gone(name::LOCALNET4, self.localnet4.remove(&key)),
            Place::Net6(key) => gone(name::LOCALNET6, self.localnet6.remove(&key)),
        }
    }

    /// The small array in front of the local IPv4 addresses.
    pub(super) fn near(&self) -> Result<Vec<u64>, KernelError> {
        self.near4
            .iter()
            .collect::<Result<_, _>>()
            .map_err(|cause| fault(name::NEAR4, cause))
    }

    pub(super) fn near6(&self) -> Result<Vec<Near6>, KernelError> {
        self.near6
            .iter()
            .collect::<Result<_, _>>()
            .map_err(|cause| fault(name::NEAR6, cause))
    }

    pub(super) fn write_near6(&mut self, slot: u32, value: Near6) -> Result<(), KernelError> {
        self.near6
            .set(slot, value, 0)
            .map_err(|cause| fault(name::NEAR6, cause))
    }

    pub(super) fn write_near(&mut self, slot: u32, word: u64) -> Result<(), KernelError> {
        self.near4
            .set(slot, word, 0)
            .map_err(|cause| fault(name::NEAR4, cause))
    }

    /// One counter, summed over the CPUs.
    pub(super) fn stat(&self, slot: u32) -> Result<u64, KernelError> {
        let per_cpu = self
            .stats
            .get(&slot, 0)
            .map_err(|cause| fault(name::STATS, cause))?;
        Ok(per_cpu.iter().sum())
    }

    pub(super) fn spoofs(&self) -> Result<Vec<(SpoofKey, u64)>, KernelError> {
        pairs(name::SPOOFS, &self.spoofs)
    }
}

/// The layout number in a pinned configuration, 0 where there is none. It is the first word of
/// every layout; what follows is that layout's own business.
pub(super) fn pinned_abi(path: &Path) -> Result<u32, KernelError> {
    if !path.exists() {
        return Ok(0);
    }
    let map = |cause| fault(name::CONFIG, cause);
    let data = MapData::from_pin(path).map_err(map)?;
    let size = data.info().map_err(map)?.value_size();
    let value = sys::first_value(data.fd().as_fd(), size).map_err(|cause| KernelError::Pin {
        path: path.to_owned(),
        cause: Box::new(cause),
    })?;
    Ok(value
        .first_chunk()
        .map_or(0, |word| u32::from_ne_bytes(*word)))
}

/// The ring is read by its own owner.
pub(super) fn ring(object: &mut Ebpf) -> Result<RingBuf<MapData>, KernelError> {
    take(object, name::EVENTS)
}

fn take<M: TryFrom<Map, Error = MapError>>(
    object: &mut Ebpf,
    map: &'static str,
) -> Result<M, KernelError> {
    object
        .take_map(map)
        .ok_or(KernelError::Absent(map))?
        .try_into()
        .map_err(|cause| fault(map, cause))
}

fn pairs<K: Pod, V: Pod>(
    map: &'static str,
    table: &Hash<K, V>,
) -> Result<Vec<(K, V)>, KernelError> {
    table
        .iter()
        .collect::<Result<_, _>>()
        .map_err(|cause| fault(map, cause))
}

fn insert<K: Pod, V: Pod>(
    table: &mut Hash<K, V>,
    map: &'static str,
    key: impl Borrow<K>,
    value: impl Borrow<V>,
) -> Result<(), WriteError> {
    table
        .insert(key, value, 0)
        .map_err(|cause| refused(map, cause))
}

fn remove<K: Pod, V: Pod>(
    table: &mut Hash<K, V>,
    map: &'static str,
    key: &K,
) -> Result<bool, KernelError> {
    gone(map, table.remove(key))
}
