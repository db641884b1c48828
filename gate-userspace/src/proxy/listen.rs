//! The workers and what they share.
//!
//! One thread, one runtime and one list of upstream connections per worker; all accept from the same
//! sockets, because a second socket on the port would let another process of this user share it.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::LocalSet,
    time::{interval, timeout},
};

use super::{
    Proxy, Worker,
    crowd::Place,
    desk::{self, Desk},
    live::Cut,
};
use crate::settings::Listen;

/// A listener that is bound, and how it was meant.
#[derive(Debug)]
pub struct Bound {
    pub listen: Listen,
    pub socket: BoundSocket,
}

#[derive(Debug)]
pub enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// The running workers.
pub struct Workers {
    proxy: Arc<Proxy>,
    stage: watch::Sender<Stage>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Accepting,
    Stopped,
    Over,
}

/// What one worker knows of the others.
pub(super) struct Peers {
    pub(super) loads: Vec<AtomicUsize>,
    pub(super) inboxes: Vec<mpsc::UnboundedSender<Handed>>,
}

/// A connection on its way to another worker.
pub(super) struct Handed {
    pub(super) stream: HandedStream,
    pub(super) address: Option<IpAddr>,
    pub(super) place: Place,
    pub(super) listener: usize,
}

pub(super) enum HandedStream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Starts `count` workers that all accept from these listeners.
///
/// # Errors
/// When a socket cannot be shared or a thread cannot be started.
pub fn start(proxy: &Arc<Proxy>, listeners: &[Bound], count: usize) -> io::Result<Workers> {
    let count = count.max(1);
    let (stage, _) = watch::channel(Stage::Accepting);
    let (inboxes, outboxes): (Vec<_>, Vec<_>) =
        (0..count).map(|_| mpsc::unbounded_channel()).unzip();
    let peers = Arc::new(Peers {
        loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        inboxes,
    });
    let mut threads = Vec::new();
    for (number, inbox) in outboxes.into_iter().enumerate() {
        let listeners = listeners
            .iter()
            .map(Bound::share)
            .collect::<io::Result<Vec<_>>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (proxy, peers, stage) = (Arc::clone(proxy), Arc::clone(&peers), stage.subscribe());
        let work = move || {
            let worker = Worker::new(proxy);
            let desk = Desk {
                worker,
                peers,
                number,
                doors: desk::doors(&listeners),
            };
            LocalSet::new().block_on(&runtime, desk.run(listeners, inbox, stage));
        };
        let name = format!("gate-worker-{number}");
        threads.push(thread::Builder::new().name(name).spawn(work)?);
    }
    Ok(Workers {
        proxy: Arc::clone(proxy),
        stage,
        threads,
    })
}

impl Workers {
    /// Closes the listeners; open connections go on.
    pub fn stop_accepting(&self) {
        self.stage.send_if_modified(|stage| {
            let was = *stage;
            *stage = if was == Stage::Accepting {
                Stage::Stopped
            } else {
                was
            };
            was != *stage
        });
    }

    /// Answers every new call 503, waits for running ones until the deadline, then ends them.
    ///
    /// The listeners stay open meanwhile.
    pub async fn drain(&self, deadline: Duration) {
        self.proxy.begin_drain();
        let quiet = async {
            let mut look = interval(Duration::from_millis(20));
            loop {
                look.tick().await;
                if self.proxy.live.streams() == 0 {
                    return;
                }
            }
        };
        let _quiet_or_late = timeout(deadline, quiet).await;
        self.proxy.live.cut_all(Cut::Draining).await;
    }

    /// Ends the workers, and with them what is still open.
    pub fn join(self) {
        self.stage.send_replace(Stage::Over);
        for thread in self.threads {
            // A worker that panicked has told so on stderr.
            let _told = thread.join();
        }
    }
}

impl Bound {
    /// The same socket under a descriptor of its own, for one worker's runtime.
    fn share(&self) -> io::Result<Self> {
        let socket = match &self.socket {
            BoundSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                BoundSocket::Tcp(listener.try_clone()?)
            }
            BoundSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                BoundSocket::Unix(listener.try_clone()?)
            }
        };
        Ok(Self {
            listen: self.listen.clone(),
            socket,
        })
    }
}
