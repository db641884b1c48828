//! Real client software in a sandbox, given nothing but what `gatectl env` prints.
//!
//! Does not test the gate's answers byte by byte, see `plain`: here the SDK is the judge, and what
//! counts is which of its own results and exceptions its user sees.
#![expect(clippy::unwrap_used, reason = "a test panics")]

mod venv;

mod npm;

mod sdk;

mod sandbox;

mod direct;

mod openai;

mod anthropic;

mod trainer;
mod training;

mod verifiers;

mod eval;

mod vectors;

mod node;

mod agents;

mod wires;
