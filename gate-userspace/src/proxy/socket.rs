//! A caller's socket, watched while hyper reads and writes it.
//!
//! Keeps the pace without a timer per call: reads and writes leave a note, and one task per
//! connection looks at it. Where hyper would answer a head that it cannot parse, the answer is
//! withheld, so that it can be given in the gate's own words. What hyper would read leniently never
//! reaches it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{self, sleep},
};
use tokio_rustls::server::TlsStream;

use super::strict::{Framing, Odd};

/// How long a connection may lie idle between two calls.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed: it is some hundred bytes larger than the others.
    Tls(Box<TlsStream<TcpStream>>),
}

/// How the calls of a connection come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turns {
    /// HTTP/1: between two calls, what is read is the head of the next.
    OneByOne,
    /// HTTP/2: what is read may be anything.
    Together,
}

/// What hyper reads and writes; we keep the other end of the `Rc`.
#[derive(Clone)]
pub(super) struct Socket {
    stream: Rc<RefCell<Stream>>,
    pub(super) pace: Rc<Pace>,
    framing: Rc<RefCell<Framing>>,
}

/// When the connection last did what it is allowed only so long.
pub(super) struct Pace {
    /// Of the head that is being read, or of the wait for the next one.
    since: Cell<Instant>,
    is_reading: Cell<bool>,
    /// Calls that run.
    calls: Cell<usize>,
    turns: Turns,
    /// Since when the caller does not take what we write.
    stuck: Cell<Option<Instant>>,
    saw_end: Cell<bool>,
    is_first: Cell<bool>,
    /// The status of hyper's own answer to a head that it could not parse.
    withheld: Cell<Option<Status>>,
}

/// What hyper makes of a head that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Bad,
    TooLarge,
}

/// How a connection ends from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Orderly,
    /// The caller may close by itself until then, if it has all there is.
    Ordered {
        is_flushed: bool,
        until: time::Instant,
    },
    Reset,
}

impl Socket {
    pub(super) fn new(stream: Stream, turns: Turns) -> Self {
        Self {
            stream: Rc::new(RefCell::new(stream)),
            pace: Rc::new(Pace {
                since: Cell::new(Instant::now()),
                is_reading: Cell::new(false),
                calls: Cell::new(0),
                turns,
                stuck: Cell::new(None),
                saw_end: Cell::new(false),
                is_first: Cell::new(true),
                withheld: Cell::new(None),
            }),
            framing: Rc::new(RefCell::new(Framing::new())),
        }
    }

    /// Whether the head of the call that begins was read strictly. Asked once for each call.
    pub(super) fn take_head(&self) -> bool {
        self.framing.borrow_mut().take_head()
    }

    /// The call that asked for another protocol was answered in this one.
    pub(super) fn stay(&self) {
        self.framing.borrow_mut().stay();
    }

    fn follow(&self, bytes: &[u8]) -> Result<(), Odd> {
        match self.pace.turns {
            Turns::Together => Ok(()),
            Turns::OneByOne => self.framing.borrow_mut().follow(bytes),
        }
    }

    /// Whose process is at the other end, where the system says so.
    pub(super) fn uid(&self) -> Option<u32> {
        match &*self.stream.borrow() {
            Stream::Tcp(_) | Stream::Tls(_) => None,
            Stream::Unix(stream) => stream.peer_cred().ok().map(|peer| peer.uid()),
        }
    }

    /// Says the last words of a connection that hyper has given up, then reads what still comes
    /// until the caller closes.
    pub(super) fn leave(&self, words: Option<Vec<u8>>) -> impl Future<Output = ()> + use<> {
        let mut socket = self.clone();
        async move {
            if let Some(words) = words {
                let _gone = socket.write_all(&words).await;
            }
            if socket.pace.saw_end.get() {
                return;
            }
            let _best_effort = poll_fn(|cx| Pin::new(&mut socket).poll_shutdown(cx)).await;
            let mut sink = vec![0; 16 * 1024];
            while matches!(socket.read(&mut sink).await, Ok(read) if read > 0) {}
        }
    }

    /// Closes without waiting for anybody, unless the caller has closed already.
    pub(super) fn reset(&self) {
        if self.pace.saw_end.get() {
            return;
        }
        let stream = self.stream.borrow();
        let tcp = match &*stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Unix(_) => return,
        };
        // What cannot be reset is closed.
        let _best_effort = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}

impl Pace {
    /// A call begins.
    pub(super) fn begin(&self) {
        self.calls.set(self.calls.get() + 1);
        self.is_reading.set(false);
    }

    /// A call that began has ended.
    pub(super) fn end(&self) {
        self.calls.set(self.calls.get().saturating_sub(1));
        if !self.is_busy() {
            self.is_reading.set(false);
            self.is_first.set(false);
            self.since.set(Instant::now());
        }
    }

    pub(super) fn turns(&self) -> Turns {
        self.turns
    }

    pub(super) fn is_busy(&self) -> bool {
        self.calls.get() > 0
    }

    /// Odd framing is answered like a head that is none, unless a call's answer is on its way.
    fn refuse(&self) {
        if !self.is_busy() {
            self.withheld.set(Some(Status::Bad));
        }
    }

    /// What hyper wanted to say itself, if it did. What is written from here on is ours.
    pub(super) fn withheld(&self) -> Option<Status> {
        self.is_reading.set(false);
        self.withheld.take()
    }

    /// hyper reads a head only after everything was flushed: what it writes then is its own.
    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        let status = match bytes.get(..12) {
            _ if self.is_busy() || !self.is_reading.get() => return false,
            Some(b"HTTP/1.1 400" | b"HTTP/1.0 400") => Status::Bad,
            Some(b"HTTP/1.1 431" | b"HTTP/1.1 414" | b"HTTP/1.0 431" | b"HTTP/1.0 414") => {
                Status::TooLarge
            }
            _ => return false,
        };
        self.withheld.set(Some(status));
        true
    }

    /// Resolves when the connection took longer than it may for what it is doing.
    pub(super) async fn over(&self, head_timeout: Duration, write_timeout: Duration) -> Ending {
        loop {
            let now = Instant::now();
            let (until, ending) = match self.stuck.get() {
                Some(stuck) => (stuck + write_timeout, Ending::Reset),
                None if self.is_busy() => (now + head_timeout, Ending::Orderly),
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
        let is_head = self.turns == Turns::OneByOne && !self.is_busy();
        if is_head && !self.is_reading.replace(true) {
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
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        };
        let come = buffer.filled().get(before..).unwrap_or_default();
        if let Err(odd) = self.follow(come) {
            self.pace.refuse();
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, odd)));
        }
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
        if let Some(first) = slices.first()
            && self.pace.is_hypers_own(first)
        {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let polled = match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, slices),
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
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pace.withheld.get().is_some() {
            // Not yet: there is something to say.
            return Poll::Ready(Ok(()));
        }
        match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
