//! The one who changes things: what opens goes to the store, the table, the packet ring; what ends goes
//! out of the table, the streams, the packet ring, and the store hears of it last.
//!
//! Lives in one task and does one change at a time. A change that opens is undone when the packet
//! ring does not take it; a change that ends something goes on to its end, whatever fails on the
//! way, and says what failed.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    Actor, CutCount, Desk, Gone, HostDone, HostState, Refused, RingError, Why,
    answer::Done,
    event::Event,
    lease::Leased,
    unwritten::{Unwritten, entities},
};
use crate::{
    client::{Client, Credential},
    clock::Stamp,
    grants::{Delta, Effects, Opened, SourceKey},
    ident::{ClientName, Revision, TokenId},
    rollout::Rollout,
    secret::KeyId,
    store::{Change, Commit, Note, StoreError, Write},
};

/// Between two tries to write what the store did not take.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);

/// The token of the configured shared secret: lives in the table only, never in the store.
pub(super) const SHARED_TOKEN: TokenId = TokenId(0);

pub(super) struct Writer {
    pub(super) desk: Arc<Desk>,
    /// What took effect while the store did not answer.
    pub(super) unwritten: Unwritten,
    /// When to try those again.
    pub(super) retry: Option<tokio::time::Instant>,
    /// Whether the store was heard of since the start.
    pub(super) is_loaded: bool,
    /// The last change of our own; others may have made some between it and the table's.
    pub(super) written: Revision,
    /// What this host has told the others, and when.
    pub(super) told: Option<(Revision, Vec<KeyId>, Stamp)>,
    /// The last change that the packet ring took too.
    pub(super) enforced: Revision,
    /// What the packet ring did not do when it was asked to.
    pub(super) owed: Mutex<Owed>,
    /// A panic that this host may not write: it closes this host alone, until `open` here.
    pub(super) closed_here: bool,
}

/// What the packet ring still has to do.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Its entries or its mode are not what the table says.
    pub(super) entries: bool,
    /// Connections from these may be open.
    pub(super) gone: Vec<Gone>,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        !self.entries && self.gone.is_empty()
    }
}

impl Writer {
    pub(super) fn now(&self) -> Stamp {
        self.desk.clock.now()
    }

    /// Makes changes durable, and tells who watches.
    pub(super) async fn commit(
        &mut self,
        actor: Actor,
        changes: Vec<Change>,
    ) -> Result<Revision, StoreError> {
        let at = self.now();
        let notes: Vec<_> = if self.desk.events.is_watched() {
            let notes = changes.iter().map(|change| &change.note);
            notes
                .map(|note| (note.kind, note.subject.clone()))
                .collect()
        } else {
            Vec::new()
        };
        let about = if self.unwritten.is_empty() {
            BTreeSet::new()
        } else {
            entities(&changes)
        };
        let commit = Commit {
            at,
            host: self.desk.grants.host().clone(),
            actor: actor.to_string(),
            basis: self.desk.grants.revision(),
            changes,
        };
        let revision = self.desk.store.commit(commit).await?;
        self.written = self.written.max(revision);
        self.unwritten.replaced(&about);
        for (kind, subject) in notes {
            self.desk.events.emit(Event::Change {
                at,
                revision,
                kind,
                subject,
                actor: actor.to_string(),
            });
        }
        Ok(revision)
    }

    /// As [`Self::commit`], for what must end even if the store is gone: then it is written later.
    pub(super) async fn commit_ending(
        &mut self,
        actor: Actor,
        changes: Vec<Change>,
    ) -> Result<Revision, StoreError> {
        let written = self.commit(actor, changes.clone()).await;
        match &written {
            Ok(_) | Err(StoreError::Rejected { .. } | StoreError::Forbidden(_)) => {}
            Err(_unreachable) => {
                self.unwritten.add(changes);
                self.retry = Some(tokio::time::Instant::now() + RETRY);
            }
        }
        written
    }

