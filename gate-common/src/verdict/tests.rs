//! The verdict over plain collections: refusals first, then what may pass.

use std::collections::BTreeMap;

use super::*;

use crate::packet::Slice;

/// Plain collections in the place of maps.
#[derive(Default)]
struct Host {
    ports: BTreeMap<u16, u32>,
    local: BTreeMap<[u32; 4], u32>,
    exact: BTreeMap<[u32; 4], Entry>,
    nets: Vec<(u32, u32, Entry)>,
    bound: BTreeMap<u32, Entry>,
    shut: u32,
    closed: bool,
    now: u32,
    budget: bool,
}

impl<A: Address> Sources<A> for Host {
    fn local(&self, address: A) -> u32 {
        self.local.get(&address.wide()).copied().unwrap_or(0)
    }
    fn maybe_known(&self, _: A) -> bool {
        true
    }
    fn exact(&self, address: A) -> Option<Entry> {
        self.exact.get(&address.wide()).copied()
    }
    fn net(&self, address: A, bits: u32) -> Option<Entry> {
        let [.., last] = address.wide();
        let host = u32::from_be(last);
        let holds = |net: u32, prefix: u32| prefix == 0 || (host ^ net) >> (32 - prefix) == 0;
        self.nets
            .iter()
            .filter(|(net, prefix, _)| *prefix <= bits && holds(*net, *prefix))
            .max_by_key(|(_, prefix, _)| *prefix)
            .map(|(_, _, entry)| *entry)
    }
    fn draw(&self, _: A) -> bool {
        self.budget
    }
}

impl Tables for Host {
    fn port(&self, port: u16) -> u32 {
        self.ports.get(&port).copied().unwrap_or(0)
    }
    fn anywhere(&self) -> u32 {
        0b1110
    }
    fn shut(&self) -> u32 {
        self.shut
    }
    fn closed(&self) -> bool {
        self.closed
    }
    fn is_past(&self, until: u32) -> bool {
        self.now >= until
    }
    fn bound(&self, group: u32) -> Option<Entry> {
        self.bound.get(&group).copied()
    }
    fn accuse(&self, _: u32) {}
}

const GATE_PORT: u16 = 4444;
const LISTED_PORT: u16 = 5555;
const SHUT_PORT: u16 = 6666;

fn v4(text: &str) -> V4 {
    V4(u32::from_ne_bytes(
        text.parse::<std::net::Ipv4Addr>().unwrap().octets(),
    ))
}

fn entry(tag: u32, ports: u32) -> Entry {
    Entry {
        tag,
        ports,
        reach: ports,
        shape: Entry::shape(32, false, 0),
        ..Entry::default()
    }
}

/// Gate's port is class 1, a listed port class 2, a shut port class 3; the host is 10.9.0.1.
fn host() -> Host {
    let mut host = Host {
        ports: [(GATE_PORT, 1), (LISTED_PORT, 2), (SHUT_PORT, 3)].into(),
        shut: 1 << 3,
        now: 100,
        budget: true,
        ..Host::default()
    };
    host.local.insert(v4("10.9.0.1").wide(), 0b1110);
    host.exact.insert(v4("10.9.0.1").wide(), entry(OWN, 0));
    host.exact.insert(v4("10.0.0.5").wide(), entry(7, 0b10));
    host
}

fn packet(source: &str, port: u16) -> Packet<V4> {
    Packet {
        source: v4(source),
        destination: v4("10.9.0.1"),
        port,
        flags: 2,
        defect: None,
    }
}

fn verdict(host: &Host, packet: Packet<V4>) -> Reason {
    decide(&packet, host, Hook::Frame)
}

#[test]
fn strangers_and_the_wrong_port_are_refused_first() {
    let host = host();
    for (source, port, reason) in [
        ("9.9.9.9", GATE_PORT, Reason::Stranger),
        ("9.9.9.9", LISTED_PORT, Reason::Stranger),
        ("9.9.9.9", SHUT_PORT, Reason::Guarded),
        ("10.0.0.5", LISTED_PORT, Reason::Unlisted),
        ("10.0.0.5", SHUT_PORT, Reason::Guarded),
        ("127.0.0.1", GATE_PORT, Reason::Spoofed),
        ("127.0.0.1", SHUT_PORT, Reason::Spoofed),
        ("10.9.0.1", GATE_PORT, Reason::Spoofed),
        ("10.0.0.5", GATE_PORT, Reason::Allowed),
        ("9.9.9.9", 80, Reason::OtherPort),
    ] {
        assert_eq!(
            verdict(&host, packet(source, port)),
            reason,
            "{source} {port}"
        );
    }
}

#[test]
fn a_closed_gate_refuses_everyone_and_only_on_its_ports() {
    let host = Host {
        closed: true,
        ..host()
    };
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::Closed
    );
    assert_eq!(verdict(&host, packet("10.0.0.5", 80)), Reason::OtherPort);
    let local = decide(&packet("127.0.0.1", GATE_PORT), &host, Hook::Loopback);
    assert_eq!(local, Reason::Closed);
}

