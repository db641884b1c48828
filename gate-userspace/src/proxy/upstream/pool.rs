//! One worker's connections to each upstream, and who has which.
//!
//! No lock is shared between workers. An HTTP/1 connection has one holder and goes back only when
//! both bodies were whole; an HTTP/2 connection has as many as the upstream allows. A connection to
//! an address that the upstream's name no longer stands for gets no further call. What nobody needs
//! any more is closed, also when no further call comes.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use tokio::{
    sync::Mutex,
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    dial::{Fresh, Wanted, dial},
    idle::Idle,
    shared::{Shared, Stream},
};
use crate::{
    fault::Unreachable,
    proxy::{addresses::Addresses, backend::Backend, inbound::Outcome},
};

/// How often idle connections are looked at, while there are any.
const SWEEP: Duration = Duration::from_secs(2);

/// Idle connections that one worker keeps per upstream.
const KEPT: usize = 512;

pub(crate) struct Pool(Vec<Slot>);

/// The connections to one upstream.
#[derive(Default)]
pub(super) struct Slot {
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<Rc<Shared>>>,
    /// One at a time opens a connection that all can use.
    dialling: Mutex<()>,
    /// It was offered HTTP/2 and chose the other.
    chose_one: Cell<bool>,
    /// Of the addresses, when this was last looked at.
    changes: Cell<u32>,
    /// A task closes what gets old.
    is_swept: Cell<bool>,
}

/// A connection in use. Dropped before [`Self::done`], it carries nothing more of this call: an
/// HTTP/1 connection closes.
pub(crate) struct Lease {
    pub(super) held: Held,
    pub(super) outcome: Rc<Cell<Outcome>>,
    pool: Rc<Pool>,
    upstream: usize,
}

pub(super) enum Held {
    One(Option<Idle>),
    Two(Stream),
}

/// Whether a connection was made for this call alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Used,
}

impl Pool {
    pub(crate) fn new(upstreams: usize) -> Rc<Self> {
        Rc::new(Self((0..upstreams).map(|_| Slot::default()).collect()))
    }

    /// A connection for one call.
    pub(super) async fn lease(
        self: &Rc<Self>,
        upstream: usize,
        backend: &Backend,
        wanted: Wanted,
        outcome: &Rc<Cell<Outcome>>,
    ) -> Result<(Lease, Age), Unreachable> {
        let slot = self.0.get(upstream).ok_or(Unreachable::NoAddress)?;
        slot.follow(backend);
        let is_shared = backend.http2 && wanted == Wanted::Any && !slot.chose_one.get();
        let used = if is_shared {
            slot.free().map(Held::Two)
        } else {
            slot.ready().await.map(|idle| Held::One(Some(idle)))
        };
        let (held, age) = match used {
            Some(held) => (held, Age::Used),
            // In a box: what it takes to connect is large, and rarely needed.
            None => Box::pin(slot.connect(backend, wanted, is_shared)).await?,
        };
        if matches!((&held, age), (Held::Two(_), Age::Fresh)) {
            self.sweep(upstream);
        }
        let lease = Lease {
            held,
            outcome: Rc::clone(outcome),
            pool: Rc::clone(self),
            upstream,
        };
        Ok((lease, age))
    }
}

impl Pool {
    /// Closes what gets old, for as long as there is something that can.
    fn sweep(self: &Rc<Self>, upstream: usize) {
        let is_swept = |slot: &Slot| slot.is_swept.replace(true);
        if self.0.get(upstream).is_none_or(is_swept) {
            return;
        }
        let pool = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                sleep(SWEEP).await;
                // A reload has made another pool.
                let Some(pool) = pool.upgrade() else { return };
                if !pool.0.get(upstream).is_some_and(Slot::sweep) {
                    return;
                }
            }
        });
    }
}

