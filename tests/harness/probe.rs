//! What happens to a SYN: the question of the packet ring, asked from a caller's place.
//!
//! Does not send anything above TCP. Silence can only be told from slowness by a bound; it spans
//! one retransmission, so that a single lost packet does not look like a shut port.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::netns::Namespace;

/// Covers the first SYN and its repetition after one second.
const PATIENCE: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syn {
    /// A connection stands.
    Answered,
    /// A RST came back: somebody is there and says no.
    Refused,
    /// Nothing came back.
    Silent,
    /// The network itself said no, before or on the way.
    Unreachable(io::ErrorKind),
}

/// Sends a SYN from `place` to `to` and waits for what comes back.
pub async fn syn(place: &Namespace, to: SocketAddr) -> Syn {
    match timeout(PATIENCE, connect(place, to)).await {
        Ok(Ok(_connected)) => Syn::Answered,
        Ok(Err(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused => Syn::Refused,
        Ok(Err(cause)) if cause.kind() == io::ErrorKind::TimedOut => Syn::Silent,
        Ok(Err(cause)) => Syn::Unreachable(cause.kind()),
        Err(_elapsed) => Syn::Silent,
    }
}

/// A connection from `place` to `to`, for use on the caller's runtime.
pub async fn connect(place: &Namespace, to: SocketAddr) -> io::Result<TcpStream> {
    socket(place, to)?.connect(to).await
}

/// As [`connect`], from one of the place's addresses.
pub async fn connect_from(
    place: &Namespace,
    from: SocketAddr,
    to: SocketAddr,
) -> io::Result<TcpStream> {
    let socket = socket(place, to)?;
    socket.bind(from)?;
    socket.connect(to).await
}

fn socket(place: &Namespace, to: SocketAddr) -> io::Result<TcpSocket> {
    let made = place.enter(|| {
        let kind = Type::STREAM.nonblocking().cloexec();
        Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))
    })?;
    Ok(TcpSocket::from_std_stream(made.into()))
}

#[cfg(test)]
mod tests;
