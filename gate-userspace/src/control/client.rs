//! What can be done to a client: add, bind, disable, enable, set its key, revoke.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use super::{
    Actor, NewClient, Refused, SourceEdit, Why,
    answer::{Added, Done},
    endings::Stopped,
    mint::Pair,
    writer::{Writer, durable, end_client, note_client, put_client},
};
use crate::{
    client::{Client, Kind, client_owner},
    ident::{ClientName, Revision},
    secret::UpstreamKey,
    source::Source,
    store::{Change, Rejection, StoreError, Write},
};

impl Writer {
    pub(super) async fn add_client(
        &mut self,
        actor: Actor,
        ask: NewClient,
    ) -> Result<Added, Refused> {
        let name = ask.name;
        if self.client_named(&name).is_ok() {
            return Err(Refused::ClientExists(name));
        }
        self.desk.upstream_known(ask.upstream.as_ref())?;
        let now = self.now();
        let Pair { kept, shown } = self.desk.token(Kind::Client, ask.token, None, now)?;
        let id = self.desk.store.reserve_client().await?;
        let client = Client {
            id,
            name: name.clone(),
            sources: unique(ask.sources),
            ports: unique(ask.ports),
            scope: ask.scope,
            upstream: ask.upstream,
            key: self.desk.seal(&client_owner(id), ask.key.as_ref())?,
            reach: ask.reach,
            enabled: true,
            expires: ask.ttl.map(|ttl| now.after(ttl)),
            rps: ask.rps,
            concurrency: ask.concurrency,
            created: now,
            tokens: vec![kept],
        };
        let change = Change {
            write: Write::AddClient(durable(&client)),
            note: note_client("client.add", &name, described(&client)),
        };
        let revision = match self.commit(actor, vec![change]).await {
            Err(StoreError::Rejected {
                why: Rejection::ClientTaken,
                ..
            }) => return Err(Refused::ClientExists(name)),
            written => written?,
        };
        let effects = self.desk.grants.put_client(client.clone());
        if let Err(why) = self.open_up(revision, effects).await {
            self.undo_client(&client).await;
            let what = format!("client `{name}`");
            return Err(Refused::Undone { what, why });
        }
        self.desk.names.pin().insert(name, id);
        self.lease_client(&client);
        Ok(Added {
            client: Arc::new(client),
            token: shown,
            revision,
        })
    }

    /// All that `revoke` promises, in its order; the rollouts of the client go along.
    pub(super) async fn revoke(
        &mut self,
        actor: Actor,
        name: &ClientName,
        stopped: Stopped,
    ) -> Result<Done, Refused> {
        let since = Instant::now();
        let client = match self.client_named(name) {
            Err(_ended) if self.unwritten.ends_client(name) => {
                return Err(Refused::NotWritten(format!("client `{name}`")));
            }
            client => client?,
        };
        self.desk.not_shared(&client)?;
        let change = end_client("client.revoke", &client);
        let cut = stopped.wait().await;
        let revision = self.desk.grants.revision();
        let mut done = self.end_client_here(&client, revision, Why::Revoked).await;
        done.count(cut);
        let written = self.commit_ending(actor, vec![change]).await;
        self.answer(done, written, &format!("client `{name}`"), since)
    }

    /// Table, streams and ring; the store knows, or will be told.
    pub(super) async fn end_client_here(
        &mut self,
        client: &Client,
        revision: Revision,
        why: Why,
    ) -> Done {
        use super::lease::Leased;
        let rollouts = self.desk.grants.rollouts_of(client.id);
        for rollout in &rollouts {
            self.desk
                .leases()
                .set(Leased::Rollout(rollout.serial), None);
        }
        self.desk.leases().set(Leased::Client(client.id), None);
        self.desk.names.pin().remove(&client.name);
        let effects = self.desk.grants.drop_client(client.id);
        let mut done = self.shut_down(revision, effects, why).await;
        done.rollouts = rollouts.len();
        done
    }

    pub(super) async fn edit_sources(
        &mut self,
        actor: Actor,
        name: &ClientName,
        edit: SourceEdit,
    ) -> Result<(Arc<Client>, Done), Refused> {
        let since = Instant::now();
        let before = self.client_named(name)?;
        let mut client = Client::clone(&before);
        for source in &edit.remove {
            if !client.sources.contains(source) {
                let (client, source_text) = (name.clone(), source.to_string());
                return Err(Refused::NoSource {
                    client,
                    source_text,
                });
            }
        }
        client.sources.extend(edit.add.iter().cloned());
        client
            .sources
            .retain(|source| !edit.remove.contains(source));
        client.sources = unique(client.sources);
        if let (true, Some(last)) = (client.sources.is_empty(), edit.remove.last()) {
            let (client, source_text) = (name.clone(), last.to_string());
            return Err(Refused::LastSource {
                client,
                source_text,
            });
        }
        let detail = json!({
            "before": texts(&before.sources),
            "after": texts(&client.sources),
        });
        let change = put_client("client.sources", &client, detail);
        let revision = self.commit(actor.clone(), vec![change]).await?;
        let effects = self.desk.grants.put_client(client.clone());
        let opens_nothing = edit.add.is_empty();
        let done = if opens_nothing {
            self.shut_down(revision, effects, Why::Revoked).await
        } else {
            self.exchange_sources(actor, &before, revision, effects)
                .await?
        };
        Ok((Arc::new(client), done.took(since)))
    }

