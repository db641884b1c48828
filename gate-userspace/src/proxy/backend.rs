//! An upstream as the request path needs it: everything that can be made ready beforehand is.
//!
//! Holds no connection: those belong to one worker each, see `upstream`.

use std::time::Duration;

use http::HeaderValue;

use super::swap;
use crate::settings::{CredentialMode, PresentAs, Upstream, WithoutKey};

pub(crate) struct Backend {
    pub(crate) name: crate::ident::UpstreamName,
    pub(crate) host: String,
    pub(crate) port: u16,
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

impl Backend {
    /// A key that cannot stand in a header counts as none: calls then answer 500, not a wrong key.
    pub(crate) fn new(upstream: &Upstream) -> Self {
        let key = upstream.key.as_ref();
        let key = key.and_then(|key| swap::prepare(key, upstream.present_as).ok());
        let host_header = HeaderValue::from_str(&upstream.url.authority);
        Self {
            name: upstream.name.clone(),
            host: upstream.url.host.clone(),
            port: upstream.url.port,
            path: upstream.url.path.trim_end_matches('/').to_owned(),
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
}
