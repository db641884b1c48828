//! `gatectl rollout`: sandboxed runs, one or thousands at once.

mod open;
mod many;
mod close;

use http::StatusCode;
use serde_json::Value;

use super::{
    call::{Gate, Question, whole_seconds},
    fault::Fault,
    parse::{RolloutCommand, RolloutList, RolloutRotate},
    print::{Answer, Block, Paper, Tone},
    words,
};
use crate::{admin::wire, ident::RolloutId};

pub(super) async fn run(
    gate: &Gate,
    paper: Paper,
    command: RolloutCommand,
) -> Result<Answer, Fault> {
    match command {
        RolloutCommand::Open(open) => match &open.from {
            Some(file) => many::open(gate, paper, &open, file).await,
            None => open::one(gate, *open).await,
        },
        RolloutCommand::List(list) => self::list(gate, list).await,
        RolloutCommand::Show(named) => show(gate, &named.id).await,
        RolloutCommand::Renew(renew) => {
            let body = wire::Renew {
                ttl_seconds: whole_seconds(renew.ttl),
            };
            let question = Question::post(format!("{}/renew", path(&renew.id))).json(&body);
            let json = gate.ask(question).await.map_err(unknown)?;
            Ok(words::renewed(json))
        }
        RolloutCommand::Rotate(rotate) => self::rotate(gate, &rotate).await,
        RolloutCommand::Drain(named) => {
            let question = Question::post(format!("{}/drain", path(&named.id)));
            let json = gate.ask(question).await.map_err(unknown)?;
            Ok(words::changed(
                json,
                &format!("rollout {} drains", named.id),
            ))
        }
        RolloutCommand::Close(close) => close::close(gate, paper, close).await,
    }
}

/// The gate's view of one rollout.
pub(super) async fn fetch(gate: &Gate, id: &RolloutId) -> Result<Value, Fault> {
    gate.ask(Question::get(path(id))).await.map_err(unknown)
}

async fn list(gate: &Gate, list: RolloutList) -> Result<Answer, Fault> {
    let path = match list.client {
        Some(name) => format!("/v1/rollouts?client={name}"),
        None => "/v1/rollouts".to_owned(),
    };
    let json = gate.ask(Question::get(path)).await?;
    Ok(Answer::of(json, |list: wire::RolloutList| {
        if list.rollouts.is_empty() {
            return vec![Block::line(Tone::Plain, "no live rollouts")];
        }
        let row = |one: &wire::RolloutView| {
            let sources = words::sources(&one.sources);
            vec![
                one.rollout.to_string(),
                one.client.to_string(),
                one.phase.clone(),
                if sources.is_empty() {
                    "as client".to_owned()
                } else {
                    sources
                },
                words::moment(one.expires_at),
                words::last_used(&one.tokens),
            ]
        };
        vec![Block::Rows {
            head: vec![
                "ROLLOUT",
                "CLIENT",
                "PHASE",
                "SOURCES",
                "EXPIRES",
                "LAST USED",
            ],
            rows: list.rollouts.iter().map(row).collect(),
        }]
    }))
}

async fn show(gate: &Gate, id: &RolloutId) -> Result<Answer, Fault> {
    let json = fetch(gate, id).await?;
    Ok(Answer::of(json, |one: wire::RolloutView| {
        vec![
            Block::pairs([
                ("rollout", one.rollout.to_string()),
                ("client", one.client.to_string()),
                ("phase", one.phase),
                ("sources", words::sources(&one.sources)),
                ("scope", one.scope.join(", ")),
                (
                    "upstream",
                    one.upstream
                        .map(|name| name.to_string())
                        .unwrap_or_default(),
                ),
                (
                    "upstream key",
                    words::yes_no(one.has_upstream_key).to_owned(),
                ),
                ("base URL", one.door.base_url.unwrap_or_default()),
                ("created", one.created_at.to_string()),
                ("expires", words::moment(one.expires_at)),
            ]),
            Block::line(Tone::Plain, ""),
            words::tokens(&one.tokens),
        ]
    }))
}

async fn rotate(gate: &Gate, rotate: &RolloutRotate) -> Result<Answer, Fault> {
    let body = wire::Rotate {
        grace_seconds: rotate.grace.map_or(0, whole_seconds),
        token: None,
    };
    let question = Question::post(format!("{}/rotate", path(&rotate.id))).json(&body);
    let json = gate.ask(question).await.map_err(unknown)?;
    Ok(words::rotated(json))
}

fn path(id: &RolloutId) -> String {
    format!("/v1/rollouts/{id}")
}

fn unknown(fault: Fault) -> Fault {
    if fault.is_answer(StatusCode::NOT_FOUND) {
        fault.or_hint("`gatectl rollout list` shows what is open")
    } else {
        fault
    }
}
