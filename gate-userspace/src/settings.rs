//! The settled settings: what every part reads, parsed and typed.
//!
//! Does not know where a value came from (flag, environment, file, default): that is `config`.
//! Keys and defaults are those of `docs/gate.toml`.

mod upstream;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub use upstream::{
    CredentialMode, PresentAs, Upstream, UpstreamAt, UpstreamGuard, UpstreamTls, UpstreamUrl,
    WithoutKey,
};

use crate::{
    ident::{HostName, UpstreamName},
    secret::Digest,
    tls,
};

/// What a stranger meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    /// Unknown credentials and unlisted sources pass and are counted: for migration.
    Audit,
    /// Nothing is served on any ring.
    Closed,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub at: ListenAt,
    pub sources: ListenSources,
    /// Allowed `Host` values; empty = the bound addresses, `localhost`, and every name on a
    /// non-loopback bind.
    pub hosts: Vec<String>,
    /// Allowed browser origins; empty = requests with `Origin` are refused.
    pub origins: Vec<String>,
    /// Users whose processes may name a client instead of presenting a token; Unix sockets only.
    pub delegates: Vec<u32>,
    /// What is shown to callers, where TLS is spoken.
    pub tls: Option<Arc<tls::Server>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAt {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Whom the connection ring lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenSources {
    /// Loopback, and addresses that some live grant lists.
    Listed,
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Without a final slash; empty for the root. `{rollout}` captures the id.
    pub prefix: String,
    pub profile: ProfileName,
    pub upstream: UpstreamName,
    /// Removed before the path is joined to the upstream's.
    pub strip_prefix: String,
    /// Bytes; none = the profile's.
    pub body_limit: Option<u64>,
    /// A sign of life in event streams while the upstream is silent for so long.
    pub keepalive: Option<Duration>,
    /// `coder`: callers may bring their own provider credential.
    pub byok: bool,
    /// `apollo`: a call without any key is served with the upstream's.
    pub global_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileName {
    Verifiers,
    VerifiersSession,
    Openai,
    Anthropic,
    Plain,
    Apollo,
    Coder,
}

impl ProfileName {
    pub const ALL: [Self; 7] = [
        Self::Verifiers,
        Self::VerifiersSession,
        Self::Openai,
        Self::Anthropic,
        Self::Plain,
        Self::Apollo,
        Self::Coder,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verifiers => "verifiers",
            Self::VerifiersSession => "verifiers-session",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Plain => "plain",
            Self::Apollo => "apollo",
            Self::Coder => "coder",
        }
    }
}

/// A port that the packet ring protects although the gate does not serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    pub port: u16,
    /// None = every address of this host.
    pub address: Option<IpAddr>,
    pub policy: GuardPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardPolicy {
    /// Loopback only.
    None,
    /// Sources of clients that were given this port.
    Listed,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_source: usize,
    pub head_timeout: Duration,
    /// Bytes of request line and headers.
    pub head_size: usize,
    pub body_idle: Duration,
    /// Per client and second unless the client says otherwise, 0 = none.
    pub requests_per_second: u32,
    /// Per client unless the client says otherwise, 0 = none.
    pub concurrency: u32,
    pub failed_auth: FailedAuth,
    pub drain: Duration,
}

/// Failed authentications that one source may cause before further ones answer 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAuth {
    pub count: u32,
    pub per: Duration,
}

/// How much the start depends on the packet ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelNeed {
    /// As `Require`, as soon as there is something that only the packet ring protects.
    Auto,
    Require,
    Prefer,
    Off,
}

#[derive(Clone, Debug)]
pub struct Kernel {
    pub need: KernelNeed,
    /// `auto`, `none`, or `NAME[:HOOK]` items.
    pub interfaces: Interfaces,
    pub pin_dir: PathBuf,
    /// New connections a second per source, and how many at once.
    pub syn_budget: (u32, u32),
    /// Sampled drop events per second and CPU.
    pub event_budget: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interfaces {
    Auto,
    None,
    Named(Vec<NamedInterface>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedInterface {
    /// A name, or a prefix that ends in `*`.
    pub pattern: String,
    pub hook: Option<Hook>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Tcx,
    Clsact,
    Xdp,
    Generic,
}

/// Everything, as one start uses it.
#[derive(Debug)]
pub struct Settings {
    pub mode: Mode,
    pub host: HostName,
    pub state_dir: PathBuf,
    pub run_dir: PathBuf,
    pub listen: Vec<Listen>,
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
    /// What the `apollo` service presents to itself.
    pub apollo_internal: Option<Digest>,
    pub guards: Vec<Guard>,
    pub kernel: Kernel,
    pub limits: Limits,
    pub master_key_file: PathBuf,
    pub admin_socket: PathBuf,
    pub admin_group: String,
    /// Where operators on other machines ask, by tokens of their own.
    pub admin_remote: Option<AdminRemote>,
    /// Where numbers are scraped; nothing can be changed there.
    pub metrics_listen: Option<SocketAddr>,
}

/// The admin API over TCP.
#[derive(Clone, Debug)]
pub struct AdminRemote {
    pub address: SocketAddr,
    /// None on loopback alone.
    pub tls: Option<Arc<tls::Server>>,
}

impl Route {
    pub fn new(prefix: &str, profile: ProfileName, upstream: UpstreamName) -> Self {
        Self {
            prefix: prefix.to_owned(),
            profile,
            upstream,
            strip_prefix: String::new(),
            body_limit: None,
            keepalive: None,
            byok: false,
            global_key: false,
        }
    }
}

impl Settings {
    /// The hosts of all upstreams, names and addresses.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.upstreams
            .iter()
            .filter_map(|upstream| match &upstream.url.at {
                UpstreamAt::Tcp { host, .. } => Some(host.as_str()),
                UpstreamAt::Unix(_) => None,
            })
    }
}

impl Listen {
    /// Whether somebody other than this host itself could reach it.
    pub fn is_network(&self) -> bool {
        match &self.at {
            ListenAt::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            ListenAt::Unix(_) => false,
        }
    }
}

/// The text that `listen.address` reads.
impl std::fmt::Display for ListenAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
