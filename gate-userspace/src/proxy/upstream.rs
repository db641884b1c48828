//! Sends a swapped request and waits for the head of the answer.
//!
//! Dropping an unfinished exchange cancels it at once, which is how a caller's leaving reaches the
//! upstream: an HTTP/1 connection closes, an HTTP/2 stream is reset and its siblings go on. Nothing
//! is sent twice: a request is tried on another connection only if hyper hands it back unsent.

mod dial;
mod idle;
mod pool;
mod shared;
mod source;
mod wire;

use std::io;

use bytes::Bytes;
use http::{Request, Response, Uri, header, uri};
use hyper::{body::Incoming, client::conn::TrySendError};
use tokio::time::timeout;

pub(crate) use pool::{Lease, Pool};
pub(crate) use source::Source;

use self::{
    dial::Wanted,
    pool::{Age, Held},
};
use super::{backend::Backend, inbound::Inbound, swap::Outbound};
use crate::fault::{Broken, Fault};

/// The head of an answer, and the connection its body comes from.
pub(crate) struct Answer {
    pub(crate) response: Response<Source>,
    /// What of the body was read already.
    pub(crate) read: Bytes,
    pub(crate) lease: Lease,
}

/// Only an [`Outbound`] can be sent: a request with a swapped credential.
pub(crate) async fn send(
    outbound: Outbound,
    backend: &Backend,
    upstream: usize,
    pool: &std::rc::Rc<Pool>,
) -> Result<Answer, Fault> {
    let wanted = if outbound.upgrades() {
        Wanted::OnlyOne
    } else {
        Wanted::Any
    };
    let unreachable = |cause| Fault::Connect {
        upstream: backend.name.clone(),
        cause,
    };
    let mut request = outbound.into_request();
    let outcome = request.body().outcome();
    loop {
        let leased = pool.lease(upstream, backend, wanted, &outcome).await;
        let (mut lease, age) = leased.map_err(unreachable)?;
        match exchange(request, &mut lease, backend).await {
            Ok(response) => {
                return Ok(Answer {
                    response: Source::of(response),
                    read: Bytes::new(),
                    lease,
                });
            }
            Err(Failed::Unsent(back)) if age == Age::Used => {
                if let Held::Two(stream) = &lease.held {
                    stream.leaves();
                }
                request = *back;
            }
            Err(Failed::Unsent(_)) => {
                return Err(unreachable(io::ErrorKind::ConnectionAborted.into()));
            }
            Err(Failed::Late) => return Err(Fault::UpstreamTimeout),
            Err(Failed::Broken(why)) => {
                let fault = outcome.get().fault();
                return Err(fault.unwrap_or(Fault::UpstreamBroken(Broken::Http(why))));
            }
        }
    }
}

enum Failed {
    Unsent(Box<Request<Inbound>>),
    Late,
    Broken(hyper::Error),
}

async fn exchange(
    mut request: Request<Inbound>,
    lease: &mut Lease,
    backend: &Backend,
) -> Result<Response<Incoming>, Failed> {
    let answered = match &mut lease.held {
        Held::One(connection) => {
            at_its_host(&mut request, backend);
            let connection = connection.as_mut();
            let connection = connection.expect("a lease has its connection until it is done");
            let sent = connection.sender.try_send_request(request);
            timeout(backend.head_timeout, sent).await
        }
        Held::Two(stream) => {
            at_its_authority(&mut request, backend);
            let sent = stream.sender().try_send_request(request);
            timeout(backend.head_timeout, sent).await
        }
    };
    match answered {
        Ok(answered) => answered.map_err(unsent),
        Err(_late) => Err(Failed::Late),
    }
}

fn unsent(mut why: TrySendError<Request<Inbound>>) -> Failed {
    match why.take_message() {
        Some(request) => Failed::Unsent(Box::new(request)),
        None => Failed::Broken(why.into_error()),
    }
}

/// HTTP/1 names the host in a header. Already so, unless another connection was tried before.
fn at_its_host(request: &mut Request<Inbound>, backend: &Backend) {
    if request.uri().scheme().is_some() {
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
        let host = backend.host_header.clone();
        request.headers_mut().insert(header::HOST, host);
    }
}

/// HTTP/2 names it in the target.
fn at_its_authority(request: &mut Request<Inbound>, backend: &Backend) {
    request.headers_mut().remove(header::HOST);
    let mut parts = uri::Parts::default();
    parts.scheme = Some(backend.scheme.clone());
    parts.authority = Some(backend.authority.clone());
    parts.path_and_query = request.uri().path_and_query().cloned();
    if let Ok(target) = Uri::from_parts(parts) {
        *request.uri_mut() = target;
    }
}

#[cfg(test)]
mod tests;
