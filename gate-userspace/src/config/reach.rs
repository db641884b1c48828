//! Who could reach a listen address: this host alone, or others.
//!
//! Fails closed: a name that does not resolve, or resolves to any address that is not loopback,
//! counts as reachable by others.

use std::net::{IpAddr, SocketAddr};

use super::{refuse::Refused, value};
use crate::settings::ListenAt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    ThisHost,
    Network,
}

/// Names to addresses; a test gives its own.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Vec<IpAddr>;

/// The system's resolver.
pub fn resolve(host: &str) -> Vec<IpAddr> {
    use std::net::ToSocketAddrs;
    (host, 0)
        .to_socket_addrs()
        .map_or_else(|_why| Vec::new(), |all| all.map(|a| a.ip()).collect())
}

/// Acceptance 3 to 6 are its table.
pub fn reach(host: &str, resolve: Resolve<'_>) -> Reach {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => resolve(host),
    };
    let is_loopback = |address: &IpAddr| address.to_canonical().is_loopback();
    if !addresses.is_empty() && addresses.iter().all(is_loopback) {
        Reach::ThisHost
    } else {
        Reach::Network
    }
}

/// `ADDR:PORT` or `unix:PATH`.
pub(super) fn parse(text: &str, resolve: Resolve<'_>) -> Result<(ListenAt, Reach), Refused> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok((ListenAt::Unix(path.into()), Reach::ThisHost));
    }
    let no = || value::refused("listen", text, "ADDR:PORT or unix:PATH");
    let (host, port) = text.rsplit_once(':').ok_or_else(no)?;
    let port: u16 = port.parse().map_err(|_why| no())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let reach = reach(host, resolve);
    let address = match host.parse::<IpAddr>() {
        Ok(address) => Some(address),
        Err(_) => resolve(host).first().copied(),
    };
    match address {
        Some(address) => Ok((ListenAt::Tcp(SocketAddr::new(address, port)), reach)),
        None => Err(Refused::Unresolved {
            address: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acceptance 3 to 6.
    #[test]
    fn what_is_not_surely_loopback_is_reachable() {
        let names = |host: &str| -> Vec<IpAddr> {
            match host {
                "localhost" => vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
                "both" => vec!["127.0.0.1".parse().unwrap(), "10.0.0.5".parse().unwrap()],
                _ => Vec::new(),
            }
        };
        for host in [
            "127.0.0.1",
            "127.5.6.7",
            "::1",
            "::ffff:127.0.0.1",
            "localhost",
        ] {
            assert_eq!(reach(host, &names), Reach::ThisHost, "{host}");
        }
        let network = [
            "0.0.0.0",
            "::",
            "192.168.1.10",
            "10.0.0.5",
            "172.16.3.4",
            "169.254.1.1",
            "8.8.8.8",
            "::ffff:10.0.0.1",
            "::ffff:0.0.0.0",
            "fe80::1",
            "both",
            "does-not-resolve",
        ];
        for host in network {
            assert_eq!(reach(host, &names), Reach::Network, "{host}");
        }
    }
}
