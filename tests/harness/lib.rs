//! What black-box tests of gate stand on: places on a network, a gate in one of them, a scripted
//! provider behind it and callers in front of it.
//!
//! Does not judge: every function here observes and returns, the tests assert. Nothing links the
//! gate's own code, so that a change of its types cannot make a test agree with a bug.
//!
//! What holds everywhere:
//! * a socket belongs to the network namespace it was made in, whoever uses it later, so callers
//!   in any number of namespaces live on the one runtime of their test;
//! * namespaces have no name and no mount point: they exist as descriptors of this process, and
//!   even a killed test leaves none behind;
//! * no function sleeps to let something happen; each waits for the thing itself, up to a bound
//!   that only ends a broken run.
#![expect(
    clippy::return_self_not_must_use,
    reason = "a builder nobody uses is an unused variable"
)]

pub mod need;
pub mod scratch;

pub mod frames;
pub mod link;
pub mod netns;
pub mod probe;

pub mod gatectl;
pub mod gated;
pub mod log;
pub mod postgres;

pub mod authority;
pub mod upstream;

pub mod client;
pub mod raw;
pub mod sse;

pub mod scrape;