    /// Tries again what the store did not take.
    pub(super) async fn catch_up(&mut self) {
        while !self.unwritten.is_empty() {
            match self.commit(Actor::Gate, self.unwritten.all()).await {
                Ok(revision) => {
                    self.reach(revision);
                    self.unwritten.clear();
                }
                // A host that may not write leaves it to those who may: it is in effect here.
                Err(StoreError::Forbidden(_)) => self.unwritten.clear(),
                // Somebody else's later word on the same thing stands.
                Err(StoreError::Rejected { index, .. }) if self.unwritten.remove(index) => {}
                Err(why) => {
                    tracing::error!(error = %why, "endings are in effect but not written");
                    self.retry = Some(tokio::time::Instant::now() + RETRY);
                    return;
                }
            }
        }
        self.retry = None;
    }

    /// The table is at this revision, unless others' changes came in between: those are looked for
    /// first.
    pub(super) fn reach(&self, revision: Revision) {
        let grants = &self.desk.grants;
        if revision.0 == grants.revision().0 + 1 {
            grants.set_revision(revision);
        }
    }

    /// Opens in the packet ring what the table opened. On an error the caller undoes the table.
    pub(super) async fn open_up(
        &self,
        revision: Revision,
        effects: Effects,
    ) -> Result<(), RingError> {
        self.reach(revision);
        if effects.deltas.is_empty() {
            return Ok(());
        }
        let applied = self.desk.ring.apply(revision, effects.deltas).await;
        applied.map(|_count| ())
    }

    /// Ends outside of the table what ended in it, in the order of the law: streams, then entries,
    /// then connections that the proxy does not own.
    pub(super) async fn shut_down(&self, revision: Revision, effects: Effects, why: Why) -> Done {
        self.reach(revision);
        let mut done = self.done(revision);
        done.tokens = effects.dead.len();
        if !effects.dead.is_empty() {
            done.count(self.desk.streams.cut(effects.dead, why).await);
        }
        if !effects.narrowed.is_empty() {
            done.count(self.desk.streams.narrow(effects.narrowed).await);
        }
        let gone = self.gone(&effects.deltas);
        if !effects.deltas.is_empty() {
            match self.desk.ring.apply(revision, effects.deltas).await {
                Ok(applied) => done.entries_removed = applied.removed,
                Err(why) => {
                    done.warn("entries may still be open", &why);
                    self.owed().entries = true;
                }
            }
        }
        if !gone.is_empty() {
            match self.desk.ring.destroy(gone.clone()).await {
                Ok(connections) => done.connections += connections,
                Err(why) => {
                    done.warn("connections may still be open", &why);
                    self.owed().gone.extend(gone);
                }
            }
        }
        done
    }

    /// Asks the packet ring once more for what it did not do.
    pub(super) async fn mend(&self) {
        if self.owed().is_empty() {
            return;
        }
        let (grants, ring) = (&self.desk.grants, &self.desk.ring);
        let gone = std::mem::take(&mut self.owed().gone);
        let mended = async {
            self.desk.enter(grants.mode()).await?;
            let openings = grants.openings();
            let closed = gone.iter().filter(|gone| !openings.contains_key(&gone.key));
            let closed: Vec<_> = closed.cloned().collect();
            ring.sync(grants.revision(), openings).await?;
            ring.destroy(closed).await
        };
        match mended.await {
            Ok(_connections) => self.owed().entries = false,
            Err(why) => {
                tracing::error!(error = %why, "the packet ring is behind the table");
                self.owed().gone.extend(gone);
            }
        }
    }

    pub(super) fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn done(&self, revision: Revision) -> Done {
        Done {
            revision,
            hosts: vec![HostDone {
                host: self.desk.grants.host().clone(),
                revision,
                state: HostState::Done,
            }],
            ..Done::default()
        }
    }

