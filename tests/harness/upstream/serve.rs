//! The provider's loop: accept, read a request whole, ask the script, send its reply.
//!
//! Does not limit anything. Every byte read is copied into the journal below HTTP and above TLS,
//! where no parser has normalised it yet.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, LocalSet};

use super::journal::{Fate, Journal, Seen};
use super::reply::{Ending, Outgoing, Reply};
use super::wire::{Listener, Stream, Version, Wire};

/// A connection whose incoming bytes are also written down.
struct Tapped {
    stream: Box<dyn Stream>,
    journal: Journal,
    connection: usize,
}

/// What all connections share.
struct Shared<S> {
    script: RefCell<S>,
    journal: Journal,
    wire: Wire,
    retire: watch::Receiver<usize>,
}

/// Spawns on the one thread of the provider.
#[derive(Clone, Copy)]
struct Here;

pub(super) async fn until(
    stopped: oneshot::Receiver<()>,
    listener: Listener,
    script: impl FnMut(&Seen) -> Reply + 'static,
    journal: Journal,
    wire: Wire,
    retire: watch::Receiver<usize>,
) {
    let shared = Rc::new(Shared {
        script: RefCell::new(script),
        journal,
        wire,
        retire,
    });
    let local = LocalSet::new();
    let accept = local.run_until(async {
        let listener = listener.open().expect("it was made non-blocking");
        let mut connections = JoinSet::new();
        while let Ok(stream) = listener.accept().await {
            let shared = Rc::clone(&shared);
            connections.spawn_local(async move {
                // Somebody who does not believe the certificate has made no connection.
                if let Ok((stream, version, is_resumed)) = shared.wire.greet(stream).await {
                    shared.journal.greeted(is_resumed);
                    converse(stream, version, &shared).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    tokio::select! {
        _stop = stopped => {}
        () = accept => {}
    }
}

async fn converse<S>(stream: Box<dyn Stream>, version: Version, shared: &Rc<Shared<S>>)
where
    S: FnMut(&Seen) -> Reply + 'static,
{
    let connection = shared.journal.connected();
    let tapped = TokioIo::new(Tapped {
        stream,
        journal: shared.journal.clone(),
        connection,
    });
    let answer = service_fn(|request| answer(request, connection, Rc::clone(shared)));
    let mut retire = shared.retire.clone();
    retire.mark_unchanged();
    // An unclean end is in the journal already.
    match version {
        Version::One => {
            let _ended = hyper::server::conn::http1::Builder::new()
                .keep_alive(true)
                .serve_connection(tapped, answer)
                .await;
        }
        Version::Two => {
            let mut http = hyper::server::conn::http2::Builder::new(Here);
            http.max_concurrent_streams(shared.wire.streams);
            let mut connection = pin!(http.serve_connection(tapped, answer));
            loop {
                tokio::select! {
                    _ended = connection.as_mut() => break,
                    Ok(()) = retire.changed() => connection.as_mut().graceful_shutdown(),
                }
            }
        }
    }
    shared.journal.disconnected();
}

async fn answer<S: FnMut(&Seen) -> Reply>(
    request: Request<Incoming>,
    connection: usize,
    shared: Rc<Shared<S>>,
) -> Result<Response<Outgoing>, hyper::Error> {
    let seen = read(request, connection, &shared.journal).await?;
    let ending = Ending {
        journal: shared.journal.clone(),
        number: seen.number,
    };
    let reply = shared.script.borrow_mut()(&seen);
    if let Some(hold) = reply.hold {
        let _released_or_dropped = hold.await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let response = response.body(Outgoing::new(reply.content, ending));
    Ok(response.expect("the script's head is well formed"))
}

async fn read(
    request: Request<Incoming>,
    connection: usize,
    journal: &Journal,
) -> Result<Seen, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    // They come last here too.
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    let headers = head.headers.iter().chain(&trailers);
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    // HTTP/2 says the host elsewhere: a test may look for it where it always stands.
    let authority = head
        .uri
        .authority()
        .map(|host| host.as_str().as_bytes().to_vec());
    let authority = authority.map(|host| ("host".to_owned(), host));
    Ok(journal.asked(Seen {
        number: 0,
        connection,
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("*", |target| target.as_str())
            .to_owned(),
        version: head.version,
        headers: authority.into_iter().chain(headers).collect(),
        body,
        at: Instant::now(),
        fate: Fate::Answering,
    }))
}

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            let _done = future.await;
        });
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(task, buffer);
        if let Some(fresh) = buffer
            .filled()
            .get(before..)
            .filter(|fresh| !fresh.is_empty())
        {
            self.journal.received(self.connection, fresh);
        }
        read
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
