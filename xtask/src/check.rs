//! Checks the sources without running them: format, lints on both targets, rustdoc, house rules,
//! and what the dependencies may be.
//!
//! The kernel program is linted apart because it compiles for another target with another
//! toolchain. The host half is linted with the real packet program inside, like every other build:
//! `--stub` is for a machine without the kernel toolchain.

use std::process::ExitCode;

use crate::{
    child::Child,
    deny, say,
    setup::{self, Kit, Purpose},
    steps::Steps,
    surroundings, tidy,
};

/// Check format, lints, documentation and house rules
///
/// Runs rustfmt, clippy on the host and on the bpf target, rustdoc, `cargo xtask tidy` and what
/// deny.toml says of dependencies; every warning is an error. All of them run, also when one fails.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: check on a machine without the kernel toolchain, the packet program left out\n  cargo xtask check --stub"
)]
pub(crate) struct Args {
    /// Leave the packet program out, and install nothing
    #[arg(long)]
    stub: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    if args.stub {
        let cargo = Child::new(["cargo"]).env("GATE_EBPF", "stub");
        sources(&mut steps, &cargo);
        steps.skip("clippy on bpf", "--stub");
        steps.run("rustdoc", || rustdoc(&cargo));
    } else {
        let kit = setup::ensure(Purpose::Check)?;
        sources(&mut steps, &kit.cargo());
        steps.run("clippy on bpf", || kernel_clippy(&kit));
        steps.run("rustdoc", || rustdoc(&kit.cargo()));
        match deny::advisories() {
            Ok(check) => {
                steps.run("advisories", || check.run());
            }
            Err(why) => steps.skip("advisories", why),
        }
    }
    Ok(steps.finish())
}

/// The quick part, which `cargo xtask test` runs too.
pub(crate) fn sources(steps: &mut Steps, cargo: &Child) {
    steps.run("tidy", tidy::check);
    steps.run("deny", || deny::check(cargo));
    steps.run("fmt", || {
        cargo.clone().args(["fmt", "--all", "--check"]).run()
    });
    steps.run("clippy", || {
        cargo
            .clone()
            .args(["clippy", "--all-targets", "--", "--deny=warnings"])
            .run()
    });
}

fn kernel_clippy(kit: &Kit) -> anyhow::Result<()> {
    let lint = if kit.has_bpf_clippy() {
        "clippy"
    } else {
        say::note("the distribution's toolchain has no clippy: the program is only compiled");
        "check"
    };
    // Its own target folder: these flags would otherwise evict what the build of `gated` cached.
    let cargo = kit
        .bpf_cargo()
        .args([
            lint,
            "--package=gate-ebpf",
            "--release",
            "--target=bpfel-unknown-none",
        ])
        .args(["-Zbuild-std=core", "--target-dir"])
        .arg(surroundings::target().join("bpf").display().to_string())
        .env("CARGO_ENCODED_RUSTFLAGS", kernel_flags(kit));
    if kit.has_bpf_clippy() {
        cargo.args(["--", "--deny=warnings"]).run()
    } else {
        cargo.run()
    }
}

/// aya-ebpf names the machine's registers by this; clippy takes `--deny` itself, rustc does not.
fn kernel_flags(kit: &Kit) -> String {
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    if kit.has_bpf_clippy() {
        arch
    } else {
        format!("{arch}\u{1f}--deny=warnings")
    }
}

fn rustdoc(cargo: &Child) -> anyhow::Result<()> {
    cargo
        .clone()
        .args(["doc", "--no-deps", "--document-private-items"])
        // The readers are this repository's: a link from a public item to a private one is useful.
        .env(
            "RUSTDOCFLAGS",
            "--deny=warnings --allow=rustdoc::private_intra_doc_links",
        )
        .run()
}
