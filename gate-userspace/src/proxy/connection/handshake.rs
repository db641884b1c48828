//! What is spoken on a new connection: plain HTTP, or what TLS agrees on.
//!
//! Threat: a handshake costs the gate more than its caller, and none of it is a call yet. So it has
//! the time of a head, only those whom the connection ring let in come here, and it is counted when
//! it fails. HTTP/2 is spoken where TLS chose it, and nowhere else: in the clear the first bytes
//! would have to be guessed.

use std::rc::Rc;

use tokio::{io::AsyncWriteExt, net::TcpStream, select, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::LINGER;
use crate::{
    fault::{Fault, Stop},
    proxy::{Worker, counters::Count, live::Line, origin::Door, respond, socket::Stream},
    tls,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

/// The first byte of every TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What is left of the stream for HTTP, if anything is.
pub(super) async fn agree(
    worker: &Rc<Worker>,
    stream: Stream,
    door: &Door,
    line: &Line,
) -> Option<(Stream, Spoken)> {
    let (server, stream) = match (&door.tls, stream) {
        (Some(server), Stream::Tcp(stream)) => (server, stream),
        (_, stream) => return Some((stream, Spoken::Http1)),
    };
    let shaken = select! { biased;
        _why = line.ordered() => return None,
        shaken = timeout(worker.proxy.limits.head_timeout, shake(server, stream)) => shaken,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(Unshaken::Plain(stream))) => {
            worker.row.add(Count::Handshake);
            turn_away(worker, stream).await;
            return None;
        }
        Ok(Err(Unshaken::Broken)) | Err(_) => {
            worker.row.add(Count::Handshake);
            return None;
        }
    };
    let spoken = if stream.get_ref().1.alpn_protocol() == Some(tls::H2) {
        Spoken::Http2
    } else {
        Spoken::Http1
    };
    Some((Stream::Tls(Box::new(stream)), spoken))
}

/// Why there was no agreement.
enum Unshaken {
    /// A method comes first: somebody left out the `s` of `https`.
    Plain(TcpStream),
    Broken,
}

async fn shake(server: &tls::Server, stream: TcpStream) -> Result<TlsStream<TcpStream>, Unshaken> {
    let mut first = [0];
    match (stream.peek(&mut first).await, first) {
        (Ok(1), [HANDSHAKE]) => {}
        (Ok(1), [byte]) if byte.is_ascii_uppercase() => return Err(Unshaken::Plain(stream)),
        (Ok(_) | Err(_), _) => return Err(Unshaken::Broken),
    }
    let shaken = TlsAcceptor::from(server.config()).accept(stream).await;
    shaken.map_err(|_why| Unshaken::Broken)
}

async fn turn_away(worker: &Worker, mut stream: TcpStream) {
    let stop = Stop::Fault(Fault::BadRequest("TLS is spoken here: call it by https://"));
    let words = respond::raw(worker, &stop);
    let farewell = async {
        stream.write_all(&words).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _either_way = timeout(LINGER, farewell).await;
}
