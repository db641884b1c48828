//! From what the store remembers to rings that stand.
//!
//! What is over is left out before anything is opened: a restart must not lengthen a lease.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Actor, Control, Desk, Events, PacketRing, RingError, Streams, Worker,
    endings::Endings,
    expire::{alive, is_over},
    keep::Heard,
    unwritten::Unwritten,
    writer::{SHARED_TOKEN, Writer, end_client, note_client},
};
use crate::{
    client::{Client, Credential, Kind, Reach},
    clock::{Clock, Stamp},
    grants::Grants,
    ident::{ClientName, Revision, UpstreamName},
    secret::{Digest, Keyring},
    settings::Mode,
    store::{Change, Snapshot, Store, StoreError, Write},
};

/// More waiting changes than this, and who asks waits to ask.
const QUEUE: usize = 1024;

/// What control is made of.
pub struct Parts {
    pub store: Store,
    pub grants: Arc<Grants>,
    pub streams: Arc<dyn Streams>,
    pub ring: Arc<dyn PacketRing>,
    pub keyring: Arc<Keyring>,
    pub clock: Clock,
    pub events: Events,
    /// The names that a client or rollout may ask for.
    pub upstreams: BTreeSet<UpstreamName>,
    pub mode: Mode,
    /// Of the configured shared secret: the client `shared`, which covers its rollouts.
    pub shared: Option<Digest>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("read what the store remembers")]
    Store(#[from] StoreError),
    #[error("bring the packet ring to what the store remembers")]
    Ring(#[from] RingError),
    #[error("the shared secret is also the token of client `{0}`")]
    SharedTaken(ClientName),
    #[error("client `{0}` has tokens of its own, and would cover rollouts with them")]
    SharedName(ClientName),
}

/// Loads the table, brings the packet ring to it, and hands out the task that does the changing.
///
/// A server that cannot be reached is waited for: until then the table is not fresh, so nobody is
/// served, and the packet ring keeps what it holds.
///
/// # Errors
/// When the store cannot be read or the packet ring cannot hold what it remembers.
pub async fn start(parts: Parts) -> Result<(Control, Worker), StartError> {
    let shared = parts.shared.map(|digest| {
        let name = "shared".parse().expect("six letters are a client name");
        (name, digest)
    });
    let now = parts.clock.now();
    let desk = Arc::new(Desk {
        store: parts.store,
        grants: parts.grants,
        streams: parts.streams,
        ring: parts.ring,
        keyring: parts.keyring,
        clock: parts.clock,
        upstreams: arc_swap::ArcSwap::from_pointee(parts.upstreams),
        names: papaya::HashMap::new(),
        mode: parts.mode,
        operators: arc_swap::ArcSwap::default(),
        shared,
        events: parts.events,
        heard: Heard::at(now),
        endings: Endings::default(),
        leases: Mutex::default(),
        brakes: AtomicUsize::new(0),
    });
    let mut writer = Writer {
        desk: Arc::clone(&desk),
        unwritten: Unwritten::default(),
        retry: None,
        is_loaded: false,
        written: Revision::default(),
        told: None,
        enforced: Revision::default(),
        owed: Mutex::default(),
        closed_here: false,
    };
    match writer.load().await {
        Err(StartError::Store(why)) if why.is_outage() && desk.store.is_shared() => {
            desk.grants.set_fresh_until(Stamp(i64::MIN));
            tracing::error!(error = %why, "nobody is served until the store is heard of");
        }
        loaded => loaded?,
    }
    let (ask, jobs) = mpsc::channel(QUEUE);
    Ok((Control { desk, jobs: ask }, Worker { writer, jobs }))
}

impl Writer {
    /// From nothing to a table and a ring that are what the store remembers.
    pub(super) async fn load(&mut self) -> Result<(), StartError> {
        let desk = Arc::clone(&self.desk);
        let snapshot = desk.store.snapshot().await?;
        let is_braking = desk.brakes.load(Ordering::SeqCst) > 0;
        let mode = if snapshot.closed || self.unwritten.closes() || is_braking {
            Mode::Closed
        } else {
            desk.mode
        };
        desk.grants.set_mode(mode);
        desk.grants.set_revision(snapshot.revision);
        self.written = snapshot.revision;
        self.choose_master(snapshot.master);
        self.put_operators(snapshot.operators.clone());
        if desk.mode == Mode::Audit {
            desk.grants.remember_ended(desk.store.ended().await?);
        }
        self.put_all(snapshot);
        desk.grants.remember_uses(desk.store.uses().await?);
        self.catch_up().await;
        if let Some((name, digest)) = &desk.shared {
            self.put_shared(name.clone(), *digest).await?;
        }
        desk.enter(mode).await?;
        let revision = desk.grants.revision();
        desk.ring.sync(revision, desk.grants.openings()).await?;
        self.is_loaded = true;
        // Others may have written meanwhile; and from here on this host counts.
        Ok(self.follow().await?)
    }

    fn put_all(&mut self, snapshot: Snapshot) {
        let now = self.now();
        let mut unwritten = Vec::new();
        let of_rollouts = snapshot.rollouts.iter().map(|rollout| rollout.tokens.len());
        let of_clients = snapshot.clients.iter().map(|client| client.tokens.len());
        let tokens = of_rollouts.chain(of_clients).sum();
        self.desk.grants.expect(snapshot.rollouts.len(), tokens);
        for mut client in snapshot.clients {
            if is_over(client.expires, now) {
                unwritten.push(end_client("client.expire", &client));
                continue;
            }
            client.tokens = alive(&client.tokens, now);
            self.lease_client(&client);
            let names = self.desk.names.pin();
            names.insert(client.name.clone(), client.id);
            self.desk.grants.put_client(client);
        }
        for mut rollout in snapshot.rollouts {
            let Some(client) = self.desk.grants.client(rollout.client) else {
                // Its client is over, and takes it along.
                continue;
            };
            if is_over(rollout.expires, now) {
                let client = client.record();
                unwritten.push(Change {
                    write: Write::EndRollout(rollout.serial),
                    note: crate::store::Note {
                        kind: "rollout.expire",
                        subject: format!("rollout {}", rollout.id),
                        client: client.name.to_string(),
                        detail: json!({}),
                    },
                });
                continue;
            }
            rollout.tokens = alive(&rollout.tokens, now);
            self.lease_rollout(&rollout);
            self.desk.grants.put_rollout(rollout);
        }
        self.unwritten.add(unwritten);
        self.desk.grants.pack();
        self.desk.leases().pack();
    }

    /// The client of the configured secret: a row without a token, and a token without a row.
    async fn put_shared(&mut self, name: ClientName, digest: Digest) -> Result<(), StartError> {
        if let Some(grant) = self.desk.grants.find(&digest) {
            let owner = grant.client.record().name.clone();
            return Err(StartError::SharedTaken(owner));
        }
        let now = self.now();
        let mut client = match self.client_named(&name) {
            // The row of an earlier start has no token; any other was made by somebody.
            Ok(client) if !client.tokens.is_empty() => {
                return Err(StartError::SharedName(name));
            }
            Ok(client) => Client::clone(&client),
            Err(_absent) => self.add_shared(&name).await?,
        };
        client.reach = Reach::CoversRollouts;
        client.tokens.push(Credential {
            id: SHARED_TOKEN,
            digest,
            kind: Kind::Client,
            expires: None,
            key: None,
            created: now,
            adopted: true,
        });
        self.desk.names.pin().insert(name, client.id);
        self.desk.grants.put_client(client);
        Ok(())
    }

    async fn add_shared(&mut self, name: &ClientName) -> Result<Client, StartError> {
        let client = Client {
            id: self.desk.store.reserve_client().await?,
            name: name.clone(),
            sources: Vec::new(),
            ports: Vec::new(),
            scope: None,
            upstream: None,
            key: None,
            reach: Reach::CoversRollouts,
            enabled: true,
            expires: None,
            rps: 0,
            concurrency: 0,
            created: self.now(),
            tokens: Vec::new(),
        };
        let change = Change {
            write: Write::AddClient(Box::new(client.clone())),
            note: note_client("client.add", name, json!({ "shared": true })),
        };
        let revision = self.commit(Actor::Gate, vec![change]).await?;
        self.reach(revision);
        Ok(client)
    }
}
