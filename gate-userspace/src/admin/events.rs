//! `GET /v1/events`: server-sent events, as they happen, until the reader leaves.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use http_body::Frame;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Api, wire};
use crate::control::{Event, Work};

/// So that a reader notices a dead gate, and the gate a dead reader.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn events(State(api): State<Api>) -> Response {
    let stream = Stream(next(api.control.events().watch()));
    let head = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (head, Body::new(stream)).into_response()
}

/// The next line of text, and the receiver for the one after it.
type Next = Option<(Receiver<Event>, String)>;

struct Stream(Work<'static, Next>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll(cx).map(|ready| {
            let (receiver, line) = ready?;
            self.0 = next(receiver);
            Some(Ok(Frame::data(line.into())))
        })
    }
}

fn next(mut receiver: Receiver<Event>) -> Work<'static, Next> {
    Box::pin(async move {
        let event = match tokio::time::timeout(KEEP_ALIVE, receiver.recv()).await {
            Err(_silent) => return Some((receiver, ": keep-alive\n\n".to_owned())),
            Ok(Ok(event)) => shown(event),
            Ok(Err(RecvError::Lagged(missed))) => wire::Event::Lagged { missed },
            Ok(Err(RecvError::Closed)) => return None,
        };
        let json = serde_json::to_string(&event).expect("an event is a map with text keys");
        Some((receiver, format!("data: {json}\n\n")))
    })
}

fn shown(event: Event) -> wire::Event {
    match event {
        Event::Drop {
            at,
            ring,
            reason,
            source,
            interface,
            port,
        } => wire::Event::Drop {
            at: at.into(),
            ring: ring.to_owned(),
            reason,
            source,
            interface,
            port,
        },
        Event::Alarm { at, kind, message } => wire::Event::Alarm {
            at: at.into(),
            kind,
            message,
        },
        Event::Change {
            at,
            revision,
            kind,
            subject,
            actor,
        } => wire::Event::Change {
            at: at.into(),
            revision,
            kind: kind.to_owned(),
            subject,
            actor,
        },
    }
}