    pub(super) async fn disable(
        &mut self,
        actor: Actor,
        name: &ClientName,
    ) -> Result<Done, Refused> {
        let since = Instant::now();
        let mut client = Client::clone(&*self.client_named(name)?);
        client.enabled = false;
        let change = put_client("client.disable", &client, json!({}));
        let written = match self.commit_ending(actor, vec![change]).await {
            Err(StoreError::Rejected { .. }) => return Err(Refused::Stale),
            written => written,
        };
        let revision = self.revision_of(&written);
        let effects = self.desk.grants.put_client(client);
        let done = self.shut_down(revision, effects, Why::Revoked).await;
        self.answer(done, written, &format!("client `{name}`"), since)
    }

    pub(super) async fn enable(
        &mut self,
        actor: Actor,
        name: &ClientName,
    ) -> Result<Revision, Refused> {
        let before = self.client_named(name)?;
        let mut client = Client::clone(&before);
        client.enabled = true;
        let change = put_client("client.enable", &client, json!({}));
        let revision = self.commit(actor.clone(), vec![change]).await?;
        let effects = self.desk.grants.put_client(client);
        match self.open_up(revision, effects).await {
            Ok(()) => Ok(revision),
            Err(why) => Err(self.put_back(actor, &before, why).await),
        }
    }

    pub(super) async fn set_key(
        &mut self,
        actor: Actor,
        name: &ClientName,
        key: &UpstreamKey,
    ) -> Result<Revision, Refused> {
        let mut client = Client::clone(&*self.client_named(name)?);
        client.key = self.desk.seal(&client_owner(client.id), Some(key))?;
        let change = put_client("client.key", &client, json!({}));
        let revision = self.commit(actor, vec![change]).await?;
        let effects = self.desk.grants.put_client(client);
        self.open_up(revision, effects)
            .await
            .map_err(|why| Refused::Undone {
                what: "the old key".to_owned(),
                why,
            })?;
        Ok(revision)
    }

    /// Opens first what is new; if the ring does not take it, all is as before.
    async fn exchange_sources(
        &mut self,
        actor: Actor,
        before: &Client,
        revision: Revision,
        mut effects: crate::grants::Effects,
    ) -> Result<Done, Refused> {
        use crate::grants::Delta;
        let (opened, shut) = std::mem::take(&mut effects.deltas)
            .into_iter()
            .partition(|delta| matches!(delta, Delta::Open(..)));
        effects.deltas = shut;
        let opened = crate::grants::Effects {
            deltas: opened,
            ..Default::default()
        };
        match self.open_up(revision, opened).await {
            Ok(()) => Ok(self.shut_down(revision, effects, Why::Revoked).await),
            Err(why) => Err(self.put_back(actor, before, why).await),
        }
    }

    /// Brings a client back to what it was before a change that the ring did not take.
    pub(super) async fn put_back(
        &mut self,
        actor: Actor,
        before: &Client,
        why: super::RingError,
    ) -> Refused {
        let change = put_client("client.undo", before, json!({ "why": why.to_string() }));
        // Until it is written a restart would try the change again, and say so if it fails.
        let written = self.commit_ending(actor, vec![change]).await;
        let revision = self.revision_of(&written);
        let effects = self.desk.grants.put_client(before.clone());
        self.shut_down(revision, effects, Why::Revoked).await;
        Refused::Undone {
            what: format!("the change of client `{}`", before.name),
            why,
        }
    }

    async fn undo_client(&mut self, client: &Client) {
        let change = end_client("client.undo", client);
        let written = self.commit_ending(Actor::Gate, vec![change]).await;
        let revision = self.revision_of(&written);
        let effects = self.desk.grants.drop_client(client.id);
        self.shut_down(revision, effects, Why::Revoked).await;
    }

    pub(super) fn revision_of(&self, written: &Result<Revision, StoreError>) -> Revision {
        match written {
            Ok(revision) => *revision,
            Err(_unwritten) => self.desk.grants.revision(),
        }
    }
}

pub(super) fn texts(sources: &[Source]) -> Vec<String> {
    sources.iter().map(ToString::to_string).collect()
}

pub(super) fn unique<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}

fn described(client: &Client) -> serde_json::Value {
    json!({
        "id": client.id.0.get(),
        "sources": texts(&client.sources),
        "ports": client.ports,
        "upstream": client.upstream,
        "has_key": client.key.is_some(),
        "expires": client.expires.map(|at| at.to_string()),
        "token": client.tokens.first().map(|token| token.id),
    })
}
