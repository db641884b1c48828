//! Builds gate as it is installed, and measures it beside its peers.
//!
//! What is measured, and how, is in `tests/bench`, a program of the test package.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::{
    build::Programs,
    child::Child,
    say,
    setup::{self, Purpose},
    surroundings,
};

/// Measure gate beside its peers
///
/// Installs the peers from the distribution (nginx, haproxy, xdp-filter, nft, the load generator wrk), builds gate with
/// all optimisations, and runs all of them in turn, in a network namespace, on loopback, for some
/// minutes. Prints ratios; keeps the figures as JSON under target/bench. Needs root for the namespace.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: measure calls only, and write docs/benchmarks.md\n  cargo xtask bench request --write"
)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value_t = Part::All)]
    part: Part,
    /// Only show that it runs: seconds in place of minutes, and figures that say nothing
    #[arg(long)]
    quick: bool,
    /// Write docs/benchmarks.md from what is kept of all parts
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Frames: what the packet programs cost, and floods that they drop
    Packet,
    /// Calls that are answered at once
    Request,
    /// Event streams
    Stream,
    /// Provisioning, revocation on one host and across a fleet, and restart
    Control,
    All,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Bench)?;
    // Each program is optimised as a whole, which takes minutes: no other than these.
    let cargo = kit.cargo().args(["build", "--release"]);
    cargo
        .args(["--package", "gate-userspace", "--package", "gate-tests"])
        .args(["--bin", "gated", "--bin", "gatectl", "--bin", "gate-bench"])
        .run()?;
    let programs = Programs::in_folder("release");
    let part = match args.part {
        Part::Packet => "packet",
        Part::Request => "request",
        Part::Stream => "stream",
        Part::Control => "control",
        Part::All => "all",
    };
    let bench = surroundings::target().join("release/gate-bench");
    let words = [bench.display().to_string(), part.to_owned()];
    let flags = [("--quick", args.quick), ("--write", args.write)];
    let flags = flags.into_iter().filter(|(_, is_given)| *is_given);
    let bench = Child::new(
        words
            .into_iter()
            .chain(flags.map(|(flag, _)| flag.to_owned())),
    )
    .env("GATED_BIN", programs.gated.display().to_string())
    .env("GATECTL_BIN", programs.gatectl.display().to_string())
    .env(
        "GATE_BENCH_DIR",
        surroundings::target().join("bench").display().to_string(),
    );
    if !surroundings::is_root() {
        say::note(
            "error: the bench needs root: it makes a network of its own\n\nIt is built. Run it as root:",
        );
        say::note(&format!("  {}", bench.with_sudo()));
        return Ok(ExitCode::FAILURE);
    }
    match bench.exec()? {}
}