    /// What ended has ended; but who asked must hear when a restart could bring it back.
    pub(super) fn answer(
        &self,
        mut done: Done,
        written: Result<Revision, StoreError>,
        what: &str,
        since: Instant,
    ) -> Result<Done, Refused> {
        let revision = written.map_err(|why| {
            tracing::error!(error = %why, "{what} has ended, but the store did not take it");
            Refused::NotWritten(what.to_owned())
        })?;
        self.reach(revision);
        done.revision = revision;
        for host in &mut done.hosts {
            host.revision = revision;
        }
        Ok(done.took(since))
    }

    /// The sources that no grant holds any more, without what others still list.
    fn gone(&self, deltas: &[Delta]) -> Vec<Gone> {
        let shut = deltas.iter().filter_map(|delta| match delta {
            Delta::Shut(key) => Some(key),
            Delta::Open(..) => None,
        });
        let openings = OnceCell::new();
        shut.filter_map(|key| self.no_longer_listed(key, &openings))
            .collect()
    }

    /// `openings` is a copy of them all, made for a network only.
    fn no_longer_listed(
        &self,
        key: &SourceKey,
        openings: &OnceCell<BTreeMap<SourceKey, Opened>>,
    ) -> Option<Gone> {
        let grants = &self.desk.grants;
        let keep = if key.net.prefix_len() == key.net.max_prefix_len() {
            if grants.lists(key.net.addr()) {
                return None;
            }
            Vec::new()
        } else {
            let openings = openings.get_or_init(|| grants.openings());
            let nets = openings.keys().map(|other| other.net);
            nets.filter(|net| net.contains(&key.net) || key.net.contains(net))
                .collect()
        };
        let covered = keep.iter().any(|net| net.contains(&key.net));
        (!covered).then(|| Gone {
            key: key.clone(),
            keep,
        })
    }

    /// Keeps the deadlines of a client: its own, and that of its first token to end.
    pub(super) fn lease_client(&mut self, client: &Client) {
        let until = first(client.expires, &client.tokens);
        self.desk.leases().set(Leased::Client(client.id), until);
    }

    pub(super) fn lease_rollout(&mut self, rollout: &Rollout) {
        let until = first(rollout.expires, &rollout.tokens);
        self.desk
            .leases()
            .set(Leased::Rollout(rollout.serial), until);
    }

    pub(super) fn client_named(&self, name: &ClientName) -> Result<Arc<Client>, Refused> {
        self.desk.client_named(name)
    }
}

impl Done {
    pub(super) fn count(&mut self, cut: CutCount) {
        self.streams += cut.streams;
        self.connections += cut.connections;
    }

    pub(super) fn warn(&mut self, what: &str, why: &RingError) {
        tracing::error!(error = %why, "{what}");
        self.warnings.push(format!("{what}: {why}"));
        for host in &mut self.hosts {
            host.state = HostState::Behind;
        }
    }

    pub(super) fn took(mut self, since: Instant) -> Self {
        self.elapsed_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self
    }
}

/// A client as the store keeps it: without the token that stands in the configuration.
pub(super) fn durable(client: &Client) -> Box<Client> {
    let mut client = client.clone();
    client.tokens.retain(|token| token.id != SHARED_TOKEN);
    Box::new(client)
}

pub(super) fn note_client(
    kind: &'static str,
    client: &ClientName,
    detail: serde_json::Value,
) -> Note {
    Note {
        kind,
        subject: format!("client {client}"),
        client: client.to_string(),
        detail,
    }
}

pub(super) fn put_client(kind: &'static str, client: &Client, detail: serde_json::Value) -> Change {
    Change {
        write: Write::PutClient(durable(client)),
        note: note_client(kind, &client.name, detail),
    }
}

pub(super) fn end_client(kind: &'static str, client: &Client) -> Change {
    Change {
        write: Write::EndClient(client.id),
        note: note_client(kind, &client.name, serde_json::json!({})),
    }
}

fn first(own: Option<Stamp>, tokens: &[Credential]) -> Option<Stamp> {
    let tokens = tokens.iter().filter_map(|token| token.expires);
    own.into_iter().chain(tokens).min()
}
