//! The addresses of this host, from the routing tables: what the stack itself would take as its own.
//!
//! Interface addresses alone would miss `AnyIP` ranges and addresses on `lo`. Only the tables
//! `local` and `main` count: a policy table full of local routes (TPROXY) makes half the Internet
//! "local" to marked packets, which the socket lookup judges.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::fault::KernelError;
use super::netlink;

const TABLE_LOCAL: u32 = 255;
const TABLE_MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// Without loopback, which the verdict knows by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) hosts: BTreeSet<IpAddr>,
    pub(super) nets: BTreeSet<IpNet>,
}

/// Networks that are neighbours, by the interface that leads straight to them.
pub(super) type Direct = BTreeMap<IpNet, u32>;

pub(super) fn read() -> Result<(Local, Direct), KernelError> {
    let (mut local, mut direct) = (Local::default(), Direct::new());
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        for answer in netlink::dump("local routes", RouteNetlinkMessage::GetRoute(message))? {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                add(&mut local, &mut direct, &route);
            }
        }
    }
    Ok((local, direct))
}

/// The interface by which packets to this address leave, when it is a neighbour there.
pub(super) fn way_out(address: IpAddr) -> Result<Option<u32>, KernelError> {
    let mut message = RouteMessage::default();
    let destination = match address {
        IpAddr::V4(v4) => {
            message.header.address_family = AddressFamily::Inet;
            message.header.destination_prefix_length = 32;
            RouteAddress::Inet(v4)
        }
        IpAddr::V6(v6) => {
            message.header.address_family = AddressFamily::Inet6;
            message.header.destination_prefix_length = 128;
            RouteAddress::Inet6(v6)
        }
    };
    message
        .attributes
        .push(RouteAttribute::Destination(destination));
    let answer = netlink::one(
        "the route to a source",
        RouteNetlinkMessage::GetRoute(message),
    )?;
    let Some(RouteNetlinkMessage::NewRoute(route)) = answer else {
        return Ok(None);
    };
    Ok(straight(&route))
}

/// The interface of a route without a router.
fn straight(route: &RouteMessage) -> Option<u32> {
    let routed = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_)
        )
    };
    if route.header.kind != RouteType::Unicast || route.attributes.iter().any(routed) {
        return None;
    }
    let index = |attribute: &RouteAttribute| {
        if let RouteAttribute::Oif(index) = attribute {
            Some(*index)
        } else {
            None
        }
    };
    route.attributes.iter().find_map(index)
}

fn add(local: &mut Local, direct: &mut Direct, route: &RouteMessage) {
    let is_own = matches!(route.header.kind, RouteType::Local | RouteType::Anycast);
    let out = straight(route);
    if !is_own && out.is_none() {
        return;
    }
    let mut table = u32::from(route.header.table);
    let mut address = None;
    for attribute in &route.attributes {
        if let RouteAttribute::Table(number) = attribute {
            table = *number;
        } else if let RouteAttribute::Destination(RouteAddress::Inet(v4)) = attribute {
            address = Some(IpAddr::V4(*v4));
        } else if let RouteAttribute::Destination(RouteAddress::Inet6(v6)) = attribute {
            address = Some(IpAddr::V6(*v6));
        }
    }
    if table != TABLE_LOCAL && table != TABLE_MAIN {
        return;
    }
    let Some(address) = address else { return };
    if address.is_loopback() {
        return;
    }
    let Ok(net) = IpNet::new(address, route.header.destination_prefix_length) else {
        return;
    };
    if let Some(index) = out {
        direct.insert(net.trunc(), index);
    } else if net.prefix_len() == net.max_prefix_len() {
        local.hosts.insert(address);
    } else {
        local.nets.insert(net.trunc());
    }
}
