//! Opens a connection to an upstream: the first address that answers, then TLS, then HTTP.
//!
//! All of it within the upstream's connect timeout, of which its caller keeps the clock. An address
//! that does not answer holds nobody up for long: the next is tried beside it (RFC 8305 in small).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpStream, UnixStream},
    select,
    task::{spawn_local, yield_now},
    time::sleep,
};
use tokio_rustls::TlsConnector;

use super::{
    idle::Idle,
    shared::{Here, MOST, Shared},
    wire::Wire,
};
use crate::{
    fault::Unreachable,
    proxy::{
        addresses::Addresses,
        backend::{Backend, Site, Tls},
    },
    tls::H2,
};

/// How long an address may take before the next one is tried beside it (RFC 8305 section 5).
const NEXT: Duration = Duration::from_millis(250);

/// An upstream that is gone without a word is noticed within the sum of these, while calls run.
const PING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 20 });
const PONG: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// What one stream may have on its way to us. All streams of a connection together may have as much
/// each, so that callers who read slowly hold up nobody beside them.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST;

/// Bytes of an answer's head.
const HEAD: u32 = 64 << 10;

/// What a call can go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    /// A WebSocket: its handshake is one of HTTP/1.
    OnlyOne,
}

pub(super) enum Fresh {
    One(Idle),
    Two(Shared),
}

pub(super) async fn dial(backend: &Backend, wanted: Wanted) -> Result<Fresh, Unreachable> {
    let may_be_two = backend.http2 && wanted == Wanted::Any;
    let (wire, address, is_two) = match (&backend.site, &backend.tls) {
        (Site::Unix(path), _) => (unix(path).await?, None, may_be_two),
        (Site::Tcp { addresses, .. }, None) => {
            let (stream, address) = tcp(addresses).await?;
            (Wire::Tcp(stream), Some(address), may_be_two)
        }
        (Site::Tcp { addresses, .. }, Some(tls)) => {
            let (stream, address) = tcp(addresses).await?;
            let (wire, is_two) = secure(stream, tls, may_be_two).await?;
            (wire, Some(address), is_two)
        }
    };
    if is_two {
        two(wire, address).await.map(Fresh::Two)
    } else {
        one(wire, address).await.map(Fresh::One)
    }
}

async fn unix(path: &Path) -> Result<Wire, Unreachable> {
    let stream = UnixStream::connect(path).await;
    stream.map(Wire::Unix).map_err(Unreachable::Socket)
}

async fn tcp(addresses: &Addresses) -> Result<(TcpStream, IpAddr), Unreachable> {
    let known = addresses.known().await;
    let connected = match known.as_slice() {
        [only] => connect(*only).await.map_err(|(_, cause)| cause),
        several => race(several, addresses).await,
    };
    let (stream, address) = connected.map_err(|cause| {
        addresses.are_doubtful();
        Unreachable::Socket(cause)
    })?;
    // Best effort: without it small writes wait, nothing breaks.
    let _best_effort = stream.set_nodelay(true);
    Ok((stream, address.ip()))
}

/// The first that answers, of all that were tried by then.
async fn race(
    several: &[SocketAddr],
    addresses: &Addresses,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut tries = FuturesUnordered::new();
    let mut pending: Vec<SocketAddr> = Vec::new();
    let mut rest = several.iter();
    let mut last = io::ErrorKind::NotConnected.into();
    loop {
        match rest.next() {
            Some(next) => {
                pending.push(*next);
                tries.push(connect(*next));
            }
            None if tries.is_empty() => return Err(last),
            None => {}
        }
        select! { biased;
            Some(outcome) = tries.next() => match outcome {
                Ok((stream, address)) => {
                    // Whoever began earlier and is not there yet is slow.
                    pending.iter().take_while(|other| **other != address)
                        .for_each(|slow| addresses.failed(slow.ip()));
                    return Ok((stream, address));
                }
                Err((address, cause)) => {
                    pending.retain(|other| *other != address);
                    addresses.failed(address.ip());
                    last = cause;
                }
            },
            () = sleep(NEXT), if rest.len() > 0 => {}
        }
    }
}

async fn connect(address: SocketAddr) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    match TcpStream::connect(address).await {
        Ok(stream) => Ok((stream, address)),
        Err(cause) => Err((address, cause)),
    }
}

async fn secure(
    stream: TcpStream,
    tls: &Tls,
    may_be_two: bool,
) -> Result<(Wire, bool), Unreachable> {
    let config = if may_be_two {
        &tls.config
    } else {
        &tls.only_one
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(tls.name.clone(), stream).await;
    let stream = stream.map_err(not_believed)?;
    let is_two = stream.get_ref().1.alpn_protocol() == Some(H2);
    Ok((Wire::Tls(Box::new(stream)), is_two))
}

fn not_believed(cause: io::Error) -> Unreachable {
    match cause.downcast::<rustls::Error>() {
        Ok(cause) => Unreachable::Tls(cause),
        Err(cause) => Unreachable::Socket(cause),
    }
}

async fn one(wire: Wire, address: Option<IpAddr>) -> Result<Idle, Unreachable> {
    let shaken = http1::Builder::new().handshake(TokioIo::new(wire)).await;
    let (sender, connection) = shaken.map_err(|_why| io::ErrorKind::ConnectionAborted)?;
    let task = spawn_local(async move {
        // Its error reaches the caller through the request or the body.
        let _told_elsewhere = connection.with_upgrades().await;
    });
    Ok(Idle::new(sender, task.abort_handle(), address))
}

/// Waits for the upstream to say how many calls it takes at once: the first ones would be too many
/// for some.
pub(super) async fn two(wire: Wire, address: Option<IpAddr>) -> Result<Shared, Unreachable> {
    let shaken = http2::Builder::new(Here)
        .timer(TokioTimer::new())
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .handshake(TokioIo::new(wire))
        .await;
    let (sender, connection) = shaken.map_err(|_why| Unreachable::NotHttp2)?;
    let shared = Shared::drive(sender, connection, address);
    for turn in 0_u32.. {
        if !shared.stands() {
            return Err(Unreachable::NotHttp2);
        }
        if shared.most() > 0 {
            break;
        }
        if turn < 4 {
            yield_now().await;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(shared)
}
