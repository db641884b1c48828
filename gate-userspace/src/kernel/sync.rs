//! Applies openings to the kernel's tables, each source in an order that never opens too much.
//!
//! Opening: filter bit, bindings, then the entry. Shutting: the entry, bindings, then the bit. A
//! source that does not fit stays shut and is named; the others go on. Nothing is ever evicted.

mod write;
mod many;
mod repair;
mod groups;
mod home;
mod host;

use std::collections::{BTreeMap, BTreeSet};

use gate_common::entry::Entry;
use ipnet::IpNet;

use self::groups::Groups;
use self::many::Outcome;
use super::clock::Clock;
use super::fault::KernelError;
use super::filter::Filter;
use super::home::Home;
use super::message::{Applied, Batch, Op, Opening, SourceKey, Want};
use super::plan::Source;
use super::ports::Classes;
use super::table::{Tables, WriteError};

/// Sources that a sync brings to the kernel in one go.
const PART: usize = 16 * 1024;

/// Where the one interface of a source is looked up.
pub(super) type Finds<'a> = &'a dyn Fn(IpNet) -> Home;

/// Every source that should be in the kernel.
pub(super) struct Sources {
    all: BTreeMap<IpNet, Source>,
    /// Pinned entries that no `Want` has claimed or dropped yet: counted in the filter, else unknown.
    strays: BTreeMap<IpNet, Entry>,
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
            strays: BTreeMap::new(),
            stray_classes: 0,
            told: false,
            by_interface: BTreeMap::new(),
            links: BTreeMap::new(),
            filter: Filter::new(seed),
            nets: [0; 2],
            groups: Groups::new(),
            clock: Clock::read(),
        };
        let mut found = Vec::new();
        tables.each_entry(|net, entry| {
            sources.count(net, true);
            sources.stray_classes |= entry.ports | entry.reach;
            // A number in use may still name somebody else's bindings.
            sources.groups.mark(entry.group());
            found.push((net, entry));
        })?;
        sources.strays = found.into_iter().collect();
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
        let (shut, open): (Vec<_>, Vec<_>) = batch
            .ops
            .into_iter()
            .partition(|op| matches!(op, Op::Shut(_)));
        let shut = self.change(tables, classes, shut, finds);
        let open = self.change(tables, classes, open, finds);
        shut.and(open).applied(batch.revision)
    }

    pub(super) fn sync(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        want: Want,
        finds: Finds<'_>,
    ) -> Result<Applied, KernelError> {
        let want_all = canonical_keys(want.openings);
        let gone: Vec<Op> = self
            .keys()
            .filter(|key| !want_all.contains_key(key))
            .map(Op::Shut)
            .collect();
        // Pinned entries that nobody wants, and what is wanted no more, are gone before anything
        // new is open.
        let strays = self.remove_strays(tables, &want_all)?;
        let first = !std::mem::replace(&mut self.told, true);
        let mut outcome = self.change(tables, classes, gone, finds);
        let mut want_all = want_all.into_iter().peekable();
        while want_all.peek().is_some() {
            // A part at a time, so that a million take no room twice.
            let part = want_all.by_ref().take(PART);
            let part = part.filter(|(key, opening)| self.opening(key) != Some(opening));
            let part = part.map(|(key, opening)| Op::Open(key, opening)).collect();
            outcome = outcome.and(self.change(tables, classes, part, finds));
        }
        if first {
            // What a former daemon left beside the entries, which were read at the start.
            self.repair_beside(tables, classes)?;
            self.stray_classes = 0;
            // Filled in ascending order its nodes are half empty.
            self.all = std::mem::take(&mut self.all).into_iter().collect();
        }
        let mut applied = outcome.applied(want.revision)?;
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

    /// Everything that is open.
    fn keys(&self) -> impl Iterator<Item = SourceKey> {
        self.all.iter().flat_map(|(net, source)| {
            source.openings().map(|(interface, _)| SourceKey {
                net: *net,
                interface: interface.map(str::to_owned),
            })
        })
    }

    fn opening(&self, key: &SourceKey) -> Option<&Opening> {
        let source = self.all.get(&key.net)?;
        match &key.interface {
            None => source.anywhere.as_ref(),
            Some(interface) => source.bound.get(interface),
        }
    }

    /// Brings the sources to these openings, and the kernel to the sources.
    fn change(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        ops: Vec<Op>,
        finds: Finds<'_>,
    ) -> Outcome {
        let mut reserved = None;
        let mut changes = Vec::with_capacity(ops.len());
        for op in ops {
            match op {
                Op::Shut(key) => changes.push(self.note(key, None, finds)),
                Op::Open(_, opening) if opening.client == 0 => {
                    reserved = Some(KernelError::ReservedTag);
                }
                Op::Open(key, opening) => changes.push(self.note(key, Some(opening), finds)),
            }
        }
        let nets = changes.iter().map(|change| change.net).collect();
        let mut written = self.write_all(tables, classes, nets);
        for net in &written.failed {
            self.take_back(tables, classes, &changes, *net);
        }
        if let Some(KernelError::Full { source_key, .. }) = &mut written.first
            && let Some(change) = changes.iter().find(|change| change.net == source_key.net)
        {
            source_key.interface.clone_from(&change.interface);
        }
        written.first = written.first.or(reserved);
        written
    }

    /// In the sources alone; the kernel follows.
    fn note(&mut self, key: SourceKey, opening: Option<Opening>, finds: Finds<'_>) -> Change {
        let net = canonical(key.net);
        let interface = key.interface.as_deref();
        let before = self.put(net, interface, opening.clone());
        if interface.is_none() {
            let home = opening.as_ref().map_or(Home::Elsewhere, |_| finds(net));
            self.settle(net, home);
        }
        Change {
            net,
            interface: key.interface,
            before,
            wanted: opening,
        }
    }

    /// Fail closed: what did not fit goes, and what was open stays as far as it still may.
    fn take_back(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        changes: &[Change],
        net: IpNet,
    ) {
        for change in changes.iter().rev().filter(|change| change.net == net) {
            let both = change.before.as_ref().zip(change.wanted.as_ref());
            let kept = both.and_then(|(before, wanted)| before.within(wanted));
            for last in [kept, None] {
                self.put(net, change.interface.as_deref(), last);
                if self.write(tables, classes, net).is_ok() {
                    return;
                }
            }
        }
    }
}

/// What was asked of one source, and what there was before.
struct Change {
    net: IpNet,
    interface: Option<String>,
    before: Option<Opening>,
    wanted: Option<Opening>,
}

fn canonical_keys(openings: BTreeMap<SourceKey, Opening>) -> BTreeMap<SourceKey, Opening> {
    if openings.keys().all(|key| canonical(key.net) == key.net) {
        return openings;
    }
    let keys = openings.into_iter().map(|(key, opening)| {
        let net = canonical(key.net);
        (SourceKey { net, ..key }, opening)
    });
    keys.collect()
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
