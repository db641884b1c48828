//! Brings every stored key under the master key in use, while the gate serves.
//!
//! Can be broken off and begun again: what is done is done, and a key that does not open is left
//! as it is and named. Once nothing is left and nothing was named, the old master key may go.

use serde_json::json;

use super::{
    Actor, Refused,
    rollout::put_rollout,
    writer::{Writer, put_client},
};
use crate::{
    client::{Client, Credential, client_owner, token_owner},
    ident::Revision,
    rollout::{Rollout, rollout_owner},
    secret::{Sealed, UnsealError},
};

/// What a re-sealing did.
#[derive(Debug, Default)]
pub struct Resealed {
    pub keys: usize,
    /// Owners whose key does not open with any master key here.
    pub shut: Vec<String>,
    pub revision: Revision,
}

impl Writer {
    pub(super) async fn reseal(&mut self, actor: Actor) -> Result<Resealed, Refused> {
        let mut done = Resealed::default();
        for grant in self.desk.grants.clients() {
            let before = grant.record();
            let owner = client_owner(before.id);
            let shown = format!("client {}", before.name);
            let before_keys = done.keys;
            let client = Client {
                key: self.sealed_anew(before.key.as_ref(), &owner, shown, &mut done)?,
                tokens: self.tokens_anew(&before.tokens, &mut done)?,
                ..Client::clone(&before)
            };
            if done.keys > before_keys {
                let change = put_client("client.reseal", &client, json!({}));
                let revision = self.commit(actor, vec![change]).await?;
                self.desk.grants.put_client(client);
                self.reach(revision);
            }
        }
        for grant in self.desk.grants.rollouts() {
            let before = grant.record();
            let owner = rollout_owner(before.serial);
            let shown = format!("rollout {}", before.id);
            let before_keys = done.keys;
            let rollout = Rollout {
                key: self.sealed_anew(before.key.as_ref(), &owner, shown, &mut done)?,
                tokens: self.tokens_anew(&before.tokens, &mut done)?,
                ..Rollout::clone(&before)
            };
            if done.keys > before_keys {
                let change = put_rollout("rollout.reseal", &rollout, &grant, json!({}));
                let revision = self.commit(actor, vec![change]).await?;
                self.desk.grants.put_rollout(rollout);
                self.reach(revision);
            }
        }
        done.revision = self.desk.grants.revision();
        Ok(done)
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
