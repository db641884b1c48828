//! HTTP/1: one call after the other.
//!
//! hyper drops the running call when its caller closes, and that drops the upstream's connection. A call
//! whose head hyper saw where the strict reading saw none ends the connection before it is looked at.

use std::{future::pending, pin::pin, rc::Rc};

use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{select, sync::Notify, time::timeout_at};

use super::{Caller, flush_until};
use crate::proxy::{
    self,
    arriving::Arriving,
    socket::{Ending, Socket},
};

pub(super) async fn serve(caller: &Rc<Caller>, socket: &Socket) -> Ending {
    let (worker, line) = (&caller.worker, &caller.line);
    let limits = &worker.proxy.limits;
    let unread = &Notify::new();
    let service = service_fn(|request: Request<Incoming>| {
        let caller = Rc::clone(caller);
        async move {
            if !socket.take_head() {
                unread.notify_one();
                pending::<()>().await;
            }
            // hyper moves what it is given from place to place, and this is some KiB.
            let answering = Box::pin(proxy::handle(caller, request.map(Arriving::alone)));
            let answered = answering.await;
            if let Ok(response) = &answered
                && response.status() != StatusCode::SWITCHING_PROTOCOLS
            {
                socket.stay();
            }
            answered
        }
    });
    let io = TokioIo::new(socket.clone());
    let mut connection = pin!(worker.http1.serve_connection(io, service));
    select! { biased;
        _why = line.ordered() => {
            connection.as_mut().graceful_shutdown();
            let until = flush_until();
            let flushed = timeout_at(until, connection).await;
            Ending::Ordered { is_flushed: matches!(flushed, Ok(Ok(()))), until }
        }
        ended = connection.as_mut() => match ended {
            Ok(()) => Ending::Orderly,
            Err(why) if why.is_user() => Ending::Reset,
            Err(_why) => Ending::Orderly,
        },
        () = unread.notified() => Ending::Reset,
        late = socket.pace.over(limits.head_timeout, limits.body_idle) => late,
    }
}

/// The worker's way to serve HTTP/1.
pub(crate) fn builder(head_size: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(head_size.max(8192))
        .max_header_size(head_size)
        // The pace is kept on the socket, without a timer per call.
        .header_read_timeout(None)
        .half_close(false);
    builder
}
