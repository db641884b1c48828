//! What the kernel half reports about a single packet, and where it counts.
//!
//! An event carries the first bytes of the frame as they came, so the kernel parses nothing twice
//! and userspace shows what was really on the wire. Counting never depends on it: events are
//! sampled within a budget and may be lost, counters are neither.

use crate::reason::REASONS;

/// Words of the frame that travel with an event.
pub const HEAD_WORDS: usize = 32;

/// One sampled refusal.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event {
    /// `CLOCK_MONOTONIC` (coarse), nanoseconds.
    pub at: u64,
    /// [`crate::reason::Reason`] as its number.
    pub reason: u32,
    /// [`Lane`] as its number.
    pub lane: u32,
    pub ifindex: u32,
    /// Bytes of `head` that were on the wire.
    pub length: u32,
    /// The frame from its first byte; for [`Lane::Lookup`] a [`Tuple`].
    pub head: [u32; HEAD_WORDS],
}

const _: () = assert!(size_of::<Event>() == 8 + 4 * 4 + HEAD_WORDS * 4);

/// What the socket lookup knows of a packet, at the start of [`Event::head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Tuple {
    /// 4 or 6.
    pub family: u32,
    pub source: [u32; 4],
    pub destination: [u32; 4],
    /// Host order.
    pub source_port: u32,
    /// Host order.
    pub destination_port: u32,
}

/// Words of [`Tuple`].
pub const TUPLE_WORDS: usize = 11;
const _: () = assert!(size_of::<Tuple>() == TUPLE_WORDS * 4);

/// Which program judged, and whether its verdict was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Lane {
    Xdp = 0,
    Tc = 1,
    Lookup = 2,
    /// A test run: counted apart, reported never.
    Probe = 3,
    /// Refused in `audit`, so passed.
    AuditXdp = 4,
    AuditTc = 5,
    AuditLookup = 6,
}

impl Lane {
    pub const ALL: [Self; 7] = [
        Self::Xdp,
        Self::Tc,
        Self::Lookup,
        Self::Probe,
        Self::AuditXdp,
        Self::AuditTc,
        Self::AuditLookup,
    ];

    /// The lane of verdicts that `audit` did not carry out.
    #[inline(always)]
    #[must_use]
    pub const fn audited(self) -> Self {
        match self {
            Self::Xdp | Self::AuditXdp => Self::AuditXdp,
            Self::Tc | Self::AuditTc => Self::AuditTc,
            Self::Lookup | Self::AuditLookup => Self::AuditLookup,
            Self::Probe => Self::Probe,
        }
    }

    /// Index of a counter.
    #[inline(always)]
    pub const fn slot(self, reason: u32) -> u32 {
        self as u32 * REASONS + reason
    }
}

/// Number, in the place of a reason, of events that found the ring full.
pub const LOST: u32 = REASONS - 1;

/// Counters in `GATE_STATS`.
pub const SLOTS: usize = 8 * REASONS as usize;

/// Interface index of `lo` in every network namespace. Gate is never attached there, so a run of a
/// frame program with it is a test run, which the kernel places on `lo`.
pub const LOOPBACK_IFINDEX: u32 = 1;
/// Interface index that marks a test run of the socket lookup, where `lo` is a real value: the
/// kernel allows no other in a test run, and no packet comes from nowhere.
pub const PROBE_IFINDEX: u32 = 0;
