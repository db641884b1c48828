//! The packet ring inside the kernel: three entry points over one judgement.
//!
//! Decides nothing: `gate-common` does, and runs in host tests as it runs here. This crate only
//! reads bytes (`reader`), looks into maps (`maps`) and counts (`report`). Everything is
//! `#[inline(always)]` because the verifier follows one flat program best.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "packet bytes and map values are raw memory; each access has its SAFETY line"
)]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows one flat program best"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    reason = "context words are cut into fields of known width"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the entry macros fix the signatures"
)]
#![expect(
    unstable_features,
    reason = "loads of unaligned words need inline assembly"
)]

mod lookup;
mod maps;
mod reader;
mod report;
mod tc;
mod xdp;

use aya_ebpf::macros::{classifier, sk_lookup, xdp};
use aya_ebpf::programs::{SkLookupContext, TcContext, XdpContext};

#[xdp]
pub(crate) fn gate_xdp(ctx: XdpContext) -> u32 {
    xdp::ingress(&ctx)
}

#[classifier]
pub(crate) fn gate_tc(ctx: TcContext) -> i32 {
    tc::ingress(&ctx)
}

#[sk_lookup]
pub(crate) fn gate_lookup(ctx: SkLookupContext) -> u32 {
    lookup::lookup(&ctx)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
