//! `gatectl key seal`, `export` and `rotate-master`: ciphertext in the published form, and a newer
//! master key under a running gate.

use serde_json::json;

use super::{
    call::{Gate, Question},
    client,
    exit::Exit,
    fault::Fault,
    parse::{KeyExport, SealForm},
    print::{self, Answer, Block, Tone},
    progress::Progress,
    secret_input,
};
use crate::admin::wire;

/// Ciphertext alone: a script takes it as it is.
pub(super) async fn seal(gate: &Gate) -> Result<Answer, Fault> {
    let upstream_key = secret_input::from_stdin("upstream key")?;
    let question = Question::post("/v1/keys/seal").json(&wire::KeySeal { upstream_key });
    Ok(sealed(gate.ask(question).await?))
}

pub(super) async fn export(gate: &Gate, export: &KeyExport) -> Result<Answer, Fault> {
    let SealForm::V1 = export.form;
    let path = format!("/v1/keys/export/{}?form=v1", export.name);
    let answer = gate.ask(Question::get(path)).await;
    Ok(sealed(
        answer.map_err(|fault| client::unknown(fault, &export.name))?,
    ))
}

fn sealed(json: serde_json::Value) -> Answer {
    Answer::of(json, |key: wire::SealedKey| {
        vec![Block::Exact(format!("{}\n", key.sealed))]
    })
}

/// Asks for a newer master key, then for one step after another until no row needs an older one.
pub(super) async fn rotate_master(gate: &Gate) -> Result<Answer, Fault> {
    let json = gate.ask(Question::post("/v1/keys/rotate-master")).await?;
    let rotated: wire::MasterRotated = print::read(&json)?;
    let mut progress = Progress::new("keys");
    let mut keys = 0;
    let last = loop {
        let json = gate.ask(Question::post("/v1/keys/reseal")).await;
        let json = json.map_err(|fault| {
            fault.or_hint("what is done is done: `gatectl key rotate-master` goes on")
        })?;
        let step: wire::Resealed = print::read(&json)?;
        keys += step.keys;
        progress.at(as_count(keys), as_count(keys + step.left));
        if step.left == 0 {
            break step;
        }
    };
    progress.end();
    let json = json!({
        "master": rotated.master,
        "keys": keys,
        "shut": last.shut,
        "revision": last.revision.max(rotated.revision),
    });
    let mut view = vec![Block::line(
        Tone::Good,
        format!(
            "master key {} seals; {keys} keys were sealed anew",
            rotated.master
        ),
    )];
    view.extend(last.shut.iter().map(|owner| {
        let text = format!("the key of {owner} opens with no master key here, and is as it was");
        Block::line(Tone::Bad, text)
    }));
    if last.shut.is_empty() {
        let text = "no row needs an older master key: its line may go from the key file, \
                    but backups made before need it";
        view.push(Block::line(Tone::Plain, text));
    }
    let exit = if last.shut.is_empty() {
        Exit::Ok
    } else {
        Exit::Finding
    };
    Ok(Answer::new(json, view).exit(exit))
}

fn as_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
