//! A running `gated`, started from outside as a user would, in a place of its own.
//!
//! Does not build it: `GATED_BIN` names the program. State and run folder outlive the process, so
//! that a gate can be killed and started again on what it left; they go with the [`Gated`] value,
//! as does the process. Should the test itself be killed, the kernel ends the gate with the thread
//! that started it, so start it from a thread that lives as long as it should.

mod process;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use anyhow::Context;
pub use nix::sys::signal::Signal;

use crate::gatectl::Gatectl;
use crate::log::{Log, says};
use crate::need;
use crate::netns::Namespace;
use crate::scratch::Scratch;

use process::Process;

/// Ends a broken run; a healthy gate is ready in well under a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to start, built up before it is.
#[derive(Clone)]
pub struct Launch {
    place: Namespace,
    program: PathBuf,
    through: Vec<String>,
    flags: Vec<String>,
    environment: BTreeMap<String, String>,
    config: Option<String>,
    is_at_home: bool,
}

pub struct Gated {
    launch: Launch,
    process: Process,
    // After the process: fields drop in order, and the folder goes last.
    folder: Scratch,
}

/// A gate that did not want to start.
pub struct Refused {
    pub status: Option<i32>,
    pub log: String,
}

impl Launch {
    pub fn on(place: &Namespace) -> Self {
        Self {
            place: place.clone(),
            program: need::built("GATED_BIN"),
            through: Vec::new(),
            flags: Vec::new(),
            environment: BTreeMap::new(),
            config: None,
            is_at_home: false,
        }
    }

    pub fn flag(mut self, name: &str, value: impl Display) -> Self {
        self.flags.extend([name.to_owned(), value.to_string()]);
        self
    }

    pub fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it by way of `words`, e.g. a program that takes something away from it.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The text of a `gate.toml`, given by `--config`.
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// Keeps its default folders, where the place has mounts of its own for them.
    pub fn at_home(mut self) -> Self {
        self.is_at_home = true;
        self
    }

    /// Listens on `address` for listed sources and forwards to `upstream`.
    pub fn serving(self, address: SocketAddr, upstream: SocketAddr) -> Self {
        self.flag("--listen", address)
            .flag("--sources", "listed")
            .flag("--upstream", format!("http://{upstream}"))
    }

    /// Starts it and waits for the line that says all rings stand.
    pub async fn start(self) -> anyhow::Result<Gated> {
        let folder = Scratch::new()?;
        let process = self.spawn(&folder)?;
        let gated = Gated {
            launch: self,
            process,
            folder,
        };
        gated.ready().await?;
        Ok(gated)
    }

    /// Starts what is expected to refuse, and waits for its end.
    pub async fn refused(self) -> anyhow::Result<Refused> {
        let folder = Scratch::new()?;
        let process = self.spawn(&folder)?;
        let ended = tokio::time::timeout(PATIENCE, process.log().complete()).await;
        ended.with_context(|| format!("gated went on; its log:\n{}", process.log().text()))?;
        let status = process.wait()?;
        Ok(Refused {
            status,
            log: process.log().text(),
        })
    }

    fn spawn(&self, folder: &Scratch) -> anyhow::Result<Process> {
        let mut words = self
            .through
            .iter()
            .map(OsStr::new)
            .chain([self.program.as_os_str()]);
        let mut command = self.place.command(words.next().context("no program")?);
        command.args(words);
        // What gated sees of this environment would otherwise differ between machines.
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default());
        command.envs(&self.environment);
        if !self.is_at_home {
            command.arg("--state-dir").arg(folder.join("state"));
            command.arg("--run-dir").arg(folder.join("run"));
        }
        if let Some(toml) = &self.config {
            let path = folder.join("gate.toml");
            fs::write(&path, toml).context("write gate.toml")?;
            command.arg("--config").arg(path);
        }
        Process::spawn(command.args(&self.flags))
    }
}

impl Gated {
    pub fn ctl(&self) -> Gatectl {
        Gatectl::new(&self.launch.place, self.folder.join("run/admin.sock"))
    }

    pub fn log(&self) -> &Log {
        self.process.log()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn place(&self) -> &Namespace {
        &self.launch.place
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// `kill -9`: nothing of the gate runs any more when this returns.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// SIGTERM, and the exit status of the drained process.
    pub async fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        self.signal(Signal::SIGTERM)?;
        self.ended().await
    }

    /// Sends it this signal and goes on.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)
    }

    /// Waits for its end: the exit status.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let ended = tokio::time::timeout(PATIENCE, self.process.log().complete()).await;
        ended.with_context(|| format!("gated went on; its log:\n{}", self.log().text()))?;
        self.process.wait()
    }

    /// Starts a stopped gate again on the same folders.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = self.launch.spawn(&self.folder)?;
        self.ready().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let ready = self.log().wait(PATIENCE, |line| says(line, "ready")).await;
        ready.map(drop).context("wait for gated to be ready")
    }
}
