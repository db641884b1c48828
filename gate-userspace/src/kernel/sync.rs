//! Applies openings to the kernel's tables, each source in an order that never opens too much.
//!
//! Opening: filter bit, bindings, then the entry. Shutting: the entry, bindings, then the bit. A
//! source that does not fit stays shut and is named; the others go on. Nothing is ever evicted.

mod groups;
mod host;
mod repair;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gate_common::address::{V4, V6};
use gate_common::entry::{BindKey, Entry};
use gate_common::name as table_name;
use ipnet::IpNet;

use self::groups::Groups;
use super::clock::Clock;
use super::fault::KernelError;
use super::filter::{Filter, Word};
use super::message::{Applied, Batch, Op, Opening, SourceKey, Want};
use super::plan::{Picture, Source, Step, Surroundings, plan};
use super::ports::Classes;
use super::table::{Tables, WriteError};

/// Every source that should be in the kernel.
pub(super) struct Sources {
    all: BTreeMap<IpNet, Source>,
    /// Pinned entries that no `Want` has claimed or dropped yet: counted in the filter, else unknown.
    strays: BTreeSet<IpNet>,
    /// A `Want` has told the whole truth.
    told: bool,
    by_interface: BTreeMap<String, BTreeSet<IpNet>>,
    links: BTreeMap<String, u32>,
    filter: Filter,
    /// Entries in the IPv4 and in the IPv6 trie.
    nets: [usize; 2],
    groups: Groups,
    clock: Clock,
}

impl Sources {
    /// Takes over what pinned tables hold: nothing is known of it but that it is there.
    pub(super) fn adopt(tables: &Tables, seed: u64) -> Result<Self, KernelError> {
        let mut sources = Self {
            all: BTreeMap::new(),
            strays: BTreeSet::new(),
            told: false,
            by_interface: BTreeMap::new(),
            links: BTreeMap::new(),
            filter: Filter::new(seed),
            nets: [0; 2],
            groups: Groups::new(),
            clock: Clock::read(),
        };
        for (net, entry) in tables.entries()? {
            sources.count(net, true);
            sources.strays.insert(net);
            // A number in use may still name somebody else's bindings.
            sources.groups.mark(entry.group());
        }
        for (key, _) in tables.binds()? {
            sources.groups.mark(key.group);
        }
        Ok(sources)
    }

