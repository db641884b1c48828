//! What can be done to rollouts: open (one or thousands), drain, close.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use serde_json::json;

use super::{
    Actor, Closing, NewRollout, Refused, RingError, WantedToken, Why,
    answer::{Done, Opening},
    client::{texts, unique},
    endings::Stopped,
    lease::Leased,
    mint::Pair,
    writer::Writer,
};
use crate::{
    client::{Client, Kind},
    grants::{Effects, RolloutGrant},
    ident::{ClientName, Revision, RolloutId, RolloutSerial},
    rollout::{Event, Phase, Rollout, rollout_owner, step},
    store::{Change, Note, Rejection, StoreError, Write},
};

impl Writer {
    /// Opens all of them or none.
    pub(super) async fn open_rollouts(
        &mut self,
        actor: Actor,
        asks: Vec<NewRollout>,
    ) -> Result<Vec<Opening>, Refused> {
        let in_bulk = asks.len() > 1;
        let at = |index| {
            move |why| {
                if in_bulk {
                    let why = Box::new(why);
                    Refused::InBulk { index, why }
                } else {
                    why
                }
            }
        };
        let serials = self.desk.store.reserve_rollouts(asks.len()).await?;
        let mut seen = BTreeSet::new();
        let mut openings = Vec::with_capacity(asks.len());
        for (index, (ask, serial)) in asks.into_iter().zip(serials).enumerate() {
            if !seen.insert(ask.id.clone()) {
                return Err(at(index)(Refused::RolloutExists(ask.id)));
            }
            let opening = self.draft(ask, serial).map_err(at(index))?;
            openings.push(opening);
        }
        let changes = openings.iter().map(|opening| Change {
            write: Write::AddRollout(Box::new(opening.rollout.clone())),
            note: note("rollout.open", opening, described(&opening.rollout)),
        });
        let revision = match self.commit(actor, changes.collect()).await {
            Err(StoreError::Rejected { index, why }) => {
                return Err(at(index)(rejected(&openings, index, why)));
            }
            written => written?,
        };
        self.put_openings(revision, &mut openings).await?;
        Ok(openings)
    }

    async fn put_openings(
        &mut self,
        revision: Revision,
        openings: &mut [Opening],
    ) -> Result<(), Refused> {
        let mut effects = Effects::default();
        for opening in &mut *openings {
            opening.revision = revision;
            effects.then(self.desk.grants.put_rollout(opening.rollout.clone()));
        }
        if let Err(why) = self.open_up(revision, effects.settled()).await {
            return Err(self.undo_openings(openings, why).await);
        }
        for opening in openings {
            self.lease_rollout(&opening.rollout);
        }
        Ok(())
    }

    async fn undo_openings(&mut self, openings: &[Opening], why: RingError) -> Refused {
        let changes = openings.iter().map(|opening| Change {
            write: Write::EndRollout(opening.rollout.serial),
            note: note("rollout.undo", opening, json!({ "why": why.to_string() })),
        });
        let changes = changes.collect();
        let written = self.commit_ending(Actor::Gate, changes).await;
        let revision = self.revision_of(&written);
        let serials = openings.iter().map(|opening| opening.rollout.serial);
        let effects = self.drop_rollouts(serials);
        self.shut_down(revision, effects, Why::Closed).await;
        let what = match openings {
            [one] => format!("rollout `{}`", one.rollout.id),
            many => format!("{} rollouts", many.len()),
        };
        Refused::Undone { what, why }
    }

    /// The record and its tokens, not yet anywhere.
    fn draft(&self, ask: NewRollout, serial: RolloutSerial) -> Result<Opening, Refused> {
        let client = self.client_named(&ask.client)?;
        if !client.enabled {
            return Err(Refused::Disabled(ask.client));
        }
        if self.desk.grants.rollout(&ask.id).is_some() {
            return Err(Refused::RolloutExists(ask.id));
        }
        self.desk.upstream_known(ask.upstream.as_ref())?;
        let now = self.now();
        let mut wanted = ask.tokens;
        if wanted.is_empty() {
            wanted.push(WantedToken {
                kind: Kind::Rollout,
                token: None,
                key: None,
            });
        }
        let (mut kept, mut shown) = (Vec::new(), Vec::new());
        for want in wanted {
            let pair = self
                .desk
                .token(want.kind, want.token, want.key.as_ref(), now)?;
            let Pair {
                kept: one,
                shown: text,
            } = pair;
            kept.push(one);
            shown.push(text);
        }
        let key = self.desk.seal(&rollout_owner(serial), ask.key.as_ref())?;
        Ok(Opening {
            rollout: Rollout {
                serial,
                id: ask.id,
                client: client.id,
                sources: unique(ask.sources),
                scope: ask.scope,
                upstream: ask.upstream,
                key,
                phase: Phase::Open,
                expires: ask.ttl.map(|ttl| now.after(ttl)),
                created: now,
                tokens: kept,
            },
            client: ask.client,
            tokens: shown,
            revision: Revision::default(),
        })
    }

