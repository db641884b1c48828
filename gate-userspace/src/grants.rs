//! The table that decides: every live token of this gate by its digest, and who may send packets.
//!
//! The request path reads it and never waits; only `control` writes, one change at a time. It knows
//! nothing of stores, sockets or kernels: what a change means for them comes back as [`Effects`].

mod grant;
mod ledger;
mod listed;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
};

pub use grant::{ClientGrant, Dead, Grant, RolloutGrant};
pub use ledger::{Delta, Holder, Opened, SourceKey};

use crate::{
    client::Client,
    clock::Stamp,
    ident::{ClientId, HostName, Revision, RolloutId, RolloutSerial, TokenId},
    rollout::{Phase, Rollout},
    secret::Digest,
    settings::Mode,
};
use ledger::Ledger;
use listed::Listed;

pub struct Grants {
    host: HostName,
    tokens: papaya::HashMap<Digest, Arc<Grant>>,
    /// For delegation: the one way to a grant without its token.
    by_id: papaya::HashMap<TokenId, Arc<Grant>>,
    rollouts: papaya::HashMap<RolloutId, Arc<RolloutGrant>>,
    listed: Listed,
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
    of_client: BTreeMap<ClientId, Vec<RolloutSerial>>,
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
            tokens: papaya::HashMap::new(),
            by_id: papaya::HashMap::new(),
            rollouts: papaya::HashMap::new(),
            listed: Listed::default(),
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

    /// Adds a client, or brings it to this state. Its rollouts stay as they are.
    pub fn put_client(&self, client: Client) -> Effects {
        let mut book = self.book();
        let id = client.id;
        if let Some(grant) = book.clients.get(&id).cloned() {
            let before = grant.record();
            grant.replace(client);
            let mut effects = self.exchange(&before.tokens, &grant, None);
            let rollouts = book.rollouts_of(id);
            effects
                .narrowed
                .extend(narrowed(&grant, &rollouts, &before));
            if before.enabled && !grant.record().enabled {
                effects.dead.extend(all_tokens(&grant, &rollouts));
            }
            self.rebook(&mut book, &grant, &rollouts, &mut effects);
            return effects;
        }
        let grant = Arc::new(ClientGrant::new(client));
        book.clients.insert(id, Arc::clone(&grant));
        let mut effects = self.exchange(&[], &grant, None);
        self.rebook(&mut book, &grant, &[], &mut effects);
        effects
    }

    /// Removes a client and all its rollouts.
    pub fn drop_client(&self, id: ClientId) -> Effects {
        let mut effects = Effects::default();
        let mut book = self.book();
        for rollout in book.rollouts_of(id) {
            self.forget_rollout(&mut book, rollout.serial, &mut effects);
        }
        if let Some(grant) = book.clients.remove(&id) {
            for credential in &grant.record().tokens {
                self.kill(&credential.digest, &mut effects);
            }
            let deltas = book.ledger.clear(&Holder::Client(id));
            self.announce(deltas, &mut effects);
        }
        book.of_client.remove(&id);
        effects
    }

    /// Adds a rollout, or brings it to this state. Its client must be here.
    ///
    /// A closed one is the same as [`Self::drop_rollout`].
    pub fn put_rollout(&self, rollout: Rollout) -> Effects {
        let serial = rollout.serial;
        if rollout.phase == Phase::Closed {
            return self.drop_rollout(serial);
        }
        let mut book = self.book();
        let Some(client) = book.clients.get(&rollout.client).cloned() else {
            return Effects::default();
        };
        let mut effects = Effects::default();
        let mut before = None;
        let grant = if let Some(grant) = book.rollouts.get(&serial).cloned() {
            let record = grant.record();
            grant.replace(rollout);
            effects.narrowed.extend(narrowed_rollout(&grant, &record));
            before = Some(record);
            grant
        } else {
            let grant = Arc::new(RolloutGrant::new(rollout, Arc::clone(&client)));
            book.rollouts.insert(serial, Arc::clone(&grant));
            book.of_client.entry(client.id).or_default().push(serial);
            self.rollouts
                .pin()
                .insert(grant.id.clone(), Arc::clone(&grant));
            grant
        };
        let old = before.as_ref().map_or(&[][..], |record| &record.tokens);
        let exchanged = self.exchange(old, &client, Some(&grant));
        effects.dead.extend(exchanged.dead);
        self.rebook_rollout(&mut book, &grant, &mut effects);
        effects
    }

