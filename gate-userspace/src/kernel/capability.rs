//! What the kernel half needs of this process, checked before anything is touched.

use std::fs;

use super::fault::KernelError;
use super::object;

const NEEDED: [(u32, &str); 3] = [(39, "CAP_BPF"), (12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON")];
/// Holds all the others' powers over BPF.
const SYS_ADMIN: u32 = 21;

/// The first thing that is missing.
pub fn probe() -> Result<(), KernelError> {
    if object::bytes().is_empty() {
        return Err(KernelError::Stub);
    }
    missing(effective()).map_or(Ok(()), |name| Err(KernelError::Capability(name)))
}

fn missing(effective: u64) -> Option<&'static str> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    let covered = |bit, name: &str| has(bit) || (name != "CAP_NET_ADMIN" && has(SYS_ADMIN));
    NEEDED
        .into_iter()
        .find(|(bit, name)| !covered(*bit, name))
        .map(|(_, name)| name)
}

/// Of the calling thread; nothing where it cannot be read.
fn effective() -> u64 {
    let Ok(text) = fs::read_to_string("/proc/thread-self/status") else {
        return 0;
    };
    text.lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_capability_is_named() {
        let (bpf, admin, perfmon) = (1 << 39, 1 << 12, 1 << 38);
        for (effective, name) in [
            (0, Some("CAP_BPF")),
            (bpf, Some("CAP_NET_ADMIN")),
            (bpf | admin, Some("CAP_PERFMON")),
            (bpf | admin | perfmon, None),
            (1 << SYS_ADMIN, Some("CAP_NET_ADMIN")),
            (1 << SYS_ADMIN | admin, None),
        ] {
            assert_eq!(missing(effective), name, "{effective:x}");
        }
    }
}
