//! Node packages, pinned, each set in a folder of its own under `target`.
//!
//! Does not touch the user's packages, and runs no script that a package brings for its installation.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::need;

pub(crate) const SDKS: Packages = Packages {
    name: "compat-node",
    pins: &["openai@6.49.0", "@anthropic-ai/sdk@1.12.0"],
};

/// The coding agents with the programs that they bring for this kind of machine.
pub(crate) const AGENTS: Packages = Packages {
    name: "compat-agents",
    pins: &["@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.169.0"],
};

/// What one folder holds.
#[derive(Clone, Copy)]
pub(crate) struct Packages {
    name: &'static str,
    pins: &'static [&'static str],
}

/// Node, and a folder in which it finds some packages.
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Node {
    /// With `packages` installed. None when they cannot be had here, which is reported.
    pub(crate) fn with(packages: Packages) -> Option<Self> {
        let (program, npm) = (need::program("node")?, need::program("npm")?);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(packages.name);
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let (stamp, pins) = (folder.join("pins"), packages.pins.join(" "));
        // The stamp is written last: half a folder has none.
        if !fs::read_to_string(&stamp).is_ok_and(|made| made == pins) {
            fs::write(folder.join("package.json"), r#"{"private": true}"#).unwrap();
            let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
            let installed = Command::new(npm)
                .args(install)
                .args(packages.pins)
                .current_dir(&folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&installed.stderr);
            let reason = format!("cannot install {pins} with npm: {}", said.trim());
            if !need::that(installed.status.success(), &reason) {
                return None;
            }
            fs::write(&stamp, pins).unwrap();
        }
        Some(Self { program, folder })
    }

    /// `name` of the compat scripts, where Node finds its packages: beside them.
    pub(crate) fn script(&self, name: &str) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("compat")
            .join(name);
        let script = self.folder.join(name);
        // Several tests may want it at once: each puts a whole one in place.
        let own = self.folder.join(format!("{}-{name}", std::process::id()));
        fs::copy(source, &own).unwrap();
        fs::rename(own, &script).unwrap();
        script
    }
}
