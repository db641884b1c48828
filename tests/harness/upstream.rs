//! A provider that does what a test says and remembers what it was asked.
//!
//! Does not check anything about a request. It runs on a thread and runtime of its own, so that a
//! test that blocks does not stop the provider the gate is waiting for. Any number of connections;
//! what they speak, a [`Wire`] says.

mod journal;
mod provider;
mod reply;
mod serve;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::netns::Namespace;

pub use journal::{Fate, Journal, Seen};
pub use provider::Provider;
pub use reply::{Reply, Step, Steps};
pub use wire::Wire;

use wire::{At, Listener};

pub struct Upstream {
    at: At,
    scheme: &'static str,
    journal: Journal,
    retire: watch::Sender<usize>,
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
        Self::over(Wire::plain(), place, bind, script)
    }

    /// The same over `wire`.
    pub fn over(
        wire: Wire,
        place: &Namespace,
        bind: SocketAddr,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> anyhow::Result<Self> {
        Self::on(Listener::tcp(place, bind)?, wire, script)
    }

    /// Listens on a Unix socket.
    pub fn unix(
        wire: Wire,
        path: &Path,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> anyhow::Result<Self> {
        Self::on(Listener::unix(path)?, wire, script)
    }

    fn on(
        listener: Listener,
        wire: Wire,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (at, scheme) = (listener.at()?, wire.scheme());
        let (stop, stopped) = oneshot::channel();
        let (retire, retired) = watch::channel(0);
        let journal = Journal::default();
        let shared = journal.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let serve = move || {
            let served = serve::until(stopped, listener, script, shared, wire, retired);
            runtime.block_on(served);
        };
        let thread = thread::Builder::new()
            .name("upstream".into())
            .spawn(serve)?;
        Ok(Self {
            at,
            scheme,
            journal,
            retire,
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

    /// Where it listens, if that is not a Unix socket.
    pub fn address(&self) -> SocketAddr {
        match &self.at {
            At::Tcp(address) => *address,
            At::Unix(path) => panic!("{} is no TCP address", path.display()),
        }
    }

    /// As the gate is told; a certificate must be for `localhost`.
    pub fn url(&self) -> String {
        match &self.at {
            At::Tcp(address) if self.scheme == "https" => {
                format!("https://localhost:{}", address.port())
            }
            At::Tcp(address) => format!("http://{address}"),
            At::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Asks every HTTP/2 connection to go away: streams that run may end, new ones go elsewhere.
    pub fn retire(&self) {
        self.retire.send_modify(|times| *times += 1);
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
            eprintln!("the scripted provider on {} panicked", self.url());
        }
    }
}

#[cfg(test)]
mod tests;
