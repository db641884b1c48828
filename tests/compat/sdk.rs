//! An SDK at work in a sandbox: one word in, one JSON line out.
//!
//! Does not interpret what the SDK reports. The process sees the environment of `gatectl env` and
//! nothing else, not even a search path.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use harness::need;
use harness::netns::Namespace;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::sandbox::{Address, Sandbox, Way};
use crate::venv;

pub(crate) struct Sdk {
    words: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    // Ended when dropped.
    _process: Child,
}

/// A sandbox with `script` running in it, or none where that cannot be, which is reported.
pub(crate) async fn sandboxed(script: &str, address: Address) -> Option<(Sdk, Sandbox)> {
    sandboxed_by(script, address, Way::Plain).await
}

/// The same with the provider reached in this way.
pub(crate) async fn sandboxed_by(
    script: &str,
    address: Address,
    way: Way,
) -> Option<(Sdk, Sandbox)> {
    if !need::root() {
        return None;
    }
    let python = venv::python(venv::SDKS)?;
    let sandbox = Sandbox::open_by(address, way).await;
    let environment = sandbox.environment().await;
    Some((
        Sdk::start(&python, script, &sandbox.place, &environment),
        sandbox,
    ))
}

impl Sandbox {
    /// `script` in this sandbox, given `token` for its key.
    pub(crate) async fn sdk(&self, script: &str, token: &str) -> Sdk {
        let python = venv::python(venv::SDKS).expect("another one runs already");
        let mut given = self.environment().await;
        for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
            given.insert(name.to_owned(), token.to_owned());
        }
        Sdk::start(&python, script, &self.place, &given)
    }
}

/// The variables of a process, by name.
pub(crate) fn environment<const N: usize>(
    variables: [(&str, String); N],
) -> BTreeMap<String, String> {
    let owned = variables.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().collect()
}

impl Sdk {
    /// Runs `script` in `place` with `environment` and nothing else.
    pub(crate) fn start(
        python: &Path,
        script: &str,
        place: &Namespace,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        Self::spawn(python_command(python, script, place, &[]), environment)
    }

    /// As [`Self::start`], with words on its command line.
    pub(crate) fn started_with(
        python: &Path,
        script: &str,
        words: &[&str],
        place: &Namespace,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        Self::spawn(python_command(python, script, place, words), environment)
    }

    /// Runs `script` of Node in `place` with `environment` and nothing else.
    pub(crate) fn node(
        node: &Path,
        script: &Path,
        place: &Namespace,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let mut command = Command::from(place.command(node));
        command.arg(script);
        Self::spawn(command, environment)
    }

    fn spawn(mut command: Command, environment: &BTreeMap<String, String>) -> Self {
        command.env_clear().envs(environment);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let words = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            words,
            lines,
            _process: process,
        }
    }

    /// Has the script do `word`, and returns its first line about it.
    pub(crate) async fn ask(&mut self, word: &str) -> Value {
        self.tell(word).await;
        self.next().await
    }

    /// Has the script do `word`, which it may say nothing about.
    pub(crate) async fn tell(&mut self, word: &str) {
        self.words
            .write_all(format!("{word}\n").as_bytes())
            .await
            .unwrap();
    }

    /// The script's next line.
    pub(crate) async fn next(&mut self) -> Value {
        let line = self
            .lines
            .next_line()
            .await
            .unwrap()
            .expect("the script goes on");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    }
}

fn python_command(python: &Path, script: &str, place: &Namespace, words: &[&str]) -> Command {
    let mut command = Command::from(place.command(python));
    // Isolated from the user's packages, and no byte code beside the script.
    command
        .args(["-I", "-B"])
        .arg(format!("{}/compat/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(words);
    command
}
