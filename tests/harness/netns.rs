//! A place on a test network: a network namespace with its own mounts.
//!
//! Does not wire places together, see [`crate::link`]. Each has a `/sys` that shows its own
//! devices and an empty bpffs at `/sys/fs/bpf`, so that the gate runs with its default pin folder
//! and finds the interfaces it would find on a host. Both namespaces live as long as a clone of
//! this value or a process in them: there is no name under `/run/netns` to clean up.
//!
//! `setns` changes one thread, therefore [`Namespace::enter`] uses a thread that ends with it, and
//! a command switches between fork and exec.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::Arc;
use std::{fmt, io, panic, thread};

use anyhow::Context;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

/// Cheap to clone; the last clone closes the place.
#[derive(Clone)]
pub struct Namespace {
    label: Arc<str>,
    held: Option<Arc<Held>>,
}

struct Held {
    net: OwnedFd,
    mnt: OwnedFd,
}

impl Namespace {
    /// A fresh place with nothing but `lo`, which is up. `label` is for messages.
    pub fn new(label: &str) -> anyhow::Result<Self> {
        let made = thread::scope(|scope| scope.spawn(|| create(label)).join());
        let held = made.unwrap_or_else(|cause| panic::resume_unwind(cause))?;
        Ok(Self {
            label: label.into(),
            held: Some(Arc::new(held)),
        })
    }

    /// The place this process is in. Needs no privilege.
    pub fn here() -> Self {
        Self {
            label: "here".into(),
            held: None,
        }
    }

    /// Runs `act` inside. What it opens stays inside, also when used outside later.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let Some(held) = &self.held else { return act() };
        let inside = || {
            // A thread may change its mounts only when it shares its root and folder with none.
            unshare(CloneFlags::CLONE_FS).expect("root may stop sharing its folder");
            held.switch().expect("both descriptors are namespaces");
            act()
        };
        let done = thread::scope(|scope| scope.spawn(inside).join());
        done.unwrap_or_else(|cause| panic::resume_unwind(cause))
    }

    /// A command that will run inside, in folder `/`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(held) = self.held.clone() {
            #[expect(unsafe_code, reason = "the only way to act between fork and exec")]
            // SAFETY: two system calls on descriptors that the closure keeps open, no allocation.
            unsafe {
                command.pre_exec(move || held.switch());
            }
        }
        command
    }

    /// A name of the network namespace that `ip link ... netns` and `nsenter --net` take.
    pub fn handle(&self) -> PathBuf {
        match &self.held {
            Some(held) => format!("/proc/{}/fd/{}", process::id(), held.net.as_raw_fd()).into(),
            None => format!("/proc/{}/ns/net", process::id()).into(),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Held {
    fn switch(&self) -> io::Result<()> {
        setns(&self.net, CloneFlags::CLONE_NEWNET)?;
        setns(&self.mnt, CloneFlags::CLONE_NEWNS)?;
        Ok(())
    }
}

/// Runs on a thread of its own, which it moves away for good.
fn create(label: &str) -> anyhow::Result<Held> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .with_context(|| format!("make namespace {label}"))?;
    mounts().with_context(|| format!("mount /sys and bpffs of {label}"))?;
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    let up = up.context("run `ip` (package iproute2)")?;
    anyhow::ensure!(up.success(), "`ip link set lo up` failed in {label}");
    let namespace = |kind: &str| File::open(format!("/proc/thread-self/ns/{kind}"));
    Ok(Held {
        net: namespace("net")?.into(),
        mnt: namespace("mnt")?.into(),
    })
}

fn mounts() -> nix::Result<()> {
    let none = None::<&str>;
    // Else the new mounts would appear in every other mount namespace of this machine.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let cgroups = open(
        "/sys/fs/cgroup",
        OFlag::O_PATH | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
    .ok();
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)?;
    mount(
        Some("bpf"),
        "/sys/fs/bpf",
        Some("bpf"),
        MsFlags::empty(),
        Some("mode=0700"),
    )?;
    if let Some(cgroups) = cgroups {
        let cgroups = format!("/proc/self/fd/{}", cgroups.as_raw_fd());
        mount(
            Some(cgroups.as_str()),
            "/sys/fs/cgroup",
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
