//! The packet verdict: bytes -> [`packet::Packet`] -> [`reason::Reason`], and the shapes of the maps it reads.
//!
//! Compiled unchanged into the XDP program, the tc program and host tests. It touches neither raw
//! memory nor a map: bytes come in through [`packet::Reader`], tables through [`verdict::Tables`].
#![expect(
    clippy::inline_always,
    reason = "the verifier follows one flat program best; the only reason for it in this crate"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    reason = "wire words are cut into fields, also in const functions, which have no `From`"
)]
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