#[test]
fn an_unreadable_port_is_the_business_of_sources_that_may_connect() {
    let host = host();
    for defect in [Reason::Fragment, Reason::Truncated, Reason::ExtensionDepth] {
        let stranger = Packet {
            defect: Some(defect),
            port: 0,
            ..packet("9.9.9.9", 0)
        };
        assert_eq!(verdict(&host, stranger), defect);
        let known = Packet {
            source: v4("10.0.0.5"),
            ..stranger
        };
        assert_eq!(verdict(&host, known), Reason::Allowed);
        let elsewhere = Packet {
            destination: v4("10.9.0.77"),
            ..stranger
        };
        assert_eq!(verdict(&host, elsewhere), Reason::NotHere);
    }
    let malformed = Packet {
        defect: Some(Reason::Malformed),
        ..packet("10.0.0.5", GATE_PORT)
    };
    assert_eq!(verdict(&host, malformed), Reason::Malformed);
}

#[test]
fn a_lease_ends_by_the_clock_and_a_wider_network_may_still_open() {
    let mut host = host();
    let leased = Entry {
        until: 100,
        reach_until: 100,
        ..entry(7, 0b10)
    };
    host.exact.insert(v4("10.0.0.5").wide(), leased);
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::Expired
    );
    host.now = 99;
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::Allowed
    );
    host.now = 100;
    let net = |prefix, ports| Entry {
        shape: Entry::shape(prefix, false, 0),
        ..entry(8, ports)
    };
    host.nets.push((0x0a00_0000, 24, net(24, 0b100)));
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::Unlisted
    );
    host.nets.push((0x0a00_0000, 8, net(8, 0b10)));
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::AllowedNet
    );
    host.nets.push((0, 0, net(0, 0b100)));
    assert_eq!(
        verdict(&host, packet("9.9.9.9", LISTED_PORT)),
        Reason::AllowedNet
    );
    assert_eq!(
        verdict(&host, packet("9.9.9.9", GATE_PORT)),
        Reason::Unlisted
    );
}

#[test]
fn a_bound_source_is_refused_elsewhere_whatever_network_holds_it() {
    let mut host = host();
    let bound = Entry {
        ports: 0,
        shape: Entry::shape(32, true, 5),
        ..entry(7, 0b10)
    };
    host.exact.insert(v4("10.0.0.5").wide(), bound);
    host.nets.push((
        0,
        0,
        Entry {
            shape: Entry::shape(0, false, 0),
            ..entry(8, 0b10)
        },
    ));
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::WrongInterface
    );
    let lookup = decide(&packet("10.0.0.5", GATE_PORT), &host, Hook::Lookup);
    assert_eq!(lookup, Reason::Allowed);
    host.bound.insert(5, entry(7, 0b10));
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::Allowed
    );
}

#[test]
fn an_empty_budget_stops_new_connections_and_nothing_else() {
    let host = Host {
        budget: false,
        ..host()
    };
    assert_eq!(
        verdict(&host, packet("10.0.0.5", GATE_PORT)),
        Reason::SynBudget
    );
    let running = Packet {
        flags: 0x10,
        ..packet("10.0.0.5", GATE_PORT)
    };
    assert_eq!(verdict(&host, running), Reason::Allowed);
    let lookup = decide(&packet("10.0.0.5", GATE_PORT), &host, Hook::Lookup);
    assert_eq!(lookup, Reason::Allowed);
}

#[test]
fn the_socket_lookup_knows_the_host_itself() {
    let host = host();
    let own = decide(&packet("10.9.0.1", GATE_PORT), &host, Hook::Lookup);
    assert_eq!(own, Reason::Local);
    let stranger = decide(&packet("9.9.9.9", SHUT_PORT), &host, Hook::Lookup);
    assert_eq!(stranger, Reason::Guarded);
    let rewritten = Packet {
        destination: v4("192.0.2.1"),
        ..packet("9.9.9.9", GATE_PORT)
    };
    assert_eq!(decide(&rewritten, &host, Hook::Lookup), Reason::Stranger);
}

/// A frame from the listed source with this total length in its IPv4 header.
fn frame(port: u16, total_length: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([0x08, 0, 0x45, 0]);
    frame.extend(total_length.to_be_bytes());
    frame.extend([0, 7, 0, 0, 64, 6, 0, 0, 10, 0, 0, 5, 10, 9, 0, 1]);
    frame.extend(40000u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}

#[test]
fn a_packet_too_big_for_its_length_field_is_judged_by_its_port() {
    let host = host();
    for (port, length, reason) in [
        (SHUT_PORT, 0, Reason::Guarded),
        (LISTED_PORT, 0, Reason::Unlisted),
        (GATE_PORT, 0, Reason::Allowed),
        (22, 0, Reason::OtherPort),
        (GATE_PORT, 39, Reason::Malformed),
        (22, 1, Reason::Malformed),
        (GATE_PORT, 40, Reason::Allowed),
    ] {
        let verdict = judge(&Slice(&frame(port, length)), &host);
        assert_eq!(verdict, reason, "{port} {length}");
    }
}

#[test]
fn every_byte_string_is_judged() {
    let host = host();
    let mut frame = vec![0xff; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0xff, 0xff]);
    for length in 0..frame.len() {
        let reason = judge(&Slice(&frame[..length]), &host);
        assert!(
            matches!(reason, Reason::NotIp | Reason::Truncated),
            "{length}: {reason:?}"
        );
    }
}
