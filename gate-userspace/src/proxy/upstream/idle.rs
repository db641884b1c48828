//! One HTTP/1 connection between two calls.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hyper::client::conn::http1::SendRequest;
use tokio::{task::AbortHandle, time::timeout};

use crate::proxy::inbound::Inbound;

/// Servers commonly close idle connections after 5 s and more; a reused one must not be that old.
const IDLE: Duration = Duration::from_secs(4);

/// How long a connection that was given back may take to finish what it did.
const READY: Duration = Duration::from_millis(100);

pub(super) struct Idle {
    pub(super) sender: SendRequest<Inbound>,
    task: AbortHandle,
    since: Instant,
    /// Where it goes, unless that is a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Of the addresses: those among which its own is.
    pub(super) changes: u32,
}

impl Idle {
    pub(super) fn new(
        sender: SendRequest<Inbound>,
        task: AbortHandle,
        address: Option<IpAddr>,
    ) -> Self {
        Self {
            sender,
            task,
            since: Instant::now(),
            address,
            changes: 0,
        }
    }

    pub(super) fn is_old(&self) -> bool {
        self.since.elapsed() > IDLE
    }

    pub(super) fn rests(&mut self) {
        self.since = Instant::now();
    }

    /// Whether it takes a request. One that was just given back does so as soon as its task ran once
    /// more; one that does not is held by an upstream that has stopped to read.
    pub(super) async fn is_ready(&mut self) -> bool {
        matches!(timeout(READY, self.sender.ready()).await, Ok(Ok(())))
    }

    pub(super) fn close(self) {
        self.task.abort();
    }
}
