//! `/v1/clients`.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{
    Api, parse,
    peer::Peer,
    question::{Query, Question, Raw, read},
    refusal::Refusal,
    show,
    wire::{
        Changed, ClientAdd, ClientAdded, ClientList, ClientView, Ended, KeySet, Moment, Renew,
        Renewed, Rotate, Rotated, Secret, SourcesChanged, SourcesPatch, Wait,
    },
};
use crate::{
    control::{Done, Owner, Turnover},
    ident::ClientName,
};

pub(super) async fn add(
    State(api): State<Api>,
    peer: Peer,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Refusal> {
    let (asked, question) = (api.clone(), body.clone());
    let who = peer.who();
    let work = async move {
        let (control, host) = (&asked.control, asked.control.grants().host());
        let ask = parse::client(read::<ClientAdd>(&question)?, host)?;
        let added = control.add_client(peer.actor(), ask).await?;
        Ok(ClientAdded {
            client: added.client.name.clone(),
            client_id: added.client.id.0.get(),
            token: Secret::from(added.token.text),
            token_id: added.token.id,
            sources: show::sources(&added.client.sources, host),
            expires_at: added.client.expires.map(Moment),
            revision: added.revision,
        })
    };
    api.once(who, &headers, "clients", &body, work).await
}

pub(super) async fn list(State(api): State<Api>) -> Json<ClientList> {
    let grants = api.control.grants();
    let revision = grants.revision();
    let clients = grants.clients().into_iter();
    let clients = clients.map(|grant| api.client_view(&grant.record()));
    Json(ClientList {
        clients: clients.collect(),
        revision,
    })
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ClientView>, Refusal> {
    let client = api.control.client_named(&named(&name)?)?;
    let tokens = client.tokens.iter().map(|token| token.id);
    api.control.learn_uses(tokens.collect()).await;
    Ok(Json(api.client_view(&client)))
}

pub(super) async fn patch(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    Question(patch): Question<SourcesPatch>,
) -> Result<Json<SourcesChanged>, Refusal> {
    let here = api.control.grants().host();
    let edit = parse::edit(&patch, here)?;
    let name = named(&name)?;
    let changed = api.control.edit_sources(peer.actor(), name, edit).await;
    let (client, done) = changed?;
    Ok(Json(SourcesChanged {
        client: client.name.clone(),
        sources: show::sources(&client.sources, here),
        entries_removed: done.entries_removed,
        connections_closed: done.connections,
        streams_cut: done.streams,
        elapsed_us: done.elapsed_us,
        revision: done.revision,
        warnings: done.warnings,
    }))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Json<Ended>, Refusal> {
    let done = api.control.revoke(peer.actor(), named(&name)?).await?;
    api.everywhere(done, wait).await
}

pub(super) async fn disable(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Json<Ended>, Refusal> {
    let done = api.control.disable(peer.actor(), named(&name)?).await?;
    api.everywhere(done, wait).await
}

pub(super) async fn enable(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Refusal> {
    let name = named(&name)?;
    let revision = api.control.enable(peer.actor(), name.clone()).await?;
    Ok(Json(changed(name, revision)))
}

pub(super) async fn set_key(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    Question(set): Question<KeySet>,
) -> Result<Json<Changed>, Refusal> {
    let (name, key) = (named(&name)?, parse::key(&set.upstream_key)?);
    let changing = api.control.set_key(peer.actor(), name.clone(), key);
    Ok(Json(changed(name, changing.await?)))
}

pub(super) async fn renew(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    Question(renew): Question<Renew>,
) -> Result<Json<Renewed>, Refusal> {
    let (name, ttl) = (named(&name)?, parse::ttl(renew.ttl_seconds)?);
    let owner = Owner::Client(name.clone());
    let lease = api.control.renew(peer.actor(), owner, ttl).await?;
    Ok(Json(Renewed {
        client: Some(name),
        rollout: None,
        expires_at: lease.expires.map(Moment),
        revision: lease.revision,
    }))
}

pub(super) async fn rotate(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Refusal> {
    let path = format!("clients/{name}/rotate");
    let (asked, question) = (api.clone(), body.clone());
    let who = peer.who();
    let work = async move {
        let name = named(&name)?;
        let owner = Owner::Client(name.clone());
        let mut rotated = asked.rotated(peer, owner, read(&question)?).await?;
        rotated.client = Some(name);
        Ok(rotated)
    };
    api.once(who, &headers, &path, &body, work).await
}

impl Api {
    pub(super) async fn rotated(
        &self,
        peer: Peer,
        owner: Owner,
        rotate: Rotate,
    ) -> Result<Rotated, Refusal> {
        let turnover = Turnover {
            grace: Duration::from_secs(rotate.grace_seconds),
            token: rotate.token.as_ref().map(parse::adopted),
        };
        let rotation = self.control.rotate(peer.actor(), owner, turnover).await?;
        let (token, token_id, tokens) = show::shown(rotation.tokens);
        let tokens = tokens.into_iter();
        Ok(Rotated {
            client: None,
            rollout: None,
            token,
            token_id,
            tokens: tokens
                .map(|(kind, token)| (kind.to_string(), token))
                .collect(),
            old_until: rotation.old_until.into(),
            streams_cut: rotation.done.streams,
            revision: rotation.done.revision,
            warnings: rotation.done.warnings,
        })
    }
}

impl Api {
    /// The answer of an ending, with how far the fleet is.
    pub(super) async fn everywhere(
        &self,
        mut done: Done,
        wait: Wait,
    ) -> Result<Json<Ended>, Refusal> {
        let wait = Duration::from_secs(wait.wait_seconds);
        if let Err(why) = self.control.wait_for_hosts(&mut done, wait).await {
            // It is done here and written; only the others' answers are missing.
            done.warnings.push(why.to_string());
        }
        Ok(Json(show::ended(done)))
    }
}

fn named(name: &str) -> Result<ClientName, Refusal> {
    name.parse()
        .map_err(|why: crate::ident::BadName| Refusal::invalid(why.to_string()))
}

fn changed(name: ClientName, revision: crate::ident::Revision) -> Changed {
    Changed {
        client: Some(name),
        rollout: None,
        revision,
    }
}
