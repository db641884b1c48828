//! The only maps: their definitions, and the lookups the verdict asks for.
//!
//! Shapes must equal `gate_common::layout::TABLES`; a test compares the built object with it.
//! A program that finds no configuration drops, which never happens: an array has all its slots.

use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};
use aya_ebpf::macros::btf_map;
use gate_common::address::{Address, V4, V6};
use gate_common::entry::{
    BindKey, Bucket, CLOSED, Config, Entry, EventBudget, LOCALNETS4, LOCALNETS6, NETS4, NETS6,
    Near6, PORT_WORDS, PORTS_PER_WORD, SpoofKey, TICK_SHIFT,
};
use gate_common::event::{Event, SLOTS};
use gate_common::filter::{FILTER_WORDS, NEAR_SLOTS, near_slot, near_slot6, place};
use gate_common::layout::{
    BIND_MAX, CIDR_MAX, EVENTS_BYTES, EXACT4_MAX, EXACT6_MAX, LINKS_MAX, LOCAL_MAX, LOCALNET_MAX,
    NO_PREALLOC, SPOOFS_MAX, SYN_BUDGET_MAX,
};
use gate_common::verdict::{Sources, Tables};

const LEAN: usize = NO_PREALLOC as usize;

#[btf_map]
static GATE_EXACT4: HashMap<u32, Entry, EXACT4_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_EXACT6: HashMap<[u32; 4], Entry, EXACT6_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_CIDR4: LpmTrie<u32, Entry, CIDR_MAX> = LpmTrie::new();
#[btf_map]
static GATE_CIDR6: LpmTrie<[u32; 4], Entry, CIDR_MAX> = LpmTrie::new();
#[btf_map]
static GATE_BIND: HashMap<BindKey, Entry, BIND_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_LINKS: HashMap<u32, u32, LINKS_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_FILTER: Array<u64, FILTER_WORDS> = Array::new();
#[btf_map]
static GATE_PORTS: Array<u64, PORT_WORDS> = Array::new();
#[btf_map]
static GATE_LOCAL4: HashMap<u32, u32, LOCAL_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_LOCAL6: HashMap<[u32; 4], u32, LOCAL_MAX, LEAN> = HashMap::new();
#[btf_map]
static GATE_NEAR4: Array<u64, NEAR_SLOTS> = Array::new();
#[btf_map]
static GATE_NEAR6: Array<Near6, NEAR_SLOTS> = Array::new();
#[btf_map]
static GATE_LOCALNET4: LpmTrie<u32, u32, LOCALNET_MAX> = LpmTrie::new();
#[btf_map]
static GATE_LOCALNET6: LpmTrie<[u32; 4], u32, LOCALNET_MAX> = LpmTrie::new();
#[btf_map]
static GATE_CONFIG: Array<Config, 1> = Array::new();
#[btf_map]
static GATE_SYN_BUDGET: LruHashMap<[u32; 4], Bucket, SYN_BUDGET_MAX> = LruHashMap::new();
#[btf_map]
static GATE_SPOOFS: LruHashMap<SpoofKey, u64, SPOOFS_MAX> = LruHashMap::new();
#[btf_map]
pub(crate) static GATE_STATS: PerCpuArray<u64, SLOTS> = PerCpuArray::new();
#[btf_map]
pub(crate) static GATE_EVENTS: RingBuf<Event, EVENTS_BYTES> = RingBuf::new();
#[btf_map]
pub(crate) static GATE_EVENT_BUDGET: PerCpuArray<EventBudget, 1> = PerCpuArray::new();

/// The maps as one packet sees them.
#[derive(Clone, Copy)]
pub(crate) struct Maps {
    /// Looked up once a packet: LLVM cannot know that a second lookup answers the same.
    pub(crate) config: &'static Config,
    /// Where the packet came in.
    pub(crate) ifindex: u32,
    /// A test run: it leaves no trace in budgets and accusations.
    pub(crate) probe: bool,
}

/// The switches; there is always a slot 0.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    GATE_CONFIG.get(0)
}

/// Nanoseconds of the coarse clock, which costs little where `ktime_get_boot_ns` takes 25 ns.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The kernel's timer tick, in which the coarse clock moves; the verifier makes it one load.
#[inline(always)]
pub(crate) fn tick() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_jiffies64() as u32 }
}

#[inline(always)]
fn known<A: Address>(config: &Config, address: A) -> bool {
    let (word, bits) = place(address, config.seed);
    match GATE_FILTER.get(word) {
        Some(word) => *word & bits == bits,
        None => true,
    }
}

