//! The kernel half by itself: programs by test run, and the agent in namespaces of its own.
//!
//! Needs root. Without it every test says that it was skipped; `GATE_REQUIRE_ROOT=1` makes that a
//! failure.

mod frame;
mod lab;
mod object;
mod ring;
mod verdict;
