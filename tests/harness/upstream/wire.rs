//! What a provider's connections speak, and where it listens.
//!
//! HTTP/1.1 or HTTP/2, in the clear or over TLS, on TCP or on a Unix socket. Over TLS the two sides
//! agree on the version; in the clear it is what the provider was told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::netns::Namespace;

#[derive(Clone)]
pub struct Wire {
    tls: Option<Arc<ServerConfig>>,
    in_the_clear: Version,
    pub(super) streams: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

pub(super) enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

pub(super) enum Open {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Wire {
    pub fn plain() -> Self {
        Self {
            tls: None,
            in_the_clear: Version::One,
            streams: None,
        }
    }

    /// HTTP/2 without TLS, which the other side must know beforehand.
    pub fn h2c() -> Self {
        Self {
            in_the_clear: Version::Two,
            ..Self::plain()
        }
    }

    /// The version is what the handshake agrees on, see [`crate::authority::Authority::server`].
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(config),
            ..Self::plain()
        }
    }

    /// So many calls at once on one HTTP/2 connection.
    pub fn streams(mut self, most: u32) -> Self {
        self.streams = Some(most);
        self
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The version that both speak, and whether TLS went on where it was.
    pub(super) async fn greet(
        &self,
        stream: Box<dyn Stream>,
    ) -> io::Result<(Box<dyn Stream>, Version, bool)> {
        let Some(config) = &self.tls else {
            return Ok((stream, self.in_the_clear, false));
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
        let stream = acceptor.accept(stream).await?;
        let session = stream.get_ref().1;
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let version = match session.alpn_protocol() {
            Some(b"h2") => Version::Two,
            Some(_) | None => Version::One,
        };
        Ok((Box::new(stream), version, is_resumed))
    }
}

impl Listener {
    pub(super) fn tcp(place: &Namespace, bind: SocketAddr) -> anyhow::Result<Self> {
        let listener = place
            .enter(|| TcpListener::bind(bind))
            .with_context(|| format!("bind the provider to {bind} in {place}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    pub(super) fn unix(path: &Path) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(path)
            .with_context(|| format!("bind the provider to {}", path.display()))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    pub(super) fn at(&self) -> io::Result<At> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(At::Tcp),
            Self::Unix(_, path) => Ok(At::Unix(path.clone())),
        }
    }

    /// Needs a runtime.
    pub(super) fn open(self) -> io::Result<Open> {
        match self {
            Self::Tcp(listener) => tokio::net::TcpListener::from_std(listener).map(Open::Tcp),
            Self::Unix(listener, _) => tokio::net::UnixListener::from_std(listener).map(Open::Unix),
        }
    }
}

impl Open {
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                let _too_late = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => {
                let (stream, _peer) = listener.accept().await?;
                Ok(Box::new(stream))
            }
        }
    }
}
