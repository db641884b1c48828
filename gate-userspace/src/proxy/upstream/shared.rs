//! One HTTP/2 connection, which many calls share.
//!
//! Knows how many may go over it at once, and when nothing more should. What ends one call resets
//! its stream and leaves the others alone; the connection closes with the last that holds it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use hyper::client::conn::http2::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::wire::Wire;
use crate::proxy::inbound::Inbound;

/// Calls that go over one connection at once, also where the upstream would take more.
pub(super) const MOST: u32 = 100;

/// What stands between us and the upstream may forget a silent connection after a minute.
const IDLE: Duration = Duration::from_secs(50);

pub(super) struct Shared {
    sender: SendRequest<Inbound>,
    /// Until it is over. Knows how many streams the upstream allows.
    connection: Rc<RefCell<Option<Driven>>>,
    streams: Cell<u32>,
    since: Cell<Instant>,
    is_leaving: Cell<bool>,
    pub(super) address: Option<IpAddr>,
}

type Driven = Connection<TokioIo<Wire>, Inbound, Here>;

/// Runs what an HTTP/2 connection does beside its calls on the worker's own thread.
#[derive(Clone, Copy)]
pub(super) struct Here;

/// One call's place on a connection.
pub(super) struct Stream(Rc<Shared>);

impl Shared {
    /// Runs the connection for as long as somebody holds it.
    pub(super) fn drive(
        sender: SendRequest<Inbound>,
        connection: Driven,
        address: Option<IpAddr>,
    ) -> Self {
        let connection = Rc::new(RefCell::new(Some(connection)));
        let driven = Rc::clone(&connection);
        spawn_local(async move {
            poll_fn(|cx| {
                let mut driven = driven.borrow_mut();
                match driven.as_mut() {
                    // Its error reaches the callers through their requests or bodies.
                    Some(connection) => Pin::new(connection).poll(cx).map(|_told_elsewhere| ()),
                    None => std::task::Poll::Ready(()),
                }
            })
            .await;
            driven.take();
        });
        Self {
            sender,
            connection,
            streams: Cell::new(0),
            since: Cell::new(Instant::now()),
            is_leaving: Cell::new(false),
            address,
        }
    }

    /// Whether it serves any further call at all.
    pub(super) fn stands(&self) -> bool {
        let is_old = self.streams.get() == 0 && self.since.get().elapsed() > IDLE;
        !(self.is_leaving.get() || is_old || self.sender.is_closed())
    }

    /// How many calls the upstream takes at once; none before it said so.
    pub(super) fn most(&self) -> u32 {
        let connection = self.connection.borrow();
        let allowed = connection
            .as_ref()
            .map_or(0, Connection::current_max_send_streams);
        u32::try_from(allowed).unwrap_or(MOST).min(MOST)
    }

    /// A place on it, if one is free.
    pub(super) fn place(self: &Rc<Self>) -> Option<Stream> {
        (self.streams.get() < self.most()).then(|| {
            self.streams.set(self.streams.get() + 1);
            Stream(Rc::clone(self))
        })
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

impl Stream {
    pub(super) fn sender(&self) -> SendRequest<Inbound> {
        self.0.sender.clone()
    }

    /// The connection takes nothing more.
    pub(super) fn leaves(&self) {
        self.0.is_leaving.set(true);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.since.set(Instant::now());
    }
}
