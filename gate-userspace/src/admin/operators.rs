//! Tokens for other machines: made and ended at the socket, by root or the gate's own user, because
//! such a token outlives whoever made it.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    Api,
    peer::Peer,
    question::Question,
    refusal::Refusal,
    wire::{Changed, OperatorAdd, OperatorAdded, OperatorList, OperatorView, Secret},
};
use crate::ident::OperatorName;

pub(super) async fn list(State(api): State<Api>) -> Json<OperatorList> {
    let operators = api.control.operators();
    let view = operators.iter().map(|operator| OperatorView {
        name: operator.name.clone(),
        role: operator.role,
        token_id: operator.token,
        created_at: operator.created.into(),
    });
    Json(OperatorList {
        operators: view.collect(),
    })
}

pub(super) async fn add(
    State(api): State<Api>,
    peer: Peer,
    Question(question): Question<OperatorAdd>,
) -> Result<Json<OperatorAdded>, Refusal> {
    peer.must_be_owner("making a token for other machines")?;
    let OperatorAdd { name, role } = question;
    let added = api.control.add_operator(peer.actor(), name.clone(), role);
    let (minted, revision) = added.await?;
    Ok(Json(OperatorAdded {
        name,
        role,
        token_id: minted.id,
        token: Secret::from(minted.text),
        revision,
    }))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    peer: Peer,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Refusal> {
    peer.must_be_owner("ending a token for other machines")?;
    let name = name.parse::<OperatorName>();
    let name = name.map_err(|why| Refusal::invalid(why.to_string()))?;
    let revision = api.control.end_operator(peer.actor(), name).await?;
    Ok(Json(Changed {
        client: None,
        rollout: None,
        revision,
    }))
}
