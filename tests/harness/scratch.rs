//! A folder of one test, gone when the test is.
//!
//! Does not hold anything that outlives a run. A killed test cannot remove its own folder; the
//! maker's pid is in the name, and the next test process removes what dead ones left.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, fs, process};

use anyhow::Context;
use tempfile::TempDir;

const PREFIX: &str = "gate-test-";

pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> anyhow::Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", process::id()))
            .tempdir()
            .map(Self)
            .context("make a scratch folder")
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn sweep() {
    let Ok(folder) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in folder.flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another user's folder stays: removal is refused, and that is right.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_dead_process_is_swept() {
        let mut gone = process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let left = env::temp_dir().join(format!("{PREFIX}{}-left", gone.id()));
        fs::create_dir(&left).unwrap();
        let mine = Scratch::new().unwrap();
        sweep();
        assert!(!left.exists());
        assert!(mine.path().exists());
    }
}
