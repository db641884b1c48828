//! Which core a program runs on, and how much of it it used.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Where the load and the upstream run; what is measured has the other one to itself.
pub(crate) const LOAD: usize = 0;
pub(crate) const MEASURED: usize = 1;

/// Has the command run on this core alone.
pub(crate) fn pin(command: &mut Command, core: usize) {
    let mut set = CpuSet::new();
    let is_there = set.set(core).is_ok() && core < cores();
    #[expect(unsafe_code, reason = "the only way to act between fork and exec")]
    // SAFETY: one system call on a value that the closure owns, no allocation.
    unsafe {
        command.pre_exec(move || {
            if is_there {
                sched_setaffinity(Pid::from_raw(0), &set).map_err(io::Error::from)?;
            }
            Ok(())
        });
    }
}

/// With one core, load and server share it, and the figures say less.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// CPU time that these processes have used so far, in user and in kernel mode.
pub(crate) fn used(pids: &[u32]) -> anyhow::Result<Duration> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    let mut sum = 0;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold anything; what follows its last bracket does not.
        let (_, rest) = stat.rsplit_once(')').context("a stat line")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        sum += number(11).context("utime")? + number(12).context("stime")?;
    }
    Ok(Duration::from_nanos(
        sum * 1_000_000_000 / u64::try_from(ticks)?,
    ))
}

/// Resident memory of these processes, bytes.
pub(crate) fn memory(pids: &[u32]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        sum += kib.context("VmRSS")?.parse::<u64>()? * 1024;
    }
    Ok(sum)
}
