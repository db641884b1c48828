//! Brings this host to what others have changed, and tells them how far it is.
//!
//! State-based: the feed says which clients and rollouts changed, the store how they stand, and
//! putting the same state twice changes nothing. A host that cannot tell the others that it lives
//! must not go on for ever: its freshness counts from the last time it could.

use std::time::{Duration, Instant};

use super::{
    Event, StartError, Why,
    answer::Done,
    client::unique,
    endings::Origin,
    writer::{SHARED_TOKEN, Writer},
};
use crate::{
    client::Client,
    clock::Stamp,
    grants::Effects,
    ident::{ClientId, Revision, RolloutSerial},
    rollout::Rollout,
    settings::Mode,
    store::{News, StoreError},
};

/// A live host tells so at least this many times before it would close itself.
const TIMES: u32 = 6;

/// Without a bound a host still shows that it lives.
const SELDOM: Duration = Duration::from_secs(10);

impl Writer {
    /// Before a job: what ended is written, and the job sees what others did.
    pub(super) async fn prepare(&mut self) {
        self.catch_up().await;
        if self.desk.store.is_shared() {
            self.follow_on().await;
        }
    }

    /// After a job: others may have written between two of our own revisions.
    pub(super) async fn follow_up(&mut self) {
        if self.written > self.desk.grants.revision() || self.desk.store.is_shared() {
            self.follow_on().await;
        }
    }

    /// As [`Self::follow`]; a store that does not answer is tried again at the next ring.
    pub(super) async fn follow_on(&mut self) {
        if let Err(why) = self.follow().await {
            tracing::warn!(error = %why, "the store does not answer");
        }
    }

    pub(super) async fn follow(&mut self) -> Result<(), StoreError> {
        if !self.is_loaded {
            return Box::pin(self.load()).await.map_err(|why| match why {
                StartError::Store(why) => why,
                why @ (StartError::Ring(_)
                | StartError::SharedTaken(_)
                | StartError::SharedName(_)) => StoreError::Use(why.into()),
            });
        }
        self.catch_up().await;
        if !self.unwritten.is_empty() {
            // What has ended here would come back with somebody else's change of it.
            return Err(StoreError::Closed);
        }
        let seen = self.desk.grants.revision();
        let mut news = self.desk.store.news(seen).await?;
        if !news.is_whole {
            tracing::warn!(revision = %seen, "was away for longer than changes are remembered");
            news = self.all_as_news().await?;
        }
        let revision = news.revision;
        if revision > seen {
            self.apply(news).await;
            self.desk.grants.set_revision(revision);
        }
        self.mend().await;
        self.tell(revision).await
    }

    /// For a host that cannot follow step by step any more.
    async fn all_as_news(&self) -> Result<News, StoreError> {
        let snapshot = self.desk.store.snapshot().await?;
        let (grants, shared) = (&self.desk.grants, self.desk.shared.as_ref());
        let clients = grants.clients().into_iter().map(|grant| grant.record());
        // The configured one has a row too, but its token stands in no store.
        let clients = clients.filter(|client| shared.is_none_or(|(name, _)| *name != client.name));
        let rollouts = grants.rollouts().into_iter().map(|grant| grant.serial);
        Ok(snapshot.as_news(clients.map(|client| client.id), rollouts))
    }

    /// A host whose packet ring is behind lives, and says that it does not enforce this yet.
    async fn tell(&mut self, revision: Revision) -> Result<(), StoreError> {
        let now = self.now();
        let revision = if self.owed().is_empty() {
            self.enforced = revision;
            revision
        } else {
            self.enforced
        };
        let keys = self.desk.keyring.known();
        let staleness = self.desk.store.bounds().staleness;
        let often = staleness.map_or(SELDOM, |staleness| staleness / TIMES);
        if let Some((told, told_keys, at)) = &self.told
            && *told == revision
            && *told_keys == keys
            && now < at.after(often)
        {
            return Ok(());
        }
        let host = self.desk.grants.host().clone();
        self.desk.store.tell(&host, revision, &keys).await?;
        self.told = Some((revision, keys, now));
        self.desk.heard.note(now);
        let until = staleness.map_or(Stamp(i64::MAX), |staleness| now.after(staleness));
        self.desk.grants.set_fresh_until(until);
        Ok(())
    }

    async fn apply(&mut self, news: News) {
        let (revision, since) = (news.revision, Instant::now());
        let before = self.desk.grants.mode();
        self.apply_mode(news.closed).await;
        let is_closing = before != Mode::Closed && self.desk.grants.mode() == Mode::Closed;
        self.choose_master(news.master);
        self.put_operators(news.operators);
        let ended = news.rollouts.iter().filter(|(_, now)| now.is_none());
        let ended: Vec<RolloutSerial> = ended.map(|(serial, _)| *serial).collect();
        let effects = self.drop_rollouts(unique(ended).into_iter());
        let mut done = self.shut_down(revision, effects, Why::Closed).await;
        let mut effects = Effects::default();
        for (id, now) in news.clients {
            match now {
                Some(client) => effects.then(self.put_followed(client)),
                None => done.add(self.end_followed(id, revision).await),
            }
        }
        for (_, now) in news.rollouts {
            if let Some(rollout) = now {
                effects.then(self.put_followed_rollout(rollout));
            }
        }
        done.add(
            self.shut_down(revision, effects.settled(), Why::Revoked)
                .await,
        );
        if is_closing || done.tokens > 0 {
            self.desk.endings.note(Origin::Fleet, since);
        }
        self.alarm(&done);
    }

    fn put_followed(&mut self, mut client: Client) -> Effects {
        let grants = &self.desk.grants;
        if let Some(before) = grants.client(client.id) {
            let before = before.record();
            let shared = before.tokens.iter().find(|token| token.id == SHARED_TOKEN);
            client.tokens.extend(shared.cloned());
        }
        self.lease_client(&client);
        let names = self.desk.names.pin();
        names.insert(client.name.clone(), client.id);
        self.desk.grants.put_client(client)
    }

    async fn end_followed(&mut self, id: ClientId, revision: Revision) -> Done {
        match self.desk.grants.client(id) {
            Some(grant) => {
                let client = grant.record();
                self.end_client_here(&client, revision, Why::Revoked).await
            }
            None => Done::default(),
        }
    }

    fn put_followed_rollout(&mut self, rollout: Rollout) -> Effects {
        if self.desk.grants.client(rollout.client).is_none() {
            // Its client ended after it was read.
            return Effects::default();
        }
        self.lease_rollout(&rollout);
        self.desk.grants.put_rollout(rollout)
    }

    pub(super) async fn apply_mode(&mut self, closed: bool) {
        let grants = &self.desk.grants;
        let closed = closed || self.closed_here;
        let mode = if closed { Mode::Closed } else { self.desk.mode };
        if grants.mode() == mode || !self.unwritten.is_empty() {
            return;
        }
        let mut done = Done::default();
        if let Err(why) = self.desk.enter(mode).await {
            done.warn("the packet ring is in another mode", &why);
            self.owed().entries = true;
        }
        self.alarm(&done);
    }

    /// Nobody waits for an answer here, so what failed is an event.
    fn alarm(&self, done: &Done) {
        for message in &done.warnings {
            self.desk.events.emit(Event::Alarm {
                at: self.now(),
                kind: "packet_ring".to_owned(),
                message: message.clone(),
            });
        }
    }
}

impl Done {
    fn add(&mut self, more: Self) {
        self.tokens += more.tokens;
        self.warnings.extend(more.warnings);
    }
}
