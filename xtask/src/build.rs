//! Builds the two programs, the packet program inside `gated` included.
//!
//! How the packet program is compiled is said in `gate-userspace/build.rs`; this file only makes
//! sure its tools are there.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    say,
    setup::{self, Kit, Purpose},
    surroundings,
};

/// Build gated and gatectl
///
/// Sets up what the build needs, then builds both programs, with the packet program inside gated.
#[derive(clap::Args)]
#[command(after_long_help = "Example: build what you would install\n  cargo xtask build --release")]
pub(crate) struct Args {
    /// Optimise, as for installing
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Where the built programs are.
pub(crate) struct Programs {
    pub(crate) gated: PathBuf,
    pub(crate) gatectl: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Build)?;
    let profile = if args.release {
        Profile::Release
    } else {
        Profile::Debug
    };
    let programs = programs(&kit, profile)?;
    say::data(&programs.gated.display().to_string());
    say::data(&programs.gatectl.display().to_string());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn programs(kit: &Kit, profile: Profile) -> anyhow::Result<Programs> {
    let cargo = kit
        .cargo()
        .args(["build", "--package", "gate-userspace", "--bins"]);
    let (cargo, folder) = match profile {
        Profile::Debug => (cargo, "debug"),
        Profile::Release => (cargo.arg("--release"), "release"),
    };
    cargo.run()?;
    Ok(Programs::in_folder(folder))
}

impl Programs {
    pub(crate) fn in_folder(folder: &str) -> Self {
        let folder = surroundings::target().join(folder);
        Self {
            gated: folder.join("gated"),
            gatectl: folder.join("gatectl"),
        }
    }
}
