//! Which connection carries which token, so that a revocation finds what it must end.
//!
//! Does not end anything itself: it gives an order and waits until the connection's own task has
//! written the last word and closed the socket. A line is held under a token *before* the token's
//! grant is read, so that a revocation in between still finds it; an order is never taken back.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash, RandomState},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

pub use crate::fault::Cut;
use crate::{
    grants::{Grant, RolloutGrant},
    ident::{HostName, TokenId},
    source::Peer,
};

/// Enough that two cores seldom meet in one.
const SHARDS: usize = 64;

/// Every open connection, and under which tokens it is held.
pub struct Live {
    next: AtomicU64,
    lines: Shards<u64, Arc<Line>>,
    held: Shards<TokenId, BTreeMap<u64, Held>>,
}

/// What an order ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Calls that were running.
    pub streams: usize,
    pub connections: usize,
}

/// One connection, or on HTTP/2 one call of it, as others see it.
pub(crate) struct Line {
    id: u64,
    peer: Peer,
    of: Of,
    order: AtomicU8,
    ordered: Notify,
    busy: AtomicBool,
    is_gone: AtomicBool,
    gone: Notify,
    /// Whether a connection ended with it.
    is_connection: AtomicBool,
}

/// What a line stands for.
pub(crate) enum Of {
    Connection,
    /// One of several calls that share a connection, which has a line of its own.
    Call,
    /// A token that used such a connection, which is woken by orders to it.
    Claim(Arc<Line>),
}

struct Held {
    line: Arc<Line>,
    by: By,
}

/// By whose sources a line is bound.
#[derive(Clone)]
struct By {
    grant: Arc<Grant>,
    /// The rollout that a client's token covers.
    covered: Option<Arc<RolloutGrant>>,
}

/// A connection's own end of its line: dropped after the socket, which is what "gone" means.
pub(crate) struct Hold {
    live: Arc<Live>,
    line: Arc<Line>,
    tokens: Vec<TokenId>,
    by: Option<By>,
}

struct Shards<K, V> {
    hasher: RandomState,
    maps: [Mutex<HashMap<K, V>>; SHARDS],
}

impl Live {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            next: AtomicU64::new(0),
            lines: Shards::new(),
            held: Shards::new(),
        })
    }

    /// Ends every call and connection of these tokens. Resolves when their sockets are closed.
    pub async fn cut(&self, tokens: &[TokenId], why: Cut) -> Ended {
        let mut ordered = BTreeMap::new();
        for token in tokens {
            let held = self.held.lock(token);
            let held = held.get(token).into_iter().flat_map(BTreeMap::values);
            // They stay until they are gone: who cuts them too must wait for that as well.
            ordered.extend(held.map(|held| (held.line.id, Arc::clone(&held.line))));
        }
        end(ordered.into_values().collect(), why).await
    }

    /// Ends what these tokens carry from where they no longer may come from.
    pub async fn narrow(&self, tokens: &[TokenId], host: &HostName) -> Ended {
        let mut ordered = BTreeMap::new();
        for token in tokens {
            let held = self.held.lock(token);
            let outside = held.get(token).into_iter().flat_map(BTreeMap::values);
            let outside = outside.filter(|held| !held.by.admits(held.line.peer, host));
            ordered.extend(outside.map(|held| (held.line.id, Arc::clone(&held.line))));
        }
        end(ordered.into_values().collect(), Cut::Narrowed).await
    }

    /// Ends everything, connections without a token included.
    pub async fn cut_all(&self, why: Cut) -> Ended {
        end(self.lines(), why).await
    }

    /// Calls that are running.
    pub fn streams(&self) -> usize {
        let lines = self.lines();
        lines.iter().filter(|line| line.is_busy()).count()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        let lines = self.lines();
        lines
            .iter()
            .filter(|line| matches!(line.of, Of::Connection))
            .count()
    }

    /// A new line.
    pub(crate) fn open(self: &Arc<Self>, peer: Peer, of: Of) -> Hold {
        let is_connection = matches!(of, Of::Connection);
        let line = Arc::new(Line {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            peer,
            of,
            order: AtomicU8::new(0),
            ordered: Notify::new(),
            busy: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            gone: Notify::new(),
            is_connection: AtomicBool::new(is_connection),
        });
        self.lines.lock(&line.id).insert(line.id, Arc::clone(&line));
        Hold {
            live: Arc::clone(self),
            line,
            tokens: Vec::new(),
            by: None,
        }
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        let lines = self.lines.each();
        lines
            .flat_map(|map| map.values().cloned().collect::<Vec<_>>())
            .collect()
    }
}

