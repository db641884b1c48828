//! The Python SDKs, pinned, in a virtual environment of their own under `target`.
//!
//! Does not touch the user's Python. Made once and reused for as long as the pins stay the same;
//! several test processes may want it at once, so the first one makes it under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::need;

const PINS: [&str; 2] = ["openai==3.54.0", "anthropic==2.12.0"];

/// The interpreter that has the SDKs. None when it cannot be had here, which is reported.
pub(crate) fn python() -> Option<PathBuf> {
    let system = need::program("python3")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compat-python");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (venv, stamp) = (folder.join("venv"), folder.join("pins"));
    let python = venv.join("bin/python");
    let pins = PINS.join(" ");
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
        .args(PINS)
        .output();
    if !done(&pip.unwrap(), "install the SDKs with pip") {
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
