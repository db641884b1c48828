//! Another door to a scripted upstream: TLS or a Unix socket before it, the bytes behind unchanged.

use std::{net::SocketAddr, path::Path, sync::Arc, thread};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener},
};

use super::Upstream;

/// Opens one; it lives as long as the test's process.
pub(crate) fn tls(upstream: &Upstream, config: Arc<ServerConfig>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (at, to) = (listener.local_addr().unwrap(), upstream.address);
    run(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    join(stream, to).await;
                }
            });
        }
    });
    at
}

pub(crate) fn unix(upstream: &Upstream, path: &Path) {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let to = upstream.address;
    run(async move {
        let listener = UnixListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(join(stream, to));
        }
    });
}

fn run(door: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, door);
    });
}

async fn join(mut one: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    if let Ok(mut other) = TcpStream::connect(to).await {
        let _ended = copy_bidirectional(&mut one, &mut other).await;
    }
}
