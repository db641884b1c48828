//! A grammar of frames: tags, options, fragments, extension chains, cuts and flipped bits.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::{prop_oneof, strategy::Union};

use crate::world::{GATE_PORT, HERE4, HERE6, LISTED4, LISTED6, SHUT_PORT};

pub(crate) fn frames() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop_oneof![
        6 => vec(select(vec![0x8100u16, 0x88a8]), 0..2),
        2 => vec(select(vec![0x8100u16, 0x88a8]), 0..12),
    ];
    let packet = prop_oneof![
        8 => ipv4().prop_map(|bytes| (0x0800u16, bytes)),
        8 => ipv6().prop_map(|bytes| (0x86ddu16, bytes)),
        1 => (any::<u16>(), vec(any::<u8>(), 0..80)),
    ];
    let cut = weighted(0.2, 0usize..400);
    let flips = prop_oneof![4 => Just(Vec::new()), 1 => vec((any::<usize>(), 0u8..8), 1..4)];
    (tags, any::<u16>(), packet, cut, flips).prop_map(|(tags, tci, (kind, packet), cut, flips)| {
        let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(packet);
        frame.truncate(cut.map_or(frame.len(), |cut| cut.max(14)));
        for (at, bit) in flips {
            let at = at % frame.len();
            frame[at] ^= 1 << bit;
        }
        frame
    })
}

fn port() -> Union<impl Strategy<Value = u16>> {
    Union::new_weighted(vec![
        (5, select(vec![GATE_PORT]).boxed()),
        (2, select(vec![SHUT_PORT]).boxed()),
        (2, select(vec![22, 0, 53]).boxed()),
        (1, any::<u16>().boxed()),
    ])
}

fn tcp() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![8 => Just(5u8), 2 => 0u8..16];
    (port(), offset, any::<u8>(), vec(any::<u8>(), 0..44)).prop_map(
        |(port, offset, flags, data)| {
            let mut bytes = Vec::from(40000u16.to_be_bytes());
            bytes.extend(port.to_be_bytes());
            bytes.extend([0; 8]);
            bytes.extend([offset << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
            bytes.extend(data);
            bytes
        },
    )
}

fn source4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        4 => select(vec!["9.9.9.9", LISTED4, "10.7.3.4", HERE4[0], "127.0.0.1", "0.0.0.0"])
            .prop_map(|text| text.parse().unwrap()),
        1 => any::<u32>().prop_map(Ipv4Addr::from),
    ]
}

fn destination4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        8 => select(HERE4.to_vec()).prop_map(|text| text.parse().unwrap()),
        2 => select(vec!["10.9.0.77", "127.0.0.1", "224.0.0.1"]).prop_map(|text| text.parse().unwrap()),
    ]
}

fn ipv4() -> impl Strategy<Value = Vec<u8>> {
    let protocol =
        prop_oneof![8 => Just(6u8), 2 => select(vec![17u8, 1, 4, 41, 50]), 1 => any::<u8>()];
    let fragment = prop_oneof![6 => Just(0u16), 1 => Just(0x4000), 2 => select(vec![0x2000u16, 1, 0x2001, 0x1fff])];
    let options = prop_oneof![3 => Just(0u8), 1 => 0u8..=10];
    let length = weighted(0.1, any::<u8>());
    let ihl = weighted(0.05, 0u8..16);
    (
        source4(),
        destination4(),
        protocol,
        fragment,
        options,
        (length, ihl),
        tcp(),
    )
        .prop_map(
            |(source, destination, protocol, fragment, options, (length, ihl), data)| {
                let whole = 20 + usize::from(options) * 4 + data.len();
                let total = length.map_or(u16::try_from(whole).unwrap(), u16::from);
                let mut bytes = vec![0x40 | ihl.unwrap_or(5 + options), 0];
                bytes.extend(total.to_be_bytes());
                bytes.extend([0, 7]);
                bytes.extend(fragment.to_be_bytes());
                bytes.extend([64, protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                bytes.extend(std::iter::repeat_n(1, usize::from(options) * 4));
                bytes.extend(data);
                bytes
            },
        )
}

/// Kind and length of one extension header, in units of eight bytes past the first.
fn chain() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let one = || {
        (
            select(vec![0u8, 43, 44, 51, 60, 60, 60, 135, 139, 140]),
            prop_oneof![4 => Just(0u8), 1 => 0u8..8],
        )
    };
    prop_oneof![4 => vec(one(), 0..3), 2 => vec(one(), 0..22)]
}

fn source6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        4 => select(vec!["fd00:9::9", LISTED6, HERE6, "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.5"])
            .prop_map(|text| text.parse().unwrap()),
        1 => any::<u128>().prop_map(Ipv6Addr::from),
    ]
}

fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    let destination =
        prop_oneof![6 => Just(HERE6), 1 => select(vec!["fd00::77", "::1", "ff02::1"])];
    let last =
        prop_oneof![8 => Just(6u8), 2 => select(vec![17u8, 58, 50, 59, 4]), 1 => any::<u8>()];
    let fragment = prop_oneof![3 => Just(0u16), 1 => select(vec![1u16, 8, 0xfff8, 9, 2])];
    let length = weighted(0.05, any::<u8>());
    (
        source6(),
        destination,
        chain(),
        last,
        fragment,
        length,
        tcp(),
    )
        .prop_map(
            |(source, destination, chain, last, fragment, length, data)| {
                let mut body = Vec::new();
                for (i, (kind, units)) in chain.iter().enumerate() {
                    let next = chain.get(i + 1).map_or(last, |(kind, _)| *kind);
                    let bytes = match kind {
                        44 => 8,
                        51 => (usize::from(*units) + 2) * 4,
                        _ => (usize::from(*units) + 1) * 8,
                    };
                    let mut header = vec![0; bytes];
                    header[0] = next;
                    header[1] = if *kind == 44 { 0 } else { *units };
                    if *kind == 44 {
                        header[2..4].copy_from_slice(&fragment.to_be_bytes());
                    }
                    body.extend(header);
                }
                body.extend(data);
                let payload = length.map_or(u16::try_from(body.len()).unwrap(), u16::from);
                let first = chain.first().map_or(last, |(kind, _)| *kind);
                let destination: Ipv6Addr = destination.parse().unwrap();
                let mut bytes = vec![0x60, 0, 0, 0];
                bytes.extend(payload.to_be_bytes());
                bytes.extend([first, 64]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                bytes.extend(body);
                bytes
            },
        )
}
