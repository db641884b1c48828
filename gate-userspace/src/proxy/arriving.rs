//! A request's body as it arrives, and what becomes of the rest when nobody wants it.
//!
//! Who is refused is, as a rule, still sending. On HTTP/1 the connection listens for a moment, or a
//! reset would swallow the refusal; on HTTP/2 the same holds for the stream: dropping its body resets
//! it, and some callers then take the answer for lost although it is there (curl 7.88, `(92)`). So
//! there the rest is read and thrown away, not for long and not without bound.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{task::spawn_local, time::timeout};

use super::live::Line;

/// How long, and how much, a refused caller may go on sending.
const LINGER: Duration = Duration::from_secs(2);
const BYTES: u64 = 256 << 10;

pub(crate) struct Arriving {
    /// Always there until it is dropped.
    body: Option<Incoming>,
    /// Of the call, where it shares its connection with others.
    line: Option<Arc<Line>>,
}

impl Arriving {
    /// On a connection that has no other call.
    pub(crate) fn alone(body: Incoming) -> Self {
        Self {
            body: Some(body),
            line: None,
        }
    }

    /// On a connection that goes on.
    pub(crate) fn shared(body: Incoming, line: &Arc<Line>) -> Self {
        Self {
            body: Some(body),
            line: Some(Arc::clone(line)),
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut left = BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length as u64) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let (Some(body), Some(line)) = (self.body.take(), &self.line) else {
            return;
        };
        // What is ordered to end is not listened to.
        if !body.is_end_stream() && line.is_ordered().is_none() {
            spawn_local(async move {
                let _either_way = timeout(LINGER, drain(body)).await;
            });
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.get_mut().body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
