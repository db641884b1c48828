//! The table that decides: every live token of this gate by its digest, and who may send packets.
//!
//! The request path reads it and never waits; only `control` writes, one change at a time. It knows
//! nothing of stores, sockets or kernels: what a change means for them comes back as [`Effects`].

mod grant;
mod ledger;
mod holders;
mod listed;
mod load;
mod view;
mod uses;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
};

pub use grant::{ClientGrant, Dead, Grant, RolloutGrant};
pub use ledger::{Delta, Holder, Opened, SourceKey};

use crate::{
    clock::Stamp,
    ident::{ClientId, HostName, Revision, RolloutId, RolloutSerial, TokenId},
    secret::Digest,
    settings::Mode,
};
use ledger::Ledger;
use listed::Listed;

/// Only operators put keys in, and digests cannot be chosen: a fast hash does.
type Table<K, V> = papaya::HashMap<K, V, foldhash::fast::RandomState>;

pub struct Grants {
    host: HostName,
    tokens: Table<Digest, Arc<Grant>>,
    /// For delegation: the one way to a grant without its token.
    by_id: Table<TokenId, Arc<Grant>>,
    rollouts: Table<RolloutId, Arc<RolloutGrant>>,
    /// Tokens that ended while `audit` may ask: it would take some of them for a stranger's.
    ended: papaya::HashSet<Digest>,
    listed: Listed,
    /// What was used since somebody last wrote that down.
    used: Mutex<Vec<Arc<Grant>>>,
    book: Mutex<Book>,
    revision: AtomicU64,
    mode: AtomicU8,
    /// Until when the table may be believed without word from the store; `i64::MAX` = for ever.
    fresh_until: AtomicI64,
}

/// What only the writer needs.
#[derive(Default)]
struct Book {
    clients: BTreeMap<ClientId, Arc<ClientGrant>>,
    rollouts: BTreeMap<RolloutSerial, Arc<RolloutGrant>>,
    of_client: BTreeMap<ClientId, BTreeSet<RolloutSerial>>,
    ledger: Ledger,
}

/// What a change means outside the table, in the order in which it must be carried out.
#[derive(Debug, Default)]
pub struct Effects {
    /// Refused by the table from now on: their streams end.
    pub dead: Vec<TokenId>,
    /// Alive, but bound to fewer sources than before: streams from elsewhere end now.
    pub narrowed: Vec<TokenId>,
    /// For the packet ring, removals first.
    pub deltas: Vec<Delta>,
}

impl Grants {
    pub fn new(host: HostName, mode: Mode) -> Self {
        Self {
            host,
            tokens: Table::default(),
            by_id: Table::default(),
            rollouts: Table::default(),
            ended: papaya::HashSet::new(),
            listed: Listed::default(),
            used: Mutex::default(),
            book: Mutex::default(),
            revision: AtomicU64::new(0),
            mode: AtomicU8::new(mode as u8),
            fresh_until: AtomicI64::new(i64::MAX),
        }
    }

    /// The grant of a token, dead or alive as its caller must still ask it.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Grant>> {
        self.tokens.pin().get(digest).cloned()
    }

    /// Whether a token that is not here was, as far as is known. Only known where it audits.
    pub fn is_ended(&self, digest: &Digest) -> bool {
        self.ended.pin().contains(digest)
    }

    /// Of former runs: tokens of other systems that have ended.
    pub fn remember_ended(&self, digests: Vec<Digest>) {
        let ended = self.ended.pin();
        for digest in digests {
            ended.insert(digest);
        }
    }

    /// The grant of a token's id. Proves nothing: only for callers who were trusted otherwise.
    pub fn find_id(&self, id: TokenId) -> Option<Arc<Grant>> {
        self.by_id.pin().get(&id).cloned()
    }

    /// The live rollout of that id.
    pub fn rollout(&self, id: &RolloutId) -> Option<Arc<RolloutGrant>> {
        self.rollouts.pin().get(id).cloned()
    }

    /// Whether some live grant lists this address on this host.
    pub fn lists(&self, address: std::net::IpAddr) -> bool {
        self.listed.contains(address)
    }

    /// Moves with every change of that list. The revision does not: the store may not know yet.
    pub(crate) fn list_changes(&self) -> u64 {
        self.listed.changes()
    }

    pub fn host(&self) -> &HostName {
        &self.host
    }

    pub fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    pub fn set_revision(&self, revision: Revision) {
        self.revision.fetch_max(revision.0, Ordering::AcqRel);
    }

    pub fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            mode if mode == Mode::Enforce as u8 => Mode::Enforce,
            mode if mode == Mode::Audit as u8 => Mode::Audit,
            _ => Mode::Closed,
        }
    }

    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// Whether the store was heard of recently enough to go on.
    pub fn is_fresh(&self, now: Stamp) -> bool {
        now.0 < self.fresh_until.load(Ordering::Acquire)
    }

    pub fn set_fresh_until(&self, until: Stamp) {
        self.fresh_until.store(until.0, Ordering::Release);
    }

    /// Everything the packet ring should hold.
    pub fn openings(&self) -> BTreeMap<SourceKey, Opened> {
        self.book().ledger.all()
    }

    /// How many clients and rollouts are live.
    pub fn counts(&self) -> (usize, usize) {
        let book = self.book();
        (book.clients.len(), book.rollouts.len())
    }

    /// The leases that are over: to be ended as a revocation would.
    pub fn expired(&self, now: Stamp) -> (Vec<ClientId>, Vec<RolloutSerial>, Vec<TokenId>) {
        let book = self.book();
        let is_over = |until: Option<Stamp>| until.is_some_and(|until| until <= now);
        let clients = book
            .clients
            .values()
            .filter(|client| is_over(client.record().expires));
        let rollouts = book
            .rollouts
            .values()
            .filter(|rollout| is_over(rollout.record().expires));
        let tokens = self.tokens.pin();
        let over = tokens.values().filter(|grant| is_over(grant.expires));
        (
            clients.map(|client| client.id).collect(),
            rollouts.map(|rollout| rollout.serial).collect(),
            over.map(|grant| grant.token).collect(),
        )
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic while booking leaves counts that are at worst too high: nothing opens by it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
