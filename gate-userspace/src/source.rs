//! Where packets may come from: `CIDR[@IFACE]` on one host of a fleet, anywhere, or `lo`.
//!
//! Does not say who holds a source: that is `grants`. An address is compared in its canonical
//! form, so `::ffff:10.0.0.5` is `10.0.0.5`.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ident::HostName;

/// Where a caller's bytes come from, as the socket says; never as a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Arrived on `lo`, or on a Unix socket.
    Loopback,
    Address(IpAddr),
}

/// One place that packets may come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// `lo`: tunnels, callers on the same host, the Unix socket.
    Loopback,
    /// Means this only on the host that it was provisioned for.
    On { host: HostName, place: Place },
    /// A routable address that means the same on every host.
    Anywhere(Place),
}

/// Addresses, and the one interface they may arrive on if that was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub net: IpNet,
    pub interface: Option<Box<str>>,
}

/// Why a text is not a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    #[error("`{0}` is not an address or CIDR")]
    NotCidr(String),
    #[error("`{0}` has bits set behind its prefix length")]
    HostBits(String),
    #[error("`{0}` is link-local, so it needs an interface")]
    NeedsInterface(String),
    #[error("`{0}` is this host itself; say `lo` for callers on this host")]
    Loopback(String),
    #[error("`{0}` is not an interface name")]
    NotInterface(String),
    #[error("`lo` belongs to one host and cannot be a source anywhere")]
    LoopbackAnywhere,
}

impl Peer {
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() {
            Self::Loopback
        } else {
            Self::Address(address)
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("lo"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Source {
    /// Reads `lo` or `CIDR[@IFACE]`, meant for one host.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn on(host: &HostName, text: &str) -> Result<Self, BadSource> {
        if text == "lo" {
            return Ok(Self::Loopback);
        }
        Ok(Self::On {
            host: host.clone(),
            place: text.parse()?,
        })
    }

    /// Reads `CIDR`, meant for every host.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn anywhere(text: &str) -> Result<Self, BadSource> {
        if text == "lo" {
            return Err(BadSource::LoopbackAnywhere);
        }
        Ok(Self::Anywhere(text.parse()?))
    }

    /// What the packet ring of `host` opens for this source, if it opens anything there.
    pub fn place_on(&self, host: &HostName) -> Option<&Place> {
        match self {
            Self::On { host: its, place } if its == host => Some(place),
            Self::Anywhere(place) => Some(place),
            Self::On { .. } | Self::Loopback => None,
        }
    }

    /// Whether a caller with this socket address, seen on `host`, comes from here.
    ///
    /// The interface is the packet ring's business: a socket does not tell it.
    pub fn admits(&self, peer: Peer, host: &HostName) -> bool {
        match peer {
            Peer::Loopback => *self == Self::Loopback,
            Peer::Address(address) => self
                .place_on(host)
                .is_some_and(|place| place.net.contains(&address)),
        }
    }
}

/// The text that [`Source::on`] and [`Source::anywhere`] read.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("lo"),
            Self::On { place, .. } | Self::Anywhere(place) => place.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        let (cidr, interface) = match text.split_once('@') {
            Some((cidr, interface)) => (cidr, Some(interface)),
            None => (text, None),
        };
        let net = parse_net(cidr)?;
        if net.addr().is_loopback() {
            return Err(BadSource::Loopback(text.to_owned()));
        }
        if is_link_local(net.addr()) && interface.is_none() {
            return Err(BadSource::NeedsInterface(text.to_owned()));
        }
        let interface = match interface {
            Some(name) if !is_interface_name(name) => {
                return Err(BadSource::NotInterface(name.to_owned()));
            }
            name => name.map(Into::into),
        };
        Ok(Self { net, interface })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}@{interface}", self.net),
            None => self.net.fmt(f),
        }
    }
}

fn parse_net(text: &str) -> Result<IpNet, BadSource> {
    let not_cidr = |_| BadSource::NotCidr(text.to_owned());
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => unmap(
            text.parse::<IpNet>()
                .map_err(|why| not_cidr(why.to_string()))?,
        ),
    };
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(BadSource::HostBits(text.to_owned()))
    }
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn unmap(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
            (Some(v4), Some(prefix)) => {
                IpNet::V4(Ipv4Net::new(v4, prefix).expect("128 - 96 is at most 32"))
            }
            _ => IpNet::V6(v6),
        },
        IpNet::V4(_) => net,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => Ipv6Net::new(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)
            .expect("10 is a prefix length")
            .contains(&v6),
    }
}

/// IFNAMSIZ leaves 15 bytes; `/` and white space are refused by the kernel (`dev_valid_name`).
fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_sources_are_refused_with_their_reason() {
        let cases = [
            ("10.0.0.5/8", BadSource::HostBits("10.0.0.5/8".into())),
            ("10.0.0", BadSource::NotCidr("10.0.0".into())),
            ("fe80::1", BadSource::NeedsInterface("fe80::1".into())),
            (
                "169.254.1.1",
                BadSource::NeedsInterface("169.254.1.1".into()),
            ),
            ("127.0.0.1", BadSource::Loopback("127.0.0.1".into())),
            (
                "::ffff:127.0.0.1",
                BadSource::Loopback("::ffff:127.0.0.1".into()),
            ),
            ("10.0.0.5@a/b", BadSource::NotInterface("a/b".into())),
            ("10.0.0.5@", BadSource::NotInterface(String::new())),
        ];
        for (text, why) in cases {
            assert_eq!(Source::on(&host("a"), text), Err(why));
        }
        assert_eq!(Source::anywhere("lo"), Err(BadSource::LoopbackAnywhere));
    }

    #[test]
    fn a_source_means_its_host_only() {
        let source = Source::on(&host("a"), "10.0.0.0/24").unwrap();
        let inside = Peer::of("::ffff:10.0.0.7".parse().unwrap());
        assert!(source.admits(inside, &host("a")));
        assert!(!source.admits(inside, &host("b")));
        assert!(!source.admits(Peer::of("10.0.1.7".parse().unwrap()), &host("a")));
        assert!(
            Source::anywhere("10.0.0.7")
                .unwrap()
                .admits(inside, &host("b"))
        );
    }

    #[test]
    fn loopback_is_admitted_by_lo_alone() {
        let own = Peer::of("127.5.6.7".parse().unwrap());
        assert!(
            Source::on(&host("a"), "lo")
                .unwrap()
                .admits(own, &host("a"))
        );
        assert!(
            !Source::on(&host("a"), "0.0.0.0/0")
                .unwrap()
                .admits(own, &host("a"))
        );
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in ["10.0.0.5/32@veth7", "10.0.0.0/8", "fe80::1/128@eth1", "lo"] {
            assert_eq!(Source::on(&host("a"), text).unwrap().to_string(), text);
        }
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }
}
