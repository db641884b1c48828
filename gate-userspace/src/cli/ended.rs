//! What a revoke, close or disable did, and whether every host of the fleet has done it.

use serde_json::Value;

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    print::{Answer, Block, Tone},
    say,
};
use crate::admin::wire;

/// Asks for an ending. Where the operator waits for the fleet, a host that lags is a refusal.
pub(super) async fn answer(gate: &Gate, question: Question, wait: bool) -> Result<Answer, Fault> {
    of(gate.ask(question).await?, wait)
}

pub(super) fn of(json: Value, wait: bool) -> Result<Answer, Fault> {
    let ended: wire::Ended = super::print::read(&json)?;
    let behind: Vec<String> = ended
        .hosts
        .iter()
        .filter(|host| !matches!(host.state.as_str(), "done" | "self-closed"))
        .map(|host| host.host.to_string())
        .collect();
    let exit = if !ended.warnings.is_empty() {
        exit(&ended.warnings)
    } else if wait && !behind.is_empty() {
        say::note(&format!(
            "not yet done on {}; `gatectl hosts` shows how far they are",
            behind.join(", ")
        ));
        Exit::Refused
    } else {
        Exit::Ok
    };
    Ok(Answer::new(json, view(&ended)).exit(exit))
}

/// A script must not take for shut what may still be open.
pub(super) fn exit(warnings: &[String]) -> Exit {
    if warnings.is_empty() {
        return Exit::Ok;
    }
    say::note("not all of it could be done; `gatectl status` shows how the rings stand");
    Exit::Refused
}

pub(super) fn warned(warnings: &[String]) -> impl Iterator<Item = Block> {
    let lines = warnings.iter();
    lines.map(|warning| Block::line(Tone::Warn, format!("warning: {warning}")))
}

fn view(ended: &wire::Ended) -> Vec<Block> {
    let mut view = vec![Block::pairs([
        ("rollouts closed", ended.rollouts_closed.to_string()),
        ("tokens ended", ended.tokens_ended.to_string()),
        ("streams cut", ended.streams_cut.to_string()),
        ("connections closed", ended.connections_closed.to_string()),
        ("entries removed", ended.entries_removed.to_string()),
        ("took", format!("{} us", ended.elapsed_us)),
        ("revision", ended.revision.to_string()),
    ])];
    if !ended.hosts.is_empty() {
        let row = |host: &wire::HostState| {
            vec![
                host.host.to_string(),
                host.state.clone(),
                host.revision.to_string(),
            ]
        };
        view.push(Block::line(Tone::Plain, ""));
        view.push(Block::Rows {
            head: vec!["HOST", "STATE", "REVISION"],
            rows: ended.hosts.iter().map(row).collect(),
        });
    }
    view.extend(warned(&ended.warnings));
    view
}
