//! One accepted connection, from its first byte to its last.
//!
//! On HTTP/1 hyper drops the running call when its caller closes, and that drops the upstream's
//! connection. An order from `live` ends a connection in three steps: the call writes its last word,
//! the socket is shut, and after the flush bound it is reset. A caller that is still sending when
//! it is refused is listened to for a moment, or a reset would swallow the refusal.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{select, time::timeout};

use super::{
    Worker,
    live::{Hold, Line},
    origin::Door,
    present::GATE_TOKEN,
    respond,
    socket::{Ending, Pace, Socket, Status, Stream},
    upgrade::Tunnel,
};
use crate::{
    fault::{Denied, Fault, Stop},
    ident::{Revision, TokenId},
    secret::Look,
    settings::{ListenSources, Mode},
    source::Peer,
};

/// How long the last word may take, from the order on.
const FLUSH: Duration = Duration::from_millis(5);

/// How long a caller may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(2);

const DELEGATED: HeaderName = HeaderName::from_static("x-gate-delegated-key");

/// Who is at the other end, and what its calls need.
pub(crate) struct Caller {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Peer,
    pub(crate) door: Rc<Door>,
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) hold: RefCell<Hold>,
    pub(crate) line: Arc<Line>,
    address: Option<IpAddr>,
    /// Whose process is at the other end of a Unix socket.
    uid: Option<u32>,
    /// The revision at which the address was last found on the list.
    listed_at: Cell<Option<Revision>>,
    /// What was agreed on in place of HTTP.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
    pace: Rc<Pace>,
}

impl Caller {
    pub(crate) fn busy(&self, busy: bool) {
        self.line.set_busy(busy);
        self.pace.busy(busy);
    }

    /// The id of a token that somebody trusted names in place of presenting it. From everybody else
    /// the header is no more than noise.
    pub(crate) fn delegated(&self, headers: &HeaderMap) -> Result<Option<TokenId>, Stop> {
        let named = headers
            .get(DELEGATED)
            .filter(|_| self.door.trusts(self.uid));
        let named = named.map(|value| value.as_bytes().trim_ascii());
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            return Ok(None);
        };
        if headers.contains_key(GATE_TOKEN) {
            return Err(Fault::BadRequest("a delegated id beside X-Gate-Token").into());
        }
        let id = TokenId::parse(named).ok_or(Denied::Unknown(Look::Foreign))?;
        Ok(Some(id))
    }

    /// Whether this source is on the list, where the listener wants that: it may have been taken
    /// off since the connection was let in.
    pub(crate) fn is_listed(&self) -> Result<(), Denied> {
        let Some(address) = self.address.filter(|address| !address.is_loopback()) else {
            return Ok(());
        };
        let grants = &self.worker.proxy.grants;
        let revision = grants.revision();
        if self.door.sources == ListenSources::Any || self.listed_at.get() == Some(revision) {
            return Ok(());
        }
        if grants.mode() == Mode::Audit || grants.lists(address) {
            self.listed_at.set(Some(revision));
            return Ok(());
        }
        Err(Denied::Unlisted)
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
        address,
        uid: socket.uid(),
        tunnel: RefCell::new(None),
        listed_at: Cell::new(None),
        pace: Rc::clone(&socket.pace),
        worker: Rc::clone(&worker),
    });
    let mut ending = {
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
    let tunnel = caller.tunnel.take();
    if let (Some(tunnel), Ending::Orderly) = (tunnel, ending) {
        ending = tunnel.run(&socket, &line, FLUSH).await;
    }
    if let Some(status) = socket.pace.withheld() {
        let stop = Stop::Fault(match status {
            Status::Bad => Fault::BadRequest("this is no HTTP request"),
            Status::TooLarge => Fault::HeadTooLarge,
        });
        let words = respond::raw(&worker, &stop);
        socket.say(&words, LINGER).await;
    }
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

fn forwarded_for(address: Option<IpAddr>) -> HeaderValue {
    let text = match address.map(|address| address.to_canonical()) {
        Some(address) => address.to_string(),
        None => "unknown".to_owned(),
    };
    HeaderValue::try_from(text).expect("an address is visible ASCII")
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