    /// Removes a rollout.
    pub fn drop_rollout(&self, serial: RolloutSerial) -> Effects {
        let mut effects = Effects::default();
        self.forget_rollout(&mut self.book(), serial, &mut effects);
        effects
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

    /// Brings the token table from `old` credentials to those that the owner has now.
    fn exchange(
        &self,
        old: &[crate::client::Credential],
        client: &Arc<ClientGrant>,
        rollout: Option<&Arc<RolloutGrant>>,
    ) -> Effects {
        let mut effects = Effects::default();
        let current = client.record();
        let of_rollout = rollout.map(|rollout| rollout.record());
        let new = of_rollout
            .as_ref()
            .map_or(&current.tokens, |record| &record.tokens);
        for gone in old
            .iter()
            .filter(|o| !new.iter().any(|n| n.digest == o.digest))
        {
            self.kill(&gone.digest, &mut effects);
        }
        let tokens = self.tokens.pin();
        for credential in new {
            let same = old.iter().find(|o| o.digest == credential.digest);
            if same.is_none_or(|o| o.expires != credential.expires || o.key != credential.key) {
                let grant = Grant::new(credential, Arc::clone(client), rollout.cloned());
                let grant = Arc::new(grant);
                self.by_id.pin().insert(credential.id, Arc::clone(&grant));
                tokens.insert(credential.digest, grant);
            }
        }
        effects
    }

    fn kill(&self, digest: &Digest, effects: &mut Effects) {
        if let Some(grant) = self.tokens.pin().remove(digest) {
            grant.kill();
            self.by_id.pin().remove(&grant.token);
            effects.dead.push(grant.token);
        }
    }

    fn forget_rollout(&self, book: &mut Book, serial: RolloutSerial, effects: &mut Effects) {
        let Some(grant) = book.rollouts.remove(&serial) else {
            return;
        };
        let rollouts = self.rollouts.pin();
        if rollouts
            .get(&grant.id)
            .is_some_and(|live| live.serial == serial)
        {
            rollouts.remove(&grant.id);
        }
        for credential in &grant.record().tokens {
            self.kill(&credential.digest, effects);
        }
        if let Some(serials) = book.of_client.get_mut(&grant.client.id) {
            serials.retain(|other| *other != serial);
        }
        let deltas = book.ledger.clear(&Holder::Rollout(serial));
        self.announce(deltas, effects);
    }

    /// Books the sources of a client and of those rollouts that inherit them.
    fn rebook(
        &self,
        book: &mut Book,
        client: &Arc<ClientGrant>,
        rollouts: &[Arc<RolloutGrant>],
        effects: &mut Effects,
    ) {
        let record = client.record();
        let deltas = if record.enabled {
            let opened = Opened {
                client: client.id,
                until: record.expires,
                ports: record.ports.iter().copied().collect(),
            };
            book.ledger.set(
                Holder::Client(client.id),
                &record.sources,
                &opened,
                &self.host,
            )
        } else {
            book.ledger.clear(&Holder::Client(client.id))
        };
        self.announce(deltas, effects);
        for rollout in rollouts {
            self.rebook_rollout(book, rollout, effects);
        }
    }

    fn rebook_rollout(&self, book: &mut Book, rollout: &RolloutGrant, effects: &mut Effects) {
        let (record, client) = (rollout.record(), rollout.client.record());
        let holder = Holder::Rollout(rollout.serial);
        let deltas = if client.enabled {
            let opened = Opened {
                client: rollout.client.id,
                until: earlier(record.expires, client.expires),
                ports: client.ports.iter().copied().collect(),
            };
            let sources = grant::effective(&record, &client);
            book.ledger.set(holder, sources, &opened, &self.host)
        } else {
            book.ledger.clear(&holder)
        };
        self.announce(deltas, effects);
    }

    /// The connection ring learns of a change at once, the packet ring through the effects.
    fn announce(&self, deltas: Vec<Delta>, effects: &mut Effects) {
        for delta in deltas {
            self.listed.apply(&delta);
            effects.deltas.push(delta);
        }
        effects
            .deltas
            .sort_by_key(|delta| matches!(delta, Delta::Open(..)));
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic while booking leaves counts that are at worst too high: nothing opens by it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn rollouts_of(&self, id: ClientId) -> Vec<Arc<RolloutGrant>> {
        let serials = self.of_client.get(&id).map_or(&[][..], Vec::as_slice);
        serials
            .iter()
            .filter_map(|serial| self.rollouts.get(serial).cloned())
            .collect()
    }
}

/// Tokens of a client, and of rollouts that inherit its sources, when a source of it went.
fn narrowed(grant: &ClientGrant, rollouts: &[Arc<RolloutGrant>], before: &Client) -> Vec<TokenId> {
    let now = grant.record();
    if before
        .sources
        .iter()
        .all(|source| now.sources.contains(source))
    {
        return Vec::new();
    }
    let inheriting = rollouts.iter().map(|rollout| rollout.record());
    let inheriting = inheriting.filter(|record| record.sources.is_empty());
    let theirs =
        inheriting.flat_map(|record| record.tokens.iter().map(|t| t.id).collect::<Vec<_>>());
    now.tokens
        .iter()
        .map(|token| token.id)
        .chain(theirs)
        .collect()
}

fn all_tokens(grant: &ClientGrant, rollouts: &[Arc<RolloutGrant>]) -> Vec<TokenId> {
    let own = grant.record();
    let theirs = rollouts.iter().map(|rollout| rollout.record());
    let theirs = theirs.flat_map(|record| record.tokens.iter().map(|t| t.id).collect::<Vec<_>>());
    own.tokens
        .iter()
        .map(|token| token.id)
        .chain(theirs)
        .collect()
}

fn narrowed_rollout(grant: &RolloutGrant, before: &Rollout) -> Vec<TokenId> {
    let now = grant.record();
    if before
        .sources
        .iter()
        .all(|source| now.sources.contains(source))
    {
        return Vec::new();
    }
    now.tokens.iter().map(|token| token.id).collect()
}

fn earlier(a: Option<Stamp>, b: Option<Stamp>) -> Option<Stamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
