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
    let effective = effective();
    let has = |bit: u32| effective & (1 << bit) != 0;
    for (bit, name) in NEEDED {
        let covered = has(bit) || (name != "CAP_NET_ADMIN" && has(SYS_ADMIN));
        if !covered {
            return Err(KernelError::Capability(name));
        }
    }
    Ok(())
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
