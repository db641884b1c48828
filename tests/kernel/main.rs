//! The kernel half by itself: programs by test run, and the agent in namespaces of its own.
//!
//! Needs root. Without it every test says that it was skipped; `GATE_REQUIRE_ROOT=1` makes that a
//! failure.
#![expect(clippy::unwrap_used, reason = "tests panic, their helpers too")]
#![expect(
    clippy::print_stdout,
    reason = "a skipped test says so, and figures are for reading"
)]

mod capacity;
mod figures;
mod frame;
mod gapless;
mod grammar;
mod home;
mod hotplug;
mod killed;
mod lab;
mod nft;
mod object;
mod oracle;
mod redirect;
mod reference;
mod ring;
mod survive;
mod verdict;
mod wire;
mod world;
