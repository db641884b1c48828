//! One small world, told twice: to the kernel's maps and to the same judgement on the host.

use std::net::IpAddr;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap};
use aya::programs::{Program, SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use gate_common::address::{Address, V4, V6};
use gate_common::entry::{Config, Entry, NETS4, Near6, PORTS_PER_WORD};
use gate_common::filter::{near, near_slot, near_slot6, place};
use gate_common::name;
use gate_common::verdict::{Sources, Tables};
use gate_userspace::kernel::object;

pub(crate) const GATE_PORT: u16 = 4444;
pub(crate) const SHUT_PORT: u16 = 5555;
pub(crate) const HERE4: [&str; 2] = ["10.9.0.1", "10.9.0.2"];
pub(crate) const HERE6: &str = "fd00::1";
pub(crate) const LISTED4: &str = "10.0.0.5";
pub(crate) const LISTED6: &str = "fd00::5";
pub(crate) const LISTED_NET: ([u8; 4], u32) = ([10, 7, 0, 0], 16);

const GATE: u32 = 1;
const SHUT: u32 = 2;
const ANYWHERE: u32 = 1 << GATE | 1 << SHUT;
const SEED: u64 = 0x5eed;
const CLIENT: u32 = 7;

fn entry(tag: u32, ports: u32, prefix: u32) -> Entry {
    let shape = Entry::shape(prefix, false, 0);
    Entry {
        tag,
        ports,
        shape,
        reach: ports,
        ..Entry::default()
    }
}

pub(crate) fn v4(text: &str) -> V4 {
    let Ok(IpAddr::V4(address)) = text.parse() else {
        panic!("{text}")
    };
    address.into()
}

pub(crate) fn v6(text: &str) -> V6 {
    let Ok(IpAddr::V6(address)) = text.parse() else {
        panic!("{text}")
    };
    address.into()
}

/// The frame programs over maps that hold this world.
pub(crate) struct Kernel(pub(crate) Ebpf);

impl Kernel {
    pub(crate) fn load() -> Self {
        let mut object = EbpfLoader::new().load(object::bytes()).unwrap();
        fill(&mut object);
        program::<Xdp>(&mut object, name::XDP).load().unwrap();
        program::<SchedClassifier>(&mut object, name::TC)
            .load()
            .unwrap();
        Self(object)
    }

    pub(crate) fn config(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config: Array<_, Config> =
            self.0.map_mut(name::CONFIG).unwrap().try_into().unwrap();
        let mut value = config.get(&0, 0).unwrap();
        change(&mut value);
        config.set(0, value, 0).unwrap();
    }

    /// Whether XDP lets it pass.
    pub(crate) fn xdp(&self, frame: &[u8]) -> bool {
        let Some(Program::Xdp(program)) = self.0.program(name::XDP) else {
            panic!()
        };
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        };
        program.test_run(options).unwrap().return_value == 2
    }

    /// Whether tc lets it pass; `None`: the kernel makes no packet of it.
    pub(crate) fn tc(&self, frame: &[u8]) -> Option<bool> {
        let Some(Program::SchedClassifier(program)) = self.0.program(name::TC) else {
            panic!()
        };
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        };
        program
            .test_run(options)
            .ok()
            .map(|run| run.return_value == u32::MAX)
    }

    /// Nanoseconds of one run, the least of several.
    pub(crate) fn nanoseconds(&self, name: &str, frame: &[u8]) -> u128 {
        let run = || {
            let repeat = 100_000;
            let options = TestRunOptions {
                data_in: Some(frame),
                repeat,
                ..TestRunOptions::default()
            };
            if let Some(Program::Xdp(program)) = self.0.program(name) {
                program.test_run(options).unwrap().duration.as_nanos()
            } else if let Some(Program::SchedClassifier(program)) = self.0.program(name) {
                program.test_run(options).unwrap().duration.as_nanos()
            } else {
                panic!("{name}")
            }
        };
        (0..9).map(|_| run()).min().unwrap()
    }
}

fn program<'a, P>(object: &'a mut Ebpf, name: &str) -> &'a mut P
where
    &'a mut P: TryFrom<&'a mut Program, Error = aya::programs::ProgramError>,
{
    object.program_mut(name).unwrap().try_into().unwrap()
}

