//! Why a start failed, with a hint; and which exit status that is.

use std::{io, path::PathBuf};

use crate::{
    admin::ListenError, config::Refused, control, kernel::KernelError, secret::MasterKeyError,
    store::StoreError,
};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("another gated runs with `{run_dir}`")]
    Running { run_dir: PathBuf },
    #[error("use `{path}`")]
    Path {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("listen on {at}")]
    Bind {
        at: String,
        #[source]
        cause: io::Error,
    },
    #[error("the master key in `{path}` cannot be used")]
    MasterKey {
        path: PathBuf,
        #[source]
        cause: MasterKeyError,
    },
    #[error("the master key file `{path}` has mode {mode:o}, so others can read it")]
    OpenKeyFile { path: PathBuf, mode: u32 },
    #[error("upstream `{upstream}` is the gate itself, which listens on {listen}")]
    Itself { upstream: String, listen: String },
    #[error("port {port} is the gate's own, and: {one}")]
    TwoPolicies { port: u16, one: String },
    #[error("`{}` holds the packet ring of a former start, which this one would not control", pin_dir.display())]
    Pinned { pin_dir: PathBuf },
    #[error("`{}` is missing, and the store has upstream keys that only it opens", path.display())]
    KeyFileLost { path: PathBuf },
    #[error("`--guard-only` has nothing to do: the packet ring is switched off")]
    NothingToGuard,
    #[error("the packet ring is required and cannot stand")]
    Kernel(#[source] KernelError),
    #[error("open the store")]
    Store(#[from] StoreError),
    #[error("open the admin socket")]
    Admin(#[from] ListenError),
    #[error("bring the rings to what the store remembers")]
    Control(#[from] control::StartError),
    #[error("start a thread or runtime")]
    Thread(#[source] io::Error),
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

impl StartError {
    pub fn hint(&self) -> String {
        match self {
            Self::Refused(refused) => refused.hint(),
            Self::Running { run_dir } => {
                format!(
                    "stop it first, or give this one a `--run-dir` other than {}",
                    run_dir.display()
                )
            }
            Self::Path { path, .. } => {
                format!(
                    "may this user write there? try `ls -ld {}`, or `--state-dir` and `--run-dir`",
                    path.display()
                )
            }
            Self::Bind { at, cause } if cause.kind() == io::ErrorKind::AddrInUse => {
                format!("port in use: `ss -ltnp` shows by whom; or listen elsewhere than {at}")
            }
            Self::Bind { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one".into()
            }
            Self::Bind { .. } => {
                "is that an address of this host? `ip -br address` lists them".into()
            }
            Self::MasterKey { .. } => {
                "restore the file from its backup; without it the stored upstream keys stay shut"
                    .into()
            }
            Self::OpenKeyFile { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Itself { .. } => "give the address of the interception server or provider".into(),
            Self::TwoPolicies { .. } => "let the gate listen on another port".into(),
            Self::Pinned { .. } => {
                "`gatectl unload --yes` removes it and opens what it guarded; or let this start take \
                 it over with `--kernel require` and the same listeners and guards"
                    .into()
            }
            Self::KeyFileLost { .. } => {
                "restore it from its backup; or move the store away to start with none".into()
            }
            Self::NothingToGuard => "set `kernel.require` to auto, require or prefer".into(),
            Self::Kernel(error) => error.hint().unwrap_or_else(|| {
                "`--kernel prefer` starts without the packet ring, and says so".into()
            }),
            Self::Store(_) => "`gated --print-config` shows which store; restore it from a backup \
                               if it is damaged"
                .into(),
            Self::Admin(_) => {
                "stop the other gate, or give this one a `--run-dir` of its own".into()
            }
            Self::Control(control::StartError::SharedName(name)) => format!(
                "the configured shared secret needs that name: start without it, \
                 `gatectl client revoke {name}`, and add that client under another name"
            ),
            Self::Control(_) => "`gatectl status` and the log of the last run say more".into(),
            Self::Output(_) => "is the reader gone?".into(),
            Self::Thread(_) => {
                "is there memory, and room for another thread? try `ulimit -u`".into()
            }
        }
    }
}