/// Orders first and waits after, so that many end as fast as one.
async fn end(lines: Vec<Arc<Line>>, why: Cut) -> Ended {
    let busy = lines.iter().filter(|line| line.is_busy()).count();
    for line in &lines {
        line.order(why);
    }
    for line in &lines {
        line.closed().await;
    }
    let connections = lines
        .iter()
        .filter(|line| line.is_connection.load(Ordering::Relaxed));
    Ended {
        streams: busy,
        connections: connections.count(),
    }
}

impl By {
    fn is(&self, grant: &Arc<Grant>, covered: Option<&Arc<RolloutGrant>>) -> bool {
        let is_covered = match (&self.covered, covered) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_covered && Arc::ptr_eq(&self.grant, grant)
    }

    fn admits(&self, peer: Peer, host: &HostName) -> bool {
        match &self.covered {
            Some(rollout) => self.grant.admits_in(rollout, peer, host),
            None => self.grant.admits(peer, host),
        }
    }
}

impl Line {
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    pub(crate) fn is_ordered(&self) -> Option<Cut> {
        match self.order.load(Ordering::Acquire) {
            0 => None,
            // A byte that is no order cannot be there; taken for one, it ends the call.
            byte => Some(Cut::from_byte(byte).unwrap_or(Cut::Revoked)),
        }
    }

    /// Resolves with the order, at once if there is one.
    pub(crate) async fn ordered(&self) -> Cut {
        self.woken(|| self.is_ordered()).await
    }

    /// Resolves when an order to this line, or to a claim on it, makes `look` find something.
    pub(super) async fn woken<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let mut notice = pin!(self.ordered.notified());
            notice.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            notice.await;
        }
    }

    /// A connection ends with this line. Said before the line is gone.
    pub(super) fn ends_connection(&self) {
        self.is_connection.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// The first order stands.
    fn order(&self, why: Cut) {
        let _first = self
            .order
            .compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.ordered.notify_waiters();
        if let Of::Claim(connection) = &self.of {
            connection.ordered.notify_waiters();
        }
    }

    async fn closed(&self) {
        loop {
            let mut notice = pin!(self.gone.notified());
            notice.as_mut().enable();
            if self.is_gone.load(Ordering::Acquire) {
                return;
            }
            notice.await;
        }
    }
}

impl Hold {
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Holds the line under these tokens and no others. The same again costs nothing.
    pub(crate) fn under(
        &mut self,
        grant: &Arc<Grant>,
        others: &[TokenId],
        covered: Option<&Arc<RolloutGrant>>,
    ) {
        let is_same = self.by.as_ref().is_some_and(|by| by.is(grant, covered))
            && self.tokens.get(1..) == Some(others);
        if is_same {
            return;
        }
        let by = By {
            grant: Arc::clone(grant),
            covered: covered.cloned(),
        };
        let before = std::mem::take(&mut self.tokens);
        self.tokens.push(grant.token);
        self.tokens.extend(others);
        for token in &self.tokens {
            let held = Held {
                line: Arc::clone(&self.line),
                by: by.clone(),
            };
            let mut map = self.live.held.lock(token);
            map.entry(*token).or_default().insert(self.line.id, held);
        }
        for token in before.iter().filter(|t| !self.tokens.contains(t)) {
            self.release(*token);
        }
        self.by = Some(by);
    }

    fn release(&self, token: TokenId) {
        let mut map = self.live.held.lock(&token);
        if let Some(lines) = map.get_mut(&token) {
            lines.remove(&self.line.id);
            if lines.is_empty() {
                map.remove(&token);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for token in &self.tokens {
            self.release(*token);
        }
        self.live.lines.lock(&self.line.id).remove(&self.line.id);
        self.line.is_gone.store(true, Ordering::Release);
        self.line.gone.notify_waiters();
    }
}

impl<K: Hash + Eq, V> Shards<K, V> {
    fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            maps: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn lock(&self, key: &K) -> MutexGuard<'_, HashMap<K, V>> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SHARDS as u64).expect("SHARDS fits usize");
        // A panic under the lock leaves at worst an entry too many, which a cut would end.
        let map = self.maps.get(index).expect("the index is below SHARDS");
        map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self) -> impl Iterator<Item = MutexGuard<'_, HashMap<K, V>>> {
        self.maps
            .iter()
            .map(|map| map.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
