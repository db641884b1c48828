//! The configuration file as it is typed: every key optional, unknown keys refused.
//!
//! Means nothing yet: `settle` gives defaults, lets flags and environment win, and parses values.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawFile {
    pub(in crate::config) gate: RawGate,
    pub(in crate::config) listen: Vec<RawListen>,
    pub(in crate::config) upstream: Vec<RawUpstream>,
    pub(in crate::config) route: Vec<RawRoute>,
    pub(in crate::config) guard: Vec<RawGuard>,
    pub(in crate::config) kernel: RawKernel,
    pub(in crate::config) limits: RawLimits,
    pub(in crate::config) store: RawStore,
    pub(in crate::config) admin: RawAdmin,
    pub(in crate::config) metrics: RawMetrics,
    pub(in crate::config) apollo: RawApollo,
    pub(in crate::config) log: RawLog,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawGate {
    pub(in crate::config) mode: Option<String>,
    pub(in crate::config) audit_public: Option<bool>,
    pub(in crate::config) state_dir: Option<String>,
    pub(in crate::config) run_dir: Option<String>,
    pub(in crate::config) host: Option<String>,
    pub(in crate::config) shared_secret_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawListen {
    pub(in crate::config) address: Option<String>,
    pub(in crate::config) sources: Option<String>,
    pub(in crate::config) hosts: Vec<String>,
    pub(in crate::config) origins: Vec<String>,
    pub(in crate::config) delegation: Option<bool>,
    pub(in crate::config) uids: Vec<u32>,
    pub(in crate::config) tls: Option<RawTls>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawTls {
    pub(in crate::config) certificate: String,
    pub(in crate::config) key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawUpstream {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) credential: Option<String>,
    pub(in crate::config) key_file: Option<String>,
    pub(in crate::config) key_env: Option<String>,
    pub(in crate::config) key_credential: Option<String>,
    pub(in crate::config) present_as: Option<String>,
    pub(in crate::config) guard: Option<String>,
    pub(in crate::config) connect_timeout: Option<String>,
    pub(in crate::config) head_timeout: Option<String>,
    pub(in crate::config) idle_timeout: Option<String>,
    pub(in crate::config) ca_file: Option<String>,
    pub(in crate::config) http2: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawRoute {
    pub(in crate::config) prefix: Option<String>,
    pub(in crate::config) profile: Option<String>,
    pub(in crate::config) upstream: Option<String>,
    pub(in crate::config) strip_prefix: Option<String>,
    pub(in crate::config) body_limit: Option<String>,
    pub(in crate::config) keepalive: Option<String>,
    pub(in crate::config) byok: Option<bool>,
    pub(in crate::config) global_key: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawGuard {
    pub(in crate::config) port: Option<u16>,
    pub(in crate::config) address: Option<String>,
    pub(in crate::config) policy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawKernel {
    pub(in crate::config) require: Option<String>,
    pub(in crate::config) interfaces: Option<RawInterfaces>,
    pub(in crate::config) pin_dir: Option<String>,
    pub(in crate::config) syn_budget: Option<RawSynBudget>,
    pub(in crate::config) event_budget: Option<u32>,
}

/// `"auto"`, `"none"`, or a list of `NAME[:HOOK]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::config) enum RawInterfaces {
    Word(String),
    List(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawSynBudget {
    pub(in crate::config) rate: u32,
    pub(in crate::config) burst: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLimits {
    pub(in crate::config) connections: Option<usize>,
    pub(in crate::config) connections_per_source: Option<usize>,
    pub(in crate::config) head_timeout: Option<String>,
    pub(in crate::config) head_size: Option<String>,
    pub(in crate::config) body_idle: Option<String>,
    pub(in crate::config) requests_per_second: Option<u32>,
    pub(in crate::config) concurrency: Option<u32>,
    pub(in crate::config) failed_auth: Option<RawFailedAuth>,
    pub(in crate::config) drain: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawFailedAuth {
    pub(in crate::config) count: u32,
    pub(in crate::config) per: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawStore {
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) password_file: Option<String>,
    pub(in crate::config) password_credential: Option<String>,
    pub(in crate::config) skew: Option<String>,
    pub(in crate::config) staleness: Option<String>,
    pub(in crate::config) master_key_file: Option<String>,
    pub(in crate::config) master_key_credential: Option<String>,
    pub(in crate::config) audit_retention: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawAdmin {
    pub(in crate::config) socket: Option<String>,
    pub(in crate::config) group: Option<String>,
    pub(in crate::config) listen: Option<String>,
    pub(in crate::config) tls: Option<RawTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawMetrics {
    pub(in crate::config) listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawApollo {
    pub(in crate::config) internal_token_env: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLog {
    pub(in crate::config) level: Option<String>,
    pub(in crate::config) format: Option<String>,
    pub(in crate::config) access: Option<bool>,
}
