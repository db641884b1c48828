//! `gatectl` as a script would call it: arguments in, exit code and one JSON document out.
//!
//! Does not build it: `GATECTL_BIN` names the program. It runs in the gate's place, because some
//! commands reach for the pins there.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::need;
use crate::netns::Namespace;

#[derive(Clone)]
pub struct Gatectl {
    place: Namespace,
    program: PathBuf,
    /// The flag that says where the gate is, and its value.
    at: [PathBuf; 2],
    environment: Vec<(String, String)>,
}

/// What one call came to.
#[derive(Debug)]
pub struct Outcome {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Gatectl {
    pub fn new(place: &Namespace, socket: PathBuf) -> Self {
        Self {
            place: place.clone(),
            program: need::built("GATECTL_BIN"),
            at: ["--socket".into(), socket],
            environment: Vec::new(),
        }
    }

    /// As an operator on another machine, whose environment holds a token.
    pub fn over(place: &Namespace, url: &str) -> Self {
        Self {
            at: ["--url".into(), url.into()],
            ..Self::new(place, PathBuf::new())
        }
    }

    /// The same with one more variable in its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the command line `arguments`, split at blanks, and returns its JSON.
    /// Anything but exit 0 is an error.
    pub async fn json(&self, arguments: &str) -> anyhow::Result<Value> {
        let outcome = self.run(&format!("{arguments} --output json"), "").await?;
        outcome
            .json()
            .with_context(|| format!("gatectl {arguments}"))
    }

    /// Packets that the packet ring dropped so far, for whatever reason.
    pub async fn drops(&self) -> anyhow::Result<u64> {
        let status = self.json("status").await?;
        let drops = status["drops"]
            .as_object()
            .with_context(|| format!("no drops in {status}"))?;
        Ok(drops.values().filter_map(Value::as_u64).sum())
    }

    /// Runs the command line `arguments`, split at blanks, with `stdin` to read.
    pub async fn run(&self, arguments: &str, stdin: &str) -> anyhow::Result<Outcome> {
        let mut command = Command::from(self.place.command(&self.program));
        command.envs(self.environment.iter().cloned());
        command.args(arguments.split_whitespace()).args(&self.at);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .context("start gatectl")?;
        let mut pipe = child.stdin.take().context("stdin was asked for")?;
        // A command that does not read its stdin may be gone already.
        let _ = pipe.write_all(stdin.as_bytes()).await;
        drop(pipe);
        let done = child.wait_with_output().await.context("wait for gatectl")?;
        Ok(Outcome {
            status: done.status.code(),
            stdout: String::from_utf8(done.stdout).context("gatectl's output is not text")?,
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }
}

impl Outcome {
    pub fn json(&self) -> anyhow::Result<Value> {
        anyhow::ensure!(
            self.status == Some(0),
            "exit {:?}: {}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

/// The text at `pointer` of an answer, in the words of JSON pointer.
pub fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no text at {pointer} of {answer}"))
}
