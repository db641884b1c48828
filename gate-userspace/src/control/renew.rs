//! A longer lease, or a new token in place of the old one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Actor, Adopted, Owner, Refused, Why,
    answer::{Lease, Minted, Rotation},
    mint::Pair,
    rollout::put_rollout,
    writer::{Writer, put_client},
};
use crate::{
    client::{Client, Credential, Kind, token_owner},
    clock::Stamp,
    rollout::Rollout,
};

/// How a rotation is meant.
#[derive(Debug)]
pub struct Turnover {
    /// How long the old tokens stay good beside the new ones.
    pub grace: Duration,
    /// In place of a fresh one, where there is one to replace.
    pub token: Option<Adopted>,
}

impl Writer {
    pub(super) async fn renew(
        &mut self,
        actor: Actor,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<Lease, Refused> {
        let expires = Some(self.now().after(ttl));
        let detail = json!({ "expires": expires.map(|at| at.to_string()) });
        let (revision, effects) = match owner {
            Owner::Client(name) => {
                let client = Client {
                    expires,
                    ..Client::clone(&*self.client_named(name)?)
                };
                let change = put_client("client.renew", &client, detail);
                let revision = self.commit(actor, vec![change]).await?;
                self.lease_client(&client);
                (revision, self.desk.grants.put_client(client))
            }
            Owner::Rollout(id) => {
                let grant = self.rollout_named(id)?;
                let rollout = Rollout {
                    expires,
                    ..Rollout::clone(&grant.record())
                };
                let change = put_rollout("rollout.renew", &rollout, &grant, detail);
                let revision = self.commit(actor, vec![change]).await?;
                self.lease_rollout(&rollout);
                (revision, self.desk.grants.put_rollout(rollout))
            }
        };
        // A renewal rewrites entries in place, so it needs no room; a ring that fails is repaired
        // by its own reconciler from the table, which holds the new deadline.
        if let Err(why) = self.open_up(revision, effects).await {
            tracing::error!(error = %why, "a renewed lease has not reached the packet ring");
        }
        Ok(Lease { expires, revision })
    }

    /// New tokens for all that an owner has. Without grace the old ones end as revoked.
    pub(super) async fn rotate(
        &mut self,
        actor: Actor,
        owner: &Owner,
        turnover: Turnover,
    ) -> Result<Rotation, Refused> {
        let since = Instant::now();
        let now = self.now();
        let old_until = now.after(turnover.grace);
        let detail = json!({ "old_until": old_until.to_string() });
        let (revision, effects, tokens) = match owner {
            Owner::Client(name) => {
                let before = self.client_named(name)?;
                self.desk.not_shared(&before)?;
                let (kept, shown) = self.turn(&before.tokens, turnover, now)?;
                let client = Client {
                    tokens: kept,
                    ..Client::clone(&before)
                };
                let change = put_client("client.rotate", &client, detail);
                let revision = self.commit(actor, vec![change]).await?;
                self.lease_client(&client);
                (revision, self.desk.grants.put_client(client), shown)
            }
            Owner::Rollout(id) => {
                let grant = self.rollout_named(id)?;
                let before: Arc<Rollout> = grant.record();
                let (kept, shown) = self.turn(&before.tokens, turnover, now)?;
                let rollout = Rollout {
                    tokens: kept,
                    ..Rollout::clone(&before)
                };
                let change = put_rollout("rollout.rotate", &rollout, &grant, detail);
                let revision = self.commit(actor, vec![change]).await?;
                self.lease_rollout(&rollout);
                (revision, self.desk.grants.put_rollout(rollout), shown)
            }
        };
        let done = self.shut_down(revision, effects, Why::Revoked).await;
        Ok(Rotation {
            tokens,
            old_until,
            done: done.took(since),
        })
    }

    /// The credentials after a rotation, and the texts of the new ones: one for each kind.
    fn turn(
        &self,
        old: &[Credential],
        turnover: Turnover,
        now: Stamp,
    ) -> Result<(Vec<Credential>, Vec<Minted>), Refused> {
        let until = now.after(turnover.grace);
        let mut kinds: Vec<Kind> = old.iter().map(|token| token.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut adopted = turnover.token;
        if adopted.is_some() && kinds.len() > 1 {
            let text = "several tokens are to be replaced, and one was given".to_owned();
            return Err(Refused::Invalid(text));
        }
        let (mut kept, mut shown) = (Vec::new(), Vec::new());
        for kind in kinds {
            let latest = old.iter().filter(|token| token.kind == kind);
            let latest = latest.max_by_key(|token| (token.expires.is_none(), token.created));
            let key = latest.and_then(|token| Some((token.id, token.key.as_ref()?)));
            let key = key.map(|(id, key)| {
                let opened = self.desk.keyring.open(&token_owner(id), key);
                opened.map_err(|why| Refused::Key {
                    what: format!("token `{id}`"),
                    why,
                })
            });
            let key = key.transpose()?;
            let pair = self.desk.token(kind, adopted.take(), key.as_ref(), now)?;
            let Pair {
                kept: one,
                shown: text,
            } = pair;
            kept.push(one);
            shown.push(text);
        }
        if !turnover.grace.is_zero() {
            kept.extend(old.iter().map(|token| Credential {
                expires: Some(token.expires.map_or(until, |at| at.min(until))),
                ..token.clone()
            }));
        }
        Ok((kept, shown))
    }
}
