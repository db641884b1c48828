//! `gatectl admin token`: who may use the admin API from other machines.

use super::{
    call::{Gate, Question},
    confirm::confirm,
    fault::Fault,
    parse::{AdminCommand, OperatorAdd, OperatorRevoke, TokenCommand},
    print::{Answer, Block, Tone},
    words,
};
use crate::admin::wire;

const PATH: &str = "/v1/admin/tokens";

pub(super) async fn run(gate: &Gate, command: AdminCommand) -> Result<Answer, Fault> {
    let AdminCommand::Token(command) = command;
    match command {
        TokenCommand::Add(add) => self::add(gate, add).await,
        TokenCommand::List => list(gate).await,
        TokenCommand::Revoke(revoke) => self::revoke(gate, &revoke).await,
    }
}

async fn add(gate: &Gate, add: OperatorAdd) -> Result<Answer, Fault> {
    let OperatorAdd { name, role } = add;
    let body = wire::OperatorAdd { name, role };
    let json = gate.ask(Question::post(PATH).json(&body)).await?;
    Ok(Answer::of(json, |added: wire::OperatorAdded| {
        vec![
            Block::pairs([
                ("operator", added.name.to_string()),
                ("role", added.role.to_string()),
                ("token", added.token.reveal().to_owned()),
                ("token id", added.token_id.to_string()),
                ("revision", added.revision.to_string()),
            ]),
            Block::line(
                Tone::Plain,
                "shown this once: put it into $GATE_ADMIN_TOKEN where `gatectl --url` runs",
            ),
        ]
    }))
}

async fn list(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get(PATH)).await?;
    Ok(Answer::of(json, |list: wire::OperatorList| {
        if list.operators.is_empty() {
            return vec![Block::line(
                Tone::Plain,
                "no operators: `gatectl admin token add NAME --role ROLE` makes a token for another machine",
            )];
        }
        let row = |operator: wire::OperatorView| {
            vec![
                operator.name.to_string(),
                operator.role.to_string(),
                operator.token_id.to_string(),
                operator.created_at.to_string(),
            ]
        };
        vec![Block::Rows {
            head: vec!["OPERATOR", "ROLE", "TOKEN ID", "CREATED"],
            rows: list.operators.into_iter().map(row).collect(),
        }]
    }))
}

async fn revoke(gate: &Gate, revoke: &OperatorRevoke) -> Result<Answer, Fault> {
    let name = &revoke.name;
    let what = format!("ending the token of operator `{name}`");
    let effect = "ends what it may do, on every host; what it made stays";
    let _sure = confirm(revoke.yes, &what, effect, gate.command())?;
    let json = gate.ask(Question::delete(format!("{PATH}/{name}"))).await?;
    Ok(words::changed(json, &format!("operator {name} has ended")))
}
