//! One accepted connection, from its first byte to its last.
//!
//! An order from `live` ends a connection in three steps: its calls write their last words, the
//! socket is shut, and after the flush bound it is reset. On HTTP/1 a connection has one call at a
//! time and ends with it; on HTTP/2 every call has a line of its own, and only those that are ordered
//! to end do. A caller that is still sending when it is refused is listened to for a moment, or a
//! reset would swallow the refusal.

mod handshake;
mod http1;
mod http2;

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    select,
    time::{self, timeout, timeout_at},
};

use self::handshake::Spoken;
pub(crate) use self::http1::builder as http1;
use super::{
    Worker,
    claims::Claims,
    live::{Hold, Line, Of},
    origin::Door,
    present::GATE_TOKEN,
    respond,
    socket::{Ending, Pace, Socket, Status, Stream, Turns},
    upgrade::Tunnel,
};
use crate::{
    fault::{Denied, Fault, Stop},
    grants::{Grant, RolloutGrant},
    ident::TokenId,
    secret::Look,
    settings::{ListenSources, Mode},
    source::Peer,
};

/// How long the last word may take, from the order on, and the caller to close after it.
const FLUSH: Duration = Duration::from_millis(5);

/// How long a caller may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(2);

const DELEGATED: HeaderName = HeaderName::from_static("x-gate-delegated-key");

/// Who is at the other end, and what its calls need: one for a connection, and on HTTP/2 one for each
/// of its calls.
pub(crate) struct Caller {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Peer,
    pub(crate) door: Rc<Door>,
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) hold: RefCell<Hold>,
    pub(crate) line: Arc<Line>,
    /// Where calls share the connection.
    pub(crate) claims: Option<Rc<Claims>>,
    address: Option<IpAddr>,
    /// Whose process is at the other end of a Unix socket.
    uid: Option<u32>,
    /// The change of the list at which the address was last found on it.
    listed_at: Cell<Option<u64>>,
    /// What was agreed on in place of HTTP.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
    /// Since when a part of the answer waits for the caller to take it.
    pub(crate) offered: Cell<Option<Instant>>,
    pace: Rc<Pace>,
}

impl Caller {
    fn new(
        worker: &Rc<Worker>,
        door: &Rc<Door>,
        address: Option<IpAddr>,
        hold: Hold,
        socket: &Socket,
    ) -> Self {
        let claims = match socket.pace.turns() {
            Turns::OneByOne => None,
            Turns::Together => Some(Claims::on(&worker.proxy.live, hold.line())),
        };
        Self {
            peer: hold.line().peer(),
            forwarded_for: forwarded_for(address),
            door: Rc::clone(door),
            line: Arc::clone(hold.line()),
            hold: RefCell::new(hold),
            claims: claims.map(Rc::new),
            address,
            uid: socket.uid(),
            tunnel: RefCell::new(None),
            offered: Cell::new(None),
            listed_at: Cell::new(None),
            pace: Rc::clone(&socket.pace),
            worker: Rc::clone(worker),
        }
    }

    /// The same at the other end, with a line of its own.
    fn of_one_call(&self) -> Self {
        let hold = self.worker.proxy.live.open(self.peer, Of::Call);
        Self {
            peer: self.peer,
            forwarded_for: self.forwarded_for.clone(),
            door: Rc::clone(&self.door),
            line: Arc::clone(hold.line()),
            hold: RefCell::new(hold),
            claims: self.claims.clone(),
            address: self.address,
            uid: self.uid,
            tunnel: RefCell::new(None),
            offered: Cell::new(None),
            listed_at: self.listed_at.clone(),
            pace: Rc::clone(&self.pace),
            worker: Rc::clone(&self.worker),
        }
    }

    /// A call begins.
    pub(crate) fn begin(&self) {
        self.line.set_busy(true);
        self.pace.begin();
    }

    /// A call that began has ended.
    pub(crate) fn end(&self) {
        self.line.set_busy(false);
        self.pace.end();
    }

