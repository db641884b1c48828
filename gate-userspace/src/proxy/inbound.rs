//! A request's body on its way upstream: counted against the limit, never kept.
//!
//! Does not parse: the upstream does. What stands behind a body stays here: an upstream that adds
//! it to the head would read a credential that nobody swapped. The outcome is noted beside the body, because the upstream
//! connection only reports that its body failed, not why.

use std::{
    cell::Cell,
    mem::take,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use super::{arriving::Arriving, field::Field, route::Route};
use crate::fault::Fault;

pub(crate) struct Inbound {
    body: Arrived,
    limit: u64,
    read: u64,
    outcome: Rc<Cell<Outcome>>,
    patience: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

/// A body on its way, or one that had to be read.
pub(crate) enum Arrived {
    Streams(Arriving),
    Whole(Bytes),
}

/// A body is only read here where the credential may stand in it.
pub(crate) async fn arrive(
    body: Arriving,
    route: &Route,
    patience: Duration,
) -> Result<(Arrived, Option<Field>), Fault> {
    if !route.profile.reads_body() {
        return Ok((Arrived::Streams(body), None));
    }
    let body = Inbound::new(body, route.body_limit, patience)?;
    let whole = body.read().await?;
    let field = Field::read(&whole)?;
    Ok((Arrived::Whole(whole), field))
}

impl Arrived {
    pub(crate) fn inbound(self, limit: u64, patience: Duration) -> Result<Inbound, Fault> {
        match self {
            Self::Streams(body) => Inbound::new(body, limit, patience),
            Self::Whole(bytes) => Ok(Inbound::whole(bytes)),
        }
    }
}

/// How far a request's body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Flowing,
    Whole,
    TooLarge { limit: u64 },
    Stalled,
    Broken,
}

/// Tells the upstream connection to give up; the reason is in the [`Outcome`].
#[derive(Debug, thiserror::Error)]
#[error("the request's body ended early")]
pub(crate) struct Ended;

impl Inbound {
    /// Refuses at once what says that it is too large.
    pub(crate) fn new(body: Arriving, limit: u64, patience: Duration) -> Result<Self, Fault> {
        if body.size_hint().lower() > limit {
            return Err(Fault::BodyTooLarge { limit });
        }
        let outcome = if body.is_end_stream() {
            Outcome::Whole
        } else {
            Outcome::Flowing
        };
        Ok(Self {
            body: Arrived::Streams(body),
            limit,
            read: 0,
            outcome: Rc::new(Cell::new(outcome)),
            patience,
            stall: None,
        })
    }

    /// Reads it to its end, for the one profile that must.
    pub(crate) async fn read(mut self) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(frame) = self.frame().await {
            match frame {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        whole.extend_from_slice(&data);
                    }
                }
                Err(Ended) => return Err(self.outcome.get().fault().unwrap_or(Fault::BodyBroken)),
            }
        }
        Ok(whole.freeze())
    }

    /// A body that is here.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            body: Arrived::Whole(bytes),
            limit: u64::MAX,
            read: 0,
            outcome: Rc::new(Cell::new(Outcome::Whole)),
            patience: Duration::ZERO,
            stall: None,
        }
    }

    pub(crate) fn outcome(&self) -> Rc<Cell<Outcome>> {
        Rc::clone(&self.outcome)
    }

    fn end(&self, outcome: Outcome) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        self.outcome.set(outcome);
        Poll::Ready(Some(Err(Ended)))
    }
}

impl Outcome {
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Flowing | Self::Whole => None,
            Self::TooLarge { limit } => Some(Fault::BodyTooLarge { limit }),
            Self::Stalled => Some(Fault::BodyStalled),
            Self::Broken => Some(Fault::BodyBroken),
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let this = self.get_mut();
        let body = match &mut this.body {
            Arrived::Streams(body) => body,
            Arrived::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Arrived::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(take(bytes))))),
        };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            let patience = this.patience;
            let stall = this
                .stall
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(stall.as_mut().poll(cx));
            return this.end(Outcome::Stalled);
        };
        this.stall = None;
        match frame {
            None => {
                this.outcome.set(Outcome::Whole);
                Poll::Ready(None)
            }
            Some(Err(_left)) => this.end(Outcome::Broken),
            Some(Ok(frame)) if frame.is_trailers() => {
                this.outcome.set(Outcome::Whole);
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                let is_last = body.is_end_stream();
                this.read += length as u64;
                if this.read > this.limit {
                    return this.end(Outcome::TooLarge { limit: this.limit });
                }
                if is_last {
                    this.outcome.set(Outcome::Whole);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Arrived::Streams(body) => body.is_end_stream(),
            Arrived::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Arrived::Streams(body) => body.size_hint(),
            Arrived::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if self.is_end_stream() && self.outcome.get() == Outcome::Flowing {
            self.outcome.set(Outcome::Whole);
        }
    }
}
