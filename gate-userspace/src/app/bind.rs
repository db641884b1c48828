//! Takes the addresses before the packet ring stands, and opens them only after.
//!
//! A bound socket that does not listen answers nobody, so there is no moment in which the port is
//! open and unguarded.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::StartError;
use crate::{
    proxy::listen::{Bound, BoundSocket},
    settings::{Listen, ListenAt},
};

/// Tries to take a busy port, and the pause between two: a predecessor may be on its way out.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
const BACKLOG: i32 = 4096;

/// A taken address that does not listen yet.
#[derive(Debug)]
pub(super) struct Taken {
    socket: Socket,
    listen: Listen,
}

pub(super) fn take(listen: &Listen) -> Result<Taken, StartError> {
    let mut tries = 1;
    loop {
        match attempt(&listen.at) {
            Ok(socket) => {
                return Ok(Taken {
                    socket,
                    listen: listen.clone(),
                });
            }
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            Err(cause) => {
                return Err(StartError::Bind {
                    at: listen.at.to_string(),
                    cause,
                });
            }
        }
    }
}

impl Taken {
    /// Opens it.
    pub(super) fn listen(self) -> Result<Bound, StartError> {
        let failed = |cause| StartError::Bind {
            at: self.listen.at.to_string(),
            cause,
        };
        self.socket.listen(BACKLOG).map_err(failed)?;
        self.socket.set_nonblocking(true).map_err(failed)?;
        let socket = match self.listen.at {
            ListenAt::Tcp(_) => BoundSocket::Tcp(self.socket.into()),
            ListenAt::Unix(_) => BoundSocket::Unix(std::os::fd::OwnedFd::from(self.socket).into()),
        };
        Ok(Bound {
            listen: self.listen,
            socket,
        })
    }
}

/// A listener that serves no sandbox, so the packet ring does not guard it.
pub(super) fn aside(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    let open = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    open().map_err(|cause| StartError::Bind {
        at: address.to_string(),
        cause,
    })
}

/// Where it listens, a port that the system chose included.
pub(super) fn address(bound: &Bound) -> String {
    match tcp(bound) {
        Some(address) => address.to_string(),
        None => bound.listen.at.to_string(),
    }
}

pub(super) fn tcp(bound: &Bound) -> Option<SocketAddr> {
    match &bound.socket {
        BoundSocket::Tcp(listener) => listener.local_addr().ok(),
        BoundSocket::Unix(_) => None,
    }
}

fn attempt(at: &ListenAt) -> io::Result<Socket> {
    match at {
        ListenAt::Tcp(address) => {
            let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(*address))?;
            Ok(socket)
        }
        ListenAt::Unix(path) => {
            remove_stale(path)?;
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.bind(&SockAddr::unix(path)?)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
            Ok(socket)
        }
    }
}

/// A socket file that nobody answers on was left by a dead process.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there and no socket",
            ));
        }
        Ok(_) | Err(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ListenSources;
    use std::net::{TcpListener, TcpStream};

    /// Acceptance 11.
    #[test]
    fn a_busy_port_is_one_clear_error() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = take(&at(holder.local_addr().unwrap())).unwrap_err();
        assert!(
            matches!(&error, StartError::Bind { cause, .. } if cause.kind() == io::ErrorKind::AddrInUse)
        );
        assert!(error.hint().contains("ss -ltnp"), "{}", error.hint());
    }

    #[test]
    fn a_taken_address_answers_nobody_until_it_listens() {
        let taken = take(&at("127.0.0.1:0".parse().unwrap())).unwrap();
        let address = taken.socket.local_addr().unwrap().as_socket().unwrap();
        assert!(TcpStream::connect(address).is_err());
        let _bound = taken.listen().unwrap();
        assert!(TcpStream::connect(address).is_ok());
    }

    fn at(address: SocketAddr) -> Listen {
        Listen {
            at: ListenAt::Tcp(address),
            sources: ListenSources::Listed,
            hosts: Vec::new(),
            origins: Vec::new(),
            delegates: Vec::new(),
            tls: None,
        }
    }
}
