//! `gatectl rollout close`: some, all of a client, or thousands from a file.

use std::{collections::BTreeSet, path::Path};

use http::StatusCode;
use serde_json::{Value, json};

use super::{path, unknown};
use crate::{
    admin::wire,
    cli::{
        bulk::{Bulk, STEP, again},
        call::{Gate, Question},
        ended,
        fault::Fault,
        parse::RolloutClose,
        print::{self, Answer, Paper},
        secret_input::{documents, place, text_of},
    },
    ident::RolloutId,
};

/// Others may close some between a look and the call.
const TRIES: usize = 5;

pub(super) async fn close(gate: &Gate, paper: Paper, close: RolloutClose) -> Result<Answer, Fault> {
    if close.client.is_some() {
        let body = wire::RolloutClose {
            ids: Vec::new(),
            client: close.client,
        };
        let question = Question::delete("/v1/rollouts")
            .json(&body)
            .wait(close.wait);
        let answer = ended::answer(gate, question, close.wait.is_some()).await;
        return answer.map_err(unknown);
    }
    let ids = unique(match &close.from {
        Some(file) => read(file)?,
        None => close.ids.clone(),
    });
    let mut bulk = Bulk::new("rollouts", 0, ids.len())?;
    let (mut sum, mut failed) = (None, None);
    for batch in ids.chunks(STEP) {
        // A host that enforces the last of them enforces those before it.
        let is_last = bulk.done + batch.len() == bulk.total;
        let wait = close.wait.filter(|_| is_last);
        let ask = |ids: Vec<RolloutId>| {
            let body = wire::RolloutClose { ids, client: None };
            gate.ask(Question::delete("/v1/rollouts").json(&body).wait(wait))
        };
        let asking = async {
            if close.open_only {
                some_of(gate, batch, ask).await
            } else {
                ask(batch.to_vec()).await.map(Some)
            }
        };
        match bulk.wait(asking).await {
            Ok(json) => {
                sum = added(sum, json)?;
                bulk.advance(batch.len(), || Ok(()))?;
            }
            Err(fault) => {
                failed = Some(stuck(gate, &close, unknown(fault), &bulk));
                break;
            }
        }
        if bulk.is_stopped() {
            let text = format!("closed {} of {}, and stopped", bulk.done, bulk.total);
            let hint = format!("go on with {}", go_on(gate, &close));
            failed = Some(Fault::refused(text).hint(hint));
            break;
        }
    }
    bulk.end();
    let wait = close.wait.is_some() && failed.is_none();
    let answer = sum.map(|json| ended::of(json, wait)).transpose()?;
    match (answer, failed) {
        (Some(answer), None) => Ok(answer),
        (None, None) => ended::of(json!(wire::Ended::default()), false),
        (answer, Some(fault)) => {
            if let Some(answer) = answer {
                print::answer(&answer, paper)?;
            }
            Err(fault)
        }
    }
}

/// Those of them that are open; none = none of them was.
async fn some_of<F>(
    gate: &Gate,
    batch: &[RolloutId],
    ask: impl Fn(Vec<RolloutId>) -> F,
) -> Result<Option<Value>, Fault>
where
    F: Future<Output = Result<Value, Fault>>,
{
    let mut ids = batch.to_vec();
    let mut tries = 0;
    loop {
        match ask(ids.clone()).await {
            Err(fault) if fault.is_answer(StatusCode::NOT_FOUND) && tries < TRIES => tries += 1,
            other => return other.map(Some),
        }
        let mut open = Vec::new();
        for id in ids {
            match gate.ask(Question::get(path(&id))).await {
                Ok(_) => open.push(id),
                Err(fault) if fault.is_answer(StatusCode::NOT_FOUND) => {}
                Err(fault) => return Err(fault),
            }
        }
        if open.is_empty() {
            return Ok(None);
        }
        ids = open;
    }
}

/// One answer for all calls: an only one stays as the gate gave it.
fn added(sum: Option<Value>, more: Option<Value>) -> Result<Option<Value>, Fault> {
    let (sum, more) = match (sum, more) {
        (Some(sum), Some(more)) => (sum, more),
        (sum, more) => return Ok(sum.or(more)),
    };
    let (sum, more): (wire::Ended, wire::Ended) = (print::read(&sum)?, print::read(&more)?);
    let whole = wire::Ended {
        revision: more.revision,
        rollouts_closed: sum.rollouts_closed + more.rollouts_closed,
        tokens_ended: sum.tokens_ended + more.tokens_ended,
        entries_removed: sum.entries_removed + more.entries_removed,
        connections_closed: sum.connections_closed + more.connections_closed,
        streams_cut: sum.streams_cut + more.streams_cut,
        elapsed_us: sum.elapsed_us + more.elapsed_us,
        hosts: more.hosts,
        warnings: sum.warnings.into_iter().chain(more.warnings).collect(),
    };
    Ok(Some(json!(whole)))
}

