//! The packet verdict: bytes -> [`packet::Packet`] -> [`reason::Reason`], and the shapes of the maps it reads.
//!
//! Compiled unchanged into the XDP program, the tc program and host tests. It touches neither raw
//! memory nor a map: bytes come in through [`packet::Reader`], tables through [`verdict::Tables`].
//! `#[inline(always)]` stands where the verifier needs one flat program; that is the only reason
//! for it anywhere in this crate.
#![cfg_attr(not(any(test, feature = "user")), no_std)]

pub mod address;
pub mod entry;
pub mod event;
pub mod filter;
pub mod layout;
pub mod name;
pub mod packet;
#[cfg(feature = "user")]
mod pod;
pub mod reason;
pub mod verdict;
