//! The configuration file as it is typed: every key optional, unknown keys refused.
//!
//! Means nothing yet: `settle` gives defaults, lets flags and environment win, and parses values.
//! What is said of a key here is what `docs/configuration.md` and `docs/gate.toml` say of it:
//! `cargo xtask docs` writes both. `format` is what kind of text it is, `flag` and `env` name who
//! beats the file, `default` is said only where the default is another on another machine, and
//! `example` shows a key that has none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Word;
use crate::settings::{
    CredentialMode, GuardPolicy, KernelNeed, ListenSources, Mode, PresentAs, ProfileName,
    UpstreamGuard,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
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

/// The gate as a whole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawGate {
    /// Whether to refuse, or, while a system is moved behind gate, only to count what would be refused
    #[schemars(extend("enum" = Mode::words(), "flag" = "--mode", "env" = "GATE_MODE"))]
    pub(in crate::config) mode: Option<String>,
    /// Allow `audit` on an address that others can reach
    #[schemars(extend("flag" = "--audit-public"))]
    pub(in crate::config) audit_public: Option<bool>,
    /// Where the store and the master key are kept
    #[schemars(extend("format" = "path", "flag" = "--state-dir", "env" = "GATE_STATE_DIR"))]
    pub(in crate::config) state_dir: Option<String>,
    /// Where sockets and locks are
    #[schemars(extend("format" = "path", "flag" = "--run-dir", "env" = "GATE_RUN_DIR"))]
    pub(in crate::config) run_dir: Option<String>,
    /// This host's name in a fleet
    #[schemars(extend("default" = "the host name"))]
    pub(in crate::config) host: Option<String>,
    /// One secret for all rollouts of a client named `shared`, at least 16 characters; the value of
    /// `INTERCEPTION_SECRET` beats it
    #[schemars(extend("format" = "path"))]
    pub(in crate::config) shared_secret_file: Option<String>,
}

/// Where callers come in. Without one, gate listens on loopback alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawListen {
    /// Where to listen; the flag may be given several times, the variable gives one
    #[schemars(extend("format" = "ADDR:PORT or unix:PATH", "flag" = "--listen", "env" = "GATE_LISTEN"))]
    pub(in crate::config) address: Option<String>,
    /// Whom to admit: listed sources, or any, where the token alone decides. Must be said for an
    /// address that others can reach
    #[schemars(extend("enum" = ListenSources::words(), "flag" = "--sources"))]
    pub(in crate::config) sources: Option<String>,
    /// Allowed `Host` values; empty: the bound addresses, `localhost`, and every name when others
    /// can reach it
    pub(in crate::config) hosts: Vec<String>,
    /// Allowed browser origins; empty: calls with an `Origin` are refused
    pub(in crate::config) origins: Vec<String>,
    /// `unix:` addresses only: processes of the users in `uids` may name a client instead of showing
    /// a token
    pub(in crate::config) delegation: Option<bool>,
    /// The users whom `delegation` trusts
    pub(in crate::config) uids: Vec<u32>,
    /// Speak https only, HTTP/2 where the caller offers it. PEM, the chain's leaf first; renewed
    /// files are taken up while gate runs
    #[schemars(
        extend("format" = "{ certificate = path, key = path }"),
        example = "{ certificate = \"/etc/gate/gate.crt\", key = \"/etc/gate/gate.key\" }"
    )]
    pub(in crate::config) tls: Option<RawTls>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawTls {
    pub(in crate::config) certificate: String,
    pub(in crate::config) key: String,
}

/// Where accepted calls go. There is none unless you write one or give `--upstream`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawUpstream {
    /// What routes, clients and rollouts call it
    pub(in crate::config) name: Option<String>,
    /// `http://`, `https://`, or a socket: `unix:/run/llm.sock`, `unix:/run/llm.sock:/v1`. Flag and
    /// variable give the url of the upstream named `default`
    #[schemars(
        extend("format" = "URL", "flag" = "--upstream", "env" = "GATE_UPSTREAM"),
        example = "\"http://127.0.0.1:9000\""
    )]
    pub(in crate::config) url: Option<String>,
    /// What is shown upstream: the stored key in place of the caller's token; the caller's own
    /// (the gate token is then in `X-Gate-Token`); or nothing
    #[schemars(extend("enum" = CredentialMode::words()))]
    pub(in crate::config) credential: Option<String>,
    /// The provider key for all clients that have none of their own
    #[schemars(extend("format" = "path"))]
    pub(in crate::config) key_file: Option<String>,
    /// The same from this environment variable
    #[schemars(
        extend("format" = "name of a variable", "flag" = "--upstream-key-env"),
        example = "\"PROVIDER_KEY\""
    )]
    pub(in crate::config) key_env: Option<String>,
    /// The same from a credential that systemd loads for the service
    #[schemars(extend("format" = "name of a credential"), example = "\"provider-key\"")]
    pub(in crate::config) key_credential: Option<String>,
    /// In which header, or key of the body, the provider wants its key
    #[schemars(extend("enum" = PresentAs::words()))]
    pub(in crate::config) present_as: Option<String>,
    /// Shut its port to others when it is on an address of this host
    #[schemars(extend("enum" = UpstreamGuard::words()))]
    pub(in crate::config) guard: Option<String>,
    /// Name, socket, TLS and HTTP/2 greeting together
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) connect_timeout: Option<String>,
    /// Until the first byte of the answer
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) head_timeout: Option<String>,
    /// Between bytes
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) idle_timeout: Option<String>,
    /// `https` only: who may vouch for it, PEM; empty: whom this system trusts, or `SSL_CERT_FILE`
    #[schemars(extend("format" = "path"))]
    pub(in crate::config) ca_file: Option<String>,
    /// Offered over `https`, where the upstream chooses; spoken without asking over `http` and `unix`
    pub(in crate::config) http2: Option<bool>,
}

