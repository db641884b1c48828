//! The only raw access: packet bytes, and fields of the socket lookup's context.
//!
//! Bounds check and pointer arithmetic stand side by side, because the verifier must follow both.
//! Words are loaded by inline assembly: LLVM would take an unaligned word byte by byte (2-5 ns a
//! header), and a misaligned dereference is undefined behaviour in Rust.

use aya_ebpf::programs::{TcContext, XdpContext};
use gate_common::packet::{HEADERS_MAX, Reader};

/// Bytes of a tc packet that must lie in one piece before it is parsed.
const LINEAR: u32 = 128;

/// Bytes that lie in one piece.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn xdp(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }

    /// tc sees only the linear part of a packet, which may be no more than a few header bytes.
    #[inline(always)]
    pub(crate) fn tc(ctx: &TcContext) -> Self {
        let want = ctx.len().min(LINEAR);
        if ctx.data() + want as usize > ctx.data_end() {
            // A packet that cannot be pulled is read as far as it lies there, and judged truncated.
            let _ = ctx.skb.pull_data(want);
        }
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }
}

impl Reader for Frame {
    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        // The verifier wants a constant bound on a variable offset.
        if at > HEADERS_MAX + 128 {
            return None;
        }
        let start = self.start + at;
        if start + N * 4 > self.end {
            return None;
        }
        let mut out = [0; N];
        let mut i = 0;
        while i < N {
            out[i] = load(start + i * 4);
            i += 1;
        }
        Some(out)
    }
}

/// One word of the packet. `pure`, so that words nobody uses vanish.
#[inline(always)]
fn load(at: usize) -> u32 {
    let word: u64;
    // SAFETY: the caller compared `at + 4` with the end of the frame; the kernel lets a program
    // load unaligned packet words, and the verifier proves the bound again.
    unsafe {
        core::arch::asm!(
            "{word} = *(u32 *)({at} + 0)",
            word = out(reg) word,
            at = in(reg) at,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    word as u32
}

/// One word of a context, its offset written into the instruction: LLVM likes to add first, and
/// the verifier refuses a context pointer that moved.
macro_rules! field {
    ($ctx:expr, $offset:expr) => {{
        let word: u64;
        // SAFETY: the offset comes from the context's own type, and the verifier checks it.
        unsafe {
            core::arch::asm!(
                "{word} = *(u32 *)({ctx} + {offset})",
                word = out(reg) word,
                ctx = in(reg) $ctx,
                offset = const $offset,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        word as u32
    }};
}
pub(crate) use field;
