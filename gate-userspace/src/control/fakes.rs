//! Rings that remember what they were told, and fail when a test says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    Actor, Applied, Control, CutCount, Events, Gone, NewClient, NewRollout, PacketRing, Parts,
    RingError, StartError, Streams, Why, Work, Worker, start,
};
use crate::{
    client::Reach,
    clock::{Clock, Stamp},
    grants::{Delta, Grants, Opened, SourceKey},
    ident::{Revision, TokenId},
    secret::{Digest, Keyring, MasterKey},
    settings::Mode,
    source::Source,
    store::{Embedded, Store, StoreError},
};

pub(crate) const ACTOR: Actor = Actor::Peer { uid: 0, pid: 1 };

/// Both rings at once, so that one log shows the order between them.
pub(crate) struct FakeRings {
    state: Mutex<State>,
    store: Store,
    grants: Arc<Grants>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) entries: BTreeMap<SourceKey, Opened>,
    pub(crate) room: Option<usize>,
    pub(crate) broken: bool,
    pub(crate) mode: Option<Mode>,
    pub(crate) log: Vec<String>,
    /// Running calls by token.
    pub(crate) streams: BTreeMap<TokenId, usize>,
}

/// One gate without sockets and kernel.
pub(crate) struct Gate {
    pub(crate) control: Control,
    pub(crate) rings: Arc<FakeRings>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

impl FakeRings {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }
}

impl Streams for FakeRings {
    fn cut(&self, tokens: Vec<TokenId>, why: Why) -> Work<'_, CutCount> {
        Box::pin(async move {
            let durable = self.store.snapshot().await.map_or(usize::MAX, |snapshot| {
                snapshot.clients.len() + snapshot.rollouts.len()
            });
            let (clients, rollouts) = self.grants.counts();
            let mut state = self.state();
            let live = clients + rollouts;
            let text = format!(
                "cut {} {why:?} (store {durable}, table {live})",
                tokens.len()
            );
            state.log.push(text);
            let cut = tokens
                .iter()
                .filter_map(|token| state.streams.remove(token));
            let streams = cut.sum();
            CutCount {
                streams,
                connections: streams,
            }
        })
    }

    fn narrow(&self, tokens: Vec<TokenId>) -> Work<'_, CutCount> {
        self.state().log.push(format!("narrow {}", tokens.len()));
        Box::pin(async { CutCount::default() })
    }

    fn cut_all(&self, why: Why) -> Work<'_, CutCount> {
        let mut state = self.state();
        state.log.push(format!("cut all {why:?}"));
        let streams = std::mem::take(&mut state.streams).into_values().sum();
        Box::pin(async move {
            CutCount {
                streams,
                connections: streams,
            }
        })
    }
}

impl PacketRing for FakeRings {
    fn apply(
        &self,
        _revision: Revision,
        deltas: Vec<Delta>,
    ) -> Work<'_, Result<Applied, RingError>> {
        let mut state = self.state();
        let applied = state.apply(deltas);
        Box::pin(async { applied })
    }

    fn sync(
        &self,
        _revision: Revision,
        openings: BTreeMap<SourceKey, Opened>,
    ) -> Work<'_, Result<Applied, RingError>> {
        let mut state = self.state();
        let synced = if state.broken {
            Err(RingError::Failed("the fake is broken".to_owned()))
        } else {
            state.entries = openings;
            Ok(Applied::default())
        };
        Box::pin(async { synced })
    }

    fn destroy(&self, gone: Vec<Gone>) -> Work<'_, Result<usize, RingError>> {
        let mut state = self.state();
        for gone in &gone {
            let keep: Vec<_> = gone.keep.iter().map(ToString::to_string).collect();
            let text = format!("destroy {} keep [{}]", gone.key.net, keep.join(" "));
            state.log.push(text);
        }
        Box::pin(async move { Ok(gone.len()) })
    }

    fn set_mode(&self, mode: Mode) -> Work<'_, Result<(), RingError>> {
        let mut state = self.state();
        state.mode = Some(mode);
        state.log.push(format!("mode {mode:?}"));
        Box::pin(async { Ok(()) })
    }
}

impl State {
    fn apply(&mut self, deltas: Vec<Delta>) -> Result<Applied, RingError> {
        if self.broken {
            return Err(RingError::Failed("the fake is broken".to_owned()));
        }
        let mut applied = Applied::default();
        for delta in deltas {
            match delta {
                Delta::Shut(key) => {
                    self.log.push(format!("shut {}", key.net));
                    applied.removed += usize::from(self.entries.remove(&key).is_some());
                }
                Delta::Open(key, opened) => {
                    let capacity = self.room.unwrap_or(usize::MAX);
                    if !self.entries.contains_key(&key) && self.entries.len() >= capacity {
                        return Err(RingError::Full { capacity });
                    }
                    self.log.push(format!("open {}", key.net));
                    self.entries.insert(key, opened);
                    applied.written += 1;
                }
            }
        }
        Ok(applied)
    }
}