/// Which path goes where, and in which dialect. Without one, gate serves
/// `/rollout/{rollout}/...` (`verifiers`), `/v1/messages...` (`anthropic`) and every other
/// `/v1/...` (`openai`) from the upstream named `default`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawRoute {
    /// The longest prefix wins; `/rollout/{rollout}` captures the id
    #[schemars(extend("format" = "path of a URL"))]
    pub(in crate::config) prefix: Option<String>,
    /// How callers identify themselves, and what refusals look like; the flag serves one profile on
    /// every path
    #[schemars(extend("enum" = ProfileName::words(), "flag" = "--profile"))]
    pub(in crate::config) profile: Option<String>,
    /// The upstream for callers that have none of their own
    pub(in crate::config) upstream: Option<String>,
    /// Removed before the path is joined to the upstream's
    #[schemars(extend("format" = "path of a URL"))]
    pub(in crate::config) strip_prefix: Option<String>,
    /// Empty: the profile's, which is 10000000 bytes for `plain`, 32 MiB for `coder`, else 128 MiB
    #[schemars(extend("format" = "size"))]
    pub(in crate::config) body_limit: Option<String>,
    /// Signs of life of the dialect in event streams while the upstream is silent, such as `3s`
    #[schemars(extend("format" = "duration or off"))]
    pub(in crate::config) keepalive: Option<String>,
    /// `coder`: callers may bring their own provider credential
    pub(in crate::config) byok: Option<bool>,
    /// `apollo`: a call without a key is served with the upstream's
    pub(in crate::config) global_key: Option<bool>,
}

/// A port that the packet ring protects although gate does not serve it. There is none unless you
/// write one or give `--guard`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawGuard {
    /// The TCP port
    #[schemars(extend("flag" = "--guard"), example = 9001)]
    pub(in crate::config) port: Option<u16>,
    /// An address of this host, or `any`
    #[schemars(extend("format" = "address or any"))]
    pub(in crate::config) address: Option<String>,
    /// Whom to let through: loopback only, sources of clients with `--port`, or everybody
    #[schemars(extend("enum" = GuardPolicy::words()))]
    pub(in crate::config) policy: Option<String>,
}

/// The packet ring.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawKernel {
    /// Whether to start without it; `auto` requires it as soon as there is something that only the
    /// packet ring protects
    #[schemars(extend("enum" = KernelNeed::words(), "flag" = "--kernel", "env" = "GATE_KERNEL"))]
    pub(in crate::config) require: Option<String>,
    /// `auto` (all but `lo`), `none`, or a list of names with a hook if you want: `["eth0", "veth*",
    /// "eth1:tcx"]`. Hooks are `tcx`, `clsact`, `xdp` and `generic`
    #[schemars(extend(
        "format" = "auto, none or list",
        "flag" = "--interfaces",
        "env" = "GATE_INTERFACES"
    ))]
    pub(in crate::config) interfaces: Option<RawInterfaces>,
    /// Where maps and links stay in the BPF file system when gate ends
    #[schemars(extend("format" = "path"))]
    pub(in crate::config) pin_dir: Option<String>,
    /// New connections a second of one source, and how many at once
    #[schemars(extend("format" = "{ rate = number, burst = number }"))]
    pub(in crate::config) syn_budget: Option<RawSynBudget>,
    /// Sampled drop events a second and CPU
    pub(in crate::config) event_budget: Option<u32>,
}

/// `"auto"`, `"none"`, or a list of `NAME[:HOOK]`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum RawInterfaces {
    Word(String),
    List(Vec<String>),
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawSynBudget {
    pub(in crate::config) rate: u32,
    pub(in crate::config) burst: u32,
}

