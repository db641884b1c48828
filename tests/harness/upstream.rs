//! A provider that does what a test says and remembers what it was asked.
//!
//! Does not check anything about a request. It runs on a thread and runtime of its own, so that a
//! test that blocks does not stop the provider the gate is waiting for. One request at a time per
//! connection, HTTP/1.1, any number of connections.

mod journal;
mod provider;
mod reply;
mod serve;

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use tokio::sync::oneshot;

use crate::netns::Namespace;

pub use journal::{Fate, Journal, Seen};
pub use provider::Provider;
pub use reply::{Reply, Step, Steps};

pub struct Upstream {
    address: SocketAddr,
    journal: Journal,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Listens on `bind` in `place`; `script` answers each request in turn.
    pub fn start(
        place: &Namespace,
        bind: SocketAddr,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> anyhow::Result<Self> {
        let listener = place
            .enter(|| TcpListener::bind(bind))
            .with_context(|| format!("bind the provider to {bind} in {place}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let journal = Journal::default();
        let shared = journal.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let serve = move || runtime.block_on(serve::until(stopped, listener, script, &shared));
        let thread = thread::Builder::new()
            .name("upstream".into())
            .spawn(serve)?;
        Ok(Self {
            address,
            journal,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// A provider of all three dialects whose streams follow [`Provider`].
    pub fn provider(
        place: &Namespace,
        bind: SocketAddr,
        provider: Provider,
    ) -> anyhow::Result<Self> {
        Self::start(place, bind, move |seen| provider.answer(seen))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Drop for Upstream {
    #[expect(clippy::print_stderr, reason = "a second panic would hide the first")]
    fn drop(&mut self) {
        drop(self.stop.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            eprintln!("the scripted provider on {} panicked", self.address);
        }
    }
}

#[cfg(test)]
mod tests;
