//! Holds the kernel half: the loaded object, its tables, what is attached, and what should be.
//!
//! Start order is the safety argument: maps are filled with mode, addresses and ports before the
//! first link stands, so nothing is ever attached that would let a guarded port pass; adopted
//! links get the new program only when the maps are right. On a failed first start every pin made
//! here goes again; a failed adoption leaves the old links at work.

mod change;
mod check;
mod hooks;
mod namespace;
mod report;

use std::collections::BTreeMap;

use aya::Ebpf;
use gate_common::entry::{
    ABI, AUDIT, CLOSED, Config, LOCALNETS4, LOCALNETS6, NETS4, NETS6, TICK_SHIFT,
};

use self::hooks::Held;
use super::fault::KernelError;
use super::home::Homes;
use super::local::{self, Direct, Local};
use super::message::{Mode, Setup, SynBudget};
use super::pins::Pins;
use super::ports::Classes;
use super::status::Audit;
use super::sync::Sources;
use super::table::{self, Tables};
use super::{attach, capability, guard, links, object, reserve};

pub(super) struct Keeper {
    object: Ebpf,
    tables: Tables,
    pins: Pins,
    setup: Setup,
    classes: Classes,
    /// What the masks hold: `classes`, and those of before for as long as a port may be of them.
    masked: Classes,
    local: Local,
    direct: Direct,
    homes: Homes,
    sources: Sources,
    /// By interface index.
    held: BTreeMap<u32, Held>,
    /// Every interface of the last look, guarded or not.
    names: BTreeMap<u32, String>,
    next_link: u32,
    /// Another layout still guards; ours takes over with the first `sync`.
    waiting: bool,
    revision: u64,
    seed: u64,
    last_audit: Audit,
    /// Differences repaired since the start.
    repairs: u64,
    warnings: BTreeMap<&'static str, String>,
}

impl Keeper {
    pub(super) fn start(setup: Setup) -> Result<Self, KernelError> {
        capability::probe()?;
        let pins = Pins::open(&setup.pin_dir)?;
        namespace::refuse_others(&pins)?;
        let fresh = super::pins::children(&pins.links())?.is_empty();
        match Self::build(setup, pins) {
            Ok(keeper) => Ok(keeper),
            Err((fault, pins)) => {
                if fresh && let Some(pins) = pins {
                    // The first error is the one to tell; what cannot be removed guards nothing.
                    let _ = pins.remove_own();
                }
                Err(fault)
            }
        }
    }

    fn build(setup: Setup, pins: Pins) -> Result<Self, (KernelError, Option<Pins>)> {
        let loaded = (|| {
            let mut object = object::load(&pins.maps())?;
            let tables = Tables::take(&mut object)?;
            let config = tables.config()?;
            let seed = if config.seed == 0 {
                random()
            } else {
                config.seed
            };
            let sources = Sources::adopt(&tables, seed)?;
            let before = guard::pinned(&tables, config)?;
            let taken = sources.taken(before.by_number());
            let classes = Classes::assign(&setup.ports, &taken)?;
            let classes = (before.beside(&classes), classes);
            Ok((object, tables, config.revision, seed, sources, classes))
        })();
        let (object, tables, revision, seed, sources, (masked, classes)) = match loaded {
            Ok(loaded) => loaded,
            Err(fault) => return Err((fault, Some(pins))),
        };
        let mut keeper = Self {
            object,
            tables,
            pins,
            setup,
            classes,
            masked,
            local: Local::default(),
            direct: Direct::new(),
            homes: Homes::default(),
            sources,
            held: BTreeMap::new(),
            names: BTreeMap::new(),
            next_link: 1,
            waiting: false,
            revision,
            seed,
            last_audit: Audit::default(),
            repairs: 0,
            warnings: BTreeMap::new(),
        };
        match keeper.stand_up() {
            Ok(()) => Ok(keeper),
            Err(fault) => Err((fault, Some(keeper.pins))),
        }
    }

