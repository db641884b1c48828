//! `gatectl rollout open`: one rollout, as the command line says.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use crate::{
    admin::wire::{self, TokenKind, TokenWish},
    cli::{
        call::{Gate, Question, whole_seconds},
        client::{self, upstream_key},
        fault::Fault,
        parse::{RolloutOpen, SourceArg},
        print::{Answer, Block},
        secret_input, words,
    },
};

pub(super) async fn one(gate: &Gate, open: RolloutOpen) -> Result<Answer, Fault> {
    let key = open.idempotency_key.clone();
    let body = question(open)?;
    let id = body.rollout.clone();
    let json = gate
        .ask(Question::post("/v1/rollouts").json(&body).once(key))
        .await
        .map_err(|fault| match &fault {
            taken if taken.is_answer(StatusCode::CONFLICT) => fault.or_hint(format!(
                "for new tokens: `gatectl rollout rotate {id}`; to end it: `gatectl rollout close {id}`"
            )),
            _ => client::unknown(fault, &body.client),
        })?;
    Ok(Answer::of(json, |opened: wire::RolloutOpened| {
        let mut pairs = vec![
            ("rollout".to_owned(), opened.rollout.to_string()),
            ("client".to_owned(), opened.client.to_string()),
        ];
        if let Some(token) = &opened.token {
            pairs.push(("token".to_owned(), token.reveal().to_owned()));
        }
        for (kind, token) in &opened.tokens {
            pairs.push((format!("{kind} token"), token.reveal().to_owned()));
        }
        let base = opened.door.base_url.as_deref();
        pairs.extend([
            ("sources".to_owned(), words::sources(&opened.sources)),
            (
                "base URL".to_owned(),
                base.unwrap_or("not known").to_owned(),
            ),
            ("expires".to_owned(), words::moment(opened.expires_at)),
            ("revision".to_owned(), opened.revision.to_string()),
        ]);
        pairs.retain(|(_, value)| !value.is_empty());
        vec![Block::Pairs(pairs)]
    }))
}

fn question(open: RolloutOpen) -> Result<wire::RolloutOpen, Fault> {
    let (Some(rollout), Some(client)) = (open.id, open.client) else {
        return Err(Fault::usage("the rollout id and `--client` are missing"));
    };
    let mut tokens: BTreeMap<TokenKind, TokenWish> = open
        .tokens
        .iter()
        .map(|kind| (*kind, TokenWish::default()))
        .collect();
    if open.secrets_stdin {
        let given = secret_input::json_from_stdin("the secrets")?;
        tokens = wishes(&given, tokens)?;
    }
    Ok(wire::RolloutOpen {
        rollout,
        client,
        sources: open.sources.iter().map(SourceArg::to_string).collect(),
        sources_anywhere: words::all(&open.sources_anywhere),
        host: open.host,
        ttl_seconds: open.ttl.map(whole_seconds),
        upstream: open.upstream,
        upstream_key: upstream_key(open.upstream_key_stdin, open.upstream_key_env.as_deref())?,
        scope: words::all(&open.scope),
        tokens,
    })
}

/// Adds what stdin says of each kind. A kind that `--tokens` does not name is a mistake there.
fn wishes(
    given: &Value,
    mut tokens: BTreeMap<TokenKind, TokenWish>,
) -> Result<BTreeMap<TokenKind, TokenWish>, Fault> {
    let hint = r#"it looks like {"model":{"token":"...","upstream_key":"..."}}"#;
    // The parser's own words could quote a secret.
    let given: BTreeMap<TokenKind, TokenWish> =
        serde::Deserialize::deserialize(given).map_err(|_quotes: serde_json::Error| {
            Fault::refused("the secrets on stdin have another shape").hint(hint)
        })?;
    let named = !tokens.is_empty();
    for (kind, wish) in given {
        if named && !tokens.contains_key(&kind) {
            return Err(Fault::usage(format!(
                "stdin has a secret for kind `{kind}`, which `--tokens` does not name"
            ))
            .hint(format!("add it: `--tokens {kind},...`")));
        }
        tokens.insert(kind, wish);
    }
    Ok(tokens)
}
