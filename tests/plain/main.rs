//! What a caller can observe of the request path, in process and without privileges.
//!
//! The real library on loopback, real sockets, a scripted upstream that records every byte.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what went wrong")]

mod support;

mod admission;
mod authority;
mod paths;
mod streams;
mod bodies;
mod secure;
mod callers;
mod frames;
mod names;
mod upgrades;
mod framing;
mod abuse;
mod endings;
mod swap;
mod rings;
mod limits;
mod mistakes;
mod secrets;
mod session;
mod shared;
mod apollo;
mod coder;
mod delegation;
