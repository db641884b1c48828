//! Secrets as dull objects: what a caller presents, what opens an upstream, what seals a key.
//!
//! Threat: a token or key that reaches a log line, an error body, a core dump or the disk in the
//! clear is a key for whoever reads it. So a caller's token is hashed while it is parsed and its
//! text never gets a name; an upstream key leaves its type in one place; both are wiped on drop.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod seal;
mod token;
mod usable;

use std::fmt;

use zeroize::Zeroizing;

pub use seal::{KeyId, Keyring, MasterKey, MasterKeyError, MasterKeys, Sealed, UnsealError};
pub use token::{Digest, Look, NewToken, Shown};
pub use usable::{Unusable, usable};

/// A key that opens an upstream account. Leaves this type only through [`Self::expose`].
pub struct UpstreamKey(Zeroizing<Box<str>>);

impl UpstreamKey {
    /// Takes the text, surrounding white space removed; nothing is left = no key.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Zeroizing::new(text.into())))
    }

    /// One caller by design: `proxy::swap`. `git grep expose` is the audit.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamKey(..)")
    }
}
