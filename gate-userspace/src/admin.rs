//! The admin API: what operators and trainers ask of the gate, over a Unix socket.
//!
//! Does not decide anything: a handler parses, asks `control` and prints the answer.

pub mod wire;
