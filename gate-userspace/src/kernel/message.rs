//! What crosses the border of the kernel half: requests, replies, and what it is set up with.
//!
//! Plain data, no map, no link, no `aya` type: the half can move into a process of its own and
//! only the carrier changes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::explain::{Probe, Verdicts};
use super::status::{Audit, Status};

/// What the kernel half starts from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where links and maps are pinned; on a bpffs.
    pub pin_dir: PathBuf,
    pub mode: Mode,
    pub ports: Vec<GuardedPort>,
    pub interfaces: Interfaces,
    pub syn_budget: SynBudget,
    /// Sampled drop events per second and CPU.
    pub event_budget: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Enforce,
    /// Refusals that only say "not listed" pass, and are counted.
    Audit,
    /// Every gated port is shut, loopback included.
    Closed,
}

/// New connections of one source; a rate of 0 sets no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SynBudget {
    /// A second.
    pub rate: u32,
    pub burst: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardedPort {
    pub port: u16,
    /// An address of this host, or every one.
    pub address: Option<IpAddr>,
    pub policy: Policy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Gate's own listener: open to every source with [`Opening::gate`].
    Gate,
    /// Open to sources that name the port in [`Opening::guarded_ports`].
    Listed,
    /// Open to the host itself only.
    #[serde(rename = "none")]
    Shut,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interfaces {
    /// Every interface but `lo`, now and later.
    Auto,
    /// None: the socket lookup alone.
    None,
    List(Vec<InterfaceRule>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceRule {
    /// A name, or the start of one and `*`.
    pub pattern: String,
    /// `None` chooses by the kind of interface.
    pub hook: Option<Hook>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// TCX, since Linux 6.6.
    Tcx,
    /// A filter on the clsact qdisc, which every Linux has.
    Clsact,
    /// Native XDP.
    Xdp,
    /// Generic XDP.
    Generic,
}

/// Who may send packets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceKey {
    pub net: IpNet,
    /// Only from here.
    pub interface: Option<String>,
}

/// What an open source may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Tag in counters and events; 0 is the host itself and is refused.
    pub client: u32,
    /// Deadline, Unix milliseconds.
    pub until: Option<i64>,
    /// Gate's own listeners.
    pub gate: bool,
    pub guarded_ports: Vec<u16>,
}

impl Opening {
    /// What both allow, if anything.
    pub(super) fn within(&self, other: &Self) -> Option<Self> {
        let ports = self.guarded_ports.iter().copied();
        let both = Self {
            client: self.client,
            until: self.until.into_iter().chain(other.until).min(),
            gate: self.gate && other.gate,
            guarded_ports: ports
                .filter(|port| other.guarded_ports.contains(port))
                .collect(),
        };
        (both.gate || !both.guarded_ports.is_empty()).then_some(both)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    Shut(SourceKey),
    Open(SourceKey, Opening),
}

/// Changes that belong together. Removals are applied first, whatever their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub revision: u64,
    pub ops: Vec<Op>,
}

/// The whole truth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    pub revision: u64,
    #[serde(with = "pairs")]
    pub openings: BTreeMap<SourceKey, Opening>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub revision: u64,
    /// Kernel entries that went.
    pub removed: usize,
    /// Kernel entries that came or changed.
    pub written: usize,
}

/// Connections to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    pub remote: IpNet,
    pub local_ports: Vec<u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    Apply(Batch),
    Sync(Want),
    Destroy(Vec<Flow>),
    Status,
    /// Compares every kernel entry, link and address with what should be there, and repairs.
    Verify,
    Explain(Probe),
    Mode(Mode),
    Ports(Vec<GuardedPort>),
    Interfaces(Interfaces),
    /// Ends the agent and leaves everything pinned. The answer is the last.
    Stop,
    /// Removes every link and pin. The answer is the last.
    Unload,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    Applied(Applied),
    Destroyed(usize),
    Status(Box<Status>),
    Verified(Audit),
    Verdicts(Verdicts),
    Done,
}

/// JSON has no maps with structured keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Opening, SourceKey};

    pub(super) fn serialize<S: Serializer>(
        openings: &BTreeMap<SourceKey, Opening>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(openings)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<SourceKey, Opening>, D::Error> {
        Ok(Vec::<(SourceKey, Opening)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
