//! What this host offers: kernel, BTF, bpffs, capabilities, clock.
//!
//! Reads `/proc` and `/sys` only; a file that cannot be read is "not known", never "fine".

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::{
    socket::{getsockopt, sockopt::PeerCredentials},
    statfs::{BPF_FS_MAGIC, statfs},
};

use super::Check;
use crate::cli::settle::Endpoint;

/// Global functions and `bpf_loop` in the packet program.
const OLDEST: (u32, u32) = (5, 18);
/// TCX, which other programs can share.
const TCX: (u32, u32) = (6, 6);
/// From `linux/capability.h`.
const NEEDED: [(&str, u32); 3] = [("CAP_BPF", 39), ("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38)];
/// Holds the others' powers over BPF, but not those over the network.
const SYS_ADMIN: u32 = 21;
/// Nothing of this program existed before 2025-01-01.
const FLOOR: u64 = 1_735_689_600;

pub(super) fn kernel() -> Check {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match version(release) {
        None => Check::fail(
            "kernel",
            format!("version `{release}` is not known"),
            "uname -r",
        ),
        Some(found) if found < OLDEST => Check::fail(
            "kernel",
            format!("{release} cannot load the packet program"),
            "use Linux 5.18 or later, or start with `--kernel off`",
        ),
        Some(found) if found < TCX => Check::warn(
            "kernel",
            format!("{release} has no TCX; clsact takes its place"),
            "use Linux 6.6 or later",
        ),
        Some(_) => Check::ok("kernel", release),
    }
}

pub(super) fn btf() -> Check {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        Check::ok("BTF", "/sys/kernel/btf/vmlinux")
    } else {
        Check::warn(
            "BTF",
            "the kernel does not describe its types",
            "use a kernel with CONFIG_DEBUG_INFO_BTF",
        )
    }
}

pub(super) fn bpffs() -> Check {
    const PLACE: &str = "/sys/fs/bpf";
    match statfs(PLACE) {
        Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => Check::ok("bpffs", PLACE),
        Ok(_) => Check::fail(
            "bpffs",
            format!("{PLACE} is not a bpffs, so nothing can outlive gated"),
            "mount -t bpf bpf /sys/fs/bpf",
        ),
        Err(cause) => Check::fail(
            "bpffs",
            format!("cannot look at {PLACE}: {cause}"),
            "mount -t bpf bpf /sys/fs/bpf",
        ),
    }
}

/// Those of the running gate; without one, those that a gate started from here would have.
pub(super) fn capabilities(gated: Option<i32>) -> Check {
    let (who, path) = match gated {
        Some(pid) => (format!("gated (pid {pid})"), format!("/proc/{pid}/status")),
        None => (
            "a gate started from here".to_owned(),
            "/proc/self/status".to_owned(),
        ),
    };
    let Some(set) = read(&path).and_then(|status| effective(&status)) else {
        return Check::warn(
            "capabilities",
            format!("those of {who} cannot be read"),
            "sudo gatectl doctor",
        );
    };
    let has = |bit: u32| set >> bit & 1 == 1;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(name, bit)| !has(*bit) && (*name == "CAP_NET_ADMIN" || !has(SYS_ADMIN)))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        Check::ok("capabilities", format!("{who} can load and attach"))
    } else {
        Check::warn(
            "capabilities",
            format!(
                "{who} lacks {}, so the packet ring cannot stand",
                missing.join(", ")
            ),
            "run gated as root, or with AmbientCapabilities in its unit",
        )
    }
}

/// Leases are deadlines on this clock.
pub(super) fn clock() -> Check {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if since.as_secs() < FLOOR {
        return Check::fail(
            "clock",
            "the clock stands before 2025, so every lease would end at the wrong time",
            "timedatectl set-ntp true",
        );
    }
    let now = humantime::format_rfc3339_seconds(UNIX_EPOCH + since);
    Check::ok("clock", now.to_string())
}

/// Who holds the other end of the admin socket.
pub(super) fn gated_pid(endpoint: &Endpoint) -> Option<i32> {
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).ok()?;
            // The socket's own credentials are those of the process that listens.
            getsockopt(&stream, PeerCredentials)
                .ok()
                .map(|peer| peer.pid())
        }
        Endpoint::Tcp { .. } => None,
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        let rows = [
            ("6.18.0-gate", Some((6, 18))),
            ("5.4.0-150-generic", Some((5, 4))),
            ("6.6", Some((6, 6))),
            ("", None),
            ("six", None),
        ];
        for (release, want) in rows {
            assert_eq!(version(release), want, "{release}");
        }
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        let status = "CapPrm:\tffffffffffffffff\nCapEff:\t000000c000001000\n";
        let set = effective(status).unwrap();
        assert!(NEEDED.iter().all(|(_, bit)| set >> bit & 1 == 1), "{set:x}");
        assert_eq!(effective("nothing"), None);
    }
}
