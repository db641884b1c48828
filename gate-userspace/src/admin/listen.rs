//! The admin socket: made for its owner and group, never taken from a gate that lives.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use nix::unistd::Group;
use tokio::net::UnixListener;

/// A bound socket. Its file goes when this does.
#[derive(Debug)]
pub struct AdminSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("another gated answers at `{}`", path.display())]
    InUse { path: PathBuf },
    #[error("`{}` is there and is not a socket", path.display())]
    NotSocket { path: PathBuf },
    #[error("listen at `{}`", path.display())]
    Bind {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

impl AdminSocket {
    /// Binds beside the path and moves the socket there when its permissions are right. A socket
    /// that nobody answers at is what a killed gate left, and is replaced.
    ///
    /// # Errors
    /// When a gate answers there, or the path cannot be used.
    pub fn bind(path: &Path, group: &str) -> Result<Self, ListenError> {
        let failed = |cause| ListenError::Bind {
            path: path.to_owned(),
            cause,
        };
        refuse_if_taken(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = SocketFile(PathBuf::from(beside));
        beside.remove();
        let listener = UnixListener::bind(&beside.0).map_err(failed)?;
        fs::set_permissions(&beside.0, fs::Permissions::from_mode(0o660)).map_err(failed)?;
        give_to(&beside.0, group);
        fs::rename(&beside.0, path).map_err(failed)?;
        Ok(Self {
            listener,
            file: SocketFile(path.to_owned()),
        })
    }
}

impl SocketFile {
    fn remove(&self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => tracing::warn!(path = %self.0.display(), error = %why, "a socket stays"),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn refuse_if_taken(path: &Path) -> Result<(), ListenError> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(ListenError::Bind { path, cause }),
        Ok(there) if !there.file_type().is_socket() => Err(ListenError::NotSocket { path }),
        Ok(_) => match UnixStream::connect(&path) {
            Ok(_) => Err(ListenError::InUse { path }),
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(cause) => Err(ListenError::Bind { path, cause }),
        },
    }
}

/// Without the group only root and the gate's own user can connect, which is safe and said.
fn give_to(path: &Path, group: &str) {
    let id = match Group::from_name(group) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        Ok(None) | Err(_) => None,
    };
    match id.map(|id| chown(path, None, Some(id))) {
        Some(Ok(())) => {}
        Some(Err(why)) => {
            tracing::warn!(group, error = %why, "the admin socket is not the group's");
        }
        None => tracing::warn!(
            group,
            "no such group: the admin socket is for its owner alone"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_living_gates_socket_is_not_taken() {
        let (_folder, path) = place();
        let first = AdminSocket::bind(&path, "root").unwrap();
        let second = AdminSocket::bind(&path, "root");
        assert!(matches!(second, Err(ListenError::InUse { .. })));
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o660);
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_killed_gates_socket_is_replaced() {
        let (_folder, path) = place();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        AdminSocket::bind(&path, "no-such-group").unwrap();
    }

    #[tokio::test]
    async fn another_file_is_left_alone() {
        let (_folder, path) = place();
        fs::write(&path, "precious").unwrap();
        let bound = AdminSocket::bind(&path, "root");
        assert!(matches!(bound, Err(ListenError::NotSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        (folder, path)
    }
}
