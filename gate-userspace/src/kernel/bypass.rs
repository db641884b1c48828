//! Who can reach an address past this host: frames between two ports of a bridge are switched, so
//! nothing that stands on the way into the host sees them.

use std::net::IpAddr;

use super::interfaces::{self, Kind};
use super::local;

/// A bridge of this host with others beside the address that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    pub bridge: String,
    /// Its other ports.
    pub others: usize,
}

/// The bridge that this address lives behind, if others do too. An error finds none: this only ever
/// warns.
pub fn bypass(address: IpAddr) -> Option<Bypass> {
    let way_out = local::way_out(address).ok()??;
    let present = interfaces::list().ok()?;
    let is_way = |one: &&interfaces::Interface| one.index == way_out && one.kind == Kind::Bridge;
    let bridge = present.iter().find(is_way)?;
    let ports = present.iter().filter(|one| one.master == Some(way_out));
    // One of them is its own.
    let others = ports.count().saturating_sub(1);
    (others > 0).then(|| Bypass {
        bridge: bridge.name.clone(),
        others,
    })
}
