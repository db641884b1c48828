//! Is this gate meant, and may a browser page call it? `Host` and `Origin`, per listener.
//!
//! Threat: a page in a browser on this host reaches a loopback bind, by name rebinding or by plain
//! fetch, and would speak with whatever credential the browser adds.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header};

use super::head::Head;
use crate::{
    fault::{Denied, Fault, Stop},
    settings::{Listen, ListenAt, ListenSources},
    tls,
};

/// What one listener answers to.
pub(crate) struct Door {
    hosts: Hosts,
    origins: Vec<String>,
    pub(crate) sources: ListenSources,
    /// Users who may name a token's id; empty on everything but a Unix socket.
    delegates: Vec<u32>,
    /// Where TLS is spoken.
    pub(crate) tls: Option<Arc<tls::Server>>,
}

enum Hosts {
    Any,
    /// Without port, lower case.
    These(Vec<String>),
}

/// What the answer must tell the browser.
#[derive(Debug)]
pub(crate) enum Origin {
    /// No browser.
    None,
    Listed(HeaderValue),
    /// The browser asks before it calls, with these headers.
    Preflight(HeaderValue, Option<HeaderValue>),
}

impl Door {
    pub(crate) fn new(listen: &Listen) -> Self {
        let hosts = match &listen.at {
            _ if !listen.hosts.is_empty() => {
                let given = listen.hosts.iter();
                Hosts::These(given.map(|host| bare(host).to_ascii_lowercase()).collect())
            }
            ListenAt::Unix(_) => Hosts::Any,
            ListenAt::Tcp(_) if listen.is_network() => Hosts::Any,
            ListenAt::Tcp(address) => Hosts::These(vec![
                address.ip().to_canonical().to_string(),
                "localhost".to_owned(),
            ]),
        };
        Self {
            hosts,
            origins: listen.origins.clone(),
            sources: listen.sources,
            delegates: match listen.at {
                ListenAt::Unix(_) => listen.delegates.clone(),
                ListenAt::Tcp(_) => Vec::new(),
            },
            tls: listen.tls.clone(),
        }
    }

    pub(crate) fn trusts(&self, uid: Option<u32>) -> bool {
        uid.is_some_and(|uid| self.delegates.contains(&uid))
    }

    pub(crate) fn check(&self, head: &Head) -> Result<Origin, Stop> {
        let host = match (head.uri.authority(), head.headers.get(header::HOST)) {
            (Some(authority), _) => authority.as_str(),
            (None, Some(host)) => host
                .to_str()
                .map_err(|_why| Fault::BadRequest("Host is not text"))?,
            (None, None) if head.version < http::Version::HTTP_11 => "",
            (None, None) => return Err(Fault::BadRequest("Host is missing").into()),
        };
        if !self.hosts.have(host) {
            return Err(Denied::Host.into());
        }
        self.origin(&head.headers, &head.method)
    }

    fn origin(&self, headers: &HeaderMap, method: &Method) -> Result<Origin, Stop> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(Origin::None);
        };
        let is_listed = self
            .origins
            .iter()
            .any(|listed| listed.as_bytes() == origin.as_bytes());
        if !is_listed {
            return Err(Denied::Origin.into());
        }
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if *method == Method::OPTIONS && asks {
            let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
            return Ok(Origin::Preflight(origin.clone(), wanted.cloned()));
        }
        Ok(Origin::Listed(origin.clone()))
    }
}

impl Hosts {
    fn have(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(hosts) => hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(bare(host))),
        }
    }
}

impl Origin {
    /// Tells the browser that the page may read the answer.
    pub(crate) fn allow(&self, headers: &mut HeaderMap) {
        let (Self::Listed(origin) | Self::Preflight(origin, _)) = self else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("X-Gate-Error, X-Gate-Source, X-Request-Id, Retry-After"),
        );
        if let Self::Preflight(_, wanted) = self {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
            );
            if let Some(wanted) = wanted {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            headers.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("600"),
            );
        }
    }
}

/// Without port, and without the brackets of IPv6.
fn bare(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(inside, _)| inside);
    }
    match host.split_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => host,
        Some((name, _)) => name,
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_does_not_belong_to_the_name() {
        for (host, name) in [
            ("localhost:80", "localhost"),
            ("[::1]:80", "::1"),
            ("::1", "::1"),
            ("a.b", "a.b"),
            ("", ""),
        ] {
            assert_eq!(bare(host), name, "{host}");
        }
    }
}
