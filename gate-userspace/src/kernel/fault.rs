//! Why the kernel half cannot do its job, each with what the operator can do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::message::SourceKey;

#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("built without the packet program")]
    Stub,
    #[error("missing capability {0}")]
    Capability(&'static str),
    #[error("`{}` is not on a bpffs", .path.display())]
    NoBpffs { path: PathBuf },
    #[error("another gated holds `{}`", .path.display())]
    Locked { path: PathBuf },
    #[error("`{}` guards another network namespace ({netns})", .path.display())]
    Elsewhere { path: PathBuf, netns: u32 },
    #[error("pinned maps have layout {found}, this gated knows up to {known}")]
    Newer { found: u32, known: u32 },
    #[error("pinned map `{map}` is not the one this gated made")]
    ForeignMap { map: String },
    #[error("load the packet program")]
    Load(#[source] Box<aya::EbpfError>),
    #[error("load program `{program}`")]
    Program {
        program: &'static str,
        #[source]
        cause: Box<aya::programs::ProgramError>,
    },
    #[error("the kernel object has no `{0}`")]
    Absent(&'static str),
    #[error("attach to `{interface}` by {hook}")]
    Attach {
        interface: String,
        hook: &'static str,
        #[source]
        cause: Box<aya::programs::ProgramError>,
    },
    #[error("XDP on `{interface}` is taken by program {program}")]
    Foreign { interface: String, program: String },
    #[error("no interface matches `{0}`")]
    NoInterface(String),
    #[error("open or pin link `{}`", .path.display())]
    Pin {
        path: PathBuf,
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    #[error("access map `{map}`")]
    Map {
        map: &'static str,
        #[source]
        cause: Box<aya::maps::MapError>,
    },
    #[error("`{table}` is full: {} stays shut", .source_key.net)]
    Full {
        table: &'static str,
        source_key: Box<SourceKey>,
    },
    #[error("client tag 0 belongs to the host itself")]
    ReservedTag,
    #[error("port {0} has two policies")]
    PortConflict(u16),
    #[error("more than {0} distinct guards")]
    TooManyGuards(u32),
    #[error("ask the kernel over netlink for {what}")]
    Netlink {
        what: &'static str,
        #[source]
        cause: io::Error,
    },
    #[error("access `{}`", .path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("start the kernel agent")]
    Start(#[source] io::Error),
    #[error("the kernel agent has ended")]
    Gone,
    #[error("test-run the packet program")]
    TestRun(#[source] io::Error),
    #[error("not a frame: {0}")]
    Frame(&'static str),
    #[error("this host has no {0} address but loopback: no such packet can arrive")]
    NoAddress(&'static str),
}

/// When a call is forbidden that the capabilities allow.
const FORBIDDEN: &str = "the capabilities are there, something else forbids bpf(): in a container give it \
     `--security-opt seccomp=seccomp.json` (deploy/container) and no user namespace of its own; \
     on a host see /sys/kernel/security/lockdown";

impl KernelError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Load(_) | Self::Program { .. } | Self::Attach { .. } if is_forbidden(self) => {
                Some(FORBIDDEN.into())
            }
            Self::Stub => Some(
                "build without GATE_EBPF=stub; `cargo xtask setup` installs what that takes".into(),
            ),
            Self::Capability(name) => Some(format!(
                "run as root, or give the process {name}, in a container by `--cap-add {}` (loading takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON); `--kernel prefer` starts without the packet ring",
                name.trim_start_matches("CAP_")
            )),
            Self::NoBpffs { path } => Some(format!(
                "mount -t bpf bpf /sys/fs/bpf, in a container `--volume /sys/fs/bpf:/sys/fs/bpf`; or set kernel.pin_dir (`{}`) below one that is mounted",
                path.display()
            )),
            Self::Locked { .. } => {
                Some("stop the other gated, or give this one its own kernel.pin_dir".into())
            }
            Self::Elsewhere { .. } => Some(
                "give this gate a kernel.pin_dir of its own; or, where that namespace is, end its gate \
                 and `gatectl unload --yes`"
                    .into(),
            ),
            Self::Newer { .. } => Some(
                "start the newer gated, or remove its pins with its own `gatectl unload --yes`"
                    .into(),
            ),
            Self::ForeignMap { .. } => {
                Some("`gatectl unload --yes` removes every pin of this directory".into())
            }
            Self::Foreign { interface, .. } => Some(format!(
                "detach that program, or choose the other hook: --interfaces {interface}:tcx"
            )),
            Self::Full { .. } => Some(
                "list networks in place of single addresses, or revoke what is not needed".into(),
            ),
            Self::TooManyGuards(_) => {
                Some("guard fewer ports, or the same ones at every address".into())
            }
            Self::NoInterface(_) => Some("`ip link` lists the names".into()),
            Self::Load(_) | Self::Program { .. } => Some(
                "Linux 5.18 or later is needed; `gatectl doctor` checks what is missing".into(),
            ),
            Self::Absent(_)
            | Self::Attach { .. }
            | Self::Pin { .. }
            | Self::Map { .. }
            | Self::ReservedTag
            | Self::PortConflict(_)
            | Self::Netlink { .. }
            | Self::File { .. }
            | Self::Start(_)
            | Self::Gone
            | Self::TestRun(_)
            | Self::Frame(_)
            | Self::NoAddress(_) => None,
        }
    }
}

fn is_forbidden(error: &KernelError) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::PermissionDenied) {
            return true;
        }
        cause = error.source();
    }
    false
}
