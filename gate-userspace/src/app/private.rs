//! Nobody but root reads what this process holds: no core dump, and `/proc/PID` of another user.
//!
//! Upstream credentials lie in memory and, where they came by `--upstream-key-env`, in the
//! environment, which cannot be wiped. A process of the same user could read both (`ptrace(2)`).

use std::io;

use nix::sys::prctl;

/// Said once, before the first secret is read.
///
/// # Errors
/// When core dumps and `/proc` of this process stay open to its user.
pub fn close() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_cannot_be_dumped() {
        assert!(prctl::get_dumpable().unwrap());
        close().unwrap();
        assert!(!prctl::get_dumpable().unwrap());
        // For the runner, which may want to look at this process.
        prctl::set_dumpable(true).unwrap();
    }
}
