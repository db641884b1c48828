//! `gatectl key`: what is presented upstream, and whether it still opens.

use super::{
    call::{Gate, Question},
    client,
    exit::Exit,
    fault::Fault,
    keys,
    parse::{KeyCommand, KeySet, KeyVerify},
    print::{self, Answer, Block, Tone},
    secret_input, words,
};
use crate::admin::wire::{self, KeyState};

pub(super) async fn run(gate: &Gate, command: KeyCommand) -> Result<Answer, Fault> {
    match command {
        KeyCommand::Set(set) => self::set(gate, &set).await,
        KeyCommand::Seal => keys::seal(gate).await,
        KeyCommand::Verify(verify) => self::verify(gate, &verify).await,
        KeyCommand::RotateMaster => keys::rotate_master(gate).await,
        KeyCommand::Export(export) => keys::export(gate, &export).await,
    }
}

async fn set(gate: &Gate, set: &KeySet) -> Result<Answer, Fault> {
    const WHAT: &str = "upstream key";
    let upstream_key = match &set.upstream_key_env {
        Some(name) => secret_input::from_env(WHAT, name)?,
        None => secret_input::from_stdin(WHAT)?,
    };
    let question =
        Question::put(format!("/v1/clients/{}/key", set.name)).json(&wire::KeySet { upstream_key });
    let json = gate
        .ask(question)
        .await
        .map_err(|fault| client::unknown(fault, &set.name))?;
    Ok(words::changed(
        json,
        &format!("client {} has its new upstream key", set.name),
    ))
}

async fn verify(gate: &Gate, verify: &KeyVerify) -> Result<Answer, Fault> {
    let json = gate.ask(Question::get("/v1/verify")).await?;
    let mut verified: wire::Verified = print::read(&json)?;
    if let Some(name) = &verify.name {
        let owner = format!("client {name}");
        verified.keys.retain(|key| key.owner == owner);
        if verified.keys.is_empty() {
            return Err(
                Fault::refused(format!("client `{name}` has no upstream key"))
                    .hint(format!("set one: `gatectl key set {name}`")),
            );
        }
    }
    let whole = verified.keys.iter().all(|key| key.state == KeyState::Ok);
    let json = serde_json::json!({"ok": whole, "keys": verified.keys});
    let exit = if whole { Exit::Ok } else { Exit::Finding };
    Ok(Answer::new(json, view(&verified.keys)).exit(exit))
}

/// Bad ones first: they are why somebody looks.
pub(super) fn view(keys: &[wire::KeyView]) -> Vec<Block> {
    let (good, bad): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.state == KeyState::Ok);
    let mut view: Vec<Block> = bad
        .into_iter()
        .map(|key| {
            let wrong = match key.state {
                KeyState::Ok => "opens",
                KeyState::Plaintext => "is not sealed",
                KeyState::Corrupt => "is corrupt",
                KeyState::UnknownKey => "is sealed with a master key that is not here",
            };
            Block::line(Tone::Bad, format!("the key of {} {wrong}", key.owner))
        })
        .collect();
    view.push(Block::line(
        Tone::Good,
        format!("{} of {} keys open", good.len(), keys.len()),
    ));
    view
}
