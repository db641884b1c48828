//! Where would this sandbox find the gate? The address that faces its source.
//!
//! Asks the routing table through a connected UDP socket, which sends nothing. Where the answer
//! is not certain it gives candidates and no base URL.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use super::wire::Door;
use crate::{
    ident::{HostName, RolloutId},
    source::Source,
};

/// What the gate listens on, and behind which prefix a rollout's calls stand.
#[derive(Clone, Debug, Default)]
pub struct Doorways {
    /// As bound; port 0 resolved.
    pub listen: Vec<Doorway>,
    /// Such as `/rollout/{rollout}`; empty where the token alone tells the rollout.
    pub prefix: String,
}

/// One address, and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doorway {
    pub at: SocketAddr,
    pub is_tls: bool,
}

/// The doorways as they are at one moment: an answer that names thousands of rollouts looks once.
pub(super) struct Doors<'a> {
    listen: &'a [Doorway],
    prefix: &'a str,
    candidates: BTreeSet<Doorway>,
}

impl Doorways {
    pub(super) fn look(&self) -> Doors<'_> {
        Doors {
            listen: &self.listen,
            prefix: &self.prefix,
            candidates: self.listen.iter().flat_map(|at| spread(*at)).collect(),
        }
    }
}

impl Doors<'_> {
    pub(super) fn door(&self, rollout: &RolloutId, sources: &[Source], host: &HostName) -> Door {
        let mut places = sources.iter().filter_map(|source| source.place_on(host));
        let outside = places.find_map(|place| facing(place.net));
        // `lo` beside a network is for somebody on this host; the sandbox is the one outside.
        let inside = sources
            .contains(&Source::Loopback)
            .then_some(Ipv4Addr::LOCALHOST);
        let facing = outside.or(inside.map(IpAddr::V4));
        let base = match facing {
            Some(ip) => self.listener_at(ip),
            None if self.candidates.len() == 1 => self.candidates.first().copied(),
            None => None,
        };
        Door {
            base_url: base.map(url),
            candidates: self.candidates.iter().copied().map(url).collect(),
            path: Door::path_of(self.prefix, rollout),
        }
    }

    fn listener_at(&self, ip: IpAddr) -> Option<Doorway> {
        let serves = |door: &&Doorway| {
            let bound = door.at.ip();
            bound == ip
                || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                || (bound == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && ip.is_ipv4())
        };
        let door = self.listen.iter().find(serves)?;
        Some(door.with(ip))
    }
}

impl Doorway {
    fn with(self, ip: IpAddr) -> Self {
        let at = SocketAddr::new(ip, self.at.port());
        Self { at, ..self }
    }
}

/// Our address on the way to there.
fn facing(net: ipnet::IpNet) -> Option<IpAddr> {
    let there = net.hosts().next().unwrap_or(net.addr());
    let any: IpAddr = match there {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // The discard port: nothing is sent, the kernel only chooses a way.
    socket.connect((there, 9)).ok()?;
    let ours = socket.local_addr().ok()?.ip();
    (!ours.is_unspecified()).then_some(ours)
}

/// A listener on every address is one on each of them.
fn spread(door: Doorway) -> Vec<Doorway> {
    let at = door.at;
    if !at.ip().is_unspecified() {
        return vec![door];
    }
    let interfaces = nix::ifaddrs::getifaddrs();
    let addresses = interfaces.into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses
        .filter(|ip| ip.is_ipv4() || (at.is_ipv6() && !is_link_local(*ip)))
        .map(|ip| door.with(ip))
        .collect()
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn url(door: Doorway) -> String {
    let scheme = if door.is_tls { "https" } else { "http" };
    format!("{scheme}://{}", door.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_on_this_host_is_sent_to_loopback() {
        let doorways = doorways(&["0.0.0.0:8765"]);
        let door = doorways.look().door(&id(), &[Source::Loopback], &host());
        assert_eq!(door.base_url.unwrap(), "http://127.0.0.1:8765");
        assert_eq!(door.path, "/rollout/r-1");
    }

    #[test]
    fn a_listener_that_does_not_face_the_source_is_only_a_candidate() {
        let doorways = doorways(&["192.0.2.77:8765"]);
        let door = doorways.look().door(&id(), &[Source::Loopback], &host());
        assert_eq!(door.base_url, None);
        assert_eq!(door.candidates, ["http://192.0.2.77:8765"]);
    }

    #[test]
    fn the_only_address_is_the_one() {
        let door = doorways(&["127.0.0.1:1"]).look().door(&id(), &[], &host());
        assert_eq!(door.base_url.unwrap(), "http://127.0.0.1:1");
        let door = doorways(&["127.0.0.1:1", "[::1]:1"])
            .look()
            .door(&id(), &[], &host());
        assert_eq!((door.base_url, door.candidates.len()), (None, 2));
    }

    fn doorways(listen: &[&str]) -> Doorways {
        Doorways {
            listen: listen.iter().map(|at| plain(at)).collect(),
            prefix: "/rollout/{rollout}".to_owned(),
        }
    }

    fn plain(at: &str) -> Doorway {
        Doorway {
            at: at.parse().unwrap(),
            is_tls: false,
        }
    }

    #[test]
    fn a_doorway_with_tls_is_called_by_https() {
        let mut doorways = doorways(&["0.0.0.0:8765"]);
        doorways.listen[0].is_tls = true;
        let door = doorways.look().door(&id(), &[Source::Loopback], &host());
        assert_eq!(door.base_url.unwrap(), "https://127.0.0.1:8765");
    }

    fn id() -> RolloutId {
        "r-1".parse().unwrap()
    }

    fn host() -> HostName {
        "here".parse().unwrap()
    }
}
