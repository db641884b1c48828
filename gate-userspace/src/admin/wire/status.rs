//! How the three rings stand: `GET /v1/status`, `GET /v1/verify`, and the changes of mode.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    histogram::Tally,
    ident::{HostName, Revision},
};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub revision: Revision,
    pub mode: ModeView,
    pub host: HostName,
    pub rings: Rings,
    pub clients: usize,
    pub rollouts: usize,
    pub live_streams: usize,
    /// Differences between what the kernel should hold and what it held when last looked.
    pub drift: u64,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
    /// From a revocation that was asked here to its answer, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Spread>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeView {
    Enforce,
    Audit,
    /// After `panic`: nothing is served on any ring.
    Closed,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rings {
    pub packet: PacketRing,
    pub connection: ConnectionRing,
    pub request: RequestRing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RingState {
    Up,
    /// Stands, but not everywhere: `reason` says where.
    Degraded,
    Off,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PacketRing {
    pub state: RingState,
    pub interfaces: Vec<InterfaceView>,
    pub guards: Vec<GuardView>,
    /// Entries for sources in the kernel, and how many fit.
    pub entries: usize,
    pub capacity: usize,
    /// Who was refused most since the start, by a sample of the refusals.
    #[serde(default)]
    pub denied: Vec<DeniedView>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeniedView {
    pub source: IpAddr,
    /// Where it came in last, or empty.
    pub interface: String,
    /// Why it was refused last.
    pub reason: String,
    /// The port it wanted last; none where the frame did not show one.
    pub port: Option<u16>,
    /// Sampled refusals: a lower bound of the packets.
    pub samples: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceView {
    pub name: String,
    /// `tcx`, `clsact`, `xdp`, `sk_lookup` or empty.
    pub hook: String,
    /// `native`, `generic` or empty.
    pub mode: String,
    pub covered: bool,
    /// Why this hook, or why not covered.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardView {
    pub port: u16,
    /// An address of this host, or `any`.
    pub address: String,
    /// `none`, `listed` or `own` (served by the gate).
    pub policy: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionRing {
    pub state: RingState,
    pub listen: Vec<String>,
    pub connections: usize,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestRing {
    pub state: RingState,
    pub reason: String,
    #[serde(default)]
    pub upstreams: Vec<UpstreamView>,
    /// What the gate added to calls, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Spread>,
}

/// Times in microseconds. At most these: what is known is the bucket that they fell into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Spread {
    /// Nothing of nothing.
    pub fn of(tally: &Tally) -> Option<Self> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Some(Self {
            p50_us: micros(tally.within(500)?),
            p99_us: micros(tally.within(990)?),
        })
    }
}

/// Where accepted calls go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamView {
    pub name: String,
    pub url: String,
    /// What its name means by now.
    pub addresses: Vec<String>,
    /// None for a Unix socket.
    #[serde(default)]
    pub port: Option<u16>,
    /// What is presented there for a client without a key of its own.
    #[serde(default)]
    pub key: Option<PresentedView>,
    /// Who else reaches its port, or why nothing is guarded for it.
    pub guard: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresentedView {
    /// The upstream's ordinary key.
    Own,
    /// There is none, so such a call is refused.
    Missing,
    /// There is none, and none is asked for.
    NotNeeded,
    /// What the caller brought.
    Callers,
    /// No credential, as the configuration says.
    Nothing,
}

/// `GET /v1/verify`: does every stored key open, is the store whole, is the kernel as it should be?
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    pub ok: bool,
    pub keys: Vec<KeyView>,
    /// `ok`, or what is wrong with the store.
    pub store: String,
    pub drift: u64,
    pub revision: Revision,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// `client NAME`, `rollout ID` or `token ID`.
    pub owner: String,
    pub state: KeyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Ok,
    /// Opens, but is not sealed.
    Plaintext,
    Corrupt,
    /// Sealed with a master key that is not here.
    UnknownKey,
}

/// Answer of `POST /v1/panic` and `POST /v1/open`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModeChanged {
    pub mode: ModeView,
    pub streams_cut: usize,
    pub connections_closed: usize,
    pub elapsed_us: u64,
    pub revision: Revision,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `POST /v1/interface`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfaceSet {
    pub name: String,
    /// `tcx`, `xdp` or `generic`.
    pub hook: String,
}

/// Answer of `POST /v1/unload`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Unloaded {
    /// Names of what was detached and unpinned.
    pub removed: Vec<String>,
}
