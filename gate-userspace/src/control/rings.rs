//! What control asks of the rings below it: end these streams, hold these entries.
//!
//! Traits, because the real ones need sockets and a kernel; `app` puts them in place. Both are
//! told what to do, never why it was decided.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use ipnet::IpNet;

use crate::{
    grants::{Delta, Opened, SourceKey},
    ident::{Revision, TokenId},
    settings::Mode,
};

/// Work that has to be waited for.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The running calls and connections of the request ring.
pub trait Streams: Send + Sync {
    /// Ends every call and connection of these tokens; resolves when their sockets are closed.
    fn cut(&self, tokens: Vec<TokenId>, why: Why) -> Work<'_, CutCount>;

    /// Ends what these tokens carry from where they no longer may come from.
    fn narrow(&self, tokens: Vec<TokenId>) -> Work<'_, CutCount>;

    /// Ends everything, connections without a token included.
    fn cut_all(&self, why: Why) -> Work<'_, CutCount>;
}

/// Why running calls end; decides the last word that their callers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The client was revoked or disabled, or the token replaced.
    Revoked,
    /// The rollout was closed.
    Closed,
    LeaseOver,
    /// Nothing is served any more.
    Panic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutCount {
    pub streams: usize,
    pub connections: usize,
}

/// The entries of the packet ring.
pub trait PacketRing: Send + Sync {
    /// Removals first. Either all of it holds afterwards, or the error says why not.
    fn apply(&self, revision: Revision, deltas: Vec<Delta>)
    -> Work<'_, Result<Applied, RingError>>;

    /// Makes the ring hold exactly this.
    fn sync(
        &self,
        revision: Revision,
        openings: BTreeMap<SourceKey, Opened>,
    ) -> Work<'_, Result<Applied, RingError>>;

    /// Ends the connections from sources that are gone which the proxy does not own: half-open,
    /// waiting to be accepted, or to guarded ports. Looks once more after that.
    fn destroy(&self, gone: Vec<Gone>) -> Work<'_, Result<usize, RingError>>;

    fn set_mode(&self, mode: Mode) -> Work<'_, Result<(), RingError>>;
}

/// A source that no live grant holds any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub key: SourceKey,
    /// Addresses within it that some grant still lists: their connections stay.
    pub keep: Vec<IpNet>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries that went.
    pub removed: usize,
    /// Entries that came or changed.
    pub written: usize,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum RingError {
    #[error("the packet ring holds {capacity} entries and is full")]
    Full { capacity: usize },
    #[error("the packet ring failed: {0}")]
    Failed(String),
}
