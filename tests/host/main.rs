//! Gate on a host of its own: both programs as a user starts them, between real networks.
//!
//! Does not look inside: what is asserted is what a sandbox, an operator or a provider can see.
//! Every test has its own namespaces; the fixture is in `site`.
#![expect(clippy::unwrap_used, reason = "a test panics")]

mod site;

mod attached;

mod start;

mod packet;

mod guard;

mod moves;

mod trust;

mod memory;

mod request;

mod revoke;

mod restart;

mod reload;

mod drain;

mod remote;

mod bypass;

mod scrub;

mod documents;

mod certificate;

mod watch;

mod measured;

mod explain;

mod deployed;

mod bulk;
