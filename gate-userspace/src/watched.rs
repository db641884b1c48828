//! Whether a file changed since it was read.
//!
//! By its time of modification. What changes while it is read counts as a change after it, so none is
//! missed: at worst a file is read once too often.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl Watched {
    /// To be made before the file is read.
    pub fn new(path: PathBuf) -> Self {
        let seen = modified(&path);
        Self { path, seen }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it changed since it was looked at last. A file that is not there has not.
    pub fn has_changed(&mut self) -> bool {
        let now = modified(&self.path);
        let has_changed = now.is_some() && now != self.seen;
        if has_changed {
            self.seen = now;
        }
        has_changed
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_change_is_seen_once_and_a_loss_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut watched = Watched::new(path.clone());
        assert!(!watched.has_changed());
        for step in 1..3 {
            let file = fs::File::create(&path).unwrap();
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(step);
            file.set_modified(at).unwrap();
            assert!(watched.has_changed());
            assert!(!watched.has_changed());
        }
        fs::remove_file(&path).unwrap();
        assert!(!watched.has_changed());
    }
}
