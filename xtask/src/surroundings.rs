//! What the process was given: repository, environment, user.
//!
//! The only file that reads the environment, so that what influences a command can be read in one
//! place. It runs nothing; what has to be asked from programs is in `setup/facts.rs`.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The toolchain that builds the kernel program unless `GATE_BPF_TOOLCHAIN` says otherwise. The
/// same default stands in `gate-userspace/build.rs`.
pub(crate) const DEFAULT_BPF_TOOLCHAIN: &str = "nightly";

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the repository")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Whether this run is a continuous-integration run: skipped tests are failures there.
pub(crate) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value != "false" && value != "0")
}

/// The toolchain the user chose for the kernel program, if any.
pub(crate) fn chosen_bpf_toolchain() -> Option<String> {
    variable("GATE_BPF_TOOLCHAIN")
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// The search path for programs: the user's, then where cargo installs to and where a distribution
/// keeps network tools, which are often missing from the path of a plain user.
pub(crate) fn search_path() -> OsString {
    let given = env::var_os("PATH").unwrap_or_default();
    let extra = cargo_bin()
        .into_iter()
        .chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut dirs: Vec<PathBuf> = env::split_paths(&given).collect();
    for dir in extra {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    env::join_paths(dirs).unwrap_or(given)
}

/// The file that a program's name stands for.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|dir| dir.join(name))
        .find(|file| {
            fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

fn cargo_bin() -> Option<PathBuf> {
    let home = variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("bin"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
