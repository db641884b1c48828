//! `gatectl client add`: one call that names a caller, its sources and its key.

use http::StatusCode;

use super::{token, upstream_key};
use crate::{
    admin::wire,
    cli::{
        call::{Gate, Question, whole_seconds},
        fault::Fault,
        parse::{ClientAdd, SourceArg},
        print::{Answer, Block},
        words,
    },
    ident::ClientName,
};

pub(super) async fn add(gate: &Gate, add: ClientAdd) -> Result<Answer, Fault> {
    let name = add.name.clone();
    let key = add.idempotency_key.clone();
    let body = question(add)?;
    let json = gate
        .ask(Question::post("/v1/clients").json(&body).once(key))
        .await
        .map_err(|fault| taken(fault, &name))?;
    Ok(Answer::of(json, |added: wire::ClientAdded| {
        vec![Block::pairs([
            ("client", added.client.to_string()),
            ("token", added.token.reveal().to_owned()),
            ("token id", added.token_id.to_string()),
            ("sources", words::sources(&added.sources)),
            ("expires", words::moment(added.expires_at)),
            ("revision", added.revision.to_string()),
        ])]
    }))
}

/// Reads the secrets last: nothing is asked of the operator for a command line that cannot work.
fn question(add: ClientAdd) -> Result<wire::ClientAdd, Fault> {
    let upstream_key = upstream_key(add.upstream_key_stdin, add.upstream_key_env.as_deref())?;
    let token = token(add.token_stdin)?;
    Ok(wire::ClientAdd {
        client: add.name,
        sources: add.sources.iter().map(SourceArg::to_string).collect(),
        sources_anywhere: words::all(&add.sources_anywhere),
        host: add.host,
        ports: add.ports,
        upstream: add.upstream,
        upstream_key,
        scope: words::all(&add.scope),
        covers_rollouts: add.covers_rollouts,
        service: add.service,
        ttl_seconds: add.ttl.map(whole_seconds),
        rps: add.rps.unwrap_or(0),
        concurrency: add.concurrency.unwrap_or(0),
        token,
    })
}

fn taken(fault: Fault, name: &ClientName) -> Fault {
    if fault.is_answer(StatusCode::CONFLICT) {
        fault.or_hint(format!(
            "for a new token: `gatectl client rotate {name}`; for a new upstream key: `gatectl key set {name}`"
        ))
    } else {
        fault
    }
}
