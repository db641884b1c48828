//! XDP: the earliest drop, on uplinks.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::programs::XdpContext;
use gate_common::event::{LOOPBACK_IFINDEX, Lane};
use gate_common::reason::Reason;
use gate_common::verdict::judge;

use crate::maps::{Maps, config};
use crate::reader::Frame;
use crate::report::{count, refuse};

#[inline(always)]
pub(crate) fn ingress(ctx: &XdpContext) -> u32 {
    let Some(config) = config() else {
        return XDP_DROP;
    };
    let device = ctx.ingress_ifindex() as u32;
    let probe = device == LOOPBACK_IFINDEX;
    let (lane, ifindex) = if probe {
        (Lane::Probe, claimed(ctx).unwrap_or(device))
    } else {
        (Lane::Xdp, device)
    };
    let maps = Maps {
        config,
        ifindex,
        probe,
    };
    match judge(&Frame::xdp(ctx), &maps) {
        reason @ (Reason::NotIp
        | Reason::NotTcp
        | Reason::OtherPort
        | Reason::NotHere
        | Reason::Allowed
        | Reason::AllowedNet
        | Reason::Local) => {
            count(lane, reason as u32);
            XDP_PASS
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
            if refuse(lane, reason, &maps, ctx) {
                XDP_DROP
            } else {
                XDP_PASS
            }
        }
    }
}

/// A test run stands on `lo`, and may claim an interface in the metadata before its frame.
#[inline(always)]
fn claimed(ctx: &XdpContext) -> Option<u32> {
    let at = ctx.metadata();
    if at + size_of::<u32>() > ctx.metadata_end() {
        return None;
    }
    // SAFETY: four bytes of metadata are there, as was just compared.
    Some(unsafe { (at as *const u32).read_unaligned() })
}
