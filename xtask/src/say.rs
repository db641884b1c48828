//! Everything the commands print.
//!
//! Data goes to stdout, talk to stderr, so `--output json` can be piped. On a terminal a long step
//! shows a spinner with its running time; elsewhere it prints one line when it starts and one when
//! it ends, which is what a log wants.
#![expect(clippy::print_stderr, reason = "the one place that prints")]

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A line of data.
pub(crate) fn data(line: &str) {
    // A reader that has seen enough closes the pipe; that is no failure.
    let _ = writeln!(stdout(), "{line}");
}

/// A line of talk.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// The heading of a step whose program prints for itself.
pub(crate) fn step(name: &str) {
    eprintln!("\n== {name}");
}

/// A failed command: what failed, the chain of causes, then any hint.
pub(crate) fn failure(error: &anyhow::Error) {
    let (causes, hints): (Vec<_>, Vec<_>) = error
        .chain()
        .map(ToString::to_string)
        .partition(|text| !text.starts_with("hint: "));
    eprintln!("error: {}", causes.join(": "));
    for hint in hints {
        eprintln!("\n{hint}");
    }
}

/// Runs a long, silent piece of work and shows that it is under way.
pub(crate) fn working<T>(
    what: &str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let spinner = stderr().is_terminal().then(|| spinner(what));
    if spinner.is_none() {
        eprintln!("{what} ...");
    }
    let outcome = work();
    if let Some(spinner) = &spinner {
        spinner.finish_and_clear();
    }
    let ending = if outcome.is_ok() { "done" } else { "failed" };
    let took = seconds(begun.elapsed());
    if spinner.is_some() {
        eprintln!("{what}: {ending} in {took}");
    } else {
        eprintln!("  {ending} in {took}");
    }
    outcome
}

/// A duration as a person reads it.
pub(crate) fn seconds(took: Duration) -> String {
    match took.as_secs() {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// Rows under their headings, each column as wide as its widest cell but the last.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        data(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(headings);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
}

fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]")
        .expect("the template is a constant that parses");
    let spinner = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
