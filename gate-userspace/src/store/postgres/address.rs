//! Where the server is, and how far the way there is trusted: a URL in the words of libpq.
//!
//! Threat: who stands between a host and its store can let himself in. So what libpq would only try
//! is refused here, and `require` verifies the server, which libpq leaves to `verify-full`.
//! Without a word, a server beyond this host is reached with TLS, and one on it without.

use std::{fmt, net::IpAddr, path::PathBuf};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::tls::Roots;

/// What a URL says.
pub(super) struct Address {
    pub(super) config: Config,
    /// None = no TLS.
    pub(super) roots: Option<Roots>,
}

/// Never the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address")
            .field(&self.config.get_hosts())
            .field(&self.roots)
            .finish()
    }
}

/// Why a URL is none. Never holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum BadUrl {
    #[error("a server is postgres://USER@HOST/DATABASE")]
    Form,
    #[error("sslmode is disable, require or verify-full: what may fall back to no TLS is none")]
    Mode,
    #[error("sslrootcert is `system` or the path of a PEM file, without % in it")]
    Roots,
}

impl Address {
    pub(super) fn read(url: &str) -> Result<Self, BadUrl> {
        let (plain, mode, roots) = split(url)?;
        let mut config: Config = plain.parse().map_err(|_why| BadUrl::Form)?;
        let verified = roots.unwrap_or(Roots::System);
        let roots = match mode.as_deref() {
            Some("disable") => None,
            None if is_here(&config) => None,
            Some("require" | "verify-ca" | "verify-full") | None => Some(verified),
            Some(_) => return Err(BadUrl::Mode),
        };
        config.ssl_mode(match roots {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
        Ok(Self { config, roots })
    }
}

/// Takes out of the parameters what is about TLS.
fn split(url: &str) -> Result<(String, Option<String>, Option<Roots>), BadUrl> {
    let Some((before, query)) = url.split_once('?').filter(|_| url.contains("://")) else {
        return Ok((url.to_owned(), None, None));
    };
    let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", word)) => mode = Some(word.to_owned()),
            Some(("sslrootcert", "system")) => roots = Some(Roots::System),
            Some(("sslrootcert", path)) if path.contains('%') || path.is_empty() => {
                return Err(BadUrl::Roots);
            }
            Some(("sslrootcert", path)) => roots = Some(Roots::File(PathBuf::from(path))),
            Some(_) | None => kept.push(pair),
        }
    }
    let plain = if kept.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", kept.join("&"))
    };
    Ok((plain, mode, roots))
}

/// Whether every server is on this host, whose wire nobody else can touch.
fn is_here(config: &Config) -> bool {
    let hosts = config.get_hosts().iter();
    let mut hosts = hosts.map(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) if name == "localhost" => true,
        Host::Tcp(name) => name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
    });
    hosts.all(|is_here| is_here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_fall_back_is_refused_and_what_leaves_this_host_is_verified() {
        let file = Some(Roots::File("/etc/db.pem".into()));
        let rows = [
            ("postgres://g@db/g", Ok(Some(Roots::System))),
            ("postgres://g@db/g?sslmode=disable", Ok(None)),
            ("postgres://g@db/g?sslmode=require", Ok(Some(Roots::System))),
            (
                "postgres://g@db/g?sslmode=verify-full&sslrootcert=/etc/db.pem",
                Ok(file.clone()),
            ),
            (
                "postgres://g@db/g?connect_timeout=3&sslrootcert=/etc/db.pem",
                Ok(file),
            ),
            ("postgres://g@db/g?sslmode=prefer", Err(BadUrl::Mode)),
            ("postgres://g@db/g?sslmode=allow", Err(BadUrl::Mode)),
            ("postgres://g@db/g?sslmode=", Err(BadUrl::Mode)),
            ("postgres://g@db/g?sslrootcert=%2Fx", Err(BadUrl::Roots)),
            ("postgres://g@db/g?sslcert=/x", Err(BadUrl::Form)),
            ("postgres://g@127.0.0.1/g", Ok(None)),
            ("postgres://g@localhost/g", Ok(None)),
            ("postgres://g@127.0.0.1,10.0.0.1/g", Ok(Some(Roots::System))),
            ("postgres:///g?host=/run/postgresql", Ok(None)),
            ("host=/tmp/x user=g dbname=g", Ok(None)),
        ];
        for (url, want) in rows {
            let read = Address::read(url).map(|address| address.roots);
            assert_eq!(read, want, "{url}");
        }
    }
}
