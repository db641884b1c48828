//! One worker at its listeners: the connection ring.
//!
//! A peer that nobody lists gets its 403 here, before a byte of it is read. A connection goes to the
//! worker with the fewest.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    select,
    sync::{mpsc, watch},
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    Worker, connection,
    counters::Count,
    crowd::Place,
    listen::{Bound, BoundSocket, Handed, HandedStream, Peers, Stage},
    origin::Door,
    respond,
    socket::Stream,
};
use crate::{
    fault::{Denied, Stop},
    settings::{ListenSources, Mode},
};

/// How long a stranger's bytes are awaited, so that it can read its 403.
const STRANGER: Duration = Duration::from_millis(500);

/// Strangers that one worker talks to at once; further ones are closed without a word.
const STRANGERS: usize = 64;

/// A worker hands a connection on when another has this many fewer.
const UNEVEN: usize = 2;

pub(super) fn doors(listeners: &[Bound]) -> Vec<Rc<Door>> {
    let doors = listeners.iter().map(|bound| Door::new(&bound.listen));
    doors.map(Rc::new).collect()
}

/// One worker at its listeners.
pub(super) struct Desk {
    pub(super) worker: Rc<Worker>,
    pub(super) peers: Arc<Peers>,
    pub(super) number: usize,
    pub(super) doors: Vec<Rc<Door>>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Desk {
    pub(super) async fn run(
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
                    let words = respond::raw(&self.worker, &Stop::Denied(Denied::Unlisted));
                    turn_away(stream, words, strangers);
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
                // The worker that serves it shakes hands.
                Stream::Tls(_) => return,
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
            HandedStream::Unix(stream) => UnixStream::from_std(stream).map(Stream::Unix),
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
fn turn_away(stream: Stream, words: Vec<u8>, strangers: &Rc<()>) {
    if Rc::strong_count(strangers) > STRANGERS {
        return;
    }
    let strangers = Rc::clone(strangers);
    spawn_local(async move {
        let Stream::Tcp(mut stream) = stream else {
            return;
        };
        let farewell = async {
            stream.write_all(&words).await?;
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
