//! gate.

pub mod kernel;
