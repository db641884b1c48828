//! Brings every stored key under the master key in use, while the gate serves.
//!
//! Step by step, each one commit, so that other changes come in between. Can be broken off and begun
//! again: what is done is done, and a key that does not open is left as it is and named. Once
//! nothing is left and nothing was named, no row needs an older master key.

use serde_json::json;

use super::{
    Actor, Desk, Refused,
    rollout::put_rollout,
    writer::{Writer, put_client},
};
use crate::{
    client::{Client, Credential, client_owner, token_owner},
    ident::Revision,
    rollout::{Rollout, rollout_owner},
    secret::{KeyId, Sealed, UnsealError},
    store::{Change, Rejection, StoreError},
};

/// Records in one step: a moment of the writer's time.
const STEP: usize = 500;

/// What one step of a re-sealing did.
#[derive(Debug)]
pub struct Resealed {
    /// The master key that seals.
    pub master: KeyId,
    pub keys: usize,
    /// Records that still hold keys under an older master key.
    pub left: usize,
    /// Owners whose key does not open with any master key here.
    pub shut: Vec<String>,
    pub revision: Revision,
}

/// What is changed in this step.
#[derive(Default)]
struct Step {
    changes: Vec<Change>,
    clients: Vec<Client>,
    rollouts: Vec<Rollout>,
}

impl Writer {
    pub(super) async fn reseal(&mut self, actor: Actor) -> Result<Resealed, Refused> {
        let mut done = Resealed {
            master: self.desk.keyring.current(),
            keys: 0,
            left: 0,
            shut: Vec::new(),
            revision: self.desk.grants.revision(),
        };
        let mut step = Step::default();
        self.reseal_clients(&mut step, &mut done)?;
        self.reseal_rollouts(&mut step, &mut done)?;
        if step.changes.is_empty() {
            return Ok(done);
        }
        let records = step.changes.len();
        match self.commit(actor, step.changes).await {
            Ok(revision) => {
                for client in step.clients {
                    self.desk.grants.put_client(client);
                }
                for rollout in step.rollouts {
                    self.desk.grants.put_rollout(rollout);
                }
                self.reach(revision);
                done.revision = revision;
            }
            // Another host changed one of them meanwhile: the next step sees it.
            Err(StoreError::Rejected {
                why: Rejection::Stale,
                ..
            }) => {
                done.left += records;
                done.keys = 0;
            }
            Err(why) => return Err(why.into()),
        }
        Ok(done)
    }

    fn reseal_clients(&self, step: &mut Step, done: &mut Resealed) -> Result<(), Refused> {
        for grant in self.desk.grants.clients() {
            let before = grant.record();
            let owner = client_owner(before.id);
            if step.changes.len() == STEP {
                let own = before.key.as_ref().map(|key| (owner, key));
                let keys = tokens_of(&before.tokens).chain(own);
                done.left += usize::from(self.desk.is_older(keys));
                continue;
            }
            let shown = format!("client {}", before.name);
            let before_keys = done.keys;
            let client = Client {
                key: self.sealed_anew(before.key.as_ref(), &owner, shown, done)?,
                tokens: self.tokens_anew(&before.tokens, done)?,
                ..Client::clone(&before)
            };
            if done.keys > before_keys {
                let change = put_client("client.reseal", &client, json!({}));
                step.changes.push(change);
                step.clients.push(client);
            }
        }
        Ok(())
    }

    fn reseal_rollouts(&self, step: &mut Step, done: &mut Resealed) -> Result<(), Refused> {
        for grant in self.desk.grants.rollouts() {
            let before = grant.record();
            let owner = rollout_owner(before.serial);
            if step.changes.len() == STEP {
                let own = before.key.as_ref().map(|key| (owner, key));
                let keys = tokens_of(&before.tokens).chain(own);
                done.left += usize::from(self.desk.is_older(keys));
                continue;
            }
            let shown = format!("rollout {}", before.id);
            let before_keys = done.keys;
            let rollout = Rollout {
                key: self.sealed_anew(before.key.as_ref(), &owner, shown, done)?,
                tokens: self.tokens_anew(&before.tokens, done)?,
                ..Rollout::clone(&before)
            };
            if done.keys > before_keys {
                let change = put_rollout("rollout.reseal", &rollout, &grant, json!({}));
                step.changes.push(change);
                step.rollouts.push(rollout);
            }
        }
        Ok(())
    }

    fn tokens_anew(
        &self,
        tokens: &[Credential],
        done: &mut Resealed,
    ) -> Result<Vec<Credential>, Refused> {
        let anew = tokens.iter().map(|token| {
            let (owner, shown) = (token_owner(token.id), format!("token {}", token.id));
            Ok(Credential {
                key: self.sealed_anew(token.key.as_ref(), &owner, shown, done)?,
                ..token.clone()
            })
        });
        anew.collect()
    }

    fn sealed_anew(
        &self,
        key: Option<&Sealed>,
        owner: &str,
        shown: String,
        done: &mut Resealed,
    ) -> Result<Option<Sealed>, Refused> {
        let keyring = &self.desk.keyring;
        let Some(sealed) = key.filter(|key| !keyring.is_current(key)) else {
            return Ok(key.cloned());
        };
        match keyring.open(owner, sealed) {
            Ok(opened) => {
                done.keys += 1;
                Ok(Some(keyring.seal(owner, &opened)?))
            }
            Err(
                UnsealError::Malformed
                | UnsealError::UnknownKey
                | UnsealError::Refused
                | UnsealError::NotText,
            ) => {
                done.shut.push(shown);
                Ok(Some(sealed.clone()))
            }
        }
    }
}

impl Desk {
    pub(super) fn has_older_keys(&self) -> bool {
        let clients = self.grants.clients().into_iter().any(|grant| {
            let client = grant.record();
            let own = client
                .key
                .as_ref()
                .map(|key| (client_owner(client.id), key));
            self.is_older(tokens_of(&client.tokens).chain(own))
        });
        clients
            || self.grants.rollouts().into_iter().any(|grant| {
                let rollout = grant.record();
                let own = rollout.key.as_ref();
                let own = own.map(|key| (rollout_owner(rollout.serial), key));
                self.is_older(tokens_of(&rollout.tokens).chain(own))
            })
    }

    /// Whether one of these opens, and not with the master key in use.
    fn is_older<'a>(&self, mut keys: impl Iterator<Item = (String, &'a Sealed)>) -> bool {
        let keyring = &self.keyring;
        keys.any(|(owner, key)| !keyring.is_current(key) && keyring.open(&owner, key).is_ok())
    }
}

fn tokens_of(tokens: &[Credential]) -> impl Iterator<Item = (String, &Sealed)> {
    let keys = tokens.iter();
    keys.filter_map(|token| Some((token_owner(token.id), token.key.as_ref()?)))
}