fn fill(object: &mut Ebpf) {
    {
        let mut config: Array<_, Config> =
            object.map_mut(name::CONFIG).unwrap().try_into().unwrap();
        let value = Config {
            flags: NETS4,
            anywhere: ANYWHERE,
            shut: 1 << SHUT,
            seed: SEED,
            ..Config::default()
        };
        config.set(0, value, 0).unwrap();
    }
    {
        let mut ports: Array<_, u64> = object.map_mut(name::PORTS).unwrap().try_into().unwrap();
        for (port, class) in [(GATE_PORT, GATE), (SHUT_PORT, SHUT)] {
            let word = u64::from(class) << (u32::from(port % PORTS_PER_WORD) * 8);
            ports
                .set(u32::from(port / PORTS_PER_WORD), word, 0)
                .unwrap();
        }
    }
    {
        let mut local: HashMap<_, u32, u32> =
            object.map_mut(name::LOCAL4).unwrap().try_into().unwrap();
        for here in HERE4 {
            local.insert(v4(here).0, ANYWHERE, 0).unwrap();
        }
    }
    {
        // One of the two, so that both ways to know an address are taken.
        let mut slots: Array<_, u64> = object.map_mut(name::NEAR4).unwrap().try_into().unwrap();
        let here = v4(HERE4[0]);
        slots.set(near_slot(here), near(here, ANYWHERE), 0).unwrap();
    }
    {
        let mut local: HashMap<_, [u32; 4], u32> =
            object.map_mut(name::LOCAL6).unwrap().try_into().unwrap();
        local.insert(v6(HERE6).0, ANYWHERE, 0).unwrap();
    }
    {
        let mut slots: Array<_, Near6> = object.map_mut(name::NEAR6).unwrap().try_into().unwrap();
        let here = v6(HERE6);
        let slot = Near6 {
            address: here.0,
            classes: ANYWHERE,
        };
        slots.set(near_slot6(here), slot, 0).unwrap();
    }
    for (address, entry) in exact4() {
        add4(object, address, entry);
    }
    for (address, entry) in exact6() {
        let mut exact: HashMap<_, [u32; 4], Entry> =
            object.map_mut(name::EXACT6).unwrap().try_into().unwrap();
        exact.insert(address.0, entry, 0).unwrap();
        mark(object, address);
    }
    let mut nets: LpmTrie<_, u32, Entry> = object.map_mut(name::CIDR4).unwrap().try_into().unwrap();
    let (net, prefix) = LISTED_NET;
    nets.insert(&Key::new(prefix, u32::from_ne_bytes(net)), net_entry(), 0)
        .unwrap();
}

pub(crate) fn add4(object: &mut Ebpf, address: V4, entry: Entry) {
    let mut exact: HashMap<_, u32, Entry> =
        object.map_mut(name::EXACT4).unwrap().try_into().unwrap();
    exact.insert(address.0, entry, 0).unwrap();
    mark(object, address);
}

fn mark<A: Address>(object: &mut Ebpf, address: A) {
    let mut filter: Array<_, u64> = object.map_mut(name::FILTER).unwrap().try_into().unwrap();
    let (word, bits) = place(address, SEED);
    let old = filter.get(&word, 0).unwrap();
    filter.set(word, old | bits, 0).unwrap();
}

fn exact4() -> Vec<(V4, Entry)> {
    let own = HERE4.map(|here| (v4(here), entry(0, 0, 32)));
    own.into_iter()
        .chain([(v4(LISTED4), entry(CLIENT, 1 << GATE, 32))])
        .collect()
}

fn exact6() -> Vec<(V6, Entry)> {
    vec![
        (v6(HERE6), entry(0, 0, 128)),
        (v6(LISTED6), entry(CLIENT, 1 << GATE, 128)),
    ]
}

fn net_entry() -> Entry {
    entry(CLIENT, 1 << GATE, LISTED_NET.1)
}

/// The same world without a kernel.
pub(crate) struct Host;

impl Sources<V4> for Host {
    fn local(&self, address: V4) -> u32 {
        if HERE4.iter().any(|here| v4(here) == address) {
            ANYWHERE
        } else {
            0
        }
    }
    fn maybe_known(&self, _: V4) -> bool {
        true
    }
    fn exact(&self, address: V4) -> Option<Entry> {
        exact4()
            .into_iter()
            .find(|(own, _)| *own == address)
            .map(|(_, entry)| entry)
    }
    fn net(&self, address: V4, bits: u32) -> Option<Entry> {
        let (net, prefix) = LISTED_NET;
        let differs = u32::from_be(address.0) ^ u32::from_be_bytes(net);
        (bits >= prefix && differs >> (32 - prefix) == 0).then(net_entry)
    }
    fn draw(&self, _: V4) -> bool {
        true
    }
}

impl Sources<V6> for Host {
    fn local(&self, address: V6) -> u32 {
        if v6(HERE6) == address { ANYWHERE } else { 0 }
    }
    fn maybe_known(&self, _: V6) -> bool {
        true
    }
    fn exact(&self, address: V6) -> Option<Entry> {
        exact6()
            .into_iter()
            .find(|(own, _)| *own == address)
            .map(|(_, entry)| entry)
    }
    fn net(&self, _: V6, _: u32) -> Option<Entry> {
        None
    }
    fn draw(&self, _: V6) -> bool {
        true
    }
}

impl Tables for Host {
    fn port(&self, port: u16) -> u32 {
        match port {
            GATE_PORT => GATE,
            SHUT_PORT => SHUT,
            _ => 0,
        }
    }
    fn anywhere(&self) -> u32 {
        ANYWHERE
    }
    fn shut(&self) -> u32 {
        1 << SHUT
    }
    fn closed(&self) -> bool {
        false
    }
    fn is_past(&self, _: u32) -> bool {
        false
    }
    fn bound(&self, _: u32) -> Option<Entry> {
        None
    }
    fn accuse(&self, _: u32) {}
}