impl Gate {
    /// A disk that takes no more, or does again.
    pub(crate) async fn set_full(&self, is_full: bool) {
        match &self.store {
            Store::Embedded(store) => store.set_full(is_full).await,
            Store::Postgres(_) => panic!("only a file has a disk of its own"),
        }
    }

    /// A gate whose writer runs beside the test.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::with(folder, Clock::stopped(Stamp(1_000_000))).await
    }

    pub(crate) async fn with(folder: &Path, clock: Clock) -> Self {
        Self::assemble(folder, clock, None).await
    }

    pub(crate) async fn with_shared(folder: &Path, shared: Option<Digest>) -> Self {
        Self::assemble(folder, Clock::stopped(Stamp(1_000_000)), shared).await
    }

    async fn assemble(folder: &Path, clock: Clock, shared: Option<Digest>) -> Self {
        Self::on(open(folder).await, "here", clock, shared).await
    }

    pub(crate) async fn with_keys(folder: &Path, clock: Clock, keyring: Keyring) -> Self {
        Self::made(open(folder).await, "here", clock, None, keyring).await
    }

    /// One host of a fleet.
    pub(crate) async fn on(store: Store, host: &str, clock: Clock, shared: Option<Digest>) -> Self {
        let keyring = Keyring::new(master(), Vec::new());
        Self::made(store, host, clock, shared, keyring).await
    }

    async fn made(
        store: Store,
        host: &str,
        clock: Clock,
        shared: Option<Digest>,
        keyring: Keyring,
    ) -> Self {
        let made = Self::still(store, host, clock, shared, keyring).await;
        let (gate, worker) = made.unwrap();
        run_beside(worker);
        gate
    }

    /// A gate whose writer the test itself moves.
    pub(crate) async fn still(
        store: Store,
        host: &str,
        clock: Clock,
        shared: Option<Digest>,
        keyring: Keyring,
    ) -> Result<(Self, Worker), StartError> {
        Self::prepared(store, host, clock, shared, keyring, Mode::Enforce).await
    }

    /// A gate that audits, its writer beside the test.
    pub(crate) async fn auditing(folder: &Path, clock: Clock) -> Self {
        let keyring = Keyring::new(master(), Vec::new());
        let store = open(folder).await;
        let made = Self::prepared(store, "here", clock, None, keyring, Mode::Audit).await;
        let (gate, worker) = made.unwrap();
        run_beside(worker);
        gate
    }

    async fn prepared(
        store: Store,
        host: &str,
        clock: Clock,
        shared: Option<Digest>,
        keyring: Keyring,
        mode: Mode,
    ) -> Result<(Self, Worker), StartError> {
        let grants = Arc::new(Grants::new(host.parse().unwrap(), mode));
        let rings = Arc::new(FakeRings {
            state: Mutex::default(),
            store: store.clone(),
            grants: Arc::clone(&grants),
        });
        let (control, worker) = start(Parts {
            store: store.clone(),
            grants,
            streams: Arc::clone(&rings) as Arc<dyn Streams>,
            ring: Arc::clone(&rings) as Arc<dyn PacketRing>,
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            events: Events::default(),
            upstreams: BTreeSet::from(["provider".parse().unwrap()]),
            mode,
            shared,
        })
        .await?;
        let gate = Self {
            control,
            rings,
            store,
            clock,
        };
        Ok((gate, worker))
    }
}

pub(crate) fn master() -> MasterKey {
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    text.parse().unwrap()
}

pub(crate) async fn open(folder: &Path) -> Store {
    // The thread of the gate before may still be closing the file.
    loop {
        match Embedded::open(&folder.join("gate.db")).await {
            Ok(store) => return Store::Embedded(store),
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            Err(why) => panic!("{why:?}"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's runtime ends its tasks with itself"
)]
fn run_beside(worker: Worker) {
    tokio::spawn(worker.run(tokio_util::sync::CancellationToken::new()));
}

pub(crate) fn new_client(name: &str, sources: &[&str]) -> NewClient {
    NewClient {
        name: name.parse().unwrap(),
        sources: sources.iter().map(|text| source(text)).collect(),
        ports: Vec::new(),
        scope: None,
        upstream: None,
        key: None,
        reach: Reach::Own,
        ttl: None,
        rps: 0,
        concurrency: 0,
        token: None,
    }
}

pub(crate) fn new_rollout(id: &str, client: &str, sources: &[&str]) -> NewRollout {
    NewRollout {
        id: id.parse().unwrap(),
        client: client.parse().unwrap(),
        sources: sources.iter().map(|text| source(text)).collect(),
        scope: None,
        upstream: None,
        key: None,
        ttl: None,
        tokens: Vec::new(),
    }
}

pub(crate) fn source(text: &str) -> Source {
    Source::on(&"here".parse().unwrap(), text).unwrap()
}
