//! tc ingress (TCX, else clsact): the early drop on sandbox links, where native XDP would cost bulk throughput.
//!
//! A packet that passes goes on to the next program, so other people's filters keep working.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::programs::TcContext;
use gate_common::event::{LOOPBACK_IFINDEX, Lane};
use gate_common::reason::Reason;
use gate_common::verdict::judge;

use crate::maps::{Maps, config};
use crate::reader::Frame;
use crate::report::{count, refuse};

#[inline(always)]
pub(crate) fn ingress(ctx: &TcContext) -> i32 {
    let Some(config) = config() else {
        return TC_ACT_SHOT;
    };
    // SAFETY: the kernel hands a valid context to the program.
    let (device, arrived) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).ingress_ifindex) };
    // The two are equal for a real packet. A test run stands on `lo`, and may claim an interface.
    let probe = device == LOOPBACK_IFINDEX;
    let (lane, ifindex) = if probe {
        (Lane::Probe, arrived)
    } else {
        (Lane::Tc, device)
    };
    let maps = Maps {
        config,
        ifindex,
        probe,
    };
    match judge(&Frame::tc(ctx), &maps) {
        reason @ (Reason::NotIp
        | Reason::NotTcp
        | Reason::OtherPort
        | Reason::NotHere
        | Reason::Allowed
        | Reason::AllowedNet
        | Reason::Local) => {
            count(lane, reason as u32);
            TC_ACT_UNSPEC
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
                TC_ACT_SHOT
            } else {
                TC_ACT_UNSPEC
            }
        }
    }
}
