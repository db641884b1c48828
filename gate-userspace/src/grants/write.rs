//! The writer's side of the table: brings clients and rollouts to a state, and says what it means.
//!
//! One writer at a time, under the book's lock; readers see each token change at once.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Book, ClientGrant, Delta, Effects, Grant, Grants, Holder, Opened, RolloutGrant, grant,
};
use crate::{
    client::{Client, Credential},
    clock::Stamp,
    ident::{ClientId, RolloutSerial, TokenId},
    rollout::{Phase, Rollout},
    secret::Digest,
    settings::Mode,
    source::Source,
};

impl Effects {
    /// Adds what a later change means. [`Self::settled`] comes after the last.
    pub fn then(&mut self, later: Self) {
        self.dead.extend(later.dead);
        self.narrowed.extend(later.narrowed);
        self.deltas.extend(later.deltas);
    }

    /// Leaves the last word on every source, and puts the removals first. A source may be booked
    /// on another holder just before its last holder goes: an entry written after it was removed
    /// would stay open for nobody.
    #[must_use]
    pub fn settled(mut self) -> Self {
        if self.deltas.len() < 2 {
            return self;
        }
        let deltas = self.deltas.into_iter();
        let last: BTreeMap<_, _> = deltas.map(|delta| (delta.key().clone(), delta)).collect();
        self.deltas = last.into_values().collect();
        self.deltas
            .sort_by_key(|delta| matches!(delta, Delta::Open(..)));
        self
    }
}

impl Grants {
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
            return effects.settled();
        }
        let grant = Arc::new(ClientGrant::new(client));
        book.clients.insert(id, Arc::clone(&grant));
        let mut effects = self.exchange(&[], &grant, None);
        self.rebook(&mut book, &grant, &[], &mut effects);
        effects.settled()
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
        effects.settled()
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
            book.of_client.entry(client.id).or_default().insert(serial);
            self.rollouts
                .pin()
                .insert(grant.id.clone(), Arc::clone(&grant));
            grant
        };
        let old = before.as_ref().map_or(&[][..], |record| &record.tokens);
        let exchanged = self.exchange(old, &client, Some(&grant));
        effects.dead.extend(exchanged.dead);
        self.rebook_rollout(&mut book, &grant, &mut effects);
        effects.settled()
    }

    /// Refuses these tokens from now on. They stay in the table until their owners change or go.
    pub fn kill_all(&self, tokens: &[TokenId]) {
        let by_id = self.by_id.pin();
        for grant in tokens.iter().filter_map(|token| by_id.get(token)) {
            grant.kill();
        }
    }

    /// Removes a rollout.
    pub fn drop_rollout(&self, serial: RolloutSerial) -> Effects {
        let mut effects = Effects::default();
        self.forget_rollout(&mut self.book(), serial, &mut effects);
        effects.settled()
    }

    /// Brings the token table from `old` credentials to those that the owner has now.
    fn exchange(
        &self,
        old: &[Credential],
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
        // Before it goes, so that it is never nowhere. Closed may open again to audit.
        if self.mode() != Mode::Enforce {
            self.ended.pin().insert(*digest);
        }
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
            serials.remove(&serial);
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
    }
}

impl Book {
    pub(super) fn rollouts_of(&self, id: ClientId) -> Vec<Arc<RolloutGrant>> {
        let serials = self.of_client.get(&id).into_iter().flatten();
        serials
            .filter_map(|serial| self.rollouts.get(serial).cloned())
            .collect()
    }
}

/// Tokens of a client, and of rollouts that inherit its sources, when a source of it went.
fn narrowed(grant: &ClientGrant, rollouts: &[Arc<RolloutGrant>], before: &Client) -> Vec<TokenId> {
    let now = grant.record();
    if widened(&before.sources, &now.sources) {
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
    if widened(&before.sources, &now.sources) {
        return Vec::new();
    }
    now.tokens.iter().map(|token| token.id).collect()
}

/// Whether whoever was admitted still is. No source at all admits everybody.
fn widened(before: &[Source], now: &[Source]) -> bool {
    now.is_empty() || (!before.is_empty() && before.iter().all(|source| now.contains(source)))
}

fn earlier(a: Option<Stamp>, b: Option<Stamp>) -> Option<Stamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
