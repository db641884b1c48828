//! What the provider does with one request.
//!
//! Does not know HTTP framing: a reply is a head, and a body that comes at once or step by step.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::journal::{Fate, Journal};

pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The head goes out when this resolves, or its sender is dropped.
    pub(super) hold: Option<oneshot::Receiver<()>>,
    pub(super) content: Content,
}

pub enum Step {
    Send(Bytes),
    /// Ends the connection in the middle of the answer; over HTTP/2 the stream, as failed.
    Break,
    /// Resets an HTTP/2 stream as one that is not wanted any more.
    TakeBack,
}

/// Feeds a body step by step; dropping it ends the body cleanly.
#[derive(Clone)]
pub struct Steps(mpsc::UnboundedSender<Step>);

pub(super) enum Content {
    Whole(Bytes),
    Told(mpsc::UnboundedReceiver<Step>),
    Paced(Duration, Pace),
}

/// Yields the next step, until there is none.
type Pace = Box<dyn FnMut() -> Option<Step> + Send>;

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    pub fn whole(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, kind, Content::Whole(body.into()))
    }

    /// A 200 event stream that sends what the test says, when it says so.
    pub fn events() -> (Steps, Self) {
        Self::told("text/event-stream")
    }

    /// The same with another type of content.
    pub fn told(kind: &str) -> (Steps, Self) {
        let (steps, told) = mpsc::unbounded_channel();
        (Steps(steps), Self::new(200, kind, Content::Told(told)))
    }

    /// A 200 event stream that asks `next` for a step every `period`, the first one at once.
    pub fn paced(period: Duration, next: impl FnMut() -> Option<Step> + Send + 'static) -> Self {
        Self::new(
            200,
            "text/event-stream",
            Content::Paced(period, Box::new(next)),
        )
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps even the head back until the returned sender is used or dropped.
    pub fn held(mut self) -> (oneshot::Sender<()>, Self) {
        let (release, hold) = oneshot::channel();
        self.hold = Some(hold);
        (release, self)
    }

    fn new(status: u16, kind: &str, content: Content) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self {
            status,
            headers,
            hold: None,
            content,
        }
    }
}

impl Steps {
    /// False when the caller has left.
    pub fn send(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Step::Send(bytes.into())).is_ok()
    }

    pub fn cut(self) {
        let _caller_left = self.0.send(Step::Break);
    }

    pub fn take_back(self) {
        let _caller_left = self.0.send(Step::TakeBack);
    }
}

/// A body on its way out. Dropped before its end, it records that the caller left.
pub(super) struct Outgoing {
    flow: Flow,
    ending: Ending,
}

/// Records how one answer ended, whichever way that is.
pub(super) struct Ending {
    pub(super) journal: Journal,
    pub(super) number: usize,
}

enum Flow {
    Whole(Option<Bytes>),
    Told(mpsc::UnboundedReceiver<Step>),
    Paced(Interval, Pace),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenByScript {
    #[error("broken by the script")]
    Cut,
    #[error("taken back by the script")]
    TakenBack(#[source] h2::Error),
}

impl Outgoing {
    pub(super) fn new(content: Content, ending: Ending) -> Self {
        let flow = match content {
            Content::Whole(bytes) => Flow::Whole(Some(bytes)),
            Content::Told(steps) => Flow::Told(steps),
            Content::Paced(period, next) => {
                let mut clock = interval(period);
                clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
                Flow::Paced(clock, next)
            }
        };
        Self { flow, ending }
    }
}

impl Ending {
    fn record(&self, fate: Fate) {
        self.journal.ended(self.number, fate);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.record(Fate::CallerLeft(Instant::now()));
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenByScript;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenByScript>>> {
        let step = match &mut self.flow {
            Flow::Whole(bytes) => bytes.take().map(Step::Send),
            Flow::Told(steps) => std::task::ready!(steps.poll_recv(task)),
            Flow::Paced(clock, next) => {
                std::task::ready!(clock.poll_tick(task));
                next()
            }
        };
        Poll::Ready(match step {
            Some(Step::Send(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Step::Break) => {
                self.ending.record(Fate::Broken);
                Some(Err(BrokenByScript::Cut))
            }
            Some(Step::TakeBack) => {
                self.ending.record(Fate::Broken);
                Some(Err(BrokenByScript::TakenBack(h2::Reason::CANCEL.into())))
            }
            None => {
                self.ending.record(Fate::Finished);
                None
            }
        })
    }
}
