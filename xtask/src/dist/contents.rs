//! What is in a release, and where it stands on a host.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

use super::archive::{File, Files};
use crate::{build::Programs, child::Child, surroundings};

/// Where the units look for them.
const PROGRAMS: &str = "usr/bin";
const UNITS: &str = "usr/lib/systemd/system";
/// README, changelog, licences, `docs` and `deploy`, as they lie in the repository: the links
/// between them hold.
const DOCUMENTS: &str = "usr/share/doc/gate";

/// What `gatectl` writes about itself: its arguments, and where that is looked for.
const GENERATED: &[(&[&str], &str)] = &[
    (&["man"], "usr/share/man/man1/gatectl.1"),
    (
        &["completions", "bash"],
        "usr/share/bash-completion/completions/gatectl",
    ),
    (
        &["completions", "zsh"],
        "usr/share/zsh/site-functions/_gatectl",
    ),
    (
        &["completions", "fish"],
        "usr/share/fish/vendor_completions.d/gatectl.fish",
    ),
];

pub(super) fn of(programs: &Programs, notices: &str) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for (name, program) in [("gated", &programs.gated), ("gatectl", &programs.gatectl)] {
        let bytes = stripped(program)?;
        files.insert(format!("{PROGRAMS}/{name}"), File { mode: 0o755, bytes });
    }
    for (arguments, place) in GENERATED {
        let said = Child::new([programs.gatectl.display().to_string()])
            .args(arguments.iter().copied())
            .read();
        let said = said.with_context(|| format!("`gatectl {}` failed", arguments.join(" ")))?;
        files.insert((*place).to_owned(), plain(said + "\n"));
    }
    let root = surroundings::root();
    collect(&root.join("deploy/systemd"), UNITS, &mut files)?;
    for name in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        let file = read(&root.join(name))?;
        files.insert(format!("{DOCUMENTS}/{name}"), file);
    }
    for folder in ["docs", "deploy"] {
        collect(
            &root.join(folder),
            &format!("{DOCUMENTS}/{folder}"),
            &mut files,
        )?;
    }
    let place = format!("{DOCUMENTS}/THIRD-PARTY-NOTICES");
    files.insert(place, plain(notices.to_owned()));
    Ok(files)
}

/// Without what only a debugger reads: that is four fifths of a program.
fn stripped(program: &Path) -> anyhow::Result<Vec<u8>> {
    let mut beside = program.as_os_str().to_owned();
    beside.push(format!(".stripped-{}", std::process::id()));
    let beside = Path::new(&beside);
    let strip = Child::new(["strip", "--strip-debug", "-o"])
        .arg(beside.display().to_string())
        .arg(program.display().to_string());
    if let Err(complaint) = strip.probe() {
        bail!("`{strip}` failed: {complaint}");
    }
    let bytes = fs::read(beside).with_context(|| format!("read {}", beside.display()));
    fs::remove_file(beside).with_context(|| format!("remove {}", beside.display()))?;
    bytes
}

fn collect(folder: &Path, place: &str, files: &mut Files) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let place = format!("{place}/{}", entry.file_name().display());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &place, files)?;
        } else {
            files.insert(place, read(&entry.path())?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::PermissionsExt as _;
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let is_program = fs::metadata(path)?.permissions().mode() & 0o100 != 0;
    // The mode of the archive, not the one that this user's umask gave the file.
    let mode = if is_program { 0o755 } else { 0o644 };
    Ok(File { mode, bytes })
}

fn plain(text: String) -> File {
    File {
        mode: 0o644,
        bytes: text.into_bytes(),
    }
}
