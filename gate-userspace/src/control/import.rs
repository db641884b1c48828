//! Takes up clients that another system made: their credentials go on working unchanged.
//!
//! Knows digests only, never a credential's text. Doing it twice changes nothing, and what was
//! revoked here does not come back by it.

use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::{
    Actor, Refused,
    writer::{Writer, durable, note_client},
};
use crate::{
    client::{Client, Credential, Kind, Reach, client_owner},
    ident::{ClientName, TokenId},
    secret::{Digest, UpstreamKey},
    store::{Change, Write},
};

/// Clients in one commit.
const STEP: usize = 500;

/// One client of another system.
#[derive(Debug)]
pub struct Import {
    pub name: ClientName,
    pub digest: Digest,
    pub key: Option<UpstreamKey>,
}

/// What became, or would become, of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    Added,
    /// A client of that name has this credential.
    Unchanged,
    /// A client of that name has other credentials.
    NameTaken,
    /// Another client or rollout has this credential.
    TokenTaken,
    /// The credential was revoked or has expired here.
    TokenEnded,
}

impl Writer {
    pub(super) async fn import(
        &mut self,
        actor: Actor,
        imports: Vec<Import>,
        dry_run: bool,
    ) -> Result<Vec<Imported>, Refused> {
        let ended: HashSet<Digest> = self.desk.store.ended().await?.into_iter().collect();
        let (mut names, mut digests) = (BTreeSet::new(), HashSet::new());
        let (mut judged, mut fresh) = (Vec::new(), Vec::new());
        for import in imports {
            let is_new = names.insert(import.name.clone());
            let verdict = if is_new && digests.insert(import.digest) {
                self.judge(&import, &ended)
            } else if is_new {
                Imported::TokenTaken
            } else {
                Imported::NameTaken
            };
            if verdict == Imported::Added && !dry_run {
                fresh.push(import);
            }
            judged.push(verdict);
        }
        let mut fresh = fresh.into_iter().peekable();
        while fresh.peek().is_some() {
            self.take_up(actor.clone(), fresh.by_ref().take(STEP))
                .await?;
        }
        Ok(judged)
    }

    fn judge(&self, import: &Import, ended: &HashSet<Digest>) -> Imported {
        if let Some(grant) = self.desk.grants.find(&import.digest) {
            let is_own = grant.client.record().name == import.name;
            return if is_own {
                Imported::Unchanged
            } else {
                Imported::TokenTaken
            };
        }
        if ended.contains(&import.digest) {
            Imported::TokenEnded
        } else if self.client_named(&import.name).is_ok() {
            Imported::NameTaken
        } else {
            Imported::Added
        }
    }

    async fn take_up(
        &mut self,
        actor: Actor,
        imports: impl Iterator<Item = Import>,
    ) -> Result<(), Refused> {
        let (mut clients, mut changes) = (Vec::new(), Vec::new());
        for import in imports {
            let client = self.client_of(import).await?;
            changes.push(Change {
                write: Write::AddClient(durable(&client)),
                note: note_client("client.import", &client.name, json!({ "from": "apollo" })),
            });
            clients.push(client);
        }
        let revision = self.commit(actor, changes).await?;
        for client in clients {
            self.desk.names.pin().insert(client.name.clone(), client.id);
            self.lease_client(&client);
            self.desk.grants.put_client(client);
        }
        self.reach(revision);
        Ok(())
    }

    /// Without sources: where its callers come from is not known, so it opens nothing by itself.
    async fn client_of(&self, import: Import) -> Result<Client, Refused> {
        let now = self.now();
        let id = self.desk.store.reserve_client().await?;
        let mut token = [0; 8];
        getrandom::fill(&mut token)?;
        Ok(Client {
            id,
            name: import.name,
            sources: Vec::new(),
            ports: Vec::new(),
            scope: None,
            upstream: None,
            key: self.desk.seal(&client_owner(id), import.key.as_ref())?,
            reach: Reach::Own,
            enabled: true,
            expires: None,
            rps: 0,
            concurrency: 0,
            created: now,
            tokens: vec![Credential {
                id: TokenId(u64::from_be_bytes(token)),
                digest: import.digest,
                kind: Kind::Client,
                expires: None,
                key: None,
                created: now,
                adopted: true,
            }],
        })
    }
}
