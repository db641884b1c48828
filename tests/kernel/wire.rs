//! The bypass matrix on a real link with a real listener: what reaches it without gate must not
//! reach it with gate.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::time::Duration;

use gate_userspace::kernel::{Batch, Flow, Hook, InterfaceRule, Interfaces, Op};
use socket2::Socket;

use crate::frame::{SYN, V4, ethernet, v6};
use crate::lab::{GATE, GUARDED, Lab, OTHER, ip, key, lab, open, wait};
use crate::ring::listen;

const HOST_MAC: &str = "02:00:00:00:00:01";
const FROM4: &str = "10.0.1.2";
const TO4: &str = "10.0.1.1";
const FROM6: &str = "fd00:1::2";
const TO6: &str = "fd00:1::1";

/// A TCP SYN whose checksum holds.
fn segment(from: IpAddr, to: IpAddr, source_port: u16, port: u16) -> Vec<u8> {
    let mut tcp = Vec::from(source_port.to_be_bytes());
    tcp.extend(port.to_be_bytes());
    tcp.extend([0; 8]);
    // With options, so that a fragment boundary can fall behind byte 8 and 16 of the segment.
    tcp.extend([0x60, SYN, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
    let mut pseudo = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => panic!("two families"),
    };
    pseudo.extend([0, 6, 0, 24]);
    pseudo.extend(&tcp);
    let sum = checksum(&pseudo);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    tcp
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

fn packet4(options: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let (from, to) = (FROM4.parse().unwrap(), TO4.parse().unwrap());
    let mut packet = V4 {
        from,
        to,
        options,
        fragment,
        protocol: 6,
    }
    .header(rest);
    let header = 20 + usize::from(options) * 4;
    let sum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The frames of each row make one SYN from this source port to this port.
fn matrix(port: u16, from_port: &mut impl FnMut() -> u16) -> Vec<(String, u16, Vec<Vec<u8>>)> {
    let mut rows: Vec<(String, u16, Vec<Vec<u8>>)> = Vec::new();
    let mut add = |name: String, make: &dyn Fn(u16) -> Vec<Vec<u8>>| {
        let from = from_port();
        rows.push((name, from, make(from)));
    };
    let four = |from| segment(FROM4.parse().unwrap(), TO4.parse().unwrap(), from, port);
    let six = |from| segment(FROM6.parse().unwrap(), TO6.parse().unwrap(), from, port);
    let plain = |from| packet4(0, 0, &four(from));
    for tags in [0, 1, 3, 6, 8] {
        let mut kinds = vec![0x8100; tags];
        kinds.push(0x0800);
        add(format!("{tags} tags"), &|from| {
            vec![ethernet(&kinds, &plain(from))]
        });
    }
    add("802.1ad and 802.1Q".into(), &|from| {
        vec![ethernet(&[0x88a8, 0x8100, 0x0800], &plain(from))]
    });
    add("options".into(), &|from| {
        vec![ethernet(&[0x0800], &packet4(10, 0, &four(from)))]
    });
    for turned in [false, true] {
        add(format!("fragments, turned {turned}"), &|from| {
            let whole = four(from);
            let mut pair = vec![
                ethernet(&[0x0800], &packet4(0, 0x2000, &whole[..8])),
                ethernet(&[0x0800], &packet4(0, 1, &whole[8..])),
            ];
            if turned {
                pair.reverse();
            }
            pair
        });
    }
    for (name, kind, count) in [
        ("v6", 60, 0),
        ("v6, hop-by-hop", 0, 1),
        ("v6, one destination option", 60, 1),
        ("v6, seven destination options", 60, 7),
        ("v6, twenty destination options", 60, 20),
        ("v6, a hundred destination options", 60, 100),
        ("v6, atomic fragment", 44, 1),
    ] {
        add(name.into(), &|from| {
            let (source, to) = (FROM6.parse().unwrap(), TO6.parse().unwrap());
            vec![ethernet(
                &[0x86dd],
                &v6(source, to, kind, count, 6, &six(from)),
            )]
        });
    }
    rows
}

/// A raw socket on `eth0` of the calling thread's namespace.
fn raw() -> Socket {
    let socket = harness::frames::socket("eth0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

/// Source ports whose SYN was answered by a SYN-ACK from `port`, up to the answer of a last SYN
/// to a port that nobody guards: packets keep their order on a veth.
fn answered(lab: &Lab, port: u16, rows: &[(String, u16, Vec<Vec<u8>>)], sentinel: u16) -> Vec<u16> {
    let mut frames: Vec<Vec<u8>> = rows
        .iter()
        .flat_map(|(_, _, frames)| frames.clone())
        .collect();
    let last = segment(
        FROM4.parse().unwrap(),
        TO4.parse().unwrap(),
        sentinel,
        OTHER,
    );
    frames.push(ethernet(&[0x0800], &packet4(0, 0, &last)));
    lab.a.run(move || {
        let mut socket = raw();
        for mut frame in frames {
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
            socket.write_all(&frame).unwrap();
        }
        let mut found = Vec::new();
        loop {
            let mut bytes = [0; 2048];
            let length = socket.read(&mut bytes).unwrap();
            let Some((from, to)) = syn_ack(&bytes[..length]) else {
                continue;
            };
            if from == port {
                found.push(to);
            }
            if (from, to) == (OTHER, sentinel) {
                return found;
            }
        }
    })
}

/// Source and destination port of a SYN-ACK.
fn syn_ack(frame: &[u8]) -> Option<(u16, u16)> {
    let at = match frame.get(12..14)? {
        [0x08, 0x00] => 34,
        [0x86, 0xdd] => 54,
        _ => return None,
    };
    let tcp = frame.get(at..at + 20)?;
    let ports = (
        u16::from_be_bytes([tcp[0], tcp[1]]),
        u16::from_be_bytes([tcp[2], tcp[3]]),
    );
    (tcp[13] == 0x12).then_some(ports)
}

#[test]
fn destroy_ends_a_handshake_that_is_half_done() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    wait(agent.apply(Batch {
        revision: 1,
        ops: vec![Op::Open(key("10.0.1.0/24"), open(7))],
    }))
    .unwrap();
    lab.host.run(|| {
        ip(&format!("link set veth1 address {HOST_MAC}"));
        // Nobody has this address, so nobody answers the SYN-ACK.
        ip("neigh add 10.0.1.3 lladdr 02:00:00:00:00:03 dev veth1");
    });
    lab.a.run(|| {
        let (from, to) = ("10.0.1.3".parse().unwrap(), TO4.parse().unwrap());
        let tcp = segment(IpAddr::V4(from), IpAddr::V4(to), 20_000, GATE);
        let mut packet = V4 {
            from,
            to,
            options: 0,
            fragment: 0,
            protocol: 6,
        }
        .header(&tcp);
        let sum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut frame = ethernet(&[0x0800], &packet);
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        let mut socket = raw();
        socket.write_all(&frame).unwrap();
        loop {
            let mut bytes = [0; 2048];
            let length = socket.read(&mut bytes).unwrap();
            if syn_ack(&bytes[..length]) == Some((GATE, 20_000)) {
                return;
            }
        }
    });
    let flow = || Flow {
        remote: key("10.0.1.3").net,
        local_ports: vec![GATE],
    };
    assert_eq!(wait(agent.destroy(vec![flow()])).unwrap(), 1);
    assert_eq!(wait(agent.destroy(vec![flow()])).unwrap(), 0);
}

#[test]
fn the_matrix_reaches_a_listener_without_gate_and_never_with_it() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    lab.host
        .run(|| ip(&format!("link set veth1 address {HOST_MAC}")));
    lab.a.run(|| ip("link set eth0 address 02:00:00:00:00:02"));
    let mut next = 20_000;
    let mut from_port = || {
        next += 1;
        next
    };
    let rows = matrix(GATE, &mut from_port);
    let without = answered(&lab, GATE, &rows, 19_999);
    let missing: Vec<_> = rows
        .iter()
        .filter(|(_, from, _)| !without.contains(from))
        .collect();
    let names: Vec<_> = missing.iter().map(|(name, ..)| name).collect();
    assert!(
        names.is_empty(),
        "the stack did not deliver, so they prove nothing: {names:?}"
    );

    let agent = lab.start();
    let mut sentinel = 30_000;
    for hook in [Hook::Tcx, Hook::Xdp, Hook::Generic] {
        let rule = InterfaceRule {
            pattern: "veth*".into(),
            hook: Some(hook),
        };
        wait(agent.interfaces(Interfaces::List(vec![rule]))).unwrap();
        let rows = matrix(GATE, &mut from_port);
        sentinel += 1;
        assert_eq!(
            answered(&lab, GATE, &rows, sentinel),
            [] as [u16; 0],
            "{hook:?}"
        );
    }
    assert_eq!(wait(agent.status()).unwrap().uncovered_refusals, 0);

    // A source that may connect reaches its port by most of them, and a shut port by none.
    let ops = vec![Op::Open(key(FROM4), open(7)), Op::Open(key(FROM6), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    let rows = matrix(GATE, &mut from_port);
    let with = answered(&lab, GATE, &rows, 31_000);
    assert_eq!(with.len(), rows.len());
    let rows = matrix(GUARDED, &mut from_port);
    assert_eq!(answered(&lab, GUARDED, &rows, 31_001), [] as [u16; 0]);
    // Fragments and deep chains hid the port from the frame hook, not from the socket lookup.
    assert!(wait(agent.status()).unwrap().uncovered_refusals > 0);
}
