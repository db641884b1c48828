//! Writes the references under `docs/` that come from the code.
//!
//! What they say is in `gate-userspace/src/reference.rs`, whose tests hold the committed files to
//! the code: this command only asks those tests to write.

use std::process::ExitCode;

use crate::setup::{self, Purpose};

/// Write the references that come from the code
///
/// Writes docs/cli.md from the command lines of gated and gatectl, docs/configuration.md and
/// docs/gate.toml from the types of the configuration. A test fails while they differ.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: after a change of a flag or a setting\n  cargo xtask docs && git diff docs"
)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Build)?;
    kit.cargo()
        .args(["test", "--quiet", "--package", "gate-userspace", "--lib"])
        .args(["--", "reference::"])
        .env("GATE_WRITE_DOCS", "1")
        .run()?;
    Ok(ExitCode::SUCCESS)
}
