//! HTTP/2: many calls at once, of tokens that may differ.
//!
//! hyper runs every call in a task of its own, and drops it when its caller resets the stream; that
//! cancels the upstream's. A call that is ordered to end says its last word within the flush bound,
//! or its stream is reset; the calls beside it go on. What a caller may make the gate hold is bounded
//! by the windows, the number of streams and the size of their heads; a stream whose answer nobody
//! takes ends as a connection would.

use std::{
    cell::RefCell,
    future::{pending, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    select,
    task::{spawn_local, yield_now},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{Caller, FLUSH, flush_until};
use crate::proxy::{
    self,
    arriving::Arriving,
    body::{Aborted, Body},
    socket::{Ending, Socket},
};

/// Calls at once on one connection.
const STREAMS: u32 = 128;

/// What a caller may send before somebody takes it, per call and in all.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What of an answer may wait for its caller.
const SEND_BUFFER: usize = 64 << 10;

/// Streams that a caller opened and reset before the gate looked (CVE-2023-44487), and that the gate
/// itself had to reset (CVE-2025-8671): one that makes more of them is sent away.
const PENDING_RESETS: usize = 20;
const OWN_RESETS: usize = 256;

/// A caller that lives answers a ping.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// The call whose task hyper starts next: it asks the service for the one, then runs the other.
type Next = Rc<RefCell<Option<Rc<Caller>>>>;

pub(super) async fn serve(caller: &Rc<Caller>, socket: &Socket) -> Ending {
    let limits = &caller.worker.proxy.limits;
    let next = Next::default();
    let calls = Calls {
        next: Rc::clone(&next),
        patience: limits.body_idle,
    };
    let service = service_fn(|request: Request<Incoming>| {
        let call = Rc::new(caller.of_one_call());
        next.replace(Some(Rc::clone(&call)));
        answer(call, request)
    });
    let builder = builder(calls, limits.head_size);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket.clone()), service));
    let late = loop {
        select! { biased;
            _why = caller.line.ordered() => break None,
            () = ended(caller) => {
                let until = flush_until();
                // The calls that end with their tokens are gone after one bound.
                let is_idle = timeout_at(until + FLUSH, idle(connection.as_mut(), socket)).await;
                let claims = caller.claims.as_deref();
                if is_idle.is_ok() {
                    claims.inspect(|claims| claims.part());
                    return Ending::Ordered { is_flushed: true, until };
                }
                // A call that came with no token, or with another in this very moment, is not cut.
                claims.inspect(|claims| claims.let_go());
            }
            ended = connection.as_mut() => return match ended {
                // Of an error the caller was told, and shall read it.
                Ok(()) | Err(_) => Ending::Orderly,
            },
            late = socket.pace.over(limits.head_timeout, limits.body_idle) => break Some(late),
        }
    };
    if late == Some(Ending::Reset) {
        return Ending::Reset;
    }
    let until = flush_until();
    // Last words first: to some callers (Python's h2) nothing may come behind a farewell.
    let is_flushed = match timeout_at(until, idle(connection.as_mut(), socket)).await {
        Ok(Left::Nothing) => true,
        Ok(Left::Connection) | Err(_) => {
            connection.as_mut().graceful_shutdown();
            let flushed = timeout_at(until, connection).await;
            matches!(flushed, Ok(Ok(())))
        }
    };
    late.unwrap_or(Ending::Ordered { is_flushed, until })
}

/// What there is when no call runs any more.
enum Left {
    Connection,
    Nothing,
}

/// Serves on until no call runs, or the connection has ended.
async fn idle<C: Future>(mut connection: Pin<&mut C>, socket: &Socket) -> Left {
    poll_fn(|cx| {
        // First: what a call has said last is written before it counts as gone.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Left::Nothing);
        }
        if socket.pace.is_busy() {
            return Poll::Pending;
        }
        Poll::Ready(Left::Connection)
    })
    .await
}

/// Resolves when nobody is left for whom the connection is open.
async fn ended(caller: &Caller) {
    match &caller.claims {
        Some(claims) => claims.ended().await,
        None => pending().await,
    }
}

fn builder(calls: Calls, head_size: usize) -> http2::Builder<Calls> {
    let mut builder = http2::Builder::new(calls);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(head_size).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(OWN_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// On HTTP/1 hyper keeps the body of an answer to HEAD to itself; here nobody does.
async fn answer(call: Rc<Caller>, request: Request<Incoming>) -> Result<Response<Body>, Aborted> {
    let is_head = request.method() == Method::HEAD;
    let line = Arc::clone(&call.line);
    let request = request.map(|body| Arriving::shared(body, &line));
    let mut response = proxy::handle(call, request).await?;
    if is_head && let Body::Whole(body) = response.body() {
        let length = body.len().into();
        let headers = response.headers_mut();
        headers.entry(header::CONTENT_LENGTH).or_insert(length);
        *response.body_mut() = Body::Whole(Bytes::new());
    }
    Ok(response)
}

/// Starts hyper's tasks, each with an eye on the line of its call.
#[derive(Clone)]
struct Calls {
    next: Next,
    /// How long a caller may not take its answer.
    patience: Duration,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Calls {
    fn execute(&self, work: F) {
        let (call, patience) = (self.next.take(), self.patience);
        spawn_local(async move {
            match call {
                Some(call) => run(&call, work, patience).await,
                None => work.await,
            }
        });
    }
}

/// Runs a call to its end. Dropped before that, `work` resets its stream.
async fn run(call: &Caller, work: impl Future<Output = ()>, patience: Duration) {
    let (mut work, mut ordered) = (pin!(work), pin!(call.line.ordered()));
    // Only made when there is something to wait for, which seldom is.
    let (mut flush, mut stall) = (None, None);
    poll_fn(|cx| {
        if flush.is_none() && ordered.as_mut().poll(cx).is_ready() {
            flush = Some(Box::pin(sleep(FLUSH)));
        }
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Some(flush) = &mut flush {
            return flush.as_mut().poll(cx);
        }
        let Some(offered) = call.offered.get() else {
            stall = None;
            return Poll::Pending;
        };
        let until = Instant::from_std(offered + patience);
        let stall = stall.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if stall.deadline() != until {
            stall.as_mut().reset(until);
        }
        stall.as_mut().poll(cx)
    })
    .await;
    if call.line.is_ordered().is_some() {
        // Whoever ordered it takes the end of the line for the end of the bytes: the connection's
        // task, which was woken by them, writes them first.
        yield_now().await;
        yield_now().await;
    }
}