/// What callers may use up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLimits {
    /// Connections of callers at once
    pub(in crate::config) connections: Option<usize>,
    /// The same from one source
    pub(in crate::config) connections_per_source: Option<usize>,
    /// How long a request's head may take
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) head_timeout: Option<String>,
    /// How long request line and headers may be
    #[schemars(extend("format" = "size"))]
    pub(in crate::config) head_size: Option<String>,
    /// How long a caller may pause within a body
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) body_idle: Option<String>,
    /// Of one client, unless the client says otherwise; 0: no limit
    pub(in crate::config) requests_per_second: Option<u32>,
    /// Calls of one client at once, unless the client says otherwise; 0: no limit
    pub(in crate::config) concurrency: Option<u32>,
    /// Wrong credentials that one source may show before further wrong ones are answered 429
    #[schemars(extend("format" = "{ count = number, per = duration }"))]
    pub(in crate::config) failed_auth: Option<RawFailedAuth>,
    /// How long running calls may take to end when gate ends
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) drain: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawFailedAuth {
    pub(in crate::config) count: u32,
    pub(in crate::config) per: String,
}

/// Where grants are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawStore {
    /// `sqlite:PATH`, or `postgres://USER@HOST/DATABASE` for a fleet, with `?sslmode=disable`,
    /// `require` or `verify-full` and `&sslrootcert=FILE`; several servers:
    /// `postgres://USER@HOST-A,HOST-B/DATABASE`: docs/fleet.md
    #[schemars(extend("format" = "URL", "flag" = "--store", "env" = "GATE_STORE"))]
    pub(in crate::config) url: Option<String>,
    /// The server's password and nothing else; `PGPASSWORD` beats it
    #[schemars(extend("format" = "path"), example = "\"/etc/gate/store.password\"")]
    pub(in crate::config) password_file: Option<String>,
    /// The same from a credential that systemd loads for the service
    #[schemars(extend("format" = "name of a credential"), example = "\"store-password\"")]
    pub(in crate::config) password_credential: Option<String>,
    /// Difference allowed between the clocks of a fleet
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) skew: Option<String>,
    /// How long grants stay without a word of a shared store; `lease`: until each lease ends
    #[schemars(extend("format" = "duration or lease"))]
    pub(in crate::config) staleness: Option<String>,
    /// What seals provider keys: one key a line, the oldest first; all open, one seals. Made at the
    /// first start, mode 0600. The value of `GATE_MASTER_KEY` beats it
    #[schemars(extend("format" = "path"))]
    pub(in crate::config) master_key_file: Option<String>,
    /// The same from a credential that systemd loads for the service; never written to
    #[schemars(extend("format" = "name of a credential"), example = "\"master-key\"")]
    pub(in crate::config) master_key_credential: Option<String>,
    /// How long changes, and what has ended, are remembered; at least `1h`
    #[schemars(extend("format" = "duration"))]
    pub(in crate::config) audit_retention: Option<String>,
}

/// Where operators ask.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawAdmin {
    /// The admin socket, mode 0660
    #[schemars(extend("format" = "path", "env" = "GATE_SOCKET"))]
    pub(in crate::config) socket: Option<String>,
    /// The group it is given to, if this host has it
    pub(in crate::config) group: Option<String>,
    /// For operators on other machines, by `gatectl admin token add`, such as `10.0.0.1:8766`; empty:
    /// nowhere
    #[schemars(extend("format" = "ADDR:PORT"))]
    pub(in crate::config) listen: Option<String>,
    /// PEM; must be there unless `listen` is loopback. Renewed files are taken up while gate runs
    #[schemars(
        extend("format" = "{ certificate = path, key = path }"),
        example = "{ certificate = \"/etc/gate/admin.crt\", key = \"/etc/gate/admin.key\" }"
    )]
    pub(in crate::config) tls: Option<RawTls>,
}

/// Numbers for Prometheus.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawMetrics {
    /// Serves `/metrics`, `/healthz` and `/readyz` in plain HTTP, without secrets and without control,
    /// such as `127.0.0.1:9464`; empty: nowhere
    #[schemars(extend("format" = "ADDR:PORT"))]
    pub(in crate::config) listen: Option<String>,
}

/// What profile `apollo` needs beside its routes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawApollo {
    /// Holds what the service presents to itself, from loopback or a Unix socket
    #[schemars(extend("format" = "name of a variable"))]
    pub(in crate::config) internal_token_env: Option<String>,
}

/// The log, on standard error.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawLog {
    /// The least that is written
    #[schemars(extend("enum" = ["trace", "debug", "info", "warn", "error"]))]
    pub(in crate::config) level: Option<String>,
    /// Lines to read, or one JSON object a line
    #[schemars(extend("enum" = ["text", "json"], "default" = "text on a terminal, else json"))]
    pub(in crate::config) format: Option<String>,
    /// A line for each call
    pub(in crate::config) access: Option<bool>,
}
