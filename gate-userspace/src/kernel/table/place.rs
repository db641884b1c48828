//! Which table an address or a network lies in, and its key there.

use std::net::IpAddr;

use aya::maps::lpm_trie::Key;
use gate_common::address::{V4, V6};
use ipnet::IpNet;

pub(super) enum Place {
    Exact4(u32),
    Exact6([u32; 4]),
    Net4(Key<u32>),
    Net6(Key<[u32; 4]>),
}

pub(super) fn place(net: IpNet) -> Place {
    let whole = net.prefix_len() == net.max_prefix_len();
    let prefix = u32::from(net.prefix_len());
    match net.network() {
        IpAddr::V4(address) if whole => Place::Exact4(V4::from(address).0),
        IpAddr::V6(address) if whole => Place::Exact6(V6::from(address).0),
        IpAddr::V4(address) => Place::Net4(Key::new(prefix, V4::from(address).0)),
        IpAddr::V6(address) => Place::Net6(Key::new(prefix, V6::from(address).0)),
    }
}

/// A key of a trie; `None` only for a prefix length that no trie of ours can hold.
pub(super) fn net(address: IpAddr, prefix: u32) -> Option<IpNet> {
    IpNet::new(address, u8::try_from(prefix).ok()?).ok()
}
