//! `cargo xtask demo`: shows on a small network of its own what gate does, and checks each line.
//!
//! Does not build anything: `GATED_BIN` and `GATECTL_BIN` name the programs. Everything it makes
//! is owned by the one future that an interrupt drops, so that Ctrl-C cleans up like the end does.

mod checks;
mod report;
mod scene;

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use nix::unistd::Uid;
use tokio::signal::unix::{SignalKind, signal};

use report::{Format, Report};
use scene::Scene;

/// As a shell reports a command that an interrupt ended.
const INTERRUPTED: u8 = 130;

#[expect(
    clippy::print_stderr,
    reason = "a program says on stderr why it failed"
)]
fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(cause) => {
            eprintln!("error: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let format = Format::from_arguments(env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ok = demonstrate(format) => Ok(if ok? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// Whether every line held.
async fn demonstrate(format: Format) -> anyhow::Result<bool> {
    anyhow::ensure!(
        Uid::effective().is_root(),
        "the demo makes networks: run it as root"
    );
    let mut scene = Scene::set().await.context("set up the demo")?;
    let mut report = Report::new(format)?;
    checks::all(&mut scene, &mut report).await?;
    report.finish()
}
