//! Socket lookup: the completeness layer, once per network namespace.
//!
//! Sees every new TCP connection whatever interface or tunnel it came by, with the port *after*
//! REDIRECT, DNAT and TPROXY. Knows no interface worth binding to (on a bridge it sees the
//! bridge), and answers a refusal with a reset, so the frame hooks stay the first line.

use core::mem::offset_of;

use aya_ebpf::bindings::bpf_sk_lookup as Context;
use aya_ebpf::programs::SkLookupContext;
use gate_common::address::{Address, V4, V6};
use gate_common::event::{LOOPBACK_IFINDEX, Lane, PROBE_IFINDEX, Tuple};
use gate_common::packet::Packet;
use gate_common::reason::Reason;
use gate_common::verdict::{Hook, Sources, decide};

use crate::maps::{Maps, config};
use crate::reader::field;
use crate::report::{count, refuse};

const DROP: u32 = 0;
const PASS: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const AF_INET: u32 = 2;

const REMOTE6: usize = offset_of!(Context, remote_ip6);
const LOCAL6: usize = offset_of!(Context, local_ip6);

#[inline(always)]
pub(crate) fn lookup(ctx: &SkLookupContext) -> u32 {
    let ctx = ctx.lookup;
    if field!(ctx, offset_of!(Context, protocol)) != IPPROTO_TCP {
        return PASS;
    }
    let ifindex = field!(ctx, offset_of!(Context, ingress_ifindex));
    let port = field!(ctx, offset_of!(Context, local_port)) as u16;
    // The remote port is in wire order, in the low half of the word.
    let source_port = u16::from_be(field!(ctx, offset_of!(Context, remote_port)) as u16);
    if field!(ctx, offset_of!(Context, family)) == AF_INET {
        let source = V4(field!(ctx, offset_of!(Context, remote_ip4)));
        let destination = V4(field!(ctx, offset_of!(Context, local_ip4)));
        answer(4, source, destination, source_port, port, ifindex)
    } else {
        let source = V6([
            field!(ctx, REMOTE6),
            field!(ctx, REMOTE6 + 4),
            field!(ctx, REMOTE6 + 8),
            field!(ctx, REMOTE6 + 12),
        ]);
        let destination = V6([
            field!(ctx, LOCAL6),
            field!(ctx, LOCAL6 + 4),
            field!(ctx, LOCAL6 + 8),
            field!(ctx, LOCAL6 + 12),
        ]);
        answer(6, source, destination, source_port, port, ifindex)
    }
}

#[inline(always)]
fn answer<A: Address>(
    family: u32,
    source: A,
    destination: A,
    source_port: u16,
    port: u16,
    ifindex: u32,
) -> u32
where
    Maps: Sources<A>,
{
    let Some(config) = config() else {
        return DROP;
    };
    let hook = if ifindex == LOOPBACK_IFINDEX {
        Hook::Loopback
    } else {
        Hook::Lookup
    };
    let probe = ifindex == PROBE_IFINDEX;
    let lane = if probe { Lane::Probe } else { Lane::Lookup };
    let packet = Packet {
        source,
        destination,
        port,
        flags: 0,
        defect: None,
    };
    let maps = Maps {
        config,
        ifindex,
        probe,
    };
    match decide(&packet, &maps, hook) {
        reason @ (Reason::NotIp
        | Reason::NotTcp
        | Reason::OtherPort
        | Reason::NotHere
        | Reason::Allowed
        | Reason::AllowedNet
        | Reason::Local) => {
            count(lane, reason as u32);
            PASS
        }
        reason @ (Reason::Stranger
        | Reason::Expired
        | Reason::Unlisted
        | Reason::Guarded
        | Reason::Fragment
        | Reason::Truncated
        | Reason::Malformed
        | Reason::VlanDepth
        | Reason::ExtensionDepth
        | Reason::Spoofed
        | Reason::WrongInterface
        | Reason::SynBudget
        | Reason::Closed) => {
            let tuple = Tuple {
                family,
                source: source.wide(),
                destination: destination.wide(),
                source_port: source_port as u32,
                destination_port: port as u32,
            };
            if refuse(lane, reason, &maps, &tuple) {
                DROP
            } else {
                PASS
            }
        }
    }
}
