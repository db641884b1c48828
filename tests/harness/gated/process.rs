//! A child process that cannot outlive its owner.
//!
//! Does not know what it runs. It leads a process group of its own: a Ctrl-C on the terminal is
//! for the harness, which then ends its children in its own order, and whatever the child started
//! ends with it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::log::Log;

pub(super) struct Process {
    child: Child,
    log: Log,
}

impl Process {
    pub(super) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0);
        #[expect(unsafe_code, reason = "the only way to act between fork and exec")]
        // SAFETY: one system call without pointers.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let out = child.stdout.take().context("stdout was asked for")?;
        let err = child.stderr.take().context("stderr was asked for")?;
        Ok(Self {
            child,
            log: Log::follow(vec![Box::new(out), Box::new(err)]),
        })
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("kill gated")?;
        self.wait().map(drop)
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.pid(), signal).with_context(|| format!("send gated {signal}"))
    }

    /// The exit code, none after a signal. Leaves the dead leader unreaped, so that its number
    /// stays the group's until the group is ended too.
    pub(super) fn wait(&self) -> anyhow::Result<Option<i32>> {
        let ended = waitid(
            Id::Pid(self.pid()),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
        );
        if let WaitStatus::Exited(_, code) = ended.context("wait for gated")? {
            Ok(Some(code))
        } else {
            Ok(None)
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a second panic would hide the first")]
    fn drop(&mut self) {
        // Before the leader is reaped: afterwards its number may belong to somebody else.
        match killpg(self.pid(), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(cause) => eprintln!("could not end gated's group {}: {cause}", self.pid()),
        }
        if let Err(cause) = self.child.wait() {
            eprintln!("could not reap gated {}: {cause}", self.pid());
        }
    }
}

#[cfg(test)]
mod tests;