    /// Holds the line, and the connection where it is another, under these tokens while `permit` is
    /// asked. A connection does not wait for the end of a token that was refused at once.
    pub(crate) fn held<T>(
        &self,
        grant: &Arc<Grant>,
        others: &[TokenId],
        covered: Option<&Arc<RolloutGrant>>,
        permit: impl FnOnce() -> Result<T, Denied>,
    ) -> Result<T, Denied> {
        self.hold.borrow_mut().under(grant, others, covered);
        let claims = self.claims.as_ref();
        let added = claims.filter(|claims| claims.add(grant, others, covered));
        let permit = permit();
        if let (Some(claims), Err(_)) = (added, &permit) {
            claims.withdraw(grant, covered);
        }
        permit
    }

    /// As it stands in a URL.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.door.tls.is_some() {
            "https"
        } else {
            "http"
        }
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
        // Read before the list, so that a change in between is looked up once more.
        let change = grants.list_changes();
        if self.door.sources == ListenSources::Any || self.listed_at.get() == Some(change) {
            return Ok(());
        }
        if grants.lists(address) {
            self.listed_at.set(Some(change));
            return Ok(());
        }
        if grants.mode() == Mode::Audit {
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
    let hold = worker.proxy.live.open(peer, Of::Connection);
    let line = Arc::clone(hold.line());
    let Some((stream, spoken)) = handshake::agree(&worker, stream, &door, &line).await else {
        return;
    };
    let turns = match spoken {
        Spoken::Http1 => Turns::OneByOne,
        Spoken::Http2 => Turns::Together,
    };
    let socket = Socket::new(stream, turns);
    let caller = Rc::new(Caller::new(&worker, &door, address, hold, &socket));
    let mut ending = match spoken {
        Spoken::Http1 => http1::serve(&caller, &socket).await,
        Spoken::Http2 => http2::serve(&caller, &socket).await,
    };
    let tunnel = caller.tunnel.take();
    if let (Some(tunnel), Ending::Orderly) = (tunnel, ending) {
        ending = tunnel.run(&socket, &line).await;
    }
    part(&worker, &socket, &line, ending).await;
    let claims = caller.claims.clone();
    drop(socket);
    drop(caller);
    // Last, and by name: a call's task may still keep them.
    if let Some(claims) = claims {
        claims.let_go();
    }
}

/// Closes the socket in the way that fits.
async fn part(worker: &Worker, socket: &Socket, line: &Line, ending: Ending) {
    let refusal = socket.pace.withheld().map(|status| {
        let stop = Stop::Fault(match status {
            Status::Bad => Fault::BadRequest("this is no HTTP request"),
            Status::TooLarge => Fault::HeadTooLarge,
        });
        respond::raw(worker, &stop)
    });
    match ending {
        Ending::Ordered {
            is_flushed: true,
            until,
        } => {
            let _until_then = timeout_at(until, socket.leave(refusal)).await;
            socket.reset();
        }
        Ending::Ordered {
            is_flushed: false,
            until: _,
        }
        | Ending::Reset => socket.reset(),
        Ending::Orderly => {
            let mut leave = pin!(socket.leave(refusal));
            select! { biased;
                _why = line.ordered() => {
                    // Who ordered it waits, so the caller's time is over; its answer's is not quite.
                    let _until_then = timeout(FLUSH, leave).await;
                    socket.reset();
                }
                _until_then = timeout(LINGER, leave.as_mut()) => {}
            }
        }
    }
}

/// Until when whoever is ordered to end now has time for its last word.
pub(super) fn flush_until() -> time::Instant {
    time::Instant::now() + FLUSH
}

fn forwarded_for(address: Option<IpAddr>) -> HeaderValue {
    let text = match address.map(|address| address.to_canonical()) {
        Some(address) => address.to_string(),
        None => "unknown".to_owned(),
    };
    HeaderValue::try_from(text).expect("an address is visible ASCII")
}
