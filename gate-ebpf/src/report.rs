//! Counts every verdict and samples refusals into the event ring.
//!
//! Never changes a verdict: a full ring or an empty budget loses the event and counts the loss.

use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};
use gate_common::entry::{AUDIT, Config, EventBudget};
use gate_common::event::{Event, HEAD_WORDS, LOST, Lane, Tuple};
use gate_common::reason::Reason;

use crate::maps::{GATE_EVENT_BUDGET, GATE_EVENTS, GATE_STATS, Maps, now, tick};

/// Where the first bytes of an event come from.
pub(crate) trait Head {
    /// Writes the head and says how many bytes of it are real.
    fn write(&self, head: *mut [u32; HEAD_WORDS]) -> u32;
}

#[inline(always)]
pub(crate) fn count(lane: Lane, reason: u32) {
    if let Some(counter) = GATE_STATS.get_ptr_mut(lane.slot(reason)) {
        // SAFETY: this CPU's own slot, and the verifier knows it to be present.
        unsafe { *counter += 1 }
    }
}

/// Counts a refusal and says whether it is carried out.
#[inline(always)]
pub(crate) fn refuse<H: Head>(lane: Lane, reason: Reason, maps: &Maps, head: &H) -> bool {
    let carried_out = !(maps.config.flags & AUDIT != 0 && reason.relaxed_by_audit());
    let lane = if carried_out { lane } else { lane.audited() };
    count(lane, reason as u32);
    if lane != Lane::Probe {
        sample(lane, reason, maps, head);
    }
    carried_out
}

#[inline(always)]
fn sample<H: Head>(lane: Lane, reason: Reason, maps: &Maps, head: &H) {
    let Some(now) = spend(maps.config) else {
        return;
    };
    let Some(mut slot) = GATE_EVENTS.reserve(0) else {
        count(lane, LOST);
        return;
    };
    let event: *mut Event = slot.as_mut_ptr();
    // SAFETY: the ring gave room for exactly one event; every field is written before `submit`.
    unsafe {
        (*event).at = now;
        (*event).reason = reason as u32;
        (*event).lane = lane as u32;
        (*event).ifindex = maps.ifindex;
        (*event).length = head.write(&raw mut (*event).head);
    }
    slot.submit(0);
}

/// Takes one event from the budget and says when that was. One second of the coarse clock, near
/// enough, has `event_budget` events.
#[inline(always)]
fn spend(config: &Config) -> Option<u64> {
    let budget = GATE_EVENT_BUDGET.get_ptr_mut(0)?;
    // SAFETY: this CPU's own slot, and the verifier knows it to be present.
    let budget: &mut EventBudget = unsafe { &mut *budget };
    let tick = tick();
    if budget.tokens == 0 && budget.tick == tick {
        return None;
    }
    budget.tick = tick;
    let now = now();
    let second = (now >> 30) as u32;
    if budget.second != second {
        budget.second = second;
        budget.tokens = config.event_budget;
    }
    if budget.tokens == 0 {
        return None;
    }
    budget.tokens -= 1;
    Some(now)
}

impl Head for XdpContext {
    #[inline(always)]
    fn write(&self, head: *mut [u32; HEAD_WORDS]) -> u32 {
        let length = (self.data_end() - self.data()) as u32;
        copy(head, length, |to, length| {
            // SAFETY: `copy` hands out room for `length` bytes.
            unsafe { bpf_xdp_load_bytes(self.ctx, 0, to, length) }
        })
    }
}

impl Head for TcContext {
    #[inline(always)]
    fn write(&self, head: *mut [u32; HEAD_WORDS]) -> u32 {
        copy(head, self.len(), |to, length| {
            // SAFETY: `copy` hands out room for `length` bytes.
            unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), 0, to, length) }
        })
    }
}

impl Head for Tuple {
    #[inline(always)]
    fn write(&self, head: *mut [u32; HEAD_WORDS]) -> u32 {
        // SAFETY: a tuple is words, and shorter than the head.
        unsafe {
            (*head) = [0; HEAD_WORDS];
            head.cast::<Self>().write(*self);
        }
        size_of::<Self>() as u32
    }
}

/// Clears the head, so that ring memory never shows what was there before, and fills it.
#[inline(always)]
fn copy(
    head: *mut [u32; HEAD_WORDS],
    length: u32,
    load: impl Fn(*mut core::ffi::c_void, u32) -> i64,
) -> u32 {
    // SAFETY: the caller's head is a whole one.
    unsafe { (*head) = [0; HEAD_WORDS] };
    let length = length.min(HEAD_WORDS as u32 * 4);
    // The helpers take no length of zero, and a frame without an Ethernet header is no frame.
    if length < 14 || load(head.cast(), length) != 0 {
        0
    } else {
        length
    }
}
