//! `cargo xtask bench`: gate beside its peers, measured in one run on one machine.
//!
//! Does not judge by absolute numbers: machines differ and are noisy, so what is compared runs
//! interleaved, round by round, and what is stated are ratios with their spread. Everything runs in
//! a network namespace of its own, on loopback, for a bounded time.

mod control;
mod cores;
mod count;
mod document;
mod load;
mod packet;
mod peers;
mod request;
mod stream;
mod table;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use nix::unistd::Uid;

use table::Table;

/// How long a measurement takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measure: Duration,
    /// Tokens that every server knows.
    pub(crate) tokens: usize,
    pub(crate) streams: usize,
}

const FULL: Effort = Effort {
    rounds: 3,
    warm_up: Duration::from_secs(1),
    measure: Duration::from_secs(4),
    tokens: 100_000,
    streams: 2000,
};

/// Shows that everything runs, and nothing else.
const QUICK: Effort = Effort {
    rounds: 1,
    warm_up: Duration::from_millis(200),
    measure: Duration::from_secs(1),
    tokens: 1000,
    streams: 100,
};

#[expect(
    clippy::print_stderr,
    reason = "a program says on stderr why it failed"
)]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("error: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "sse") {
        return stream::server::run(&words[1..]);
    }
    let is_quick = take(&mut words, "--quick");
    let is_written = take(&mut words, "--write");
    let effort = if is_quick { QUICK } else { FULL };
    anyhow::ensure!(
        Uid::effective().is_root(),
        "the bench makes a network of its own: run it as root"
    );
    let all = ["packet", "request", "stream", "control"];
    let parts: Vec<&str> = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["all"] => all.to_vec(),
        [one] if all.contains(&one) => vec![one],
        _ => bail!("usage: gate-bench [packet|request|stream|control|all] [--quick] [--write]"),
    };
    for part in parts {
        let tables: Vec<Table> = match part {
            "packet" => packet::measure(effort.rounds)?,
            "request" => request::measure(effort)?,
            "control" => control::measure(effort)?,
            _ => stream::measure(effort)?,
        };
        for table in &tables {
            table.print()?;
        }
        document::keep(part, &tables)?;
    }
    if is_written {
        document::write()?;
    }
    Ok(())
}

/// Whether this word was among them.
fn take(words: &mut Vec<String>, wanted: &str) -> bool {
    let before = words.len();
    words.retain(|word| word != wanted);
    words.len() < before
}
