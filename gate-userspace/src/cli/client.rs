//! `gatectl client`: callers, their sources, and their end.

use http::StatusCode;

use super::{
    call::{Gate, Question, whole_seconds},
    confirm::{Confirmed, confirm},
    ended,
    fault::Fault,
    parse::{
        ClientAdd, ClientCommand, ClientRenew, ClientRevoke, ClientRotate, SourceArg, SourceChange,
        SourceCommand,
    },
    print::{Answer, Block, Tone},
    secret_input, words,
};
use crate::{
    admin::wire::{self, Secret},
    ident::ClientName,
};

pub(super) async fn run(gate: &Gate, command: ClientCommand) -> Result<Answer, Fault> {
    match command {
        ClientCommand::Add(add) => self::add(gate, add).await,
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
        ClientCommand::Source(SourceCommand::Add(change)) => {
            sources(gate, change, Direction::Add).await
        }
        ClientCommand::Source(SourceCommand::Remove(change)) => {
            sources(gate, change, Direction::Remove).await
        }
        ClientCommand::Revoke(revoke) => {
            let what = format!("revoking client `{}`", revoke.name);
            let effect = "ends its tokens, rollouts and streams";
            let sure = confirm(revoke.yes, &what, effect, gate.command())?;
            self::revoke(gate, &revoke, sure).await
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Add,
    Remove,
}

async fn add(gate: &Gate, add: ClientAdd) -> Result<Answer, Fault> {
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
            ]
        };
        vec![Block::Rows {
            head: vec![
                "CLIENT", "STATE", "ROLLOUTS", "SOURCES", "UPSTREAM", "EXPIRES",
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

async fn sources(gate: &Gate, change: SourceChange, direction: Direction) -> Result<Answer, Fault> {
    let here = change.sources.iter().map(SourceArg::to_string).collect();
    let anywhere = words::all(&change.sources_anywhere);
    let mut body = wire::SourcesPatch {
        host: change.host,
        ..wire::SourcesPatch::default()
    };
    match direction {
        Direction::Add => (body.add_sources, body.add_sources_anywhere) = (here, anywhere),
        Direction::Remove => (body.remove_sources, body.remove_sources_anywhere) = (here, anywhere),
    }
    let name = change.name;
    let json = gate
        .ask(Question::patch(path(&name)).json(&body))
        .await
        .map_err(|fault| unknown(fault, &name))
        .map_err(|fault| match direction {
            Direction::Remove if fault.is_answer(StatusCode::CONFLICT) => {
                fault.or_hint(format!("to end the client: `gatectl client revoke {name}`"))
            }
            Direction::Add | Direction::Remove => fault,
        })?;
    Ok(Answer::of(json, |changed: wire::SourcesChanged| {
        vec![Block::pairs([
            ("client", changed.client.to_string()),
            ("sources", words::sources(&changed.sources)),
            ("entries removed", changed.entries_removed.to_string()),
            ("connections closed", changed.connections_closed.to_string()),
            ("streams cut", changed.streams_cut.to_string()),
            ("took", format!("{} us", changed.elapsed_us)),
            ("revision", changed.revision.to_string()),
        ])]
    }))
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

fn taken(fault: Fault, name: &ClientName) -> Fault {
    if fault.is_answer(StatusCode::CONFLICT) {
        fault.or_hint(format!(
            "for a new token: `gatectl client rotate {name}`; for a new upstream key: `gatectl key set {name}`"
        ))
    } else {
        fault
    }
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