fn stuck(gate: &Gate, close: &RolloutClose, fault: Fault, bulk: &Bulk) -> Fault {
    if bulk.total <= STEP {
        return fault;
    }
    let go_on = format!("go on with {}", go_on(gate, close));
    let hint = match fault.hint_text() {
        // Whoever closes does not want it opened.
        Some(hint) if !fault.is_answer(StatusCode::NOT_FOUND) => format!("{hint}; {go_on}"),
        Some(_) | None => go_on,
    };
    let what = format!("closed {} of {}", bulk.done, bulk.total);
    Fault::failed(fault.exit, what).because(fault).hint(hint)
}

fn go_on(gate: &Gate, close: &RolloutClose) -> String {
    again(gate.command(), "--open-only", close.from.as_deref())
}

fn unique(ids: Vec<RolloutId>) -> Vec<RolloutId> {
    let mut seen = BTreeSet::new();
    let mut ids = ids;
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

/// One id a line, or JSON: ids, or what was opened or printed by opening.
fn read(file: &Path) -> Result<Vec<RolloutId>, Fault> {
    let (what, place) = ("the ids", place(file));
    let text = text_of(file, what)?;
    if !text.reveal().starts_with(['[', '{', '"']) {
        let lines = text.reveal().lines().map(str::trim).enumerate();
        let ids = lines.filter(|(_, line)| !line.is_empty());
        let ids = ids.map(|(number, line)| {
            line.parse().map_err(|why: crate::ident::BadName| {
                Fault::refused(format!("line {} of {place}: {why}", number + 1))
            })
        });
        return ids.collect();
    }
    let mut ids = Vec::new();
    for document in documents(&text, what, &place)? {
        gather(&document, &mut ids).ok_or_else(|| {
            Fault::refused(format!("{place} holds something that names no rollout"))
                .hint("`gatectl rollout close --help` shows the form")
        })?;
    }
    Ok(ids)
}

/// None = it names none.
fn gather(document: &Value, ids: &mut Vec<RolloutId>) -> Option<()> {
    match document {
        Value::String(id) => ids.push(id.parse().ok()?),
        Value::Array(all) => {
            for one in all {
                gather(one, ids)?;
            }
        }
        Value::Object(one) => match (one.get("rollouts"), one.get("rollout")) {
            (Some(all), _) => gather(all, ids)?,
            (None, Some(id)) => gather(id, ids)?,
            (None, None) => return None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_can_be_closed_from_the_same_file() {
        let rows = [
            (json!(["r-1", "r-2"]), Some(vec!["r-1", "r-2"])),
            (
                json!([{"rollout": "r-1", "client": "c"}]),
                Some(vec!["r-1"]),
            ),
            (
                json!({"rollouts": [{"rollout": "r-1", "token": "t"}], "revision": 7}),
                Some(vec!["r-1"]),
            ),
            (json!({"client": "c"}), None),
            (json!([7]), None),
            (json!(["no id"]), None),
        ];
        for (document, want) in rows {
            let mut ids = Vec::new();
            let found = gather(&document, &mut ids).map(|()| ids);
            let want = want.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect());
            assert_eq!(found, want, "{document}");
        }
    }

    #[test]
    fn answers_of_several_calls_are_added_up() {
        let ended = |count, revision| {
            Some(json!(wire::Ended {
                revision: crate::ident::Revision(revision),
                rollouts_closed: count,
                elapsed_us: 5,
                ..wire::Ended::default()
            }))
        };
        let sum = added(ended(2, 7), ended(3, 8)).unwrap();
        let mut want: wire::Ended = print::read(&ended(5, 8).unwrap()).unwrap();
        want.elapsed_us = 10;
        assert_eq!(sum, Some(json!(want)));
        assert_eq!(added(None, ended(3, 8)).unwrap(), ended(3, 8));
        assert_eq!(added(ended(3, 8), None).unwrap(), ended(3, 8));
    }
}
