//! The body of an upstream's answer, which ends well only if the upstream ended it.
//!
//! Dropping it before its end resets its HTTP/2 stream. hyper takes a stream that the upstream
//! cancels for one that is complete; here it is not.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::fault::Broken;

pub(crate) struct Source {
    body: Incoming,
    version: Version,
}

impl Source {
    pub(super) fn of(response: Response<Incoming>) -> Response<Self> {
        let version = response.version();
        response.map(|body| Self { body, version })
    }

    /// Asked when nothing more comes. An upstream that does not want the rest of a request may
    /// reset the stream behind its whole answer, so its length counts too.
    fn is_whole(&self) -> bool {
        self.version != Version::HTTP_2
            || self.body.is_end_stream()
            || self.body.size_hint().exact() == Some(0)
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(frame) => Some(frame.map_err(Broken::Http)),
            None if this.is_whole() => None,
            None => Some(Err(Broken::TakenBack)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
