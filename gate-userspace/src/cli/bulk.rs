//! Thousands in one command: some in each call, with a bar on a terminal, and a stop between two
//! calls rather than within one.
//!
//! Each call is one change, all or none, so what stopped half way is known to a call.

use std::{path::Path, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{fault::Fault, progress::Progress, say};

/// As many as are asked for in one call.
pub(super) const STEP: usize = 1000;

/// How far it is.
pub(super) struct Bulk {
    progress: Progress,
    interrupts: Signal,
    is_stopped: bool,
    pub(super) done: usize,
    pub(super) total: usize,
}

impl Bulk {
    /// `done` were done before, by another command.
    pub(super) fn new(what: &'static str, done: usize, total: usize) -> Result<Self, Fault> {
        let interrupts = signal(SignalKind::interrupt())
            .map_err(|cause| Fault::refused("cannot listen for Ctrl-C").because(cause))?;
        let mut progress = if total - done > STEP {
            Progress::new(what)
        } else {
            Progress::hidden()
        };
        progress.at(done as u64, total as u64);
        Ok(Self {
            progress,
            interrupts,
            is_stopped: false,
            done,
            total,
        })
    }

    /// Waits for one call, also after Ctrl-C: what it makes is shown only once.
    pub(super) async fn wait<T>(
        &mut self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                done = &mut call => return done,
                _pressed = self.interrupts.recv() => {
                    if self.is_stopped {
                        return Err(Fault::unreachable("interrupted"));
                    }
                    self.is_stopped = true;
                    let text = "stopping once the gate has answered; Ctrl-C again does not wait";
                    self.progress.aside(|| say::note(text));
                }
            }
        }
    }

    /// So many more are done, and `write` shows them.
    pub(super) fn advance(
        &mut self,
        count: usize,
        write: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.done += count;
        self.progress.at(self.done as u64, self.total as u64);
        self.progress.aside(write)
    }

    /// Whether somebody wants it to end here.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped && self.done < self.total
    }

    pub(super) fn end(self) {
        self.progress.end();
    }
}

/// What to do again with the same input.
pub(super) fn again(command: &str, more: &str, from: Option<&Path>) -> String {
    let input = match from {
        Some(file) if file == Path::new("-") => ", with the same on stdin",
        Some(_) | None => "",
    };
    format!("`{command} {more}`{input}")
}
