//! What an ending did, and how far the hosts of the fleet are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Moment;
use crate::ident::{ClientName, HostName, Revision, RolloutId};

/// Answer of `DELETE /v1/clients/{name}`, `DELETE /v1/rollouts[/{id}]` and `.../disable`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    pub revision: Revision,
    /// Rollouts that were open before and are not any more.
    pub rollouts_closed: usize,
    pub tokens_ended: usize,
    pub entries_removed: usize,
    pub connections_closed: usize,
    pub streams_cut: usize,
    pub elapsed_us: u64,
    pub hosts: Vec<HostState>,
    /// What could not be done, although everything else was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostState {
    pub host: HostName,
    /// The last change that this host enforces.
    pub revision: Revision,
    /// `done`, `behind` or `self-closed`.
    pub state: String,
}

/// `?wait_seconds=N` of an ending: until every host enforces it, at most that long.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    #[serde(default)]
    pub wait_seconds: u64,
}

/// Answer of a change that ends nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    pub revision: Revision,
}

/// `GET /v1/hosts`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hosts {
    pub hosts: Vec<HostView>,
    pub revision: Revision,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostView {
    pub host: HostName,
    pub revision: Revision,
    /// `live`, `behind` or `self-closed`.
    pub state: String,
    pub last_seen: Moment,
    /// The host that answers.
    pub this: bool,
}
