//! A gate in process, an upstream that records, and a client that sees raw bytes.

pub(crate) mod front;
mod gate;
mod memory;
mod tls;
mod upstream;
mod wire;

pub(crate) use gate::{Gate, Maker, PROVIDER_KEY, adopt, block_on, client_id, mint, url};
pub(crate) use memory::resident;
pub(crate) use tls::{Secure, Shared, call, piece, rest, shake, text};
pub(crate) use upstream::{Upstream, begin, chunk, finish, respond, ticking, wait_for_close};
pub(crate) use wire::{Connection, Reply, own_address, request};
