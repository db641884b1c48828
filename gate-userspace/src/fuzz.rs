//! What fuzzers call: one function for each place where bytes of strangers are read.
//!
//! Not part of the library: it exists for `tests/fuzz` and for this crate's own tests. Each function
//! takes any bytes and panics when they break what it promises.

pub use crate::{
    kernel::fuzz::{frame, pcap},
    proxy::fuzz::{framing, head, path, present, sse, upgrade},
    secret::fuzz::{sealed, token},
};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every entry, by the name of its target and of the folder of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("frame", frame),
    ("pcap", pcap),
    ("framing", framing),
    ("head", head),
    ("path", path),
    ("present", present),
    ("token", token),
    ("sse", sse),
    ("upgrade", upgrade),
    ("sealed", sealed),
];

#[cfg(test)]
mod tests;
