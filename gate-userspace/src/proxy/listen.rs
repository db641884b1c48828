//! The workers, their listeners, and the connection ring.
//!
//! One thread, one runtime and one list of upstream connections per worker; all accept from the same
//! sockets and hand a connection to the worker with the fewest. A peer that nobody lists gets its
//! 403 here, before a byte of it is read.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
    select,
    sync::{mpsc, watch},
    task::{LocalSet, spawn_local},
    time::{interval, sleep, timeout},
};

use super::{
    Proxy, Worker,
    connection::{self, Stream},
    counters::Count,
    crowd::Place,
    live::Cut,
    origin::Door,
};
use crate::settings::{Listen, ListenSources, Mode};

/// How long a stranger's bytes are awaited, so that it can read its 403.
const STRANGER: Duration = Duration::from_millis(500);

/// Strangers that one worker talks to at once; further ones are closed without a word.
const STRANGERS: usize = 64;

/// A worker hands a connection on when another has this many fewer.
const UNEVEN: usize = 2;

const FORBIDDEN: &[u8] = b"HTTP/1.1 403 Forbidden\r\n\
    content-type: application/json\r\n\
    x-gate-error: FORBIDDEN\r\n\
    x-gate-source: gate\r\n\
    x-content-type-options: nosniff\r\n\
    referrer-policy: no-referrer\r\n\
    connection: close\r\n\
    content-length: 44\r\n\r\n\
    {\"error\":\"this source is not on the list\"}  ";

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
enum Stage {
    Accepting,
    Stopped,
    Over,
}

/// What one worker knows of the others.
struct Peers {
    loads: Vec<AtomicUsize>,
    inboxes: Vec<mpsc::UnboundedSender<Handed>>,
}

/// A connection on its way to another worker.
struct Handed {
    stream: HandedStream,
    address: Option<IpAddr>,
    place: Place,
    listener: usize,
}