    /// Running calls go on, new ones are refused.
    pub(super) async fn drain(
        &mut self,
        actor: Actor,
        id: &RolloutId,
    ) -> Result<Revision, Refused> {
        let grant = self.rollout_named(id)?;
        let before = grant.record();
        let (phase, effects) = step(before.phase, Event::Drain);
        if effects.is_empty() {
            return Ok(self.desk.grants.revision());
        }
        let rollout = Rollout {
            phase,
            ..Rollout::clone(&before)
        };
        let change = put_rollout("rollout.drain", &rollout, &grant, json!({}));
        let revision = self.commit(actor, vec![change]).await?;
        let effects = self.desk.grants.put_rollout(rollout);
        self.shut_down(revision, effects, Why::Closed).await;
        Ok(revision)
    }

    /// Closes all of them or, when one is not there, none.
    pub(super) async fn close(
        &mut self,
        actor: Actor,
        closing: Closing,
        stopped: Stopped,
    ) -> Result<Done, Refused> {
        let since = Instant::now();
        let (grants, unwritten) = match closing {
            Closing::Ids(ids) => self.to_close(unique(ids))?,
            Closing::AllOf(name) => {
                let client = self.client_named(&name)?;
                (self.desk.grants.rollouts_of(client.id), None)
            }
        };
        let unwritten = unwritten.map(|id| Refused::NotWritten(format!("rollout `{id}`")));
        if grants.is_empty() {
            let nothing = self.done(self.desk.grants.revision()).took(since);
            return unwritten.map_or(Ok(nothing), Err);
        }
        let changes = grants
            .iter()
            .map(|grant| end_rollout("rollout.close", grant));
        let changes = changes.collect();
        let cut = stopped.wait().await;
        let effects = self.drop_rollouts(grants.iter().map(|grant| grant.serial));
        let revision = self.desk.grants.revision();
        let mut done = self.shut_down(revision, effects, Why::Closed).await;
        done.rollouts = grants.len();
        done.count(cut);
        let written = self.commit_ending(actor, changes).await;
        let what = format!("the closing of {} rollouts", grants.len());
        let done = self.answer(done, written, &what, since)?;
        unwritten.map_or(Ok(done), Err)
    }

    /// Those that are open, and one that has ended but is not written. Asking for that one again
    /// does not spare the others.
    fn to_close(
        &self,
        ids: Vec<RolloutId>,
    ) -> Result<(Vec<Arc<RolloutGrant>>, Option<RolloutId>), Refused> {
        let (mut open, mut unwritten) = (Vec::new(), None);
        for id in ids {
            match self.rollout_named(&id) {
                Ok(grant) => open.push(grant),
                Err(_ended) if self.unwritten.ends_rollout(&id) => unwritten = Some(id),
                Err(why) => return Err(why),
            }
        }
        Ok((open, unwritten))
    }

    /// Out of the table; what that means outside comes back.
    pub(super) fn drop_rollouts(
        &mut self,
        serials: impl Iterator<Item = RolloutSerial>,
    ) -> Effects {
        let mut effects = Effects::default();
        for serial in serials {
            self.desk.leases().set(Leased::Rollout(serial), None);
            effects.then(self.desk.grants.drop_rollout(serial));
        }
        effects.settled()
    }

    pub(super) fn rollout_named(&self, id: &RolloutId) -> Result<Arc<RolloutGrant>, Refused> {
        self.desk.rollout_named(id)
    }
}

pub(super) fn put_rollout(
    kind: &'static str,
    rollout: &Rollout,
    grant: &RolloutGrant,
    detail: serde_json::Value,
) -> Change {
    Change {
        write: Write::PutRollout(Box::new(rollout.clone())),
        note: note_rollout(kind, &rollout.id, &grant.client.record().name, detail),
    }
}

pub(super) fn end_rollout(kind: &'static str, grant: &RolloutGrant) -> Change {
    let client: Arc<Client> = grant.client.record();
    Change {
        write: Write::EndRollout(grant.serial),
        note: note_rollout(kind, &grant.id, &client.name, json!({})),
    }
}

fn note(kind: &'static str, opening: &Opening, detail: serde_json::Value) -> Note {
    note_rollout(kind, &opening.rollout.id, &opening.client, detail)
}

fn note_rollout(
    kind: &'static str,
    id: &RolloutId,
    client: &ClientName,
    detail: serde_json::Value,
) -> Note {
    Note {
        kind,
        subject: format!("rollout {id}"),
        client: client.to_string(),
        detail,
    }
}

/// Another host was faster.
fn rejected(openings: &[Opening], index: usize, why: Rejection) -> Refused {
    let Some(opening) = openings.get(index) else {
        return StoreError::Rejected { index, why }.into();
    };
    match why {
        Rejection::RolloutTaken => Refused::RolloutExists(opening.rollout.id.clone()),
        Rejection::ClientEnded => Refused::NoClient(opening.client.clone()),
        Rejection::TokenTaken
        | Rejection::Stale
        | Rejection::ClientTaken
        | Rejection::OperatorTaken => StoreError::Rejected { index, why }.into(),
    }
}

fn described(rollout: &Rollout) -> serde_json::Value {
    let tokens: Vec<_> = rollout.tokens.iter().map(|token| token.id).collect();
    json!({
        "sources": texts(&rollout.sources),
        "upstream": rollout.upstream,
        "has_key": rollout.key.is_some(),
        "expires": rollout.expires.map(|at| at.to_string()),
        "tokens": tokens,
    })
}
