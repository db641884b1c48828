//! `/v1/rollouts`.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Api, parse,
    peer::Peer,
    question::{Query, Question, Raw, read},
    refusal::Refusal,
    wire::{
        Changed, Ended, Moment, Renew, Renewed, RolloutClose, RolloutList, RolloutOpen,
        RolloutOpened, RolloutQuery, RolloutView, RolloutsOpen, RolloutsOpened, Wait,
    },
};
use crate::{
    control::{Closing, NewRollout, Owner},
    ident::RolloutId,
};

/// An object opens one rollout, `{"rollouts":[...]}` many.
#[derive(Deserialize)]
struct Peek {
    rollouts: Option<IgnoredAny>,
}

pub(super) async fn open(
    State(api): State<Api>,
    peer: Peer,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Refusal> {
    let many = read::<Peek>(&body)?.rollouts.is_some();
    let (asked, question) = (api.clone(), body.clone());
    if many {
        let who = peer.who();
        let work = async move { asked.open_many(peer, &question).await };
        api.once(who, &headers, "rollouts", &body, work).await
    } else {
        let who = peer.who();
        let work = async move { asked.open_one(peer, &question).await };
        api.once(who, &headers, "rollouts", &body, work).await
    }
}

impl Api {
    async fn open_one(&self, peer: Peer, body: &[u8]) -> Result<RolloutOpened, Refusal> {
        let open: RolloutOpen = read(body)?;
        let ask = parse::rollout(open, self.control.grants().host())?;
        let mut opened = self.opened_all(peer, vec![ask]).await?.rollouts;
        opened
            .pop()
            .ok_or_else(|| Refusal::invalid("there is no rollout to open"))
    }

    async fn open_many(&self, peer: Peer, body: &[u8]) -> Result<RolloutsOpened, Refusal> {
        let open: RolloutsOpen = read(body)?;
        let here = self.control.grants().host();
        let asks = open.rollouts.into_iter().enumerate().map(|(index, open)| {
            parse::rollout(open, here).map_err(|refusal| refusal.in_item(index))
        });
        let asks = asks.collect::<Result<Vec<NewRollout>, _>>()?;
        if asks.is_empty() {
            return Err(Refusal::invalid("there is no rollout to open"));
        }
        self.opened_all(peer, asks).await
    }

    async fn opened_all(
        &self,
        peer: Peer,
        asks: Vec<NewRollout>,
    ) -> Result<RolloutsOpened, Refusal> {
        let openings = self.control.open_rollouts(peer.actor(), asks).await?;
        let revision = openings.first().map(|opening| opening.revision);
        let doors = self.doorways.look();
        let rollouts = openings
            .into_iter()
            .map(|opening| self.opened(opening, &doors));
        Ok(RolloutsOpened {
            rollouts: rollouts.collect(),
            revision: revision.unwrap_or_default(),
        })
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<RolloutQuery>,
) -> Result<Json<RolloutList>, Refusal> {
    let grants = api.control.grants();
    let revision = grants.revision();
    let rollouts = match query.client {
        Some(name) => grants.rollouts_of(api.control.client_named(&name)?.id),
        None => grants.rollouts(),
    };
    let doors = api.doorways.look();
    let rollouts = rollouts.iter().map(|grant| api.rollout_view(grant, &doors));
    Ok(Json(RolloutList {
        rollouts: rollouts.collect(),
        revision,
    }))
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<RolloutView>, Refusal> {
    let grant = api.control.rollout_named(&named(&id)?)?;
    let tokens = grant.record().tokens.iter().map(|token| token.id).collect();
    api.control.learn_uses(tokens).await;
    Ok(Json(api.rollout_view(&grant, &api.doorways.look())))
}

pub(super) async fn close_one(
    State(api): State<Api>,
    peer: Peer,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Json<Ended>, Refusal> {
    let closing = Closing::Ids(vec![named(&id)?]);
    let done = api.control.close(peer.actor(), closing).await?;
    api.everywhere(done, wait).await
}

pub(super) async fn close_many(
    State(api): State<Api>,
    peer: Peer,
    Query(wait): Query<Wait>,
    Question(close): Question<RolloutClose>,
) -> Result<Json<Ended>, Refusal> {
    let closing = match (close.ids, close.client) {
        (ids, None) if !ids.is_empty() => Closing::Ids(ids),
        (ids, Some(client)) if ids.is_empty() => Closing::AllOf(client),
        _ => return Err(Refusal::invalid("say either ids or client")),
    };
    let done = api.control.close(peer.actor(), closing).await?;
    api.everywhere(done, wait).await
}

pub(super) async fn drain(
    State(api): State<Api>,
    peer: Peer,
    Path(id): Path<String>,
) -> Result<Json<Changed>, Refusal> {
    let id = named(&id)?;
    let revision = api.control.drain(peer.actor(), id.clone()).await?;
    Ok(Json(Changed {
        client: None,
        rollout: Some(id),
        revision,
    }))
}

pub(super) async fn renew(
    State(api): State<Api>,
    peer: Peer,
    Path(id): Path<String>,
    Question(renew): Question<Renew>,
) -> Result<Json<Renewed>, Refusal> {
    let (id, ttl) = (named(&id)?, parse::ttl(renew.ttl_seconds)?);
    let owner = Owner::Rollout(id.clone());
    let lease = api.control.renew(peer.actor(), owner, ttl).await?;
    Ok(Json(Renewed {
        client: None,
        rollout: Some(id),
        expires_at: lease.expires.map(Moment),
        revision: lease.revision,
    }))
}

pub(super) async fn rotate(
    State(api): State<Api>,
    peer: Peer,
    Path(id): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Refusal> {
    let path = format!("rollouts/{id}/rotate");
    let (asked, question) = (api.clone(), body.clone());
    let who = peer.who();
    let work = async move {
        let id = named(&id)?;
        let owner = Owner::Rollout(id.clone());
        let mut rotated = asked.rotated(peer, owner, read(&question)?).await?;
        rotated.rollout = Some(id);
        Ok(rotated)
    };
    api.once(who, &headers, &path, &body, work).await
}

fn named(id: &str) -> Result<RolloutId, Refusal> {
    id.parse()
        .map_err(|why: crate::ident::BadName| Refusal::invalid(why.to_string()))
}
