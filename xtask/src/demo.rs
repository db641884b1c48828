//! Builds gate and the demo, and becomes the demo.
//!
//! What is shown and checked is in `tests/demo`, a program of the test package: it stands on the
//! test harness, which would make this command slow to build. Becoming it, rather than waiting for
//! it, lets a Ctrl-C reach the one process that has something to clean up.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::{
    build::Programs,
    child::Child,
    say,
    setup::{self, Purpose},
    surroundings,
};

/// Show what gate does, and check it
///
/// Builds gate, then makes four small networks (a gate host, two sandboxes, a stranger), runs gated
/// between them and prints a line for each thing shown, with what was measured. Exits 1 if one does
/// not hold. Leaves nothing behind. Needs root for the networks.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: keep the results\n  cargo xtask demo --output json > demo.json"
)]
pub(crate) struct Args {
    /// How to print the results
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Build)?;
    // In one go: built apart, they would differ in the features of shared dependencies.
    let cargo = kit.cargo().args(["build", "--bins"]);
    cargo
        .args(["--package", "gate-userspace", "--package", "gate-tests"])
        .run()?;
    let programs = Programs::in_folder("debug");
    let output = match args.output {
        Output::Table => "table",
        Output::Json => "json",
    };
    let demo = surroundings::target().join("debug/gate-demo");
    let demo = Child::new([
        demo.display().to_string(),
        "--output".to_owned(),
        output.to_owned(),
    ])
    .env("GATED_BIN", programs.gated.display().to_string())
    .env("GATECTL_BIN", programs.gatectl.display().to_string());
    if !surroundings::is_root() {
        say::note(
            "error: the demo needs root: it makes networks and loads a packet program into them\n\n\
             It is built. Run it as root:",
        );
        say::note(&format!("  {}", demo.with_sudo()));
        return Ok(ExitCode::FAILURE);
    }
    match demo.exec()? {}
}