    pub(super) fn apply(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        batch: Batch,
    ) -> Result<Applied, KernelError> {
        let mut applied = Applied {
            revision: batch.revision,
            ..Applied::default()
        };
        let mut first_fault = None;
        let (shut, open): (Vec<_>, Vec<_>) = batch
            .ops
            .into_iter()
            .partition(|op| matches!(op, Op::Shut(_)));
        for op in shut.into_iter().chain(open) {
            let outcome = match op {
                Op::Shut(key) => self.set(tables, classes, &key, None),
                Op::Open(_, opening) if opening.client == 0 => Err(KernelError::ReservedTag),
                Op::Open(key, opening) => self.set(tables, classes, &key, Some(opening)),
            };
            match outcome {
                Ok(one) => {
                    applied.removed += one.removed;
                    applied.written += one.written;
                }
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        first_fault.map_or(Ok(applied), Err)
    }

    pub(super) fn sync(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        want: Want,
    ) -> Result<Applied, KernelError> {
        let openings: BTreeMap<SourceKey, Opening> = want
            .openings
            .into_iter()
            .map(|(key, opening)| {
                (
                    SourceKey {
                        net: canonical(key.net),
                        ..key
                    },
                    opening,
                )
            })
            .collect();
        let ops = plan(&openings, &self.openings())
            .into_iter()
            .map(|step| match step {
                Step::Remove(key) => Op::Shut(key),
                Step::Upsert(key, opening) => Op::Open(key, opening),
            })
            .collect();
        // Pinned entries that nobody wants are gone before anything new is open.
        let strays = self.remove_strays(tables, &openings)?;
        let first = !std::mem::replace(&mut self.told, true);
        let batch = Batch {
            revision: want.revision,
            ops,
        };
        let outcome = self.apply(tables, classes, batch);
        if first {
            // Bindings of a former daemon go here, too.
            self.repair(tables, classes)?;
        }
        let mut applied = outcome?;
        applied.removed += strays;
        Ok(applied)
    }

    /// The tries are not empty: IPv4, IPv6.
    pub(super) fn has_nets(&self) -> [bool; 2] {
        self.nets.map(|count| count > 0)
    }

    /// Sources by table: IPv4 and IPv6 addresses, IPv4 and IPv6 networks.
    pub(super) fn fill(&self) -> [usize; 4] {
        let mut fill = [0; 4];
        for net in self.all.keys() {
            let wide = net.prefix_len() != net.max_prefix_len();
            fill[usize::from(wide) * 2 + usize::from(net.addr().is_ipv6())] += 1;
        }
        fill
    }

    fn openings(&self) -> BTreeMap<SourceKey, Opening> {
        let mut all = BTreeMap::new();
        for (net, source) in &self.all {
            if let Some(opening) = &source.anywhere {
                all.insert(
                    SourceKey {
                        net: *net,
                        interface: None,
                    },
                    opening.clone(),
                );
            }
            for (interface, opening) in &source.bound {
                let key = SourceKey {
                    net: *net,
                    interface: Some(interface.clone()),
                };
                all.insert(key, opening.clone());
            }
        }
        all
    }

    fn set(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        key: &SourceKey,
        opening: Option<Opening>,
    ) -> Result<Applied, KernelError> {
        let net = canonical(key.net);
        if opening.is_none() && !self.all.contains_key(&net) {
            // Pinned tables may hold what no `Want` has named yet.
            let removed = tables.erase(net)?;
            if self.strays.remove(&net) {
                self.uncount(tables, net)?;
            }
            return Ok(Applied {
                removed: usize::from(removed),
                ..Applied::default()
            });
        }
        let interface = key.interface.as_deref();
        if interface.is_some() && opening.is_some() {
            self.number(net)
                .map_err(|full| name(full, net, interface))?;
        }
        self.put(net, interface, opening);
        self.write(tables, classes, net).map_err(|fault| {
            // Fail closed: the source that did not fit goes, what it was part of stays.
            self.put(net, interface, None);
            let _ = self.write(tables, classes, net);
            name(fault, net, interface)
        })
    }

    /// Sees to it that a source which is to be bound has a group.
    fn number(&mut self, net: IpNet) -> Result<(), WriteError> {
        if self.all.get(&net).is_some_and(|source| source.group != 0) {
            return Ok(());
        }
        let group = self
            .groups
            .take()
            .ok_or(WriteError::Full(table_name::BIND))?;
        self.all.entry(net).or_default().group = group;
        Ok(())
    }

    fn put(&mut self, net: IpNet, interface: Option<&str>, opening: Option<Opening>) {
        let source = self.all.entry(net).or_default();
        let Some(interface) = interface else {
            source.anywhere = opening;
            return;
        };
        let nets = self.by_interface.entry(interface.to_owned()).or_default();
        if let Some(opening) = opening {
            source.bound.insert(interface.to_owned(), opening);
            nets.insert(net);
        } else {
            source.bound.remove(interface);
            nets.remove(&net);
            if nets.is_empty() {
                self.by_interface.remove(interface);
            }
        }
    }

    /// Brings the kernel to the picture of one source.
    fn write(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        net: IpNet,
    ) -> Result<Applied, WriteError> {
        let Some(source) = self.all.get(&net) else {
            return Ok(Applied::default());
        };
        let picture = self.picture(classes, net, source);
        let group = source.group;
        let stale: Vec<BindKey> = self
            .links
            .values()
            .map(|link| BindKey { link: *link, group })
            .filter(|key| group != 0 && !picture.binds.contains_key(key))
            .collect();
        let stray = self.strays.remove(&net);
        let had = source.entry;
        let counted = stray || had.is_some();
        let mut applied = Applied::default();
        let Some(entry) = picture.entry else {
            applied.removed += usize::from(tables.erase(net).map_err(WriteError::Kernel)?);
            for key in stale {
                tables.erase_bind(key).map_err(WriteError::Kernel)?;
            }
            if counted {
                self.uncount(tables, net).map_err(WriteError::Kernel)?;
            }
            self.unnumber(net);
            self.remember(net, None);
            return Ok(applied);
        };
        if !counted {
            let word = self.count(net, true);
            change(tables, word).map_err(WriteError::Kernel)?;
        }
        let outcome = write_binds(tables, &picture).and_then(|()| tables.write(net, entry));
        if let Err(fault) = outcome {
            tables.erase(net).map_err(WriteError::Kernel)?;
            self.uncount(tables, net).map_err(WriteError::Kernel)?;
            self.remember(net, None);
            return Err(fault);
        }
        for key in stale {
            tables.erase_bind(key).map_err(WriteError::Kernel)?;
        }
        self.unnumber(net);
        applied.written += usize::from(had != Some(entry));
        self.remember(net, Some(entry));
        Ok(applied)
    }

    /// The kernel holds no binding of a source that is bound nowhere: its group is free again.
    fn unnumber(&mut self, net: IpNet) {
        if let Some(source) = self.all.get_mut(&net)
            && source.bound.is_empty()
        {
            self.groups.give_back(std::mem::take(&mut source.group));
        }
    }

    fn remember(&mut self, net: IpNet, entry: Option<Entry>) {
        if let Some(source) = self.all.get_mut(&net) {
            source.entry = entry;
            if source.is_empty() {
                self.all.remove(&net);
            }
        }
    }

    fn picture(&self, classes: &Classes, net: IpNet, source: &Source) -> Picture {
        let clock = self.clock;
        let ticks = move |until| clock.ticks(until);
        Surroundings {
            classes,
            links: &self.links,
            ticks: &ticks,
        }
        .picture(net, source)
    }

    /// Only addresses stand behind the filter; networks are asked on a miss too.
    fn count(&mut self, net: IpNet, add: bool) -> Option<Word> {
        if net.prefix_len() != net.max_prefix_len() {
            let nets = &mut self.nets[usize::from(net.addr().is_ipv6())];
            *nets = if add {
                *nets + 1
            } else {
                nets.saturating_sub(1)
            };
            return None;
        }
        match (net.addr(), add) {
            (IpAddr::V4(address), true) => self.filter.add(V4::from(address)),
            (IpAddr::V4(address), false) => self.filter.remove(V4::from(address)),
            (IpAddr::V6(address), true) => self.filter.add(V6::from(address)),
            (IpAddr::V6(address), false) => self.filter.remove(V6::from(address)),
        }
    }

    fn uncount(&mut self, tables: &mut Tables, net: IpNet) -> Result<(), KernelError> {
        let word = self.count(net, false);
        change(tables, word)
    }
}

fn write_binds(tables: &mut Tables, picture: &Picture) -> Result<(), WriteError> {
    picture
        .binds
        .iter()
        .try_for_each(|(key, entry)| tables.write_bind(*key, *entry))
}

fn change(tables: &mut Tables, word: Option<Word>) -> Result<(), KernelError> {
    word.map_or(Ok(()), |word| tables.write_filter(word))
}

/// Host bits cleared, and IPv4-mapped addresses made IPv4: one source has one key.
fn canonical(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && v6.prefix_len() >= 96
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(mapped) = IpNet::new(v4.into(), v6.prefix_len() - 96)
    {
        return mapped.trunc();
    }
    net.trunc()
}

fn name(fault: WriteError, net: IpNet, interface: Option<&str>) -> KernelError {
    match fault {
        WriteError::Kernel(fault) => fault,
        WriteError::Full(table) => KernelError::Full {
            table,
            source_key: Box::new(SourceKey {
                net,
                interface: interface.map(str::to_owned),
            }),
        },
    }
}
