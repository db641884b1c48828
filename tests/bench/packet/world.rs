//! Gate's own frame programs over maps that hold as many clients as a figure asks for.
//!
//! Maps are filled directly: what is measured is the program, not who fills the maps.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData};
use aya::programs::{Program, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use gate_common::address::V4;
use gate_common::entry::{Config, Entry, NETS4, PORTS_PER_WORD};
use gate_common::filter::{FILTER_WORDS, near, near_slot, place};
use gate_common::name;
use gate_userspace::kernel::object;

use super::sys::Hook;
use super::yardstick::Span;

/// The gated port and the address it is gated at.
pub(crate) const PORT: u16 = 4444;
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Provisioned clients start here, strangers at [`STRANGERS`].
const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 0);
const STRANGERS: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);
/// An address within a listed network.
pub(crate) const WITHIN_NETWORK: Ipv4Addr = Ipv4Addr::new(172, 16, 5, 7);

const CLASS: u32 = 1;
const SEED: u64 = 0x5eed;

pub(crate) struct World {
    object: Ebpf,
    clients: u32,
}

impl World {
    pub(crate) fn load() -> Result<Self> {
        let mut object = EbpfLoader::new()
            .load(object::bytes())
            .context("load the packet program")?;
        xdp(&mut object)?.load()?;
        tc(&mut object)?.load()?;
        let mut world = Self { object, clients: 0 };
        world.config(0)?;
        let mut ports: Array<_, u64> = world.map(name::PORTS)?.try_into()?;
        let shift = u32::from(PORT % PORTS_PER_WORD) * 8;
        ports.set(
            u32::from(PORT / PORTS_PER_WORD),
            u64::from(CLASS) << shift,
            0,
        )?;
        let here = V4::from(HERE);
        let mut slots: Array<_, u64> = world.map(name::NEAR4)?.try_into()?;
        slots.set(near_slot(here), near(here, 1 << CLASS), 0)?;
        let mut local: HashMap<_, u32, u32> = world.map(name::LOCAL4)?.try_into()?;
        local.insert(here.0, 1 << CLASS, 0)?;
        Ok(world)
    }

    fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.object
            .map_mut(name)
            .with_context(|| format!("the object has no map {name}"))
    }

    fn config(&mut self, flags: u32) -> Result<()> {
        let mut config: Array<_, Config> = self.map(name::CONFIG)?.try_into()?;
        let value = Config {
            flags,
            anywhere: 1 << CLASS,
            event_budget: 100,
            seed: SEED,
            ..Config::default()
        };
        Ok(config.set(0, value, 0)?)
    }

    /// Adds clients until there are `count`.
    pub(crate) fn provision(&mut self, count: u32) -> Result<()> {
        let first = self.clients;
        let addresses = (first..count).map(|n| V4::from(client(n)));
        let mut words = vec![0u64; FILTER_WORDS];
        for n in 0..count {
            let (word, bits) = place(V4::from(client(n)), SEED);
            let word = usize::try_from(word).unwrap_or_default();
            words[word] |= bits;
        }
        let mut filter: Array<_, u64> = self.map(name::FILTER)?.try_into()?;
        for (word, bits) in (0u32..).zip(words) {
            filter.set(word, bits, 0)?;
        }
        let mut exact: HashMap<_, u32, Entry> = self.map(name::EXACT4)?.try_into()?;
        for address in addresses {
            exact.insert(address.0, entry(32), 0)?;
        }
        self.clients = self.clients.max(count);
        Ok(())
    }

    /// Lists networks of 256 addresses each.
    pub(crate) fn list_networks(&mut self, count: u32) -> Result<()> {
        let mut nets: LpmTrie<_, u32, Entry> = self.map(name::CIDR4)?.try_into()?;
        for n in 0..count {
            let net = u32::from(Ipv4Addr::new(172, 16, 0, 0)) + (n << 8);
            nets.insert(&Key::new(24, net.to_be()), entry(24), 0)?;
        }
        self.config(NETS4)
    }

    pub(crate) fn forget_networks(&mut self) -> Result<()> {
        self.config(0)
    }

    pub(crate) fn program(&self, hook: Hook) -> Result<BorrowedFd<'_>> {
        let program = match hook {
            Hook::Xdp => name::XDP,
            Hook::Tcx => name::TC,
        };
        let program = self.object.program(program).context("no such program")?;
        if let Program::Xdp(program) = program {
            Ok(program.fd()?.as_fd())
        } else if let Program::SchedClassifier(program) = program {
            Ok(program.fd()?.as_fd())
        } else {
            bail!("a frame program of another kind")
        }
    }

    /// The table of exact clients, for yardsticks that look into the same memory.
    pub(crate) fn table(&self) -> Result<BorrowedFd<'_>> {
        let map = self.object.map(name::EXACT4).context("no exact table")?;
        let Map::HashMap(data) = map else {
            bail!("the exact table is no hash")
        };
        let data: &MapData = data;
        Ok(data.fd().as_fd())
    }
}

pub(crate) fn client(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(CLIENTS) + n)
}

/// All provisioned clients of a world with `count` of them.
pub(crate) fn clients(count: u32) -> Span {
    Span {
        base: CLIENTS.into(),
        count,
    }
}

/// Sixteen million addresses that nobody lists.
pub(crate) fn strangers() -> Span {
    Span {
        base: STRANGERS.into(),
        count: 1 << 24,
    }
}

/// A whole TCP segment over IPv4; `SYN` would draw from budgets, so it acknowledges.
pub(crate) fn frame(to: [u8; 6], source: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    header.extend(source.octets());
    header.extend(HERE.octets());
    // As `vary` keeps it: identification and source add up to 0xffff.
    let halves = u32::from(source);
    let sum = (halves >> 16) + (halves & 0xffff);
    let identification = complement(sum);
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let checksum = complement(sum);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = Vec::from(to);
    frame.extend([2, 0, 0, 0, 0, 1, 8, 0]);
    frame.extend(header);
    frame.extend(40000u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0; 8]);
    frame.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend([0; 10]);
    frame
}

/// Ones' complement of a sum of 16-bit halves.
fn complement(sum: u32) -> u16 {
    let [_, _, high, low] = (!((sum >> 16) + (sum & 0xffff))).to_be_bytes();
    u16::from_be_bytes([high, low])
}

fn entry(prefix: u32) -> Entry {
    Entry {
        tag: 7,
        ports: 1 << CLASS,
        shape: Entry::shape(prefix, false, 0),
        reach: 1 << CLASS,
        ..Entry::default()
    }
}

fn xdp(object: &mut Ebpf) -> Result<&mut Xdp> {
    let program = object.program_mut(name::XDP).context("no XDP program")?;
    program
        .try_into()
        .map_err(io::Error::other)
        .map_err(Into::into)
}

fn tc(object: &mut Ebpf) -> Result<&mut SchedClassifier> {
    let program = object.program_mut(name::TC).context("no tc program")?;
    program
        .try_into()
        .map_err(io::Error::other)
        .map_err(Into::into)
}
