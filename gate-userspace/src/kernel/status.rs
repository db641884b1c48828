//! What the kernel half says about itself: the `rings.packet` part of `gatectl status`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::denied::Denied;
use super::message::{GuardedPort, Hook, Mode};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub state: State,
    /// Why it is not `guarding`.
    pub reason: Option<String>,
    pub mode: Mode,
    pub revision: u64,
    pub interfaces: Vec<InterfaceStatus>,
    pub guards: Vec<GuardedPort>,
    /// Packets by the program that judged and by what it found.
    pub judged: Vec<Judged>,
    /// Packets by reason, frame hooks and socket lookup together.
    pub counters: BTreeMap<String, u64>,
    /// What `audit` let pass, by reason.
    pub would_drop: BTreeMap<String, u64>,
    /// Refusals that only the socket lookup saw.
    pub uncovered_refusals: u64,
    /// Sampled events that found the ring full.
    pub events_lost: u64,
    /// Sources that were refused most, by the sampled refusals.
    pub denied: Vec<Denied>,
    /// Sources that are bound to an interface by their route.
    pub homes: BTreeMap<IpNet, String>,
    pub spoofs: Vec<Spoof>,
    pub tables: Vec<Fill>,
    /// Differences that the last comparison found and repaired.
    pub drift: usize,
    /// Differences repaired since this daemon started.
    pub repairs: u64,
    /// Interfaces that should be guarded and are not.
    pub uncovered: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// `xdp`, `tc` or `sk_lookup`: native and generic XDP are one, TCX and clsact too.
    pub hook: String,
    pub reason: String,
    /// Not so where `audit` let a refused packet pass.
    pub is_carried_out: bool,
    pub packets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Guarding,
    /// Guarding, but something is missing: see the reason.
    Degraded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    pub name: String,
    pub index: u32,
    pub hook: Option<Hook>,
    /// The mode that the kernel reports: `tcx`, `native`, `generic`.
    pub mode: Option<String>,
    pub covered: bool,
    pub reason: String,
}

/// Packets that used somebody's bound address from another interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoof {
    pub interface: String,
    pub victim: u32,
    pub packets: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub table: String,
    pub entries: usize,
    pub room: usize,
}

/// Differences between what the kernel held and what it should hold; they are repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub entries: usize,
    pub bindings: usize,
    pub addresses: usize,
    pub links: usize,
    pub ports: usize,
}

impl Audit {
    pub fn total(&self) -> usize {
        self.entries + self.bindings + self.addresses + self.links + self.ports
    }
}
