//! Why the kernel half cannot do its job, each with what the operator can do about it.

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
        cause: Box<dyn std::error::Error + Send + Sync>,
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
        cause: std::io::Error,
    },
    #[error("access `{}`", .path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("start the kernel agent")]
    Start(#[source] std::io::Error),
    #[error("the kernel agent has ended")]
    Gone,
    #[error("test-run the packet program")]
    TestRun(#[source] std::io::Error),
    #[error("not a frame: {0}")]
    Frame(&'static str),
    #[error("this host has no {0} address but loopback: no such packet can arrive")]
    NoAddress(&'static str),
}

impl KernelError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stub => Some(
                "build without GATE_EBPF=stub; `cargo xtask setup` installs what that takes".into(),
            ),
            Self::Capability(name) => Some(format!(
                "run as root, or give the process {name} (loading takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON); `--kernel prefer` starts without the packet ring"
            )),
            Self::NoBpffs { path } => Some(format!(
                "mount -t bpf bpf /sys/fs/bpf, or set kernel.pin_dir (`{}`) below one that is mounted",
                path.display()
            )),
            Self::Locked { .. } => {
                Some("stop the other gated, or give this one its own kernel.pin_dir".into())
            }
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
