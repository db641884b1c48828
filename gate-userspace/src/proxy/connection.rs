//! One accepted connection, from its first byte to its last.
//!
//! On HTTP/1 hyper drops the running call when its caller closes, and that drops the upstream's
//! connection. An order from `live` ends a connection in three steps: the call writes its last word,
//! the socket is shut, and after the flush bound it is reset. A caller that is still sending when
//! it is refused is listened to for a moment, or a reset would swallow the refusal.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::HeaderValue;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    select,
    time::{sleep, timeout},
};

use super::{
    Worker,
    live::{Hold, Line},
    origin::Door,
};
use crate::source::Peer;

/// How long the last word may take, from the order on.
const FLUSH: Duration = Duration::from_millis(5);

/// How long a caller may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection may lie idle between two calls.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Who is at the other end, and what its calls need.
pub(crate) struct Caller {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Peer,
    pub(crate) door: Rc<Door>,
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) hold: RefCell<Hold>,
    pub(crate) line: Arc<Line>,
    pace: Rc<Pace>,
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What hyper reads and writes; we keep the other end of the `Rc`.
#[derive(Clone)]
struct Socket {
    stream: Rc<RefCell<Stream>>,
    pace: Rc<Pace>,
}

/// When the connection last did what it is allowed only so long.
struct Pace {
    /// Of the head that is being read, or of the wait for the next one.
    since: Cell<Instant>,
    is_reading: Cell<bool>,
    is_busy: Cell<bool>,
    /// Since when the caller does not take what we write.
    stuck: Cell<Option<Instant>>,
    saw_end: Cell<bool>,
    is_first: Cell<bool>,
}

impl Caller {
    pub(crate) fn busy(&self, busy: bool) {
        self.line.set_busy(busy);
        self.pace.is_busy.set(busy);
        self.pace.is_reading.set(false);
        if !busy {
            self.pace.is_first.set(false);
            self.pace.since.set(Instant::now());
        }
    }
}

/// Serves a connection until either side ends it.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    address: Option<IpAddr>,
    door: Rc<Door>,
) {
    let peer = address.map_or(Peer::Loopback, Peer::of);
    // Dropped last: "gone" is told when the socket is closed.
    let hold = worker.proxy.live.open(peer);
    let line = Arc::clone(hold.line());
    let socket = Socket::new(stream);
    let limits = &worker.proxy.limits;
    let (head_timeout, body_idle) = (limits.head_timeout, limits.body_idle);
    let caller = Rc::new(Caller {
        peer,
        forwarded_for: forwarded_for(address),
        door,
        hold: RefCell::new(hold),
        line: Arc::clone(&line),
        pace: Rc::clone(&socket.pace),
        worker: Rc::clone(&worker),
    });
    let ending = {
        let service = service_fn(|request| super::handle(Rc::clone(&caller), request));
        let connection = worker
            .http1
            .serve_connection(TokioIo::new(socket.clone()), service);
        let mut connection = pin!(connection);
        select! { biased;
            _why = line.ordered() => {
                connection.as_mut().graceful_shutdown();
                let flushed = timeout(FLUSH, connection).await;
                Ending::Ordered { is_flushed: matches!(flushed, Ok(Ok(()))) }
            }
            ended = connection.as_mut() => match ended {
                Ok(()) => Ending::Orderly,
                Err(why) if why.is_user() => Ending::Reset,
                Err(_why) => Ending::Orderly,
            },
            late = socket.pace.over(head_timeout, body_idle) => late,
        }
    };
    match ending {
        Ending::Ordered { is_flushed: true } => {
            let _until_then = timeout(FLUSH, socket.linger()).await;
            socket.reset();
        }
        Ending::Ordered { is_flushed: false } | Ending::Reset => socket.reset(),
        Ending::Orderly => {
            let _until_then = timeout(LINGER, socket.linger()).await;
        }
    }
    drop(socket);
    drop(caller);
}

enum Ending {
    Orderly,
    Ordered { is_flushed: bool },
    Reset,
}

fn forwarded_for(address: Option<IpAddr>) -> HeaderValue {
    let text = match address.map(|address| address.to_canonical()) {
        Some(address) => address.to_string(),
        None => "unknown".to_owned(),
    };
    HeaderValue::try_from(text).expect("an address is visible ASCII")
}

impl Socket {
    fn new(stream: Stream) -> Self {
        Self {
            stream: Rc::new(RefCell::new(stream)),
            pace: Rc::new(Pace {
                since: Cell::new(Instant::now()),
                is_reading: Cell::new(false),
                is_busy: Cell::new(false),
                stuck: Cell::new(None),
                saw_end: Cell::new(false),
                is_first: Cell::new(true),
            }),
        }
    }

    /// Reads what still comes until the caller closes.
    async fn linger(&self) {
        if self.pace.saw_end.get() {
            return;
        }
        let mut socket = self.clone();
        let _best_effort = poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx)).await;
        let mut sink = vec![0; 16 * 1024];
        while matches!(socket.read(&mut sink).await, Ok(read) if read > 0) {}
    }

    /// Closes without waiting for anybody, unless the caller has closed already.
    fn reset(&self) {
        if self.pace.saw_end.get() {
            return;
        }
        if let Stream::Tcp(stream) = &*self.stream.borrow() {
            // What cannot be reset is closed.
            let _best_effort = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Pace {
    /// Resolves when the connection took longer than it may for what it is doing.
    async fn over(&self, head_timeout: Duration, write_timeout: Duration) -> Ending {
        loop {
            let now = Instant::now();
            let (until, ending) = match self.stuck.get() {
                Some(stuck) => (stuck + write_timeout, Ending::Reset),
                None if self.is_busy.get() => (now + head_timeout, Ending::Orderly),
                None if self.is_reading.get() || self.is_first.get() => {
                    (self.since.get() + head_timeout, Ending::Reset)
                }
                None => (self.since.get() + KEEP_ALIVE, Ending::Orderly),
            };
            if until <= now {
                return ending;
            }
            // Whatever begins meanwhile is looked at when the nearest bound is over.
            sleep((until - now).min(head_timeout)).await;
        }
    }

    fn read(&self) {
        if !self.is_busy.get() && !self.is_reading.replace(true) {
            self.since.set(Instant::now());
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        match &polled {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => self.pace.read(),
            Poll::Ready(_) => self.pace.saw_end.set(true),
            Poll::Pending => {}
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        let stuck = &self.pace.stuck;
        match &polled {
            Poll::Ready(_) if stuck.get().is_some() => stuck.set(None),
            Poll::Pending if stuck.get().is_none() => stuck.set(Some(Instant::now())),
            Poll::Ready(_) | Poll::Pending => {}
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The worker's way to serve HTTP/1.
pub(crate) fn http1(head_size: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(head_size.max(8192))
        .max_header_size(head_size)
        // The pace is kept on the socket, without a timer per call.
        .header_read_timeout(None)
        .half_close(false);
    builder
}
