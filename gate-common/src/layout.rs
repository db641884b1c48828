//! The list of maps with their shapes, and the hash over it that names the pin directory.
//!
//! A parser fix does not change the hash, a changed key does: another layout is filled in its own
//! directory beside the old one. The loader compares pinned maps with this list before reuse.

use crate::entry::{BindKey, Bucket, Config, Entry, EventBudget, Near6, PORT_WORDS, SpoofKey};
use crate::event::SLOTS;
use crate::filter::{FILTER_WORDS, NEAR_SLOTS};
use crate::name;

/// Kernel map types, by their UAPI numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Hash = 1,
    Array = 2,
    PerCpuArray = 6,
    LruHash = 9,
    Lpm = 11,
    Ring = 27,
}

/// The shape of one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub kind: Kind,
    pub key: usize,
    pub value: usize,
    pub entries: usize,
    /// `BPF_F_*`; 1 = not preallocated.
    pub flags: u32,
    /// Names and order of the value's fields.
    pub fields: &'static str,
}

/// Exact IPv4 sources.
pub const EXACT4_MAX: usize = 1 << 20;
/// Exact IPv6 sources.
pub const EXACT6_MAX: usize = 1 << 18;
/// Networks per family. Freeing larger tries is slow.
pub const CIDR_MAX: usize = 1 << 17;
/// (interface, source) bindings.
pub const BIND_MAX: usize = 1 << 17;
/// Interfaces.
pub const LINKS_MAX: usize = 1 << 14;
/// Addresses of this host per family.
pub const LOCAL_MAX: usize = 1 << 14;
/// Local networks (`AnyIP`) per family.
pub const LOCALNET_MAX: usize = 1 << 10;
/// Sources with a SYN budget in use.
pub const SYN_BUDGET_MAX: usize = 1 << 15;
/// Pairs of culprit and victim that are remembered.
pub const SPOOFS_MAX: usize = 1 << 12;
/// Bytes of the event ring.
pub const EVENTS_BYTES: usize = 1 << 18;

/// Not preallocated: a table costs what it holds.
pub const NO_PREALLOC: u32 = 1;

const ENTRY: &str = "tag until ports shape reach reach_until";

const fn table(
    name: &'static str,
    kind: Kind,
    key: usize,
    value: usize,
    entries: usize,
    flags: u32,
    fields: &'static str,
) -> Table {
    Table {
        name,
        kind,
        key,
        value,
        entries,
        flags,
        fields,
    }
}

/// Every map of the object.
pub const TABLES: [Table; 20] = [
    table(
        name::EXACT4,
        Kind::Hash,
        4,
        size_of::<Entry>(),
        EXACT4_MAX,
        NO_PREALLOC,
        ENTRY,
    ),
    table(
        name::EXACT6,
        Kind::Hash,
        16,
        size_of::<Entry>(),
        EXACT6_MAX,
        NO_PREALLOC,
        ENTRY,
    ),
    table(
        name::CIDR4,
        Kind::Lpm,
        8,
        size_of::<Entry>(),
        CIDR_MAX,
        NO_PREALLOC,
        ENTRY,
    ),
    table(
        name::CIDR6,
        Kind::Lpm,
        20,
        size_of::<Entry>(),
        CIDR_MAX,
        NO_PREALLOC,
        ENTRY,
    ),
    table(
        name::BIND,
        Kind::Hash,
        size_of::<BindKey>(),
        size_of::<Entry>(),
        BIND_MAX,
        NO_PREALLOC,
        ENTRY,
    ),
    table(
        name::LINKS,
        Kind::Hash,
        4,
        4,
        LINKS_MAX,
        NO_PREALLOC,
        "incarnation",
    ),
    table(name::FILTER, Kind::Array, 4, 8, FILTER_WORDS, 0, "bits"),
    table(
        name::PORTS,
        Kind::Array,
        4,
        8,
        PORT_WORDS,
        0,
        "class per byte",
    ),
    table(
        name::LOCAL4,
        Kind::Hash,
        4,
        4,
        LOCAL_MAX,
        NO_PREALLOC,
        "classes",
    ),
    table(
        name::LOCAL6,
        Kind::Hash,
        16,
        4,
        LOCAL_MAX,
        NO_PREALLOC,
        "classes",
    ),
    table(
        name::NEAR4,
        Kind::Array,
        4,
        8,
        NEAR_SLOTS,
        0,
        "address classes",
    ),
    table(
        name::NEAR6,
        Kind::Array,
        4,
        size_of::<Near6>(),
        NEAR_SLOTS,
        0,
        "address classes",
    ),
    table(
        name::LOCALNET4,
        Kind::Lpm,
        8,
        4,
        LOCALNET_MAX,
        NO_PREALLOC,
        "classes",
    ),
    table(
        name::LOCALNET6,
        Kind::Lpm,
        20,
        4,
        LOCALNET_MAX,
        NO_PREALLOC,
        "classes",
    ),
    table(
        name::CONFIG,
        Kind::Array,
        4,
        size_of::<Config>(),
        1,
        0,
        "abi flags anywhere shut syn_refill syn_burst event_budget reserved revision seed",
    ),
    table(name::STATS, Kind::PerCpuArray, 4, 8, SLOTS, 0, "count"),
    table(
        name::SYN_BUDGET,
        Kind::LruHash,
        16,
        size_of::<Bucket>(),
        SYN_BUDGET_MAX,
        0,
        "tokens at",
    ),
    table(
        name::SPOOFS,
        Kind::LruHash,
        size_of::<SpoofKey>(),
        8,
        SPOOFS_MAX,
        0,
        "count",
    ),
    table(name::EVENTS, Kind::Ring, 0, 0, EVENTS_BYTES, 0, "event"),
    table(
        name::EVENT_BUDGET,
        Kind::PerCpuArray,
        4,
        size_of::<EventBudget>(),
        1,
        0,
        "tokens second tick",
    ),
];

/// Names the pin directory.
pub const HASH: u64 = hash();

const fn hash() -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < TABLES.len() {
        let table = &TABLES[i];
        state = text(state, table.name);
        state = text(state, table.fields);
        state = word(state, table.kind as u64);
        state = word(state, table.key as u64);
        state = word(state, table.value as u64);
        state = word(state, table.entries as u64);
        state = word(state, table.flags as u64);
        i += 1;
    }
    state
}

/// FNV-1a: there is no adversary here, only a layout that changed.
const fn word(state: u64, value: u64) -> u64 {
    (state ^ value).wrapping_mul(0x0000_0100_0000_01b3)
}

const fn text(mut state: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        state = word(state, bytes[i] as u64);
        i += 1;
    }
    // The end counts too, or two neighbours could trade a letter.
    word(state, 0x100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::ABI;

    /// The hash only names a directory. An older build knows by the number that it must not touch
    /// what lies there: whoever changes a table changes both values here.
    #[test]
    fn a_layout_that_changes_gets_the_next_number() {
        assert_eq!((ABI, HASH), (2, 0xf017_e499_25a2_7751));
    }
}
