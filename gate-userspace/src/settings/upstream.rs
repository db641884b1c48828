//! An upstream: where it is, what proves it, and which credential it sees.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::{ident::UpstreamName, secret::UpstreamKey};

#[derive(Debug)]
pub struct Upstream {
    pub name: UpstreamName,
    pub url: UpstreamUrl,
    /// For `https` only.
    pub tls: Option<UpstreamTls>,
    /// Speaks HTTP/2: over TLS if the upstream agrees, in the clear without asking.
    pub http2: bool,
    pub credential: CredentialMode,
    /// The ordinary provider key for all clients.
    pub key: Option<UpstreamKey>,
    pub without_key: WithoutKey,
    pub present_as: PresentAs,
    pub guard: UpstreamGuard,
    pub connect_timeout: Duration,
    /// Until the first byte of the answer.
    pub head_timeout: Duration,
    /// Between bytes.
    pub idle_timeout: Duration,
}

/// `http[s]://HOST[:PORT][/PATH]` or `unix:SOCKET[:/PATH]`. The path is joined before the request's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// As it stands in `Host`.
    pub authority: String,
    pub at: UpstreamAt,
    /// Without a final slash; empty for the root.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAt {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Whom an upstream must prove to be, and who may vouch for it.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    pub name: ServerName<'static>,
    /// Keeps sessions, so that the next handshake is a short one.
    pub client: Arc<ClientConfig>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialMode {
    /// The caller's credential goes, the stored key comes.
    Replace,
    /// The caller's own provider credential stays; the gate token came in `X-Gate-Token`.
    Keep,
    /// The caller's credential goes and nothing comes.
    None,
}

/// What becomes of a call for which neither rollout, client nor upstream has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutKey {
    Refuse,
    /// The upstream was named by a flag alone, so it may well need none.
    Send,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentAs {
    Bearer,
    XApiKey,
    ApiKey,
    /// `body:api_key`: where the caller's stood, in the JSON body or the query.
    BodyApiKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamGuard {
    /// The upstream's port is guarded when it is on an address of this host.
    Auto,
    Off,
}
