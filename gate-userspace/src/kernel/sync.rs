//! Applies openings to the kernel's tables, each source in an order that never opens too much.
//!
//! Opening: filter bit, bindings, then the entry. Shutting: the entry, bindings, then the bit. A
//! source that does not fit stays shut and is named; the others go on. Nothing is ever evicted.

mod groups;
mod home;
mod host;
mod repair;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use self::groups::Groups;
use super::clock::Clock;
use super::fault::KernelError;
use super::filter::Filter;
use super::home::Home;
use super::message::{Applied, Batch, Op, Opening, SourceKey, Want};
use super::plan::{Source, Step, plan};
use super::ports::Classes;
use super::table::{Tables, WriteError};

/// Where the one interface of a source is looked up.
pub(super) type Finds<'a> = &'a dyn Fn(IpNet) -> Home;

/// Every source that should be in the kernel.
pub(super) struct Sources {
    all: BTreeMap<IpNet, Source>,
    /// Pinned entries that no `Want` has claimed or dropped yet: counted in the filter, else unknown.
    strays: BTreeSet<IpNet>,
    /// Classes that pinned entries were opened to, whatever ports those were.
    stray_classes: u32,
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
            stray_classes: 0,
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
            sources.stray_classes |= entry.ports | entry.reach;
            // A number in use may still name somebody else's bindings.
            sources.groups.mark(entry.group());
        }
        for (key, entry) in tables.binds()? {
            sources.stray_classes |= entry.ports | entry.reach;
            sources.groups.mark(key.group);
        }
        Ok(sources)
    }

    pub(super) fn apply(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        batch: Batch,
        finds: Finds<'_>,
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
                Op::Shut(key) => self.set(tables, classes, &key, None, finds),
                Op::Open(_, opening) if opening.client == 0 => Err(KernelError::ReservedTag),
                Op::Open(key, opening) => self.set(tables, classes, &key, Some(opening), finds),
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
        finds: Finds<'_>,
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
        let outcome = self.apply(tables, classes, batch, finds);
        if first {
            // Bindings of a former daemon go here, too.
            self.repair(tables, classes)?;
            self.stray_classes = 0;
        }
        let mut applied = outcome?;
        applied.removed += strays;
        Ok(applied)
    }

    /// The numbers that no other guard may have: of these ports, and those of which only a pinned
    /// entry still knows.
    pub(super) fn taken(
        &self,
        mut known: BTreeMap<u32, BTreeSet<u16>>,
    ) -> BTreeMap<u32, BTreeSet<u16>> {
        for number in (1..u32::BITS).filter(|number| self.stray_classes & (1 << number) != 0) {
            known.entry(number).or_default();
        }
        known
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
        finds: Finds<'_>,
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
        let before = self.put(net, interface, opening.clone());
        if interface.is_none() {
            let home = opening.as_ref().map_or(Home::Elsewhere, |_| finds(net));
            self.settle(net, home);
        }
        self.write(tables, classes, net).map_err(|fault| {
            // Fail closed: what did not fit goes, and what was open stays as far as it still may.
            let both = before.zip(opening);
            let kept = both.and_then(|(before, wanted)| before.within(&wanted));
            for last in [kept, None] {
                self.put(net, interface, last);
                if self.write(tables, classes, net).is_ok() {
                    break;
                }
            }
            name(fault, net, interface)
        })
    }
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
