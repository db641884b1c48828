//! How often the request path decided what. One row per worker, so that counting shares nothing.

mod outcome;

use std::{
    array,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use outcome::{By, Outcome};

use super::timing::Timing;
use crate::{
    fault::Type,
    histogram::{Histogram, Tally},
    settings::ProfileName,
};

/// Rows of a count by profile: each, and the calls that no route was found for.
const PROFILES: usize = ProfileName::ALL.len() + 1;

/// All workers' rows.
#[derive(Default)]
pub struct Counters(Mutex<Vec<Arc<Row>>>);

/// One worker's counts.
#[derive(Debug)]
pub(crate) struct Row {
    refused: [[AtomicU64; Type::ALL.len()]; PROFILES],
    calls: [[[AtomicU64; Outcome::ALL.len()]; By::ALL.len()]; PROFILES],
    counts: [AtomicU64; Count::ALL.len()],
    bytes: AtomicU64,
    timings: [Histogram; Timing::ALL.len()],
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
        let each = rows.iter().flat_map(|row| &row.refused);
        let each = each.filter_map(|refused| refused.get(kind as usize));
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The same, of the routes of one profile or of calls that no route was found for.
    pub fn refused(&self, profile: Option<ProfileName>, kind: Type) -> u64 {
        let rows = self.rows();
        let each = rows.iter().filter_map(|row| row.refused(profile, kind));
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How many calls ended so, of the routes of one profile or of none.
    pub fn calls(&self, profile: Option<ProfileName>, by: By, outcome: Outcome) -> u64 {
        let rows = self.rows();
        let each = rows
            .iter()
            .filter_map(|row| row.calls(profile, by, outcome));
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How long calls took.
    pub fn timing(&self, what: Timing) -> Tally {
        let rows = self.rows();
        let each = rows.iter().filter_map(|row| row.timings.get(what as usize));
        each.fold(Tally::empty(what.bounds()), |sum, row| {
            sum.with(&row.tally())
        })
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
    /// The gate says no.
    pub(crate) fn refuse(&self, profile: Option<ProfileName>, kind: Type) {
        if let Some(count) = self.refused(profile, kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A call has ended.
    pub(crate) fn end(&self, profile: Option<ProfileName>, by: By, status: u16) {
        if let Some(count) = self.calls(profile, by, Outcome::of(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn time(&self, what: Timing, took: Duration) {
        if let Some(histogram) = self.timings.get(what as usize) {
            histogram.note(took);
        }
    }

    fn refused(&self, profile: Option<ProfileName>, kind: Type) -> Option<&AtomicU64> {
        self.refused.get(place(profile))?.get(kind as usize)
    }

    fn calls(&self, profile: Option<ProfileName>, by: By, outcome: Outcome) -> Option<&AtomicU64> {
        let of_profile = self.calls.get(place(profile))?;
        of_profile.get(by as usize)?.get(outcome as usize)
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

impl Default for Row {
    fn default() -> Self {
        Self {
            refused: array::from_fn(|_| Default::default()),
            calls: array::from_fn(|_| Default::default()),
            counts: array::from_fn(|_| AtomicU64::default()),
            bytes: AtomicU64::default(),
            timings: Timing::ALL.map(|what| Histogram::new(what.bounds())),
        }
    }
}

fn place(profile: Option<ProfileName>) -> usize {
    profile.map_or(ProfileName::ALL.len(), |profile| profile as usize)
}
