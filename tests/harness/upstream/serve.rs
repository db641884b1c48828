//! The provider's loop: accept, read a request whole, ask the script, send its reply.
//!
//! Does not limit anything. Every byte read is copied into the journal below HTTP, where no
//! parser has normalised it yet.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use super::journal::{Fate, Journal, Seen};
use super::reply::{Ending, Outgoing, Reply};

/// A connection whose incoming bytes are also written down.
struct Tapped {
    stream: TcpStream,
    journal: Journal,
    connection: usize,
}

pub(super) async fn until(
    stopped: oneshot::Receiver<()>,
    listener: TcpListener,
    script: impl FnMut(&Seen) -> Reply + 'static,
    journal: &Journal,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it was made non-blocking");
    let script = Rc::new(RefCell::new(script));
    let local = LocalSet::new();
    let accept = local.run_until(async {
        let mut connections = JoinSet::new();
        while let Ok((stream, _peer)) = listener.accept().await {
            let _too_late = stream.set_nodelay(true);
            let (journal, script) = (journal.clone(), Rc::clone(&script));
            connections.spawn_local(async move { converse(stream, &script, &journal).await });
            while connections.try_join_next().is_some() {}
        }
    });
    tokio::select! {
        _stop = stopped => {}
        () = accept => {}
    }
}

async fn converse(
    stream: TcpStream,
    script: &RefCell<impl FnMut(&Seen) -> Reply>,
    journal: &Journal,
) {
    let connection = journal.connected();
    let tapped = Tapped {
        stream,
        journal: journal.clone(),
        connection,
    };
    let answer = |request| async move {
        let seen = read(request, connection, journal).await?;
        let ending = Ending {
            journal: journal.clone(),
            number: seen.number,
        };
        let reply = script.borrow_mut()(&seen);
        if let Some(hold) = reply.hold {
            let _released_or_dropped = hold.await;
        }
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        let response = response.body(Outgoing::new(reply.content, ending));
        Ok::<_, hyper::Error>(response.expect("the script's head is well formed"))
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    // An unclean end is in the journal already.
    let _ended = http
        .keep_alive(true)
        .serve_connection(TokioIo::new(tapped), service_fn(answer))
        .await;
    journal.disconnected();
}

async fn read(
    request: Request<Incoming>,
    connection: usize,
    journal: &Journal,
) -> Result<Seen, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Ok(journal.asked(Seen {
        number: 0,
        connection,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body,
        at: Instant::now(),
        fate: Fate::Answering,
    }))
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
