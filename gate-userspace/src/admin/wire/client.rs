//! Clients: `/v1/clients`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Secret, empty_is_none};
use crate::ident::{ClientName, HostName, Revision, RolloutId, TokenId, UpstreamName};

/// `POST /v1/clients`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAdd {
    pub client: ClientName,
    /// `CIDR[@IFACE]` or `lo`, on `host`.
    #[serde(default)]
    pub sources: Vec<String>,
    #[serde(default)]
    pub sources_anywhere: Vec<String>,
    /// Whose sources these are; empty = this host's.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub host: Option<HostName>,
    /// Guarded ports that the sources may reach besides the gate's own.
    #[serde(default)]
    pub ports: Vec<u16>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub upstream: Option<UpstreamName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_key: Option<Secret>,
    /// `METHOD:PATTERN`; empty = the profile's default.
    #[serde(default)]
    pub scope: Vec<String>,
    #[serde(default)]
    pub covers_rollouts: bool,
    #[serde(default)]
    pub service: bool,
    /// None = no end.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// 0 = no limit.
    #[serde(default)]
    pub rps: u32,
    #[serde(default)]
    pub concurrency: u32,
    /// A token of another system to adopt; none = a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientAdded {
    pub client: ClientName,
    pub client_id: u32,
    /// Shown this once.
    pub token: Secret,
    pub token_id: TokenId,
    #[serde(flatten)]
    pub sources: Sources,
    pub expires_at: Option<Moment>,
    pub revision: Revision,
}

/// Where packets may come from, in the text that `--source` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sources {
    /// On the host that answers, `lo` included.
    pub sources: Vec<String>,
    #[serde(default)]
    pub sources_anywhere: Vec<String>,
    /// On other hosts of the fleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources_elsewhere: BTreeMap<HostName, Vec<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "an answer lists facts, and these are yes or no"
)]
pub struct ClientView {
    pub client: ClientName,
    pub client_id: u32,
    pub enabled: bool,
    #[serde(flatten)]
    pub sources: Sources,
    pub ports: Vec<u16>,
    pub scope: Vec<String>,
    pub upstream: Option<UpstreamName>,
    pub has_upstream_key: bool,
    pub covers_rollouts: bool,
    pub service: bool,
    pub rps: u32,
    pub concurrency: u32,
    /// Live rollouts of this client.
    pub rollouts: usize,
    pub tokens: Vec<TokenView>,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    pub token_id: TokenId,
    /// `client`, `rollout`, `model` or `state`.
    pub kind: String,
    pub has_upstream_key: bool,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
    /// When a call was last admitted with it; other hosts' calls are known some seconds later.
    #[serde(default)]
    pub last_used_at: Option<Moment>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientList {
    pub clients: Vec<ClientView>,
    pub revision: Revision,
}

/// `PATCH /v1/clients/{name}`: all of it or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcesPatch {
    #[serde(default)]
    pub add_sources: Vec<String>,
    #[serde(default)]
    pub remove_sources: Vec<String>,
    #[serde(default)]
    pub add_sources_anywhere: Vec<String>,
    #[serde(default)]
    pub remove_sources_anywhere: Vec<String>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub host: Option<HostName>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SourcesChanged {
    pub client: ClientName,
    #[serde(flatten)]
    pub sources: Sources,
    pub entries_removed: usize,
    pub connections_closed: usize,
    pub streams_cut: usize,
    pub elapsed_us: u64,
    pub revision: Revision,
    /// What could not be done, although everything else was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `POST /v1/clients/{name}/renew`, `POST /v1/rollouts/{id}/renew`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    pub ttl_seconds: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Renewed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    pub expires_at: Option<Moment>,
    pub revision: Revision,
}

/// `POST /v1/clients/{name}/rotate`, `POST /v1/rollouts/{id}/rotate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// How long the old token stays good beside the new one; 0 = it ends at once.
    #[serde(default)]
    pub grace_seconds: u64,
    /// A token of another system to adopt; only where there is one token to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rotated {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// The one new token, unless `tokens` holds several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, Secret>,
    /// When the old ones end.
    pub old_until: Moment,
    pub streams_cut: usize,
    pub revision: Revision,
    /// What could not be done, although everything else was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `PUT /v1/clients/{name}/key`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    pub upstream_key: Secret,
}
