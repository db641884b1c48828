//! `gatectl rollout open --from`: thousands from a file, each token shown as soon as it is made.
//!
//! Every call has an idempotency key, named after the place of its first item: who asks again
//! within ten minutes gets the tokens of a call whose answer was lost.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    admin::wire::{self, Secret},
    cli::{
        bulk::{Bulk, STEP, again},
        call::{Gate, Question},
        fault::Fault,
        parse::RolloutOpen,
        print::{self, Answer, Paper, Sheet},
        secret_input::{documents, place, text_of},
        words,
    },
    ident::Revision,
};

const HEAD: &[&str] = &["ROLLOUT", "CLIENT", "EXPIRES", "TOKEN"];

/// How the command can go on.
struct Resume<'a> {
    command: &'a str,
    file: &'a Path,
    /// As given, or made up for this run.
    key: String,
    is_made_up: bool,
}

pub(super) async fn open(
    gate: &Gate,
    paper: Paper,
    open: &RolloutOpen,
    file: &Path,
) -> Result<Answer, Fault> {
    let rollouts = read(file)?;
    let skip = open.skip.unwrap_or_default();
    let left = rollouts.get(skip..).unwrap_or_default();
    if left.is_empty() {
        let (count, place) = (rollouts.len(), place(file));
        let text = format!("{place} holds {count} rollouts, and {skip} of them are left out");
        return Err(Fault::refused(text).hint("there is none to open"));
    }
    let resume = Resume {
        command: gate.command(),
        file,
        key: match &open.idempotency_key {
            Some(key) => key.clone(),
            None => fresh_key()?,
        },
        is_made_up: open.idempotency_key.is_none(),
    };
    let mut sheet = Sheet::new(paper, "rollouts", HEAD);
    let mut bulk = Bulk::new("rollouts", skip, rollouts.len())?;
    let (mut revision, mut failed) = (Revision::default(), None);
    for batch in left.chunks(STEP) {
        let question = Question::post("/v1/rollouts")
            .json(&json!({ "rollouts": batch }))
            .once(Some(resume.key_at(bulk.done)));
        match bulk.wait(gate.ask(question)).await {
            Ok(json) => {
                let opened: wire::RolloutsOpened = print::read(&json)?;
                revision = opened.revision;
                let rows: Vec<_> = opened.rollouts.iter().map(row).collect();
                let items = json["rollouts"].as_array().map_or(&[][..], Vec::as_slice);
                bulk.advance(batch.len(), || sheet.add(items, &rows))?;
            }
            Err(fault) => {
                failed = Some(resume.stuck(fault, skip, &bulk, batch.len()));
                break;
            }
        }
        if bulk.is_stopped() {
            failed = Some(resume.stopped(&bulk));
            break;
        }
    }
    bulk.end();
    sheet.end("revision", &json!(revision))?;
    failed.map_or_else(|| Ok(Answer::written()), Err)
}

fn row(one: &wire::RolloutOpened) -> Vec<String> {
    let named = |(kind, token): (&wire::TokenKind, &Secret)| format!("{kind}={}", token.reveal());
    let token = match (&one.token, one.tokens.is_empty()) {
        (Some(token), _) => token.reveal().to_owned(),
        (None, true) => "-".to_owned(),
        (None, false) => one.tokens.iter().map(named).collect::<Vec<_>>().join(" "),
    };
    vec![
        one.rollout.to_string(),
        one.client.to_string(),
        words::moment(one.expires_at),
        token,
    ]
}

impl Resume<'_> {
    /// A run that begins elsewhere asks other questions.
    fn key_at(&self, done: usize) -> String {
        match done {
            0 => self.key.clone(),
            done => format!("{}.{done}", self.key),
        }
    }

    fn stuck(&self, fault: Fault, skipped: usize, bulk: &Bulk, asked: usize) -> Fault {
        let done = bulk.done;
        let fault = fault.counted_from(done);
        if done == skipped && fault.is_certain() {
            // Nothing was done: the gate's own words say it all.
            return fault;
        }
        let go_on = self.go_on(done);
        let hint = if fault.is_certain() {
            // That is true of its own call alone.
            let own = fault.hint_text().unwrap_or_default();
            match own
                .trim_end_matches("nothing was opened")
                .trim_end_matches("; ")
            {
                "" => format!("go on with {go_on}"),
                own => format!("{own}; then go on with {go_on}"),
            }
        } else {
            format!(
                "nothing says whether those from {} to {} were opened; within 10 minutes {go_on} \
                 gives their tokens all the same. Where it says that one is open, the gate has been \
                 restarted since: `gatectl rollout rotate ID` gives it a new token",
                done + 1,
                done + asked
            )
        };
        Fault::failed(fault.exit, format!("opened {done} of {}", bulk.total))
            .because(fault)
            .hint(hint)
    }

    fn stopped(&self, bulk: &Bulk) -> Fault {
        let text = format!("opened {} of {}, and stopped", bulk.done, bulk.total);
        Fault::refused(text).hint(format!("go on with {}", self.go_on(bulk.done)))
    }

    fn go_on(&self, done: usize) -> String {
        let mut more = format!("--skip {done}");
        if self.is_made_up {
            more += " --idempotency-key ";
            more += &self.key;
        }
        again(self.command, &more, Some(self.file))
    }
}

fn fresh_key() -> Result<String, Fault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|_gone| Fault::refused("the system has no random numbers to give"))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// One object, a list, `{"rollouts":[...]}`, or one object a line; each is sent on as it is, since
/// the gate parses it strictly.
fn read(file: &Path) -> Result<Vec<Value>, Fault> {
    let what = "the rollouts";
    let text = text_of(file, what)?;
    let mut documents = documents(&text, what, &place(file))?;
    let other = || {
        Fault::refused(format!("{} holds no rollouts", place(file)))
            .hint("`gatectl rollout open --help` shows the form")
    };
    if documents.len() > 1 {
        let all_objects = documents.iter().all(Value::is_object);
        return all_objects.then_some(documents).ok_or_else(other);
    }
    match documents.pop() {
        Some(Value::Array(rollouts)) => Ok(rollouts),
        Some(Value::Object(mut one)) => match one.remove("rollouts") {
            Some(Value::Array(rollouts)) if one.is_empty() => Ok(rollouts),
            Some(_) => Err(other()),
            None => Ok(vec![Value::Object(one)]),
        },
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            Err(other())
        }
    }
}
