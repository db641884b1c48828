//! A network namespace with two veth devices in it, and a bpffs of its own; gone with its thread.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use nix::mount::{MsFlags, mount};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::Pid;

/// What is sent out of it arrives at [`Place::inside`].
pub(crate) const OUTSIDE: &str = "outside";
const INSIDE: &str = "inside";

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) outside: u32,
    pub(crate) inside: u32,
    /// Ethernet address of the inside.
    pub(crate) address: [u8; 6],
}

/// Runs `job` on a thread of its own in a fresh namespace, on one CPU.
pub(crate) fn within<T: Send>(job: impl FnOnce(&Place) -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        scope
            .spawn(|| job(&build()?))
            .join()
            .map_err(|_panic| anyhow!("a measurement panicked"))?
    })
}

fn build() -> Result<Place> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("new namespaces")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("private mounts")?;
    if Path::new("/sys/fs/bpf").exists() {
        mount(
            Some("bpf"),
            "/sys/fs/bpf",
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .context("own bpffs")?;
    }
    let mut cpus = CpuSet::new();
    cpus.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("stay on one CPU")?;
    let address = [2, 0, 0, 0, 9, 1];
    command(
        "ip",
        &format!("link add {OUTSIDE} type veth peer name {INSIDE} address 02:00:00:00:09:01"),
    )?;
    command("ip", &format!("link set {OUTSIDE} up"))?;
    command("ip", &format!("addr add 10.9.0.1/24 dev {INSIDE}"))?;
    command("ip", &format!("link set {INSIDE} up"))?;
    Ok(Place {
        outside: if_nametoindex(OUTSIDE)?,
        inside: if_nametoindex(INSIDE)?,
        address,
    })
}

impl Place {
    /// Frames that arrived at the inside so far.
    pub(crate) fn arrived() -> Result<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("inside:"))
            .context("no such device")?;
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse().ok())
            .context("statistics of another form")
    }
}

pub(crate) fn command(program: &str, arguments: &str) -> Result<()> {
    fed(program, arguments, "")
}

/// Runs a program with `input`; what it says goes into the error.
pub(crate) fn fed(program: &str, arguments: &str, input: &str) -> Result<()> {
    use io::Write;
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{program} {arguments}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
