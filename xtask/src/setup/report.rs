//! What setup tells the user: the state of every need, and what is left to do by hand.

use clap::ValueEnum;
use serde::Serialize;

use super::{
    facts::{Facts, Privilege},
    plan::{Item, State},
    step::{Step, refresh},
};
use crate::say;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// One JSON document
    Json,
}

#[derive(Serialize)]
struct Row {
    need: &'static str,
    state: &'static str,
    optional: bool,
    detail: String,
    why: &'static str,
    commands: Vec<String>,
}

/// The state of every need, on stdout.
pub(super) fn items(items: &[Item], privilege: Privilege, output: Output) -> anyhow::Result<()> {
    let rows: Vec<Row> = items.iter().map(|item| row(item, privilege)).collect();
    match output {
        Output::Json => say::data(&serde_json::to_string_pretty(&rows)?),
        Output::Table => {
            let cells: Vec<[String; 3]> = rows.iter().map(cells).collect();
            say::table(["NEED", "STATE", "DETAIL"], &cells);
        }
    }
    Ok(())
}

fn row(item: &Item, privilege: Privilege) -> Row {
    let (state, detail, commands) = match &item.state {
        State::Present(detail) => ("present", detail.clone(), Vec::new()),
        State::Waiting => (
            "missing",
            "decided after the needs above".to_owned(),
            Vec::new(),
        ),
        State::Unserved(what) => ("missing", what.clone(), Vec::new()),
        State::Missing(steps) => {
            let commands = steps.iter().map(|step| step.command(privilege).to_string());
            ("missing", item.need.why.to_owned(), commands.collect())
        }
    };
    let why = item.need.why;
    Row {
        need: item.need.what,
        state,
        optional: item.need.optional,
        detail,
        why,
        commands,
    }
}

fn cells(row: &Row) -> [String; 3] {
    let state = if row.optional && row.state == "missing" {
        "absent (optional)"
    } else {
        row.state
    };
    let commands = row
        .commands
        .iter()
        .map(|command| format!("\n      {command}"));
    let detail = [row.detail.clone()].into_iter().chain(commands).collect();
    [row.need.to_owned(), state.to_owned(), detail]
}

/// What is missing and why it is needed, before anything is done about it.
pub(super) fn missing(items: &[Item]) {
    let is_known = |item: &&Item| item.is_missing() && item.state != State::Waiting;
    let missing: Vec<&Item> = items.iter().filter(is_known).collect();
    if missing.is_empty() {
        return;
    }
    say::note(&format!(
        "setup: {} of {} needs missing",
        missing.len(),
        items.len()
    ));
    for item in missing {
        say::note(&format!("  {}: {}", item.need.what, item.need.why));
    }
}

/// What the user has to do where this program cannot.
pub(super) fn commands(items: &[Item], facts: &Facts) {
    say::note("\nrun these, then this command again:");
    if !facts.apt {
        say::note("  # the package names are Debian's; this system has no apt-get");
    }
    let missing = || items.iter().filter(|item| item.is_missing());
    let needs_apt = |item: &Item| matches!(&item.state, State::Missing(steps) if steps.iter().any(Step::needs_apt));
    if missing().any(needs_apt) {
        say::note(&format!("  {}", refresh(facts.privilege)));
    }
    for item in missing() {
        match &item.state {
            State::Present(_) | State::Waiting => {}
            State::Unserved(what) => say::note(&format!("  # {}: {what}", item.need.what)),
            State::Missing(steps) => {
                for step in steps {
                    say::note(&format!("  {}", step.command(facts.privilege)));
                }
            }
        }
    }
}
