//! Python packages, pinned, each set in a virtual environment of its own under `target`.
//!
//! Does not touch the user's Python. Made once and reused for as long as the pins stay the same;
//! several test processes may want it at once, so the first one makes it under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::need;

pub(crate) const SDKS: Packages = Packages {
    name: "compat-python",
    pins: &[
        "openai==3.54.0",
        "anthropic==2.12.0",
        "cryptography==50.0.2",
        "h2==4.3.0",
        "httpx==0.28.1",
        "websockets==17.4",
    ],
};

/// Apart from the SDKs: it wants an older openai.
pub(crate) const VERIFIERS: Packages = Packages {
    name: "compat-verifiers",
    pins: &["verifiers==0.4.0"],
};

/// What one virtual environment holds.
#[derive(Clone, Copy)]
pub(crate) struct Packages {
    pub(crate) name: &'static str,
    pub(crate) pins: &'static [&'static str],
}

/// The interpreter that has `packages`. None when it cannot be had here, which is reported.
pub(crate) fn python(packages: Packages) -> Option<PathBuf> {
    let system = need::program("python3")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(packages.name);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (venv, stamp) = (folder.join("venv"), folder.join("pins"));
    let python = venv.join("bin/python");
    let pins = packages.pins.join(" ");
    // The stamp is written last: half an environment has none.
    if fs::read_to_string(&stamp).is_ok_and(|made| made == pins) {
        return Some(python);
    }
    let _absent = fs::remove_file(&stamp);
    let venv = Command::new(system)
        .args(["-m", "venv", "--clear"])
        .arg(&venv)
        .output()
        .unwrap();
    if !done(&venv, "make a virtual environment (package python3-venv)") {
        return None;
    }
    let pip = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(packages.pins)
        .output();
    if !done(&pip.unwrap(), &format!("install {pins} with pip")) {
        return None;
    }
    fs::write(&stamp, pins).unwrap();
    Some(python)
}

fn done(step: &Output, what: &str) -> bool {
    let said = String::from_utf8_lossy(&step.stderr);
    need::that(
        step.status.success(),
        &format!("cannot {what}: {}", said.trim()),
    )
}
