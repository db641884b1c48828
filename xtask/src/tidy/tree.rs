//! The repository's text files.
//!
//! Walks the folders rather than asking git, so that the rules hold in an unpacked archive and for
//! files not yet added.

use std::{fs, path::Path};

use anyhow::Context as _;

use crate::surroundings;

/// A text file; the path is relative to the root, with `/`.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }
}

pub(crate) fn read() -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    walk(surroundings::root(), &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        if kind.is_dir() {
            // Built things, git's own, and what a fuzzer or a virtual environment leaves.
            if name != "target" && name != ".git" && name != ".venv" {
                walk(&path, files)?;
            }
        } else if kind.is_file() && name != ".git" {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let relative = path.strip_prefix(surroundings::root()).unwrap_or(&path);
            files.push(File {
                path: relative.display().to_string(),
                text,
            });
        }
    }
    Ok(())
}
