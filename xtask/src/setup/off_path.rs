//! What distributions keep off the PATH, and how it is found all the same.

use std::{fs, path::Path};

/// Debian keeps its servers, one folder a version, off the PATH.
pub(super) fn postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut servers = versions.map(|version| version.path().join("bin/postgres"));
    servers.any(|server| server.exists())
}

/// The engine is on the path; netavark, which makes its networks, is not.
pub(super) fn podman(on_path: impl Fn(&str) -> bool) -> bool {
    let mut folders = ["/usr/lib/podman", "/usr/libexec/podman"].into_iter();
    ["podman", "runc", "iptables"].into_iter().all(on_path)
        && folders.any(|folder| Path::new(folder).join("netavark").exists())
}
