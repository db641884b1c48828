//! Three gates on one Postgres, each in a namespace of its own, with a caller on a cable.
//!
//! What one is asked for the others do; what the network or the server loses comes back, and
//! nothing that ended does.
#![expect(clippy::unwrap_used, reason = "a test panics")]

mod site;

mod revoke;

mod partition;

mod lease;

mod outage;

mod killed;

mod failover;

mod tools;
