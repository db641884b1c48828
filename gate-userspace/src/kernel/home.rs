//! Which interface does an address mean by itself? The veth or tap that its route leaves by, when
//! one sandbox lives behind that.
//!
//! The kernel's own answer decides, policy routing included; the routing table only says for whom it
//! is worth asking. Bridges, uplinks and tunnels carry many, so an address behind one means none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::interfaces::Interface;
use super::local::{self, Direct};

/// What the routes say of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    At(String),
    /// Nothing: there is none, or it leads to a router. What was known before stands.
    Unknown,
    /// Somewhere that many share.
    Elsewhere,
}

/// The interfaces and routes that matter for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Homes {
    /// Guarded interfaces with one sandbox behind each, by index.
    sandboxes: BTreeMap<u32, String>,
    /// Interfaces that are none of those.
    others: BTreeSet<u32>,
    /// Straight to a sandbox.
    routes: BTreeMap<IpNet, u32>,
    /// Their prefix lengths, so that a look-up tries only those.
    lengths: BTreeSet<u8>,
}

impl Homes {
    /// Of these interfaces, of which `is_guarded` are, and these routes.
    pub(super) fn of(
        present: &[Interface],
        is_guarded: impl Fn(u32) -> bool,
        direct: &Direct,
    ) -> Self {
        let alone = |interface: &&Interface| interface.carries_one_sandbox();
        let (sandboxes, others): (Vec<_>, Vec<_>) = present.iter().partition(alone);
        let sandboxes: BTreeMap<u32, String> = sandboxes
            .into_iter()
            .filter(|interface| is_guarded(interface.index))
            .map(|interface| (interface.index, interface.name.clone()))
            .collect();
        let routes: BTreeMap<IpNet, u32> = direct
            .iter()
            .filter(|(_, index)| sandboxes.contains_key(index))
            .map(|(net, index)| (*net, *index))
            .collect();
        Self {
            lengths: routes.keys().map(IpNet::prefix_len).collect(),
            routes,
            others: others.iter().map(|other| other.index).collect(),
            sandboxes,
        }
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = &IpNet> {
        self.routes.keys()
    }

    /// Where this source lives, by the kernel's word.
    pub(super) fn find(&self, net: IpNet) -> Home {
        let Some(address) = host(net) else {
            return Home::Elsewhere;
        };
        if self.sandboxes.is_empty() {
            return Home::Unknown;
        }
        match local::way_out(address) {
            Ok(Some(index)) => match self.sandboxes.get(&index) {
                Some(name) => Home::At(name.clone()),
                None if self.others.contains(&index) => Home::Elsewhere,
                // Not guarded yet: the next look at the interfaces comes back to it.
                None => Home::Unknown,
            },
            Ok(None) => Home::Unknown,
            Err(fault) => {
                tracing::debug!(%fault, %address, "no route to a source");
                Home::Unknown
            }
        }
    }

    /// As [`Self::find`], where asking for each would take long: only whom a route covers.
    pub(super) fn find_among_many(&self, net: IpNet) -> Home {
        match host(net) {
            None => Home::Elsewhere,
            Some(_) if self.routed(net).is_none() => Home::Unknown,
            Some(_) => self.find(net),
        }
    }

    /// Whether the routes alone say that a source lives there.
    pub(super) fn agrees(&self, net: IpNet, home: &str) -> bool {
        let found = self
            .routed(net)
            .and_then(|index| self.sandboxes.get(&index));
        found.is_some_and(|name| name == home)
    }

    /// The interface of the longest of our routes that covers it.
    fn routed(&self, net: IpNet) -> Option<u32> {
        let lengths = self.lengths.iter().rev();
        lengths
            .filter_map(|length| IpNet::new(net.addr(), *length).ok())
            .find_map(|covers| self.routes.get(&covers.trunc()).copied())
    }
}

/// An address that one sandbox can have. A link-local one is another on every link.
fn host(net: IpNet) -> Option<IpAddr> {
    let is_one = net.prefix_len() == net.max_prefix_len();
    let is_of_a_link = matches!(net.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
    (is_one && !is_of_a_link).then(|| net.addr())
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::Kind;
    use super::*;

    fn interface(index: u32, kind: Kind, ethernet: bool, master: Option<u32>) -> Interface {
        Interface {
            index,
            name: format!("if{index}"),
            kind,
            ethernet,
            master,
            xdp: None,
            xdp_native: false,
        }
    }

    #[test]
    fn only_guarded_links_to_one_sandbox_are_a_home() {
        let present = [
            interface(2, Kind::Sandbox, true, None),
            interface(3, Kind::Sandbox, true, Some(9)),
            // A layer-3 tun: a VPN, with many behind it.
            interface(4, Kind::Sandbox, false, None),
            interface(5, Kind::Sandbox, true, None),
            interface(6, Kind::Uplink, true, None),
            interface(9, Kind::Bridge, true, None),
        ];
        let nets = [(2, "10.0.2.0/24"), (4, "10.0.4.0/24"), (5, "10.0.5.5/32")];
        let direct = nets.map(|(index, net)| (net.parse().unwrap(), index));
        let direct = Direct::from(direct);
        let homes = Homes::of(&present, |index| index != 5, &direct);
        assert_eq!(homes.sandboxes, BTreeMap::from([(2, "if2".to_owned())]));
        assert_eq!(homes.others, BTreeSet::from([3, 4, 6, 9]));
        assert!(homes.agrees("10.0.2.7/32".parse().unwrap(), "if2"));
        assert!(!homes.agrees("10.0.2.7/32".parse().unwrap(), "if5"));
        assert!(!homes.agrees("10.0.5.5/32".parse().unwrap(), "if5"));
        for net in ["10.0.2.0/24", "fe80::1/128"] {
            assert_eq!(homes.find(net.parse().unwrap()), Home::Elsewhere, "{net}");
        }
    }
}