    fn stand_up(&mut self) -> Result<(), KernelError> {
        // Brings its own masks along: a configuration that knows no address yet would open those
        // that pinned tables guard.
        self.refresh_local()?;
        self.write_config()?;
        guard::write_ports(&mut self.tables, &self.classes)?;
        self.forget_old_classes()?;
        self.reserve();
        self.waiting = !self.pins.foreign_links()?.is_empty();
        if self.waiting {
            // Another layout's links keep its leases open until ours are known.
            return Ok(());
        }
        self.hold_on()
    }

    fn hold_on(&mut self) -> Result<(), KernelError> {
        self.adopt_links()?;
        self.hold_lookup()?;
        self.follow_interfaces(hooks::Strict::Yes).map(drop)
    }

    pub(super) fn ring(&mut self) -> Result<aya::maps::RingBuf<aya::maps::MapData>, KernelError> {
        table::ring(&mut self.object)
    }

    pub(super) fn interface_name(&self, index: u32) -> Option<String> {
        self.names.get(&index).cloned()
    }

    /// Every link and pin goes.
    pub(super) fn unload(self) -> Result<(), KernelError> {
        let _ = reserve::release(&self.pins, None);
        self.pins.remove_all().map(drop)
    }

    /// Attaches the socket lookup where it does not stand; says how many links that changed.
    fn hold_lookup(&mut self) -> Result<usize, KernelError> {
        let path = self.pins.links().join(links::LOOKUP);
        if path.exists() {
            if links::netns(&path)? == Some(hooks::own_netns()?) {
                return Ok(0);
            }
            links::remove(&path)?;
        }
        attach::attach_lookup(&mut self.object, &self.pins.links())?;
        Ok(1)
    }

    fn refresh_local(&mut self) -> Result<(), KernelError> {
        let (local, direct) = local::read()?;
        self.direct = direct;
        if local != self.local {
            self.sources
                .set_own(&mut self.tables, &self.classes, &local.hosts)?;
            self.local = local;
            self.write_config()?;
        }
        guard::write_local(&mut self.tables, &self.masked, &self.local).map(drop)
    }

    /// No port is of the former classes any more, so the masks need not hold them.
    fn forget_old_classes(&mut self) -> Result<(), KernelError> {
        self.masked = self.classes.clone();
        self.write_config()?;
        guard::write_local(&mut self.tables, &self.masked, &self.local).map(drop)
    }

    fn reserve(&mut self) {
        match reserve::reserve(&self.pins, &self.classes.ports()) {
            Ok(()) => self.warnings.remove("reserved"),
            Err(warning) => self.warnings.insert(
                "reserved",
                format!("guarded ports stay in the ephemeral range: {warning}"),
            ),
        };
    }

    fn write_config(&mut self) -> Result<(), KernelError> {
        let [nets4, nets6] = self.sources.has_nets();
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let localnets = |v6: bool| self.local.nets.iter().any(|net| net.addr().is_ipv6() == v6);
        let SynBudget { rate, burst } = self.setup.syn_budget;
        let config = Config {
            abi: ABI,
            flags: flag(self.setup.mode == Mode::Closed, CLOSED)
                | flag(self.setup.mode == Mode::Audit, AUDIT)
                | flag(nets4, NETS4)
                | flag(nets6, NETS6)
                | flag(localnets(false), LOCALNETS4)
                | flag(localnets(true), LOCALNETS6),
            anywhere: self.masked.anywhere(),
            shut: self.masked.shut(),
            syn_refill: per_tick(rate),
            syn_burst: burst.saturating_mul(1024),
            event_budget: self.setup.event_budget,
            reserved: 0,
            revision: self.revision,
            seed: self.seed,
        };
        if self.tables.config()? == config {
            Ok(())
        } else {
            self.tables.set_config(config)
        }
    }
}

/// Tokens a coarse tick, in 1/1024; at least one where a rate was given at all.
fn per_tick(rate: u32) -> u32 {
    if rate == 0 {
        return 0;
    }
    let per_tick = u64::from(rate) * 1024 * (1 << TICK_SHIFT) / 1_000_000_000;
    u32::try_from(per_tick).unwrap_or(u32::MAX).max(1)
}

/// Not a secret: it only keeps strangers from choosing addresses that share a filter bit.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the filter still works, only predictably.
    let _ = getrandom::fill(&mut bytes);
    u64::from_ne_bytes(bytes) | 1
}
