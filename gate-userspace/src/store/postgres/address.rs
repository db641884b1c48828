//! Where the server is, and how far the way there is trusted: a URL in the words of libpq.
//!
//! Threat: who stands between a host and its store can let himself in. So what libpq would only try
//! is refused here, and `require` verifies the server, which libpq leaves to `verify-full`.
//! Without a word, a server beyond this host is reached with TLS, and one on it without.

use std::{fmt, net::IpAddr, path::PathBuf};

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
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
    #[error("every host writes down that it lives: target_session_attrs is read-write")]
    Standby,
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
        let is_one_of_several = config.get_hosts().len().max(config.get_hostaddrs().len()) > 1;
        let attributes = config.get_target_session_attrs();
        if attributes == TargetSessionAttrs::ReadOnly {
            return Err(BadUrl::Standby);
        }
        // A standby is no server of a store, wherever it stands in the list. What is in front of
        // one server may choose by itself.
        if attributes == TargetSessionAttrs::Any && is_one_of_several {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { config, roots })
    }
}

/// Each server of it by itself, in the order of the URL.
pub(super) fn each(config: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (
        config.get_hosts(),
        config.get_hostaddrs(),
        config.get_ports(),
    );
    let count = hosts.len().max(addresses.len());
    if count < 2 || (ports.len() > 1 && ports.len() != count) {
        return vec![config.clone()];
    }
    let one = |place: usize| {
        let mut one = shared(config);
        match hosts.get(place) {
            Some(Host::Tcp(name)) => _ = one.host(name),
            Some(Host::Unix(path)) => _ = one.host_path(path),
            None => {}
        }
        if let Some(address) = addresses.get(place) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(place).or_else(|| ports.first()) {
            one.port(*port);
        }
        one
    };
    (0..count).map(one).collect()
}

/// What is said of all of them.
fn shared(config: &Config) -> Config {
    let mut shared = Config::new();
    if let Some(user) = config.get_user() {
        shared.user(user);
    }
    if let Some(password) = config.get_password() {
        shared.password(password);
    }
    if let Some(name) = config.get_dbname() {
        shared.dbname(name);
    }
    if let Some(options) = config.get_options() {
        shared.options(options);
    }
    if let Some(name) = config.get_application_name() {
        shared.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        shared.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        shared.tcp_user_timeout(*limit);
    }
    if let Some(pause) = config.get_keepalives_interval() {
        shared.keepalives_interval(pause);
    }
    if let Some(count) = config.get_keepalives_retries() {
        shared.keepalives_retries(count);
    }
    shared
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    shared
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
            (
                "postgres://g@127.0.0.1/g?target_session_attrs=read-only",
                Err(BadUrl::Standby),
            ),
        ];
        for (url, want) in rows {
            let read = Address::read(url).map(|address| address.roots);
            assert_eq!(read, want, "{url}");
        }
    }
    #[test]
    fn each_of_several_servers_is_told_apart_and_must_take_writes() {
        let url = "postgres://g:pw@10.0.0.1:6001,db.example,[::1]:6003/g?sslmode=disable";
        // A port for one is a port for each.
        let read = Address::read(&url.replace(",db.example,", ",db.example:6002,"));
        let servers = each(&read.unwrap().config);
        let shown: Vec<_> = servers
            .iter()
            .map(|one| (one.get_hosts().to_vec(), one.get_ports().to_vec()))
            .collect();
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(
            shown,
            [
                (tcp("10.0.0.1"), vec![6001]),
                (tcp("db.example"), vec![6002]),
                (tcp("::1"), vec![6003])
            ]
        );
        for one in servers {
            assert_eq!(one.get_password(), Some(&b"pw"[..]));
            assert_eq!(one.get_dbname(), Some("g"));
            assert_eq!(one.get_ssl_mode(), SslMode::Disable);
            let attributes = one.get_target_session_attrs();
            assert_eq!(attributes, TargetSessionAttrs::ReadWrite);
        }
        let one = Address::read("postgres://g@127.0.0.1/g").unwrap();
        let one = one.config.get_target_session_attrs();
        assert_eq!(one, TargetSessionAttrs::Any);
    }
}
