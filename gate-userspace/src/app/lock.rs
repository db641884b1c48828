//! One `gated` per run directory: an advisory lock that ends with the process, however it ends.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use nix::fcntl::{Flock, FlockArg};

use super::StartError;

/// Held as long as the daemon runs.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

pub(super) fn take(run_dir: &Path) -> Result<Lock, StartError> {
    private_dir(run_dir, 0o755)?;
    let path = run_dir.join("gated.lock");
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = open.map_err(|cause| StartError::Path {
        path: path.clone(),
        cause,
    })?;
    let mut lock =
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_file, _errno)| {
            StartError::Running {
                run_dir: run_dir.to_owned(),
            }
        })?;
    let written = lock
        .set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()));
    written.map_err(|cause| StartError::Path { path, cause })?;
    Ok(Lock(lock))
}

/// Makes a directory and its parents; one that is there is left as it is.
pub(super) fn private_dir(path: &Path, mode: u32) -> Result<(), StartError> {
    let outcome = DirBuilder::new().recursive(true).mode(mode).create(path);
    match outcome {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(StartError::Path {
            path: path.to_owned(),
            cause,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
