//! Which ports of this host the packet ring must protect, and why.
//!
//! The gate's own listeners, the ports of configured guards, and the port of every upstream that
//! is on an address of this host: otherwise a sandbox reaches it past the gate.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use super::StartError;
use crate::{
    names::Names,
    settings::{GuardPolicy, Listen, ListenAt, ListenSources, Settings, UpstreamAt, UpstreamGuard},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The gate's own listener.
    Gate,
    Listed,
    /// Loopback only.
    Shut,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    pub port: u16,
    /// None = every address of this host.
    pub address: Option<IpAddr>,
    pub policy: Policy,
    /// For `status` and `--check`.
    pub why: String,
}

/// What a start protects. Empty when nothing could be reached by anybody else anyway.
///
/// # Errors
/// When an upstream is the gate itself.
pub fn ports(
    settings: &Settings,
    own: &dyn Fn(IpAddr) -> bool,
    names: &Names,
) -> Result<Vec<Protected>, StartError> {
    let mut by_place: BTreeMap<(u16, Option<IpAddr>), Protected> = BTreeMap::new();
    for upstream in &settings.upstreams {
        let UpstreamAt::Tcp { host, port } = &upstream.url.at else {
            continue;
        };
        let port = *port;
        let here: Vec<IpAddr> = names
            .of(host)
            .into_iter()
            .filter(|address| own(*address))
            .collect();
        if let Some(listen) = settings.listen.iter().find(|l| is_itself(l, port, &here)) {
            return Err(StartError::Itself {
                upstream: upstream.name.to_string(),
                listen: listen.at.to_string(),
            });
        }
        if !here.is_empty() && upstream.guard == UpstreamGuard::Auto {
            let why = format!("upstream `{}` is on this host", upstream.name);
            let protected = Protected {
                port,
                address: None,
                policy: Policy::Shut,
                why,
            };
            by_place.insert((port, None), protected);
        }
    }
    for guard in &settings.guards {
        let place = (guard.port, guard.address);
        let policy = match guard.policy {
            GuardPolicy::None => Policy::Shut,
            GuardPolicy::Listed => Policy::Listed,
            GuardPolicy::Off => {
                by_place.remove(&place);
                continue;
            }
        };
        let why = "configured guard".to_owned();
        let (port, address) = place;
        by_place.insert(
            place,
            Protected {
                port,
                address,
                policy,
                why,
            },
        );
    }
    for listen in &settings.listen {
        let Some(address) = tcp(listen) else { continue };
        let port = address.port();
        let clashes = |other: &&Protected| other.port == port && other.policy != Policy::Gate;
        if let Some(other) = by_place.values().find(clashes) {
            return Err(StartError::TwoPolicies {
                port,
                one: other.why.clone(),
            });
        }
        // Whom `any` admits, the packet ring must let through.
        if listen.sources == ListenSources::Any {
            continue;
        }
        let why = format!("gate listens on {address}");
        let own = Protected {
            port,
            address: None,
            policy: Policy::Gate,
            why,
        };
        by_place.insert((port, None), own);
    }
    let any = settings
        .listen
        .iter()
        .filter(|listen| listen.sources == ListenSources::Any);
    let mut any = any.filter_map(tcp).map(|at| at.port());
    if let Some(port) = any.find(|port| by_place.contains_key(&(*port, None))) {
        let one = "another listener there admits listed sources only".to_owned();
        return Err(StartError::TwoPolicies { port, one });
    }
    let only_own = by_place
        .values()
        .all(|protected| protected.policy == Policy::Gate);
    let is_open = |l: &Listen| l.is_network() && l.sources == ListenSources::Listed;
    if only_own && !settings.listen.iter().any(is_open) {
        return Ok(Vec::new());
    }
    Ok(by_place.into_values().collect())
}

fn is_itself(listen: &Listen, port: u16, here: &[IpAddr]) -> bool {
    tcp(listen).is_some_and(|at| {
        at.port() == port
            && here
                .iter()
                .any(|address| at.ip().is_unspecified() || at.ip() == *address)
    })
}

fn tcp(listen: &Listen) -> Option<SocketAddr> {
    match &listen.at {
        ListenAt::Tcp(address) => Some(*address),
        ListenAt::Unix(_) => None,
    }
}

/// Whether an address belongs to this host: assigned to one of its interfaces, or loopback.
///
/// Not by trying to bind it: with `ip_nonlocal_bind` every address binds.
pub fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_assigned = |interface: InterfaceAddress| {
        let assigned = interface.address.and_then(|at| {
            let v4 = at.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or(at.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        });
        assigned == Some(address)
    };
    address.is_loopback()
        || address.is_unspecified()
        || getifaddrs().is_ok_and(|mut all| all.any(is_assigned))
}

#[cfg(test)]
mod tests;
