//! What must become of a frame, by a parser that shares no line with ours: `etherparse`, slowly.
//!
//! Says `Drop` where the stack could deliver the frame, or what it is a fragment of, to a guarded
//! port and the source may not; `Pass` where it is whole, well-formed traffic that is no business
//! of gate or is allowed; `Either` where the stack would throw it away anyway, or where it is
//! deeper than gate promises to follow.

use etherparse::{
    EtherType, Ethernet2HeaderSlice, IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice,
    Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, SingleVlanHeaderSlice,
    TcpHeaderSlice,
};
use std::net::{IpAddr, Ipv4Addr};

use crate::world::{GATE_PORT, HERE4, HERE6, LISTED_NET, LISTED4, LISTED6, SHUT_PORT};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Drop,
    Pass,
    Either,
}

/// Tags and extension headers that gate follows.
const TAGS: usize = 8;
const EXTENSIONS: usize = 16;

pub(crate) fn fate(frame: &[u8]) -> Fate {
    let Ok(link) = Ethernet2HeaderSlice::from_slice(frame) else {
        return Fate::Either;
    };
    let mut kind = link.ether_type();
    let mut rest = &frame[14..];
    let mut tags = 0;
    while kind == EtherType::VLAN_TAGGED_FRAME || kind == EtherType::PROVIDER_BRIDGING {
        let Ok(tag) = SingleVlanHeaderSlice::from_slice(rest) else {
            return Fate::Either;
        };
        kind = tag.ether_type();
        rest = &rest[4..];
        tags += 1;
    }
    let inner = match kind {
        EtherType::IPV4 => ipv4(rest),
        EtherType::IPV6 => ipv6(rest),
        _ => Fate::Pass,
    };
    if tags > TAGS {
        no_promise(inner)
    } else {
        inner
    }
}

/// Too deep for a promise to let it pass, never too deep for one to drop it.
fn no_promise(fate: Fate) -> Fate {
    if fate == Fate::Pass {
        Fate::Either
    } else {
        fate
    }
}

fn ipv4(bytes: &[u8]) -> Fate {
    let Ok(header) = Ipv4HeaderSlice::from_slice(bytes) else {
        return Fate::Either;
    };
    let total = usize::from(header.total_len());
    let length = usize::from(header.ihl()) * 4;
    if total < length || total > bytes.len() {
        return Fate::Either;
    }
    let (source, destination) = (
        header.source_addr().into(),
        header.destination_addr().into(),
    );
    if header.protocol() != IpNumber::TCP || !is_here(destination) {
        return Fate::Pass;
    }
    if header.is_fragmenting_payload() {
        return if may_send(source) {
            Fate::Pass
        } else {
            Fate::Drop
        };
    }
    tcp(&bytes[length..total], source)
}

fn ipv6(bytes: &[u8]) -> Fate {
    let Ok(header) = Ipv6HeaderSlice::from_slice(bytes) else {
        return Fate::Either;
    };
    let (source, destination) = (
        header.source_addr().into(),
        header.destination_addr().into(),
    );
    let Some(mut rest) = bytes[40..].get(..usize::from(header.payload_length())) else {
        return Fate::Either;
    };
    let mut next = header.next_header();
    let mut depth = 0;
    let deep = |depth: usize, fate| {
        if depth > EXTENSIONS && may_send(source) {
            // The port of a source that may connect is for the socket lookup to judge.
            Fate::Either
        } else if depth > EXTENSIONS {
            no_promise(fate)
        } else {
            fate
        }
    };
    loop {
        match next.0 {
            6 => {
                let fate = if is_here(destination) {
                    tcp(rest, source)
                } else {
                    Fate::Pass
                };
                return deep(depth, fate);
            }
            0 | 43 | 60 | 135 | 139 | 140 => {
                let Ok(one) = Ipv6RawExtHeaderSlice::from_slice(rest) else {
                    return Fate::Either;
                };
                next = one.next_header();
                rest = &rest[one.slice().len()..];
            }
            51 => {
                let Ok(one) = IpAuthHeaderSlice::from_slice(rest) else {
                    return Fate::Either;
                };
                next = one.next_header();
                rest = &rest[one.slice().len()..];
            }
            44 => {
                let Ok(one) = Ipv6FragmentHeaderSlice::from_slice(rest) else {
                    return Fate::Either;
                };
                next = one.next_header();
                rest = &rest[8..];
                // Not `is_fragmenting_payload`, which takes a reserved bit for a fragment.
                let bits = u16::from_be_bytes([one.slice()[2], one.slice()[3]]);
                if bits & 0xfff9 != 0 {
                    let may_be_tcp = matches!(next.0, 6 | 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140);
                    let passes = !may_be_tcp || !is_here(destination) || may_send(source);
                    return deep(depth + 1, if passes { Fate::Pass } else { Fate::Drop });
                }
            }
            _ => return deep(depth, Fate::Pass),
        }
        depth += 1;
    }
}

fn tcp(bytes: &[u8], source: IpAddr) -> Fate {
    let Ok(header) = TcpHeaderSlice::from_slice(bytes) else {
        return Fate::Either;
    };
    match header.destination_port() {
        // Nobody listens there, and gate need not let it pass.
        0 => Fate::Either,
        GATE_PORT if may_send(source) => Fate::Pass,
        GATE_PORT | SHUT_PORT => Fate::Drop,
        _ => Fate::Pass,
    }
}

fn is_here(address: IpAddr) -> bool {
    address.is_loopback()
        || HERE4
            .into_iter()
            .chain([HERE6])
            .any(|here| here.parse() == Ok(address))
}

fn may_send(address: IpAddr) -> bool {
    let inside = match address {
        IpAddr::V4(v4) => {
            let (net, prefix) = LISTED_NET;
            (u32::from(v4) ^ u32::from(Ipv4Addr::from(net))) >> (32 - prefix) == 0
        }
        IpAddr::V6(_) => false,
    };
    inside
        || [LISTED4, LISTED6]
            .iter()
            .any(|listed| listed.parse() == Ok(address))
}
