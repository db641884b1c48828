//! Keys and values of the maps, as they lie in the kernel.
//!
//! Aligned words, addresses in wire order, no implicit padding, no enums: the kernel hashes every
//! byte of a key, so a byte that nobody wrote would be a lookup that misses.

/// What a source may do. Value of the exact and the network tables, and of [`BindKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Entry {
    /// The client it belongs to; [`OWN`] for an address of this host.
    pub tag: u32,
    /// Deadline in coarse ticks, 0 = none.
    pub until: u32,
    /// Bit set of the port classes it opens, on any interface.
    pub ports: u32,
    /// Prefix length in the low byte, [`BOUND_ONLY`], and the group of its bindings above.
    pub shape: u32,
    /// Bit set of the port classes it opens on whichever interface: all that the socket lookup can judge.
    pub reach: u32,
    /// Deadline that goes with `reach`.
    pub reach_until: u32,
}

/// `tag` of this host's own addresses.
pub const OWN: u32 = 0;
/// `shape` bit: only the interfaces of the group may use this source.
pub const BOUND_ONLY: u32 = 1 << 8;
/// Groups start at this bit of `shape`.
const GROUP_SHIFT: u32 = 9;
/// Largest group number.
pub const GROUP_MAX: u32 = u32::MAX >> GROUP_SHIFT;

impl Entry {
    #[inline(always)]
    pub const fn shape(prefix: u32, bound_only: bool, group: u32) -> u32 {
        let only = if bound_only { BOUND_ONLY } else { 0 };
        group << GROUP_SHIFT | only | prefix
    }

    #[inline(always)]
    pub const fn prefix(self) -> u32 {
        self.shape & 0xff
    }

    #[inline(always)]
    pub const fn bound_only(self) -> bool {
        self.shape & BOUND_ONLY != 0
    }

    /// 0 = bound nowhere.
    #[inline(always)]
    pub const fn group(self) -> u32 {
        self.shape >> GROUP_SHIFT
    }
}

/// A source on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct BindKey {
    /// Incarnation of the interface (value of `GATE_LINKS`): an ifindex may be used again, this never.
    pub link: u32,
    /// [`Entry::group`] of the source.
    pub group: u32,
}

/// Culprit and victim of a packet that came in on the wrong interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct SpoofKey {
    /// Where it came in.
    pub ifindex: u32,
    /// Whose address it used.
    pub tag: u32,
}

/// The one value of `GATE_CONFIG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Config {
    /// [`ABI`] of the build that filled the maps.
    pub abi: u32,
    /// [`CLOSED`], [`AUDIT`], [`NETS4`], [`NETS6`], [`LOCALNETS4`], [`LOCALNETS6`].
    pub flags: u32,
    /// Bit set of the classes that hold at every address of this host.
    pub anywhere: u32,
    /// Bit set of the classes that no entry opens.
    pub shut: u32,
    /// Tokens that a source's SYN budget gains per coarse tick, in 1/1024; 0 = no budget.
    pub syn_refill: u32,
    /// Size of the SYN budget, in 1/1024.
    pub syn_burst: u32,
    /// Sampled events per second and CPU.
    pub event_budget: u32,
    pub reserved: u32,
    /// Revision of the last change applied.
    pub revision: u64,
    /// Seed of the bit filter.
    pub seed: u64,
}

/// Grows with every layout; a directory of a newer one is not touched.
pub const ABI: u32 = 2;

/// Every gated port is shut, loopback included.
pub const CLOSED: u32 = 1;
/// Refusals that only say "not listed" pass, and are counted as such.
pub const AUDIT: u32 = 1 << 1;
/// The network table of this family is not empty.
pub const NETS4: u32 = 1 << 2;
pub const NETS6: u32 = 1 << 3;
/// Whole networks are local (`AnyIP`) in this family.
pub const LOCALNETS4: u32 = 1 << 4;
pub const LOCALNETS6: u32 = 1 << 5;

/// One slot of the small array in front of the local IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Near6 {
    pub address: [u32; 4],
    /// Classes that hold there; 0 = an empty slot.
    pub classes: u32,
}

/// Token bucket of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Bucket {
    pub tokens: u32,
    /// Coarse tick of the last refill.
    pub at: u32,
}

/// Events that one CPU may still report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct EventBudget {
    pub tokens: u32,
    /// The second that the tokens are for.
    pub second: u32,
    /// Timer tick of the last look at the clock. The clock moves once a tick, so a flood that
    /// spent the tokens needs to ask it no more often.
    pub tick: u32,
}

/// One coarse tick is 2^26 ns, 67 ms: 32 bits of them last nine years of uptime.
pub const TICK_SHIFT: u32 = 26;

/// Port class of a port that gate leaves alone. Userspace numbers the others, 1 to 31.
pub const FREE: u32 = 0;

/// Ports in one word of `GATE_PORTS`: a byte each.
pub const PORTS_PER_WORD: u16 = 8;
/// Words of `GATE_PORTS`.
pub const PORT_WORDS: usize = 65536 / PORTS_PER_WORD as usize;

// Every field is written and none is padding.
const _: () = assert!(size_of::<Entry>() == 6 * 4);
const _: () = assert!(size_of::<BindKey>() == 2 * 4);
const _: () = assert!(size_of::<SpoofKey>() == 2 * 4);
const _: () = assert!(size_of::<Near6>() == 5 * 4);
const _: () = assert!(size_of::<Bucket>() == 2 * 4);
const _: () = assert!(size_of::<EventBudget>() == 3 * 4);
const _: () = assert!(size_of::<Config>() == 8 * 4 + 2 * 8);
