//! `cargo xtask bench`: measures gate beside yardsticks, in one run.
//!
//! Asserts nothing: figures depend on the machine, and only their ratios travel.
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]

mod packet;

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

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

fn run() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_json = match words.as_slice() {
        ["packet"] | ["packet", "--output", "table"] => false,
        ["packet", "--output", "json"] => true,
        _ => bail!("usage: gate-bench packet [--output table|json]"),
    };
    let figures = packet::figures(|figure| {
        if !is_json {
            println!("{figure}");
        }
    })?;
    if is_json {
        let text = serde_json::to_string_pretty(&figures).context("write the figures")?;
        println!("{text}");
    }
    Ok(())
}