/// Refills by the time that went by, then takes one connection.
#[inline(always)]
fn draw(config: &Config, source: [u32; 4]) -> bool {
    if config.syn_refill == 0 {
        return true;
    }
    let tick = (now() >> TICK_SHIFT) as u32;
    let Some(bucket) = GATE_SYN_BUDGET.get_ptr_mut(source) else {
        let fresh = Bucket {
            tokens: config.syn_burst.saturating_sub(1024),
            at: tick,
        };
        // A full table evicts another source's budget, which then starts afresh; it holds no
        // authority.
        let _ = GATE_SYN_BUDGET.insert(source, fresh, 0);
        return true;
    };
    // SAFETY: the verifier knows the value to be present; CPUs that race lose a draw, not memory.
    let bucket = unsafe { &mut *bucket };
    let gone = tick.wrapping_sub(bucket.at).min(1024);
    let grown = bucket.tokens as u64 + gone as u64 * config.syn_refill as u64;
    let tokens = grown.min(config.syn_burst as u64) as u32;
    bucket.at = tick;
    if tokens < 1024 {
        bucket.tokens = tokens;
        false
    } else {
        bucket.tokens = tokens - 1024;
        true
    }
}

impl Sources<V4> for Maps {
    #[inline(always)]
    fn local(&self, address: V4) -> u32 {
        if let Some(slot) = GATE_NEAR4.get(near_slot(address))
            && *slot as u32 == address.0
        {
            return (*slot >> 32) as u32;
        }
        // SAFETY: the value is one word, read whole.
        if let Some(classes) = unsafe { GATE_LOCAL4.get(address.0) } {
            return *classes;
        }
        if self.config.flags & LOCALNETS4 == 0 {
            return 0;
        }
        match GATE_LOCALNET4.get(&Key::new(V4::BITS, address.0)) {
            Some(classes) => *classes,
            None => 0,
        }
    }

    #[inline(always)]
    fn maybe_known(&self, address: V4) -> bool {
        known(self.config, address)
    }

    #[inline(always)]
    fn exact(&self, address: V4) -> Option<Entry> {
        // SAFETY: an update replaces the element, so the copy is of one entry.
        unsafe { GATE_EXACT4.get(address.0) }.copied()
    }

    #[inline(always)]
    fn net(&self, address: V4, bits: u32) -> Option<Entry> {
        if self.config.flags & NETS4 == 0 {
            return None;
        }
        GATE_CIDR4.get(&Key::new(bits, address.0)).copied()
    }

    #[inline(always)]
    fn draw(&self, address: V4) -> bool {
        self.probe || draw(self.config, address.wide())
    }
}

impl Sources<V6> for Maps {
    #[inline(always)]
    fn local(&self, address: V6) -> u32 {
        if let Some(slot) = GATE_NEAR6.get(near_slot6(address))
            && slot.address == address.0
            && slot.classes != 0
        {
            return slot.classes;
        }
        // SAFETY: the value is one word, read whole.
        if let Some(classes) = unsafe { GATE_LOCAL6.get(address.0) } {
            return *classes;
        }
        if self.config.flags & LOCALNETS6 == 0 {
            return 0;
        }
        match GATE_LOCALNET6.get(&Key::new(V6::BITS, address.0)) {
            Some(classes) => *classes,
            None => 0,
        }
    }

    #[inline(always)]
    fn maybe_known(&self, address: V6) -> bool {
        known(self.config, address)
    }

    #[inline(always)]
    fn exact(&self, address: V6) -> Option<Entry> {
        // SAFETY: an update replaces the element, so the copy is of one entry.
        unsafe { GATE_EXACT6.get(address.0) }.copied()
    }

    #[inline(always)]
    fn net(&self, address: V6, bits: u32) -> Option<Entry> {
        if self.config.flags & NETS6 == 0 {
            return None;
        }
        GATE_CIDR6.get(&Key::new(bits, address.0)).copied()
    }

    #[inline(always)]
    fn draw(&self, address: V6) -> bool {
        self.probe || draw(self.config, address.wide())
    }
}

impl Tables for Maps {
    #[inline(always)]
    fn port(&self, port: u16) -> u32 {
        match GATE_PORTS.get((port / PORTS_PER_WORD) as u32) {
            Some(word) => (*word >> ((port % PORTS_PER_WORD) * 8)) as u32 & 31,
            None => 0,
        }
    }

    #[inline(always)]
    fn anywhere(&self) -> u32 {
        self.config.anywhere
    }

    #[inline(always)]
    fn shut(&self) -> u32 {
        self.config.shut
    }

    #[inline(always)]
    fn closed(&self) -> bool {
        self.config.flags & CLOSED != 0
    }

    #[inline(always)]
    fn is_past(&self, until: u32) -> bool {
        (now() >> TICK_SHIFT) as u32 >= until
    }

    #[inline(always)]
    fn bound(&self, group: u32) -> Option<Entry> {
        // SAFETY: the value is one word, read whole.
        let link = *unsafe { GATE_LINKS.get(self.ifindex) }?;
        // SAFETY: an update replaces the element, so the copy is of one entry.
        unsafe { GATE_BIND.get(BindKey { link, group }) }.copied()
    }

    #[inline(always)]
    fn accuse(&self, tag: u32) {
        if self.probe {
            return;
        }
        let key = SpoofKey {
            ifindex: self.ifindex,
            tag,
        };
        match GATE_SPOOFS.get_ptr_mut(key) {
            // SAFETY: the verifier knows the value to be present; a lost increment is only that.
            Some(count) => unsafe { *count += 1 },
            None => {
                // A full table forgets the pair that was silent longest.
                let _ = GATE_SPOOFS.insert(key, 1, 0);
            }
        }
    }
}
