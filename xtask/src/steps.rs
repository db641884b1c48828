//! Named steps with their outcome and time, and the summary at the end.
//!
//! A failed step does not stop the next: one run tells everything that is wrong. A step whose
//! result others need is called by its caller as `?`, not here.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::say;

#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Outcome, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Steps {
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<T> {
        say::step(name);
        let begun = Instant::now();
        let result = work();
        let outcome = if result.is_ok() {
            Outcome::Passed
        } else {
            Outcome::Failed
        };
        self.done.push((name, outcome, begun.elapsed()));
        result.inspect_err(say::failure).ok()
    }

    /// A step that this run leaves out, and why.
    pub(crate) fn skip(&mut self, name: &'static str, why: &str) {
        say::step(name);
        say::note(&format!("skipped: {why}"));
        self.done.push((name, Outcome::Skipped, Duration::ZERO));
    }

    pub(crate) fn finish(self) -> ExitCode {
        let total = self.done.iter().map(|(_, _, took)| *took).sum();
        let rows: Vec<[String; 3]> = self
            .done
            .iter()
            .map(|(name, outcome, took)| {
                [
                    (*name).to_owned(),
                    outcome.word().to_owned(),
                    say::seconds(*took),
                ]
            })
            .collect();
        say::data("");
        say::table(["STEP", "OUTCOME", "TIME"], &rows);
        say::data(&format!("total {}", say::seconds(total)));
        let failed = self
            .done
            .iter()
            .any(|(_, outcome, _)| *outcome == Outcome::Failed);
        if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}
