//! Names of the maps and programs inside the kernel object, and of their pins.
//!
//! `#[btf_map]` takes its name from the static's identifier, so a test compares this list with the
//! built object; no other place spells a map name.

pub const EXACT4: &str = "GATE_EXACT4";
pub const EXACT6: &str = "GATE_EXACT6";
pub const CIDR4: &str = "GATE_CIDR4";
pub const CIDR6: &str = "GATE_CIDR6";
pub const BIND: &str = "GATE_BIND";
pub const LINKS: &str = "GATE_LINKS";
pub const FILTER: &str = "GATE_FILTER";
pub const PORTS: &str = "GATE_PORTS";
pub const LOCAL4: &str = "GATE_LOCAL4";
pub const LOCAL6: &str = "GATE_LOCAL6";
pub const NEAR4: &str = "GATE_NEAR4";
pub const NEAR6: &str = "GATE_NEAR6";
pub const LOCALNET4: &str = "GATE_LOCALNET4";
pub const LOCALNET6: &str = "GATE_LOCALNET6";
pub const CONFIG: &str = "GATE_CONFIG";
pub const STATS: &str = "GATE_STATS";
pub const SYN_BUDGET: &str = "GATE_SYN_BUDGET";
pub const SPOOFS: &str = "GATE_SPOOFS";
pub const EVENTS: &str = "GATE_EVENTS";
pub const EVENT_BUDGET: &str = "GATE_EVENT_BUDGET";

pub const XDP: &str = "gate_xdp";
pub const TC: &str = "gate_tc";
pub const LOOKUP: &str = "gate_lookup";

pub const PROGRAMS: [&str; 3] = [XDP, TC, LOOKUP];
