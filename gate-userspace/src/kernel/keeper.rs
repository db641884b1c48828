//! Holds the kernel half: the loaded object, its tables, what is attached, and what should be.
//!
//! Start order is the safety argument: maps are filled with mode, addresses and ports before the
//! first link stands, so nothing is ever attached that would let a guarded port pass; adopted
//! links get the new program only when the maps are right. On a failed first start every pin made
//! here goes again; a failed adoption leaves the old links at work.

mod hooks;
mod report;

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::Ebpf;
use gate_common::entry::{
    ABI, AUDIT, CLOSED, Config, LOCALNETS4, LOCALNETS6, NETS4, NETS6, TICK_SHIFT,
};

use self::hooks::Held;
use super::explain::{self, Probe, Verdicts};
use super::fault::KernelError;
use super::interfaces::{self, Interface};
use super::local::{self, Local};
use super::message::{Applied, Batch, GuardedPort, Interfaces, Mode, Setup, SynBudget, Want};
use super::pins::Pins;
use super::ports::Classes;
use super::status::Audit;
use super::sync::Sources;
use super::table::{self, Tables};
use super::{attach, capability, guard, links, object};

pub(super) struct Keeper {
    object: Ebpf,
    tables: Tables,
    pins: Pins,
    setup: Setup,
    classes: Classes,
    local: Local,
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
            if config.abi > ABI {
                return Err(KernelError::Newer {
                    found: config.abi,
                    known: ABI,
                });
            }
            let seed = if config.seed == 0 {
                random()
            } else {
                config.seed
            };
            let sources = Sources::adopt(&tables, seed)?;
            let taken = guard::pinned_ports(&tables)?;
            let classes = Classes::assign(&setup.ports, &taken)?;
            Ok((object, tables, config.revision, seed, sources, classes))
        })();
        let (object, tables, revision, seed, sources, classes) = match loaded {
            Ok(loaded) => loaded,
            Err(fault) => return Err((fault, Some(pins))),
        };
        let mut keeper = Self {
            object,
            tables,
            pins,
            setup,
            classes,
            local: Local::default(),
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
        self.write_config()?;
        self.refresh_local()?;
        guard::write_ports(&mut self.tables, &self.classes)?;
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

    /// The interface that a source on this address is bound to by itself: the veth or tap its route
    /// leaves by, when nobody else lives behind it.
    pub(super) fn home(address: IpAddr) -> Result<Option<String>, KernelError> {
        let Some(index) = local::way_out(address)? else {
            return Ok(None);
        };
        let present = interfaces::list()?;
        let found = present
            .into_iter()
            .find(|interface| interface.index == index);
        Ok(found
            .filter(Interface::carries_one_sandbox)
            .map(|interface| interface.name))
    }

    pub(super) fn interface_name(&self, index: u32) -> Option<String> {
        self.names.get(&index).cloned()
    }

    pub(super) fn apply(&mut self, batch: Batch) -> Result<Applied, KernelError> {
        self.revision = batch.revision;
        let outcome = self.sources.apply(&mut self.tables, &self.classes, batch);
        self.write_config()?;
        outcome
    }

    pub(super) fn sync(&mut self, want: Want) -> Result<Applied, KernelError> {
        self.revision = want.revision;
        let outcome = self.sources.sync(&mut self.tables, &self.classes, want);
        self.write_config()?;
        if self.waiting {
            self.take_over_foreign()?;
            self.hold_on()?;
            self.pins.remove_foreign()?;
            self.waiting = false;
        }
        outcome
    }

    pub(super) fn set_mode(&mut self, mode: Mode) -> Result<(), KernelError> {
        self.setup.mode = mode;
        self.write_config()
    }

    /// New ports are guarded before old ones are released.
    pub(super) fn set_ports(&mut self, ports: Vec<GuardedPort>) -> Result<(), KernelError> {
        let classes = Classes::assign(&ports, &self.classes.by_number())?;
        let gone: std::collections::BTreeSet<u16> = self
            .classes
            .ports()
            .difference(&classes.ports())
            .copied()
            .collect();
        self.classes = classes;
        self.setup.ports = ports;
        // Masks first: until then the new class holds nowhere; entries last: a bit that they do
        // not have yet only keeps a port shut.
        self.write_config()?;
        guard::write_local(&mut self.tables, &self.classes, &self.local)?;
        guard::write_ports(&mut self.tables, &self.classes)?;
        self.sources.rewrite(&mut self.tables, &self.classes)?;
        let _ = guard::release(&gone);
        self.reserve();
        Ok(())
    }

    pub(super) fn set_interfaces(&mut self, interfaces: Interfaces) -> Result<(), KernelError> {
        let old = std::mem::replace(&mut self.setup.interfaces, interfaces);
        if self.waiting {
            return Ok(());
        }
        let outcome = self.follow_interfaces(hooks::Strict::Yes);
        if outcome.is_err() {
            self.setup.interfaces = old;
            self.follow_interfaces(hooks::Strict::No)?;
        }
        outcome.map(drop)
    }

    /// Links, addresses and deadlines, after a notification or on the timer.
    pub(super) fn reconcile(&mut self) -> Result<(), KernelError> {
        self.reconcile_links().map(drop)
    }

    /// How many links had to change.
    fn reconcile_links(&mut self) -> Result<usize, KernelError> {
        self.refresh_local()?;
        if self.sources.clock_drifted() {
            self.sources.rewrite(&mut self.tables, &self.classes)?;
        }
        if self.waiting {
            return Ok(0);
        }
        Ok(self.hold_lookup()? + self.follow_interfaces(hooks::Strict::No)?)
    }

    /// Everything compared and repaired.
    pub(super) fn verify(&mut self) -> Result<Audit, KernelError> {
        let links = self.reconcile_links()?;
        let mut audit = self.sources.repair(&mut self.tables, &self.classes)?;
        audit.ports = guard::write_ports(&mut self.tables, &self.classes)?;
        audit.addresses = guard::write_local(&mut self.tables, &self.classes, &self.local)?;
        audit.links = links;
        self.write_config()?;
        self.last_audit = audit;
        self.repairs += audit.total() as u64;
        Ok(audit)
    }

    pub(super) fn explain(&mut self, probe: Probe) -> Result<Verdicts, KernelError> {
        let status = self.interface_status()?;
        let named = |name: Option<String>| match name {
            None => Ok(None),
            Some(name) => match status.iter().find(|interface| interface.name == name) {
                Some(interface) => Ok(Some(interface.clone())),
                None => Err(KernelError::NoInterface(name)),
            },
        };
        match probe {
            Probe::Frame { bytes, interface } => {
                let interface = named(interface)?;
                let index = interface.as_ref().map(|interface| interface.index);
                let verdicts = explain::frame(&self.object, &self.tables, &bytes, index)?;
                let entry = match explain::source(&bytes) {
                    Some(from) => explain::entry(&self.tables, from)?,
                    None => None,
                };
                Ok(Verdicts {
                    verdicts,
                    entry,
                    interface,
                })
            }
            Probe::Connect {
                from,
                interface,
                to,
                port,
            } => {
                let interface = named(interface)?;
                let index = interface.as_ref().map(|interface| interface.index);
                let own = self
                    .local
                    .hosts
                    .iter()
                    .find(|own| own.is_ipv4() == from.is_ipv4());
                let Some(to) = to.or(own.copied()) else {
                    return Err(KernelError::Frame(
                        "this host has no address of that family",
                    ));
                };
                let syn = explain::syn(from, to, port)?;
                let mut verdicts = explain::frame(&self.object, &self.tables, &syn, index)?;
                verdicts.push(explain::lookup(&self.object, &self.tables, from, to, port)?);
                let entry = explain::entry(&self.tables, from)?;
                Ok(Verdicts {
                    verdicts,
                    entry,
                    interface,
                })
            }
        }
    }

    /// Every link and pin goes.
    pub(super) fn unload(self) -> Result<(), KernelError> {
        let _ = guard::release(&self.classes.ports());
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
        let local = local::read()?;
        if local != self.local {
            self.sources
                .set_own(&mut self.tables, &self.classes, &local.hosts)?;
            self.local = local;
            self.write_config()?;
        }
        guard::write_local(&mut self.tables, &self.classes, &self.local).map(drop)
    }

    fn reserve(&mut self) {
        match guard::reserve(&self.classes.ports()) {
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
            anywhere: self.classes.anywhere(),
            shut: self.classes.shut(),
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
