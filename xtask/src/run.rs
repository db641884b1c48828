//! Builds gate and becomes `gated`.
//!
//! Keeps nothing of its own: `gated` gets the arguments as typed and its default directories, so
//! what runs here is what would run installed.

use std::process::ExitCode;

use crate::{
    build::{self, Profile},
    child::Child,
    say,
    setup::{self, Purpose},
    surroundings,
};

/// Build gate and run gated
///
/// Sets up what the build needs, builds gated and gatectl with optimisation, then runs gated with
/// the arguments after `--`. Needs root: gated loads its packet program into the kernel.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: put a gate before an OpenAI-compatible server\n  cargo xtask run -- --upstream http://127.0.0.1:8000"
)]
pub(crate) struct Args {
    /// Arguments of gated
    #[arg(last = true, value_name = "GATED ARGS")]
    gated: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Build)?;
    let programs = build::programs(&kit, Profile::Release)?;
    let gated = Child::new([programs.gated.display().to_string()]).args(args.gated.clone());
    if !surroundings::is_root() {
        say::note(
            "error: gated needs root here: it loads a packet program into the kernel and attaches it\n\n\
             gate is built. Run it as root:",
        );
        say::note(&format!("  {}", gated.with_sudo()));
        return Ok(ExitCode::FAILURE);
    }
    say::note(&format!(
        "running {gated}\ncontrol it with {}",
        programs.gatectl.display()
    ));
    match gated.exec()? {}
}
