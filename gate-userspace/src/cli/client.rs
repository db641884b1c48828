//! `gatectl client`: callers, their sources, and their end.

mod add;
mod source;

use http::StatusCode;

use super::{
    call::{Gate, Question, whole_seconds},
    confirm::{Confirmed, confirm},
    ended,
    fault::Fault,
    parse::{ClientCommand, ClientRenew, ClientRevoke, ClientRotate},
    print::{Answer, Block, Tone},
    secret_input, words,
};
use crate::{
    admin::wire::{self, Secret},
    ident::ClientName,
};

pub(super) async fn run(gate: &Gate, command: ClientCommand) -> Result<Answer, Fault> {
    match command {
        ClientCommand::Add(add) => add::add(gate, add).await,
        ClientCommand::List => list(gate).await,
        ClientCommand::Show(named) => show(gate, &named.name).await,
        ClientCommand::Renew(renew) => self::renew(gate, &renew).await,
        ClientCommand::Rotate(rotate) => self::rotate(gate, &rotate).await,
        ClientCommand::Disable(named) => {
            let question = Question::post(format!("{}/disable", path(&named.name)));
            ended::answer(gate, question, false)
                .await
                .map_err(|fault| unknown(fault, &named.name))
        }
        ClientCommand::Enable(named) => enable(gate, &named.name).await,
        ClientCommand::Source(command) => source::run(gate, command).await,
        ClientCommand::Revoke(revoke) => {
            let what = format!("revoking client `{}`", revoke.name);
            let effect = "ends its tokens, rollouts and streams";
            let sure = confirm(revoke.yes, &what, effect, gate.command())?;
            self::revoke(gate, &revoke, sure).await
        }
    }
}

/// The key that is presented upstream, from where the command line says.
pub(super) fn upstream_key(stdin: bool, env: Option<&str>) -> Result<Option<Secret>, Fault> {
    const WHAT: &str = "upstream key";
    match env {
        Some(name) => secret_input::from_env(WHAT, name).map(Some),
        None if stdin => secret_input::from_stdin(WHAT).map(Some),
        None => Ok(None),
    }
}

fn token(stdin: bool) -> Result<Option<Secret>, Fault> {
    stdin.then(|| secret_input::from_stdin("token")).transpose()
}

async fn list(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/clients")).await?;
    Ok(Answer::of(json, |list: wire::ClientList| {
        if list.clients.is_empty() {
            return vec![Block::line(
                Tone::Plain,
                "no clients: add one with `gatectl client add NAME`",
            )];
        }
        let row = |client: wire::ClientView| {
            vec![
                client.client.to_string(),
                if client.enabled {
                    "enabled"
                } else {
                    "disabled"
                }
                .to_owned(),
                client.rollouts.to_string(),
                or_dash(words::sources(&client.sources)),
                or_dash(
                    client
                        .upstream
                        .map(|name| name.to_string())
                        .unwrap_or_default(),
                ),
                or_dash(words::moment(client.expires_at)),
                words::last_used(&client.tokens),
            ]
        };
        vec![Block::Rows {
            head: vec![
                "CLIENT",
                "STATE",
                "ROLLOUTS",
                "SOURCES",
                "UPSTREAM",
                "EXPIRES",
                "LAST USED",
            ],
            rows: list.clients.into_iter().map(row).collect(),
        }]
    }))
}

async fn show(gate: &Gate, name: &ClientName) -> Result<Answer, Fault> {
    let json = gate
        .ask(Question::get(path(name)))
        .await
        .map_err(|fault| unknown(fault, name))?;
    Ok(Answer::of(json, |client: wire::ClientView| {
        let kind = match (client.covers_rollouts, client.service) {
            (true, _) => "covers its rollouts",
            (false, true) => "service",
            (false, false) => "own",
        };
        vec![
            Block::pairs([
                (
                    "client",
                    format!("{} (c{})", client.client, client.client_id),
                ),
                (
                    "state",
                    if client.enabled {
                        "enabled"
                    } else {
                        "disabled"
                    }
                    .to_owned(),
                ),
                ("reach", kind.to_owned()),
                ("sources", words::sources(&client.sources)),
                ("ports", words::all(&client.ports).join(", ")),
                ("scope", client.scope.join(", ")),
                (
                    "upstream",
                    client
                        .upstream
                        .map(|name| name.to_string())
                        .unwrap_or_default(),
                ),
                (
                    "upstream key",
                    words::yes_no(client.has_upstream_key).to_owned(),
                ),
                ("limits", words::limits(client.rps, client.concurrency)),
                ("rollouts", client.rollouts.to_string()),
                ("created", client.created_at.to_string()),
                ("expires", words::moment(client.expires_at)),
            ]),
            Block::line(Tone::Plain, ""),
            words::tokens(&client.tokens),
        ]
    }))
}

async fn renew(gate: &Gate, renew: &ClientRenew) -> Result<Answer, Fault> {
    let body = wire::Renew {
        ttl_seconds: whole_seconds(renew.ttl),
    };
    let question = Question::post(format!("{}/renew", path(&renew.name))).json(&body);
    let json = gate
        .ask(question)
        .await
        .map_err(|fault| unknown(fault, &renew.name))?;
    Ok(words::renewed(json))
}

async fn rotate(gate: &Gate, rotate: &ClientRotate) -> Result<Answer, Fault> {
    let body = wire::Rotate {
        grace_seconds: rotate.grace.map_or(0, whole_seconds),
        token: token(rotate.token_stdin)?,
    };
    let question = Question::post(format!("{}/rotate", path(&rotate.name))).json(&body);
    let json = gate
        .ask(question)
        .await
        .map_err(|fault| unknown(fault, &rotate.name))?;
    Ok(words::rotated(json))
}

async fn enable(gate: &Gate, name: &ClientName) -> Result<Answer, Fault> {
    let json = gate
        .ask(Question::post(format!("{}/enable", path(name))))
        .await
        .map_err(|fault| unknown(fault, name))?;
    Ok(words::changed(json, &format!("client {name} is enabled")))
}

async fn revoke(gate: &Gate, revoke: &ClientRevoke, _sure: Confirmed) -> Result<Answer, Fault> {
    let question = Question::delete(path(&revoke.name)).wait(revoke.wait);
    ended::answer(gate, question, revoke.wait.is_some())
        .await
        .map_err(|fault| unknown(fault, &revoke.name))
}

fn path(name: &ClientName) -> String {
    format!("/v1/clients/{name}")
}

/// A hint for a name that is not there.
pub(super) fn unknown(fault: Fault, name: &ClientName) -> Fault {
    if fault.is_answer(StatusCode::NOT_FOUND) {
        fault.or_hint(format!(
            "`gatectl client list` shows who is there; add it with `gatectl client add {name}`"
        ))
    } else {
        fault
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}
