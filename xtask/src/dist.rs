//! Packs a release: one archive with the tree of a host in it.
//!
//! Unpacked over `/` without its first folder, everything stands where the units expect it. Nothing
//! below `/etc` is in it, so an upgrade cannot overwrite settings. The same sources and programs
//! give the same bytes: order, times and owners come from here, not from this machine.

mod archive;
mod contents;
mod notices;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

use crate::{
    build::{self, Profile, Programs},
    child::Child,
    say,
    setup::{self, Purpose},
    surroundings,
};

/// Pack a release: target/dist/gate-VERSION-ARCH.tar.gz
///
/// Builds both programs as for installing and packs them with units, manual page, completions,
/// documents, licences and a list of checksums. Prints the archive's path, size and checksum.
#[derive(clap::Args)]
#[command(
    after_long_help = "Example: install what was packed\n  cargo xtask dist && sudo tar -xzf target/dist/gate-*.tar.gz -C / --strip-components=1 --no-same-owner --wildcards '*/usr'"
)]
pub(crate) struct Args {}

/// An archive that was written.
struct Packed {
    archive: PathBuf,
    files: usize,
    size: usize,
    sha256: String,
}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    let kit = setup::ensure(Purpose::Build)?;
    let programs = build::programs(&kit, Profile::Release)?;
    let folder = surroundings::target().join("dist");
    let packed = say::working("packing", || pack(&kit.cargo(), &programs, &folder))?;
    say::data(&packed.archive.display().to_string());
    say::data(&format!("{} files, {} bytes", packed.files, packed.size));
    say::data(&format!("sha256 {}", packed.sha256));
    Ok(ExitCode::SUCCESS)
}

fn pack(cargo: &Child, programs: &Programs, folder: &Path) -> anyhow::Result<Packed> {
    let mut files = contents::of(programs, &notices::text(cargo)?)?;
    files.insert("SHA256SUMS".to_owned(), archive::checksums(&files));
    let name = format!("gate-{}-{}", env!("CARGO_PKG_VERSION"), env::consts::ARCH);
    let bytes = archive::pack(&name, &files, time_of_the_sources())?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let archive = folder.join(format!("{name}.tar.gz"));
    fs::write(&archive, &bytes).with_context(|| format!("write {}", archive.display()))?;
    let sha256 = archive::sha256(&bytes);
    let beside = folder.join(format!("{name}.tar.gz.sha256"));
    fs::write(&beside, format!("{sha256}  {name}.tar.gz\n")).context("write the checksum")?;
    Ok(Packed {
        archive,
        files: files.len(),
        size: bytes.len(),
        sha256,
    })
}

/// When the packed commit was made; the start of 2026 where that is not known.
fn time_of_the_sources() -> u64 {
    let said = Child::new(["git", "log", "-1", "--format=%ct"]).read();
    said.and_then(|said| said.parse().ok())
        .unwrap_or(1_767_225_600)
}

#[cfg(test)]
mod tests;
