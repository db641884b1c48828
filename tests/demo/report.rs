//! The demo's output: a line per check as it is made, or one JSON document at the end.
//!
//! Does not decide what holds. A check that could not be made is a check that failed.

use std::io::{self, Write};

use anyhow::bail;
use serde::Serialize;

/// Wide enough for the longest name in `checks.rs`.
const NAME: usize = 56;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
}

pub(crate) struct Report {
    format: Format,
    checks: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    ok: bool,
    measured: String,
}

#[derive(Serialize)]
struct Document<'a> {
    checks: &'a [Line],
    ok: bool,
}

impl Format {
    pub(crate) fn from_arguments(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        match (
            words.next().as_deref(),
            words.next().as_deref(),
            words.next(),
        ) {
            (None, None, None) | (Some("--output"), Some("table"), None) => Ok(Self::Table),
            (Some("--output"), Some("json"), None) => Ok(Self::Json),
            _ => bail!("usage: demo [--output table|json]"),
        }
    }
}

impl Report {
    pub(crate) fn new(format: Format) -> io::Result<Self> {
        if format == Format::Table {
            writeln!(io::stdout(), "{:<4}  {:<NAME$}  measured", "", "what")?;
        }
        Ok(Self {
            format,
            checks: Vec::new(),
        })
    }

    /// Enters a check: what was measured, or why it does not hold.
    pub(crate) fn enter(
        &mut self,
        name: &'static str,
        outcome: anyhow::Result<String>,
    ) -> io::Result<()> {
        let (ok, measured) = match outcome {
            Ok(measured) => (true, measured),
            Err(cause) => (false, format!("{cause:#}")),
        };
        if self.format == Format::Table {
            let word = if ok { "ok" } else { "FAIL" };
            writeln!(io::stdout(), "{word:<4}  {name:<NAME$}  {measured}")?;
        }
        self.checks.push(Line { name, ok, measured });
        Ok(())
    }

    /// Whether every check held.
    pub(crate) fn finish(self) -> anyhow::Result<bool> {
        let ok = self.checks.iter().all(|check| check.ok);
        let held = self.checks.iter().filter(|check| check.ok).count();
        match self.format {
            Format::Table => writeln!(io::stdout(), "{held} of {} hold", self.checks.len())?,
            Format::Json => {
                let document = Document {
                    checks: &self.checks,
                    ok,
                };
                writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?;
            }
        }
        Ok(ok)
    }
}
