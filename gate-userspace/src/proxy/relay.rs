//! Passes an upstream's answer on, as it comes, to its one end.
//!
//! Does not buffer: a frame is read when the caller's connection wants one. What ends a stream other
//! than the upstream's own last event becomes an error event in the stream's dialect; a body of any
//! other kind is broken off, so that no part is taken for the whole. Dropping it cancels what the
//! upstream still sends.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::{
    backend::Backend,
    body::{Aborted, Body},
    call::Call,
    end::{End, Exchange},
    hop,
    live::Line,
    respond,
    sse::{Dialect, Scanner},
    upstream::{Answer, Lease, Source},
};
use crate::fault::Type;

pub(crate) struct Relay {
    /// What of the body was read already.
    read: Bytes,
    /// Until the end.
    source: Option<(Source, Lease)>,
    line: Arc<Line>,
    exchange: Exchange,
    stream: Option<Stream>,
    idle: Idle,
}

/// An event stream that the gate can read along.
struct Stream {
    scanner: Scanner,
    dialect: Dialect,
    keepalive: Option<Duration>,
    /// When something was last said, by whomever.
    said: Instant,
}

struct Idle {
    patience: Duration,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The caller's answer out of the upstream's.
pub(crate) fn stream(
    answer: Answer,
    call: &mut Call,
    line: &Arc<Line>,
    backend: &Backend,
) -> Response<Body> {
    let (mut parts, body) = answer.response.into_parts();
    // The caller's connection speaks its own.
    parts.version = Version::default();
    // Names what comes behind the body; without it HTTP/1 does not pass that on.
    let trailer = parts.headers.remove(header::TRAILER);
    hop::strip(&mut parts.headers);
    if let Some(names) = trailer {
        parts.headers.insert(header::TRAILER, names);
    }
    respond::mark(&mut parts.headers, respond::UPSTREAM);
    if call.dialect().has_last_event() && is_type(&parts.headers, b"text/html") {
        call.got_web_page();
    }
    let now = Instant::now();
    let is_stream = !call.is_head() && parts.status.is_success() && is_readable(&parts.headers);
    let mut exchange = call.passes(parts.status, now);
    let stream = is_stream.then(|| Stream {
        scanner: Scanner::new(),
        dialect: call.dialect(),
        keepalive: call.keepalive(),
        said: now,
    });
    if stream.is_some() {
        // An error event may have to be added.
        parts.headers.remove(header::CONTENT_LENGTH);
    } else if body.is_end_stream() && answer.read.is_empty() {
        answer.lease.done();
        exchange.end_at(End::Complete, now);
        return Response::from_parts(parts, Body::Whole(Bytes::new()));
    }
    let relay = Relay {
        read: answer.read,
        source: Some((body, answer.lease)),
        line: Arc::clone(line),
        exchange,
        stream,
        idle: Idle {
            patience: backend.idle_timeout,
            last: now,
            timer: None,
        },
    };
    Response::from_parts(parts, Body::Relay(Box::new(relay)))
}

/// An event stream in the clear.
fn is_readable(headers: &HeaderMap) -> bool {
    is_type(headers, b"text/event-stream")
        && headers
            .get(header::CONTENT_ENCODING)
            .is_none_or(|coding| coding == "identity")
}

fn is_type(headers: &HeaderMap, start: &[u8]) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value
        .and_then(|value| value.as_bytes().get(..start.len()))
        .is_some_and(|have| have.eq_ignore_ascii_case(start))
}

type Polled = Poll<Option<Result<Frame<Bytes>, Aborted>>>;

