//! `WebSocket`s: admitted at the handshake, then bytes both ways until somebody ends it.
//!
//! No other protocol: whatever is spoken behind an upgrade passes the gate unseen, and some of them
//! (h2c) would carry further requests. hyper gives up the caller's connection after its 101; the
//! bytes then go over the socket that the connection kept. An order to end writes a close frame if
//! none is half written, and resets otherwise.

use std::{
    cell::{Cell, RefCell},
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    select,
    time::{sleep, timeout_at},
};

use super::{
    body::Body,
    call::Call,
    connection::flush_until,
    end::{End, Exchange},
    frames::Frames,
    head::Head,
    hop,
    live::{Cut, Line},
    respond,
    socket::{Ending, Socket},
    swap::Way,
    upstream::{Answer, Lease},
};
use crate::fault::{Fault, Stop};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// An upgrade that both sides agreed on, before any byte of it.
pub(crate) struct Tunnel {
    upstream: OnUpgrade,
    /// Keeps the upstream's connection until it is handed over.
    _lease: Lease,
    exchange: Exchange,
    idle_timeout: Duration,
}

/// Whether a call wants a WebSocket.
pub(crate) fn is_wanted(head: &Head) -> bool {
    let names = |name, want: &str| {
        let values = head.headers.get_all(name).iter();
        let mut items = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        items.any(|item| item.trim_ascii().eq_ignore_ascii_case(want.as_bytes()))
    };
    head.method == http::Method::GET
        && names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
}

/// Says again what every hop must say itself.
pub(crate) fn ask(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, UPGRADE);
    headers.insert(header::UPGRADE, WEBSOCKET);
}

/// The upstream agreed: the caller is told, and the connection keeps what comes next.
pub(crate) fn agree(
    mut answer: Answer,
    call: &mut Call,
    way: &Way<'_>,
) -> Result<Response<Body>, Stop> {
    if !way.upgrades {
        return Err(Fault::NotAsked.into());
    }
    let upstream = hyper::upgrade::on(&mut answer.response);
    let (mut parts, _) = answer.response.into_parts();
    hop::strip(&mut parts.headers);
    ask(&mut parts.headers);
    respond::mark(&mut parts.headers, respond::UPSTREAM);
    let exchange = call.passes(StatusCode::SWITCHING_PROTOCOLS, Instant::now());
    call.keeps(Tunnel {
        upstream,
        _lease: answer.lease,
        exchange,
        idle_timeout: way.backend.idle_timeout,
    });
    Ok(Response::from_parts(parts, Body::Whole(Bytes::new())))
}

/// What both directions know of each other.
#[derive(Default)]
struct Both {
    frames: RefCell<Frames>,
    last: Cell<Option<Instant>>,
    bytes: Cell<u64>,
}

impl Tunnel {
    /// Passes bytes until one side ends, nothing comes for too long, or an order says so.
    pub(super) async fn run(mut self, socket: &Socket, line: &Line) -> Ending {
        let both = Both::default();
        let (end, ending) = select! { biased;
            why = line.ordered() => {
                let until = flush_until();
                let is_flushed = timeout_at(until, part(socket, &both, why)).await == Ok(true);
                (End::Cut(why), Ending::Ordered { is_flushed, until })
            }
            end = self.pass(socket, &both) => (end, Ending::Orderly),
        };
        self.exchange
            .note(|record| record.bytes += both.bytes.get());
        self.exchange.end(end);
        ending
    }

    async fn pass(&mut self, socket: &Socket, both: &Both) -> End {
        let Ok(upgraded) = (&mut self.upstream).await else {
            return End::UpstreamFailed;
        };
        let (mut from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(upgraded));
        let (mut from_caller, mut to_caller) = (socket.clone(), socket.clone());
        select! {
            _either_way = pump(&mut from_caller, &mut to_upstream, |_| both.moved()) => {
                End::ClientGone
            }
            _either_way = pump(&mut from_upstream, &mut to_caller, |bytes| both.told(bytes)) => {
                End::Complete
            }
            () = both.silent(self.idle_timeout) => End::UpstreamFailed,
        }
    }
}

impl Both {
    fn moved(&self) {
        self.last.set(Some(Instant::now()));
    }

    fn told(&self, bytes: &[u8]) {
        self.moved();
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        self.frames.borrow_mut().look(bytes);
    }

    async fn silent(&self, patience: Duration) {
        let began = Instant::now();
        loop {
            let until = self.last.get().unwrap_or(began) + patience;
            let now = Instant::now();
            if until <= now {
                return;
            }
            sleep(until - now).await;
        }
    }
}

/// The close frame, where it does not fall into another frame.
async fn part(socket: &Socket, both: &Both, why: Cut) -> bool {
    if !both.frames.borrow().is_between() {
        return false;
    }
    let code: u16 = match why {
        Cut::Revoked | Cut::Closed | Cut::LeaseOver | Cut::Narrowed => 1008,
        Cut::Panic | Cut::Draining => 1001,
    };
    let [high, low] = code.to_be_bytes();
    let mut socket = socket.clone();
    socket.write_all(&[0x88, 2, high, low]).await.is_ok()
}

/// Passes bytes one way; `told` hears of what was really written.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    told: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let mut rest = buffer.get(..read).unwrap_or_default();
        if rest.is_empty() {
            return to.shutdown().await;
        }
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            let (done, left) = rest.split_at_checked(written).unwrap_or((rest, &[]));
            if done.is_empty() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            told(done);
            rest = left;
        }
        // TLS takes more than its socket does: what it holds back waits for this, or for more to come.
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::{
        io::{BufWriter, duplex},
        time::timeout,
    };

    use super::*;

    /// Ends a test that would hang.
    const LONG: Duration = Duration::from_secs(10);

    /// The last bytes of a message do not wait for the next one.
    #[tokio::test]
    async fn what_a_writer_holds_back_is_sent_before_more_is_read() {
        let (mut upstream, mut from) = duplex(64);
        let (to, mut caller) = duplex(64);
        let mut to = BufWriter::new(to);
        upstream.write_all(b"hello").await.unwrap();
        let mut said = [0; 5];
        let never = async {
            pump(&mut from, &mut to, |_| {}).await.unwrap();
            std::future::pending::<Infallible>().await
        };
        let read = select! {
            read = timeout(LONG, caller.read_exact(&mut said)) => read,
            never = never => match never {},
        };
        read.expect("the bytes are held back").unwrap();
        assert_eq!(&said, b"hello");
    }
}
