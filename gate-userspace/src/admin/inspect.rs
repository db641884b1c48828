//! What the API asks of the rings without changing who may come in: how they stand, and why.
//!
//! A trait, because the answers come from sockets and a kernel; `app` puts the real one in place.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::exposition::Exposition;
use super::wire::{
    ConnectionRing, Explain, InterfaceSet, InterfaceView, PacketRing, RequestRing, RingVerdict,
};
use crate::{control::Work, secret::KeyId};

/// The packet ring, and what does not belong to its part of `status`.
#[derive(Clone, Debug)]
pub struct PacketFacts {
    pub ring: PacketRing,
    pub drift: u64,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
    /// Sources that it bound to an interface by itself.
    pub homes: BTreeMap<IpNet, String>,
    pub warnings: Vec<String>,
    /// None while it does not answer.
    pub counted: Option<PacketCounts>,
}

/// What the packet ring counted.
#[derive(Clone, Debug, Default)]
pub struct PacketCounts {
    pub verdicts: Vec<VerdictCount>,
    /// Packets from an address that is bound elsewhere, by the interface they came in by; by none for
    /// interfaces that are gone.
    pub wrong_interface: BTreeMap<String, u64>,
    pub tables: Vec<TableFill>,
    pub repairs: u64,
    /// Sampled refusals that found nobody to take them.
    pub events_lost: u64,
}

/// How often one program judged so.
#[derive(Clone, Debug)]
pub struct VerdictCount {
    /// `xdp`, `tc` or `sk_lookup`.
    pub hook: String,
    pub reason: &'static str,
    pub verdict: Verdict,
    pub packets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Dropped,
    /// Passed in `audit` alone.
    WouldDrop,
}

#[derive(Clone, Debug)]
pub struct TableFill {
    pub name: String,
    pub entries: usize,
    pub room: usize,
}

/// An `Err` holds a lowercase fragment for people.
pub trait Inspect: Send + Sync {
    fn packet_ring(&self) -> Work<'_, PacketFacts>;

    fn connection_ring(&self) -> ConnectionRing;

    fn request_ring(&self) -> RequestRing;

    fn live_streams(&self) -> usize;

    /// What an operator should know beyond the packet ring's own warnings.
    fn warnings(&self) -> Vec<String>;

    /// `Err` = not ready, and why.
    fn ready(&self) -> Result<(), String>;

    /// What would happen to this packet and request, ring by ring.
    fn explain(&self, question: Explain) -> Work<'_, Result<Vec<RingVerdict>, String>>;

    /// Compares the kernel with what it should hold, repairs it, and says how much differed.
    fn verify(&self) -> Work<'_, Result<u64, String>>;

    fn set_interface(&self, wanted: InterfaceSet) -> Work<'_, Result<InterfaceView, String>>;

    /// Detaches and unpins everything; says what.
    fn unload(&self) -> Work<'_, Result<Vec<String>, String>>;

    /// Makes a newer master key and puts it behind those of the key file.
    fn add_master_key(&self) -> Result<KeyId, String> {
        Err("the master key does not come from a file that the gate writes".to_owned())
    }

    /// The numbers of the connection and the request ring.
    fn metrics(&self, out: &mut Exposition);
}
