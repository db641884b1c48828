//! An upstream as the request path needs it: everything that can be made ready beforehand is.
//!
//! Holds no connection: those belong to one worker each, see `upstream`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{
    HeaderValue,
    uri::{Authority, Scheme},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::sync::Notify;

use super::{addresses::Addresses, swap};
use crate::{
    names::Names,
    settings::{CredentialMode, PresentAs, Upstream, UpstreamAt, UpstreamTls, WithoutKey},
    tls::HTTP11,
};

pub(crate) struct Backend {
    pub(crate) name: crate::ident::UpstreamName,
    pub(crate) site: Site,
    pub(crate) tls: Option<Tls>,
    /// Whether to speak HTTP/2, or over TLS to offer it.
    pub(crate) http2: bool,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    pub(crate) path: String,
    pub(crate) host_header: HeaderValue,
    pub(crate) credential: CredentialMode,
    pub(crate) key: Option<HeaderValue>,
    pub(crate) without_key: WithoutKey,
    pub(crate) present_as: PresentAs,
    pub(crate) connect_timeout: Duration,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

/// What an upstream is shown for a client without a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presents {
    /// Its ordinary key.
    Own,
    /// It has none, so nothing: the call is refused.
    Refusal,
    /// It has none, and needs none.
    NotNeeded,
    /// What the caller brought.
    Callers,
    Nothing,
}

/// Where its socket is.
pub(crate) enum Site {
    Tcp { host: String, addresses: Addresses },
    Unix(PathBuf),
}

/// Whom the upstream must prove to be.
pub(crate) struct Tls {
    pub(crate) name: ServerName<'static>,
    pub(crate) config: Arc<ClientConfig>,
    /// For what HTTP/2 cannot carry.
    pub(crate) only_one: Arc<ClientConfig>,
}

impl Backend {
    /// What it is presented for a client without a key of its own.
    pub(crate) fn presents(&self) -> Presents {
        match (self.credential, &self.key, self.without_key) {
            (CredentialMode::Replace, Some(_), _) => Presents::Own,
            (CredentialMode::Replace, None, WithoutKey::Refuse) => Presents::Refusal,
            (CredentialMode::Replace, None, WithoutKey::Send) => Presents::NotNeeded,
            (CredentialMode::Keep, ..) => Presents::Callers,
            (CredentialMode::None, ..) => Presents::Nothing,
        }
    }

    /// A key that cannot stand in a header counts as none: calls then answer 500, not a wrong key.
    pub(crate) fn new(upstream: &Upstream, names: &Names, wanted: &Arc<Notify>) -> Self {
        let key = upstream.key.as_ref();
        let key = key.and_then(|key| swap::prepare(key, upstream.present_as).ok());
        let url = &upstream.url;
        let authority = Authority::try_from(url.authority.as_str());
        let authority = authority.unwrap_or(Authority::from_static("upstream"));
        let host_header = HeaderValue::from_str(authority.as_str());
        let (site, tls) = match &url.at {
            UpstreamAt::Tcp { host, port } => {
                let addresses = Addresses::new(*port, names.of(host), Arc::clone(wanted));
                (
                    Site::Tcp {
                        host: host.clone(),
                        addresses,
                    },
                    upstream.tls.as_ref().map(Tls::new),
                )
            }
            UpstreamAt::Unix(path) => (Site::Unix(path.clone()), None),
        };
        Self {
            name: upstream.name.clone(),
            site,
            http2: upstream.http2,
            scheme: if tls.is_some() {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            tls,
            authority,
            path: url.path.trim_end_matches('/').to_owned(),
            host_header: host_header.unwrap_or(HeaderValue::from_static("upstream")),
            credential: upstream.credential,
            key,
            without_key: upstream.without_key,
            present_as: upstream.present_as,
            connect_timeout: upstream.connect_timeout,
            head_timeout: upstream.head_timeout,
            idle_timeout: upstream.idle_timeout,
        }
    }

    /// As the configuration says it.
    pub(crate) fn url(&self) -> String {
        let (scheme, authority, path) = (&self.scheme, &self.authority, &self.path);
        match &self.site {
            Site::Tcp { .. } => format!("{scheme}://{authority}{path}"),
            Site::Unix(socket) if path.is_empty() => format!("unix:{}", socket.display()),
            Site::Unix(socket) => format!("unix:{}:{path}", socket.display()),
        }
    }

    pub(crate) fn addresses(&self) -> Option<&Addresses> {
        match &self.site {
            Site::Tcp { addresses, .. } => Some(addresses),
            Site::Unix(_) => None,
        }
    }
}

impl Tls {
    fn new(tls: &UpstreamTls) -> Self {
        let mut only_one = ClientConfig::clone(&tls.client);
        only_one.alpn_protocols = vec![HTTP11.to_vec()];
        Self {
            name: tls.name.clone(),
            config: Arc::clone(&tls.client),
            only_one: Arc::new(only_one),
        }
    }
}
