//! How often the request path decided what. One row per worker, so that counting shares nothing.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::fault::Type;

/// All workers' rows.
#[derive(Default)]
pub struct Counters(Mutex<Vec<Arc<Row>>>);

/// One worker's counts.
#[derive(Debug, Default)]
pub(crate) struct Row {
    answered: [AtomicU64; Type::ALL.len()],
    counts: [AtomicU64; Count::ALL.len()],
    bytes: AtomicU64,
}

/// What is counted beside the types of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Connections that were let in.
    Accepted,
    /// Connections from a source that nobody lists.
    Unlisted,
    /// Connections over a limit.
    Crowded,
    /// Connections on which TLS was not agreed on.
    Handshake,
    /// Calls that went to an upstream.
    Passed,
    /// Calls and connections that only `audit` let pass.
    WouldRefuse,
    /// Streams that ended as they should.
    Complete,
    /// Streams that the upstream broke.
    UpstreamFailed,
    /// Streams that the caller left.
    ClientGone,
    /// Streams that a revocation, a lease or a drain ended.
    Ended,
    /// A stand-in such as `intercepted` was presented.
    Placeholder,
    /// A provider's key was presented.
    ProviderKey,
    /// A mistyped or cut token was presented.
    Mistyped,
    /// A well-formed token of no one here was presented.
    ForeignGate,
    /// A bound token was presented from elsewhere.
    WrongSource,
    /// An upstream answered a model's route with a web page, as dead tunnels do.
    WebPage,
}

impl Count {
    pub const ALL: [Self; 16] = [
        Self::Accepted,
        Self::Unlisted,
        Self::Crowded,
        Self::Handshake,
        Self::Passed,
        Self::WouldRefuse,
        Self::Complete,
        Self::UpstreamFailed,
        Self::ClientGone,
        Self::Ended,
        Self::Placeholder,
        Self::ProviderKey,
        Self::Mistyped,
        Self::ForeignGate,
        Self::WrongSource,
        Self::WebPage,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unlisted => "unlisted",
            Self::Crowded => "crowded",
            Self::Handshake => "handshake_failed",
            Self::Passed => "passed",
            Self::WouldRefuse => "would_refuse",
            Self::Complete => "complete",
            Self::UpstreamFailed => "upstream_failed",
            Self::ClientGone => "client_gone",
            Self::Ended => "ended",
            Self::Placeholder => "placeholder",
            Self::ProviderKey => "provider_key",
            Self::Mistyped => "mistyped",
            Self::ForeignGate => "foreign_gate",
            Self::WrongSource => "wrong_source",
            Self::WebPage => "web_page",
        }
    }
}

impl Counters {
    /// A new worker's row.
    pub(crate) fn row(&self) -> Arc<Row> {
        let row = Arc::new(Row::default());
        self.rows().push(Arc::clone(&row));
        row
    }

    /// How often the gate itself answered with this type.
    pub fn answered(&self, kind: Type) -> u64 {
        let rows = self.rows();
        let each = rows
            .iter()
            .filter_map(|row| row.answered.get(kind as usize));
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn count(&self, what: Count) -> u64 {
        let rows = self.rows();
        let each = rows.iter().filter_map(|row| row.counts.get(what as usize));
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Bytes of answers that were passed on.
    pub fn bytes(&self) -> u64 {
        let rows = self.rows();
        rows.iter()
            .map(|row| row.bytes.load(Ordering::Relaxed))
            .sum()
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Row>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    pub(crate) fn answer(&self, kind: Type) {
        if let Some(count) = self.answered.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn pass(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, what: Count) {
        if let Some(count) = self.counts.get(what as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