enum HandedStream {
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
                doors: doors(&listeners),
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

fn doors(listeners: &[Bound]) -> Vec<Rc<Door>> {
    let doors = listeners.iter().map(|bound| Door::new(&bound.listen));
    doors.map(Rc::new).collect()
}

/// One worker at its listeners.
struct Desk {
    worker: Rc<Worker>,
    peers: Arc<Peers>,
    number: usize,
    doors: Vec<Rc<Door>>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Desk {
    async fn run(
        self,
        listeners: Vec<Bound>,
        mut inbox: mpsc::UnboundedReceiver<Handed>,
        mut stage: watch::Receiver<Stage>,
    ) {
        let desk = Rc::new(self);
        for (index, bound) in listeners.into_iter().enumerate() {
            let (desk, stage) = (Rc::clone(&desk), stage.clone());
            spawn_local(async move { desk.listen(index, bound, stage).await });
        }
        loop {
            select! { biased;
                changed = stage.wait_for(|stage| *stage == Stage::Over) => {
                    // An error means that `Workers` is gone, and so is our work.
                    let _either_way = changed;
                    return;
                }
                Some(handed) = inbox.recv() => desk.take(handed),
            }
        }
    }

    async fn listen(self: Rc<Self>, index: usize, bound: Bound, mut stage: watch::Receiver<Stage>) {
        let sources = bound.listen.sources;
        let listener = match bound.socket {
            BoundSocket::Tcp(listener) => TcpListener::from_std(listener).map(Listener::Tcp),
            BoundSocket::Unix(listener) => UnixListener::from_std(listener).map(Listener::Unix),
        };
        let listener = match listener {
            Ok(listener) => listener,
            Err(why) => {
                tracing::error!(%why, "cannot accept from a listener");
                return;
            }
        };
        let strangers = Rc::new(());
        loop {
            let accepted = select! { biased;
                _changed = stage.wait_for(|stage| *stage != Stage::Accepting) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    self.admit(index, sources, stream, address, &strangers);
                }
                Err(why) => {
                    // Out of descriptors, as a rule: nothing is gained by trying at once.
                    tracing::warn!(%why, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// The connection ring.
    fn admit(
        &self,
        index: usize,
        sources: ListenSources,
        stream: Stream,
        address: Option<IpAddr>,
        strangers: &Rc<()>,
    ) {
        let proxy = &self.worker.proxy;
        let row = &self.worker.row;
        let mode = proxy.grants.mode();
        if mode == Mode::Closed {
            return;
        }
        let stranger = address
            .filter(|_| sources == ListenSources::Listed)
            .filter(|address| !address.is_loopback() && !proxy.grants.lists(*address));
        if stranger.is_some() {
            match mode {
                Mode::Audit => row.add(Count::WouldRefuse),
                Mode::Enforce | Mode::Closed => {
                    row.add(Count::Unlisted);
                    turn_away(stream, strangers);
                    return;
                }
            }
        }
        let Some(place) = proxy.crowd.enter(address) else {
            row.add(Count::Crowded);
            return;
        };
        row.add(Count::Accepted);
        self.place(index, stream, address, place);
    }

    /// Serves a connection here, or lets a worker do it that has less to do.
    fn place(&self, listener: usize, stream: Stream, address: Option<IpAddr>, place: Place) {
        let loads = || {
            self.peers
                .loads
                .iter()
                .map(|load| load.load(Ordering::Relaxed))
        };
        let own = loads().nth(self.number).unwrap_or_default();
        let least = loads().enumerate().min_by_key(|(_, load)| *load);
        if let Some((other, load)) = least
            && load + UNEVEN <= own
            && let Some(inbox) = self.peers.inboxes.get(other)
        {
            let stream = match stream {
                Stream::Tcp(stream) => stream.into_std().map(HandedStream::Tcp),
                Stream::Unix(stream) => stream.into_std().map(HandedStream::Unix),
            };
            // A stream that cannot leave its reactor is closed; one for a worker that ended, too.
            if let Ok(stream) = stream {
                let _closed_with_it = inbox.send(Handed {
                    stream,
                    address,
                    place,
                    listener,
                });
            }
            return;
        }
        self.serve(listener, stream, address, place);
    }

    fn take(&self, handed: Handed) {
        let stream = match handed.stream {
            HandedStream::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
            HandedStream::Unix(stream) => {
                tokio::net::UnixStream::from_std(stream).map(Stream::Unix)
            }
        };
        if let Ok(stream) = stream {
            self.serve(handed.listener, stream, handed.address, handed.place);
        }
    }

    fn serve(&self, listener: usize, stream: Stream, address: Option<IpAddr>, place: Place) {
        let Some(door) = self.doors.get(listener).cloned() else {
            return;
        };
        let load = Load::new(Arc::clone(&self.peers), self.number);
        let worker = Rc::clone(&self.worker);
        spawn_local(async move {
            connection::serve(worker, stream, address, door).await;
            drop((load, place));
        });
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Best effort: without it small writes wait, nothing breaks.
                let _best_effort = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(address.ip().to_canonical())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

/// Says 403 and closes, without reading what the stranger wants.
fn turn_away(stream: Stream, strangers: &Rc<()>) {
    if Rc::strong_count(strangers) > STRANGERS {
        return;
    }
    let strangers = Rc::clone(strangers);
    spawn_local(async move {
        let Stream::Tcp(mut stream) = stream else {
            return;
        };
        let farewell = async {
            stream.write_all(FORBIDDEN).await?;
            stream.shutdown().await?;
            let mut sink = [0; 2048];
            while stream.read(&mut sink).await? > 0 {}
            io::Result::Ok(())
        };
        let _either_way = timeout(STRANGER, farewell).await;
        drop(strangers);
    });
}

/// One connection in a worker's load.
struct Load {
    peers: Arc<Peers>,
    number: usize,
}

impl Load {
    fn new(peers: Arc<Peers>, number: usize) -> Self {
        if let Some(load) = peers.loads.get(number) {
            load.fetch_add(1, Ordering::Relaxed);
        }
        Self { peers, number }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(load) = self.peers.loads.get(self.number) {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
