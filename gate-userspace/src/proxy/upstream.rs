//! Sends a swapped request and waits for the head of the answer.
//!
//! Each worker has its own idle connections, so no lock is shared. A connection goes back only when
//! both bodies were whole; dropping an unfinished exchange closes its connection at once, which is
//! how a caller's leaving cancels the upstream. Nothing is sent twice: a request is tried on another
//! connection only if hyper hands it back unsent.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

use super::{
    backend::Backend,
    inbound::{Inbound, Outcome},
    swap::Outbound,
};
use crate::fault::Fault;

/// Servers commonly close idle connections after 5 s and more; a reused one must not be that old.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections that one worker keeps per upstream.
const KEPT: usize = 512;

/// One worker's idle connections, by upstream.
pub(crate) struct Pool(Vec<RefCell<Vec<Idle>>>);

struct Idle {
    sender: SendRequest<Inbound>,
    task: AbortHandle,
    since: Instant,
}

/// The head of an answer, and the connection its body comes from.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    /// What of the body was read already.
    pub(crate) read: Bytes,
    pub(crate) lease: Lease,
}

/// A connection in use. Dropped before [`Self::done`], it is closed.
pub(crate) struct Lease {
    connection: Option<Idle>,
    upstream: usize,
    pool: Rc<Pool>,
    outcome: Rc<Cell<Outcome>>,
}

impl Pool {
    pub(crate) fn new(upstreams: usize) -> Rc<Self> {
        Rc::new(Self((0..upstreams).map(|_| RefCell::default()).collect()))
    }

    fn take(&self, upstream: usize) -> Option<Idle> {
        let mut idle = self.0.get(upstream)?.borrow_mut();
        loop {
            let last = idle.pop()?;
            if last.since.elapsed() > IDLE {
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

    fn put(&self, upstream: usize, connection: Idle) {
        match self.0.get(upstream).map(RefCell::borrow_mut) {
            Some(mut idle) if idle.len() < KEPT => idle.push(connection),
            Some(_) | None => connection.close(),
        }
    }
}

impl Idle {
    fn close(self) {
        self.task.abort();
    }
}

/// Only an [`Outbound`] can be sent: a request with a swapped credential.
pub(crate) async fn send(
    outbound: Outbound,
    backend: &Backend,
    upstream: usize,
    pool: &Rc<Pool>,
) -> Result<Answer, Fault> {
    let mut request = outbound.into_request();
    let outcome = request.body().outcome();
    loop {
        let (mut connection, is_fresh) = match pool.take(upstream) {
            Some(idle) => (idle, false),
            None => (connect(backend).await?, true),
        };
        // A connection that was just given back is ready as soon as its task ran once more.
        if connection.sender.ready().await.is_err() && !is_fresh {
            continue;
        }
        let mut lease = Lease {
            connection: Some(connection),
            upstream,
            pool: Rc::clone(pool),
            outcome: Rc::clone(&outcome),
        };
        match exchange(request, &mut lease, backend.head_timeout).await {
            Ok(response) => {
                return Ok(Answer {
                    response,
                    read: Bytes::new(),
                    lease,
                });
            }
            Err(Failed::Unsent(back)) if !is_fresh => request = *back,
            Err(Failed::Unsent(_)) => {
                return Err(Fault::Connect(io::ErrorKind::ConnectionAborted.into()));
            }
            Err(Failed::Late) => return Err(Fault::UpstreamTimeout),
            Err(Failed::Broken(why)) => {
                return Err(outcome.get().fault().unwrap_or(Fault::UpstreamBroken(why)));
            }
        }
    }
}

enum Failed {
    Unsent(Box<Request<Inbound>>),
    Late,
    Broken(hyper::Error),
}

fn exchange(
    request: Request<Inbound>,
    lease: &mut Lease,
    patience: Duration,
) -> impl Future<Output = Result<Response<Incoming>, Failed>> + use<> {
    let sent = lease
        .connection
        .as_mut()
        .map(|connection| connection.sender.try_send_request(request));
    async move {
        let sent = sent.expect("a lease has its connection until it is done");
        match timeout(patience, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut why)) => Err(match why.take_message() {
                Some(request) => Failed::Unsent(Box::new(request)),
                None => Failed::Broken(why.into_error()),
            }),
            Err(_late) => Err(Failed::Late),
        }
    }
}

async fn connect(backend: &Backend) -> Result<Idle, Fault> {
    let address = (backend.host.as_str(), backend.port);
    let stream = timeout(backend.connect_timeout, TcpStream::connect(address))
        .await
        .map_err(|_late| Fault::Connect(io::ErrorKind::TimedOut.into()))?
        .map_err(Fault::Connect)?;
    // Best effort: without it small writes wait, nothing breaks.
    let _best_effort = stream.set_nodelay(true);
    let (sender, connection) = http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Fault::UpstreamBroken)?;
    let task = tokio::task::spawn_local(async move {
        // Its error reaches the caller through the request or the body.
        let _told_elsewhere = connection.with_upgrades().await;
    });
    Ok(Idle {
        sender,
        task: task.abort_handle(),
        since: Instant::now(),
    })
}

impl Lease {
    /// The answer was read to its end: the connection may serve again, if the request was too.
    pub(crate) fn done(mut self) {
        if self.outcome.get() == Outcome::Whole
            && let Some(mut connection) = self.connection.take()
        {
            connection.since = Instant::now();
            self.pool.put(self.upstream, connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }
}