impl Relay {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        let Some((source, _)) = &mut self.source else {
            return Poll::Ready(None);
        };
        // Who asks for more has taken what there was.
        self.exchange.note(|record| record.caller.offered.set(None));
        // First of all: what was revoked says nothing more, whatever is ready.
        if let Some(why) = self.line.is_ordered() {
            return self.last_word(End::Cut(why), why.kind(), respond::cut_message(why));
        }
        if !self.read.is_empty() {
            let read = std::mem::take(&mut self.read);
            return self.pass(Frame::data(read));
        }
        let Poll::Ready(frame) = Pin::new(source).poll_frame(cx) else {
            if let Some(sign) = ready!(self.idle.poll(cx, self.stream.as_mut())) {
                return Poll::Ready(Some(Ok(Frame::data(sign))));
            }
            return self.last_word(
                End::UpstreamFailed,
                Type::UpstreamTimeout,
                "the upstream fell silent",
            );
        };
        match frame {
            Some(Ok(frame)) => self.pass(frame),
            Some(Err(_broken)) => self.last_word(
                End::UpstreamFailed,
                Type::UpstreamBroken,
                "the upstream broke off",
            ),
            None if self.is_whole() => {
                self.complete(Instant::now());
                Poll::Ready(None)
            }
            None => self.cut_short(),
        }
    }

    fn cut_short(&mut self) -> Polled {
        self.last_word(
            End::UpstreamFailed,
            Type::UpstreamBroken,
            "the upstream's stream ended before its last event",
        )
    }

    pub(super) fn is_end(&self) -> bool {
        self.source.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.stream {
            Some(_) => SizeHint::default(),
            None if !self.read.is_empty() => SizeHint::default(),
            None => {
                let source = self.source.as_ref();
                source.map_or(SizeHint::with_exact(0), |(source, _)| source.size_hint())
            }
        }
    }

    fn pass(&mut self, mut frame: Frame<Bytes>) -> Polled {
        self.idle.last = Instant::now();
        if let Some(trailers) = frame.trailers_mut() {
            if !self.is_whole() {
                // Nothing can be said behind them.
                return self.cut_short();
            }
            hop::strip(trailers);
        }
        if let Some(data) = frame.data_ref() {
            let (length, now) = (data.len() as u64, self.idle.last);
            self.exchange.note(|record| {
                record.caller.offered.set(Some(now));
                record.bytes += length;
                record.caller.worker.row.pass(length);
            });
            if let Some(stream) = &mut self.stream {
                stream.scanner.look(data);
                stream.said = self.idle.last;
            }
        }
        // A body of known length is not asked again after its last byte.
        let is_last = |(source, _): &(Source, Lease)| source.is_end_stream();
        if self.stream.is_none() && self.source.as_ref().is_some_and(is_last) {
            self.complete(self.idle.last);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_whole(&self) -> bool {
        self.stream
            .as_ref()
            .is_none_or(|stream| !stream.dialect.has_last_event() || stream.scanner.is_complete())
    }

    fn complete(&mut self, now: Instant) {
        if let Some((_, lease)) = self.source.take() {
            lease.done();
        }
        self.exchange.end_at(End::Complete, now);
    }

    /// Ends the stream with an error event, or breaks off what cannot hold one.
    fn last_word(&mut self, end: End, kind: Type, message: &str) -> Polled {
        self.source = None;
        self.exchange.end(end);
        let Some(stream) = &self.stream else {
            return Poll::Ready(Some(Err(Aborted)));
        };
        let event = stream.dialect.error(kind, message);
        let word = match stream.scanner.closing() {
            "" => event,
            closing => [closing.as_bytes(), &event].concat().into(),
        };
        Poll::Ready(Some(Ok(Frame::data(word))))
    }
}

impl Idle {
    /// Ready when nothing came for too long: with a sign of life, or with none when that is over.
    /// The timer is only set again when it rings.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Option<&mut Stream>,
    ) -> Poll<Option<Bytes>> {
        loop {
            let over = self.last + self.patience;
            let sign = stream.as_ref().and_then(|stream| stream.sign_at());
            let until = sign.map_or(over, |sign| sign.min(over));
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            let now = Instant::now();
            if now >= over {
                return Poll::Ready(None);
            }
            if let Some(stream) = stream.as_mut()
                && sign.is_some_and(|sign| now >= sign)
            {
                stream.said = now;
                if let Some(sign) = stream.sign() {
                    return Poll::Ready(Some(sign));
                }
            }
        }
    }
}

impl Stream {
    fn sign_at(&self) -> Option<Instant> {
        Some(self.said + self.keepalive?)
    }

    /// Never inside of an event.
    fn sign(&self) -> Option<Bytes> {
        let is_between = self.scanner.closing().is_empty();
        is_between.then(|| Bytes::from_static(self.dialect.keepalive().as_bytes()))
    }
}
