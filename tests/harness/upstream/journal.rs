//! What the provider saw: every byte, every request, and how each ended.
//!
//! Does not tidy up: `raw` is what came over the wire, for searching secrets in; `Seen` is the
//! same request in parts, header names in lower case.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Position in the order of arrival.
    pub number: usize,
    /// Requests of one connection share this.
    pub connection: usize,
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    pub version: http::Version,
    /// In order, repeated ones repeated; behind them what stood behind the body.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
    pub at: Instant,
    pub fate: Fate,
}

/// How the answer to one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answering,
    /// All of it was sent, terminal event or not: that is up to the script.
    Finished,
    /// The script broke the connection.
    Broken,
    /// The caller went away first.
    CallerLeft(Instant),
}

/// Shared with the provider's thread.
#[derive(Clone)]
pub struct Journal {
    pages: Arc<Mutex<Pages>>,
    turned: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct Pages {
    seen: Vec<Seen>,
    /// Bytes received, per connection.
    raw: Vec<Vec<u8>>,
    closed: usize,
    resumed: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            pages: Arc::default(),
            turned: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Journal {
    pub fn requests(&self) -> Vec<Seen> {
        self.pages().seen.clone()
    }

    /// All bytes received so far, connection after connection.
    pub fn raw(&self) -> Vec<u8> {
        self.pages().raw.concat()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.pages().raw.len()
    }

    /// TLS connections that went on with the session of an earlier one.
    pub fn resumed(&self) -> usize {
        self.pages().resumed
    }

    /// Connections that are over.
    pub fn closed(&self) -> usize {
        self.pages().closed
    }

    /// Waits until `wanted` finds what it looks for among the requests.
    pub async fn wait<T>(
        &self,
        patience: Duration,
        wanted: impl Fn(&[Seen]) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut turned = self.turned.subscribe();
        let found = async {
            loop {
                turned.mark_unchanged();
                if let Some(found) = wanted(&self.pages().seen) {
                    return found;
                }
                let _never_closed = turned.changed().await;
            }
        };
        match timeout(patience, found).await {
            Ok(found) => Ok(found),
            Err(_elapsed) => bail!("not within {patience:?}; seen: {:#?}", self.requests()),
        }
    }

    pub(super) fn connected(&self) -> usize {
        let mut pages = self.pages();
        pages.raw.push(Vec::new());
        pages.raw.len() - 1
    }

    pub(super) fn received(&self, connection: usize, bytes: &[u8]) {
        if let Some(raw) = self.pages().raw.get_mut(connection) {
            raw.extend_from_slice(bytes);
        }
    }

    pub(super) fn greeted(&self, is_resumed: bool) {
        self.pages().resumed += usize::from(is_resumed);
    }

    pub(super) fn disconnected(&self) {
        self.pages().closed += 1;
        self.turned.send_replace(());
    }

    /// Enters a request, and hands it back with its number.
    pub(super) fn asked(&self, mut seen: Seen) -> Seen {
        let mut pages = self.pages();
        seen.number = pages.seen.len();
        pages.seen.push(seen.clone());
        drop(pages);
        self.turned.send_replace(());
        seen
    }

    /// The first fate stands.
    pub(super) fn ended(&self, number: usize, fate: Fate) {
        if let Some(seen) = self.pages().seen.get_mut(number)
            && seen.fate == Fate::Answering
        {
            seen.fate = fate;
        }
        self.turned.send_replace(());
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The first value of header `name` (lower case), if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(named, _)| named == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as JSON, `null` when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}
