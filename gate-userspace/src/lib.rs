//! gate: sandboxes reach an LLM through a port that only provisioned callers can use.
//!
//! Three paths meet in the grants table. *Packet*: the kernel drops strangers (`kernel`). *Request*:
//! `proxy` checks token, rollout and source, swaps the credential and streams the answer. *Control*:
//! `control` writes the store, changes the table, cuts what is in flight and tells the kernel.
//!
//! What is deliberately absent: nothing under `proxy` awaits the store; `aya` is named only under
//! `kernel`; SQL is written only under `store`; `expose()` is called only in `proxy::swap`; stdout
//! is written only in `cli::print`.

pub mod base62;
pub mod ident;
pub mod clock;
pub mod histogram;
pub mod secret;
pub mod source;
pub mod scope;
pub mod client;
pub mod operator;
pub mod rollout;
pub mod fault;
pub mod watched;
pub mod tls;
pub mod names;
pub mod settings;
pub mod grants;
pub mod proxy;
pub mod profile;
pub mod kernel;
pub mod store;
pub mod control;
pub mod admin;
pub mod cli;
pub mod config;
pub mod drain;
pub mod telemetry;
pub mod app;
#[cfg(test)]
mod reference;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