impl Slot {
    /// Whether there may be something to close later. Connections in use come back here.
    fn sweep(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.extract_if(.., |idle| idle.is_old())
            .for_each(Idle::close);
        let mut shared = self.shared.borrow_mut();
        shared.retain(|connection| connection.stands());
        let is_left = !(idle.is_empty() && shared.is_empty());
        self.is_swept.set(is_left);
        is_left
    }

    /// Lets go of connections to addresses that no longer count.
    fn follow(&self, backend: &Backend) {
        let Some(addresses) = backend.addresses() else {
            return;
        };
        let changes = addresses.changes();
        if self.changes.replace(changes) == changes {
            return;
        }
        let stands = |address: Option<_>| address.is_none_or(|address| addresses.holds(address));
        let mut kept = self.idle.borrow_mut();
        let gone = kept.extract_if(.., |idle| {
            idle.changes = changes;
            !stands(idle.address)
        });
        gone.for_each(Idle::close);
        self.shared
            .borrow_mut()
            .retain(|shared| stands(shared.address));
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let last = idle.pop()?;
            if last.is_old() {
                // The rest is older still.
                idle.drain(..).for_each(Idle::close);
                last.close();
                return None;
            }
            if !last.sender.is_closed() {
                return Some(last);
            }
        }
    }

    /// An idle connection that takes a request.
    pub(super) async fn ready(&self) -> Option<Idle> {
        loop {
            let mut idle = self.take()?;
            if idle.is_ready().await {
                return Some(idle);
            }
            idle.close();
        }
    }

    pub(super) fn put(&self, mut connection: Idle) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < KEPT && connection.changes == self.changes.get() {
            connection.rests();
            idle.push(connection);
        } else {
            connection.close();
        }
    }

    /// Another connection, or a place on one that was made meanwhile.
    async fn connect(
        &self,
        backend: &Backend,
        wanted: Wanted,
        is_shared: bool,
    ) -> Result<(Held, Age), Unreachable> {
        let connected = async {
            let _turn = if is_shared {
                Some(self.dialling.lock().await)
            } else {
                None
            };
            // Who had the turn before may have left room.
            if is_shared && let Some(stream) = self.free() {
                return Ok((Held::Two(stream), Age::Used));
            }
            // The addresses may change meanwhile.
            let changes = self.changes.get();
            let held = match dial(backend, wanted).await? {
                Fresh::One(idle) => self.keep(idle, changes, wanted),
                Fresh::Two(shared) => self.share(shared, changes)?,
            };
            Ok((held, Age::Fresh))
        };
        let known = |backend: &Backend| backend.addresses().is_none_or(Addresses::are_known);
        match timeout(backend.connect_timeout, connected).await {
            Ok(connected) => connected,
            Err(_late) if known(backend) => Err(io::ErrorKind::TimedOut.into()),
            Err(_late) => Err(Unreachable::NoAddress),
        }
    }

    fn keep(&self, mut idle: Idle, changes: u32, wanted: Wanted) -> Held {
        idle.changes = changes;
        if wanted == Wanted::Any {
            self.chose_one.set(true);
        }
        Held::One(Some(idle))
    }

    fn share(&self, shared: Shared, changes: u32) -> Result<Held, Unreachable> {
        self.chose_one.set(false);
        let shared = Rc::new(shared);
        let stream = shared.place().ok_or(Unreachable::NotHttp2)?;
        if self.changes.get() == changes {
            self.shared.borrow_mut().push(shared);
        }
        Ok(Held::Two(stream))
    }

    fn free(&self) -> Option<Stream> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|connection| connection.stands());
        shared.iter().find_map(Shared::place)
    }
}

impl Lease {
    /// The answer was read to its end: the connection may serve again, if the request was too.
    pub(crate) fn done(mut self) {
        if let Held::One(connection) = &mut self.held
            && self.outcome.get() == Outcome::Whole
            && let Some(connection) = connection.take()
            && let Some(slot) = self.pool.0.get(self.upstream)
        {
            slot.put(connection);
            self.pool.sweep(self.upstream);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Held::One(connection) = &mut self.held
            && let Some(connection) = connection.take()
        {
            connection.close();
        }
    }
}
