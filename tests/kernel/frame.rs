//! Builds frames byte by byte, good ones and bad ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

pub(crate) fn tcp(port: u16, flags: u8) -> Vec<u8> {
    let mut bytes = Vec::from(40000u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

/// `kinds` are the tags, outermost first, then the protocol.
pub(crate) fn ethernet(kinds: &[u16], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend([2, 0, 0, 0, 0, 1]);
    for (i, kind) in kinds.iter().enumerate() {
        if i > 0 {
            bytes.extend([0, 0]);
        }
        bytes.extend(kind.to_be_bytes());
    }
    bytes.extend(rest);
    bytes
}

pub(crate) struct V4 {
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
    pub(crate) options: u8,
    pub(crate) fragment: u16,
    pub(crate) protocol: u8,
}

impl V4 {
    pub(crate) fn header(&self, rest: &[u8]) -> Vec<u8> {
        let length = 20 + usize::from(self.options) * 4 + rest.len();
        let mut bytes = vec![0x45 + self.options, 0];
        bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        bytes.extend([0, 7]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(self.from.octets());
        bytes.extend(self.to.octets());
        bytes.extend(std::iter::repeat_n(1, usize::from(self.options) * 4));
        bytes.extend(rest);
        bytes
    }
}

/// Extension headers of one kind, eight bytes each, before `next`.
pub(crate) fn v6(
    from: Ipv6Addr,
    to: Ipv6Addr,
    kind: u8,
    count: usize,
    next: u8,
    rest: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(count * 8 + rest.len()).unwrap().to_be_bytes());
    bytes.push(if count > 0 { kind } else { next });
    bytes.push(64);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    for i in 0..count {
        bytes.push(if i + 1 == count { next } else { kind });
        bytes.extend(match kind {
            44 => [0; 7],
            51 => [0, 0, 0, 0, 0, 0, 0],
            _ => [0, 1, 4, 0, 0, 0, 0],
        });
    }
    bytes.extend(rest);
    bytes
}

/// A SYN as an ordinary client sends it.
pub(crate) fn syn(from: &str, to: &str, port: u16) -> Vec<u8> {
    match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let v4 = V4 {
                from,
                to,
                options: 0,
                fragment: 0,
                protocol: 6,
            };
            ethernet(&[0x0800], &v4.header(&tcp(port, SYN)))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ethernet(&[0x86dd], &v6(from, to, 60, 0, 6, &tcp(port, SYN)))
        }
        _ => panic!("two families"),
    }
}
