//! The one door to the kernel half: a handle that carries messages to a thread of its own.
//!
//! The thread holds every map and link and runs its own small runtime, so neither a stuck request
//! nor a busy proxy delays a revocation. It works in the network namespace that
//! [`Agent::start`] was called in.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{broadcast, mpsc as requests, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::denied::Deniers;
use super::destroy;
use super::events::{self, DropEvent};
use super::explain::{Probe, Verdicts};
use super::fault::KernelError;
use super::keeper::Keeper;
use super::message::{
    Applied, Batch, Flow, GuardedPort, Interfaces, Mode, Reply, Request, Setup, Want,
};
use super::netlink::Changes;
use super::status::{Audit, Status};

/// Links and addresses are compared this often even when nothing was heard of them.
const RECONCILE: Duration = Duration::from_secs(5);
/// Every this many times all entries are compared, too.
const VERIFY_EVERY: u32 = 12;
/// Events that a slow listener may fall behind.
const BACKLOG: usize = 1024;

/// Denied sources that a status names.
const NAMED: usize = 10;

type Call = (Request, oneshot::Sender<Result<Reply, KernelError>>);

/// Cheap to clone; the thread ends with the last one, and leaves the gate pinned and shut.
#[derive(Clone, Debug)]
pub struct Agent {
    calls: requests::UnboundedSender<Call>,
    events: broadcast::Sender<DropEvent>,
}

impl Agent {
    /// Loads or adopts, pins, fills and attaches. On an error nothing is left half attached.
    pub fn start(setup: Setup) -> Result<Self, KernelError> {
        let (calls, inbox) = requests::unbounded_channel();
        let (events, _) = broadcast::channel(BACKLOG);
        let (ready, started) = mpsc::channel();
        let sender = events.clone();
        thread::Builder::new()
            .name("kernel-agent".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Err(cause) => drop(ready.send(Err(KernelError::Start(cause)))),
                    Ok(runtime) => runtime.block_on(run(setup, inbox, sender, ready)),
                }
            })
            .map_err(KernelError::Start)?;
        started.recv().map_err(|_gone| KernelError::Gone)??;
        Ok(Self { calls, events })
    }

    /// Sends one request and waits for its reply.
    pub async fn call(&self, request: Request) -> Result<Reply, KernelError> {
        let (reply, answer) = oneshot::channel();
        self.calls
            .send((request, reply))
            .map_err(|_gone| KernelError::Gone)?;
        answer.await.map_err(|_gone| KernelError::Gone)?
    }

    pub async fn apply(&self, batch: Batch) -> Result<Applied, KernelError> {
        let Reply::Applied(applied) = self.call(Request::Apply(batch)).await? else {
            return Err(KernelError::Gone);
        };
        Ok(applied)
    }

    pub async fn sync(&self, want: Want) -> Result<Applied, KernelError> {
        let Reply::Applied(applied) = self.call(Request::Sync(want)).await? else {
            return Err(KernelError::Gone);
        };
        Ok(applied)
    }

    /// How many connections ended.
    pub async fn destroy(&self, flows: Vec<Flow>) -> Result<usize, KernelError> {
        let Reply::Destroyed(count) = self.call(Request::Destroy(flows)).await? else {
            return Err(KernelError::Gone);
        };
        Ok(count)
    }

    pub async fn status(&self) -> Result<Status, KernelError> {
        let Reply::Status(status) = self.call(Request::Status).await? else {
            return Err(KernelError::Gone);
        };
        Ok(*status)
    }

    pub async fn verify(&self) -> Result<Audit, KernelError> {
        let Reply::Verified(audit) = self.call(Request::Verify).await? else {
            return Err(KernelError::Gone);
        };
        Ok(audit)
    }

    pub async fn explain(&self, probe: Probe) -> Result<Verdicts, KernelError> {
        let Reply::Verdicts(verdicts) = self.call(Request::Explain(probe)).await? else {
            return Err(KernelError::Gone);
        };
        Ok(verdicts)
    }

    pub async fn mode(&self, mode: Mode) -> Result<(), KernelError> {
        self.call(Request::Mode(mode)).await.map(drop)
    }

    /// Replaces the guarded ports: new ones are guarded before old ones are released.
    pub async fn ports(&self, ports: Vec<GuardedPort>) -> Result<(), KernelError> {
        self.call(Request::Ports(ports)).await.map(drop)
    }

    /// Replaces the choice of interfaces, without a gap on those that stay.
    pub async fn interfaces(&self, interfaces: Interfaces) -> Result<(), KernelError> {
        self.call(Request::Interfaces(interfaces)).await.map(drop)
    }

    /// Ends the agent; what is pinned goes on guarding.
    pub async fn stop(&self) -> Result<(), KernelError> {
        self.call(Request::Stop).await.map(drop)
    }

    /// Removes every link and pin; the agent is gone afterwards.
    pub async fn unload(&self) -> Result<(), KernelError> {
        self.call(Request::Unload).await.map(drop)
    }

    /// Sampled drops, from now on.
    pub fn events(&self) -> broadcast::Receiver<DropEvent> {
        self.events.subscribe()
    }
}

type Ring = AsyncFd<RingBuf<MapData>>;

async fn run(
    setup: Setup,
    mut inbox: requests::UnboundedReceiver<Call>,
    events: broadcast::Sender<DropEvent>,
    ready: mpsc::Sender<Result<(), KernelError>>,
) {
    let (mut keeper, mut changes, mut ring) = match open(setup) {
        Ok(open) => {
            // Nobody to answer means nobody to serve; the inbox is closed then as well.
            let _ = ready.send(Ok(()));
            open
        }
        Err(fault) => return drop(ready.send(Err(fault))),
    };
    let mut timer = interval(RECONCILE);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0u32;
    let mut deniers = Deniers::default();
    loop {
        tokio::select! {
            // Fair on purpose: a stream of requests must not keep a new interface waiting.
            call = inbox.recv() => match call {
                None => return,
                Some((Request::Unload, reply)) => {
                    return drop(reply.send(keeper.unload().map(|()| Reply::Done)));
                }
                Some((Request::Stop, reply)) => {
                    drop((ring, keeper));
                    return drop(reply.send(Ok(Reply::Done)));
                }
                // Whoever does not wait for the reply still gets the work done.
                Some((request, reply)) => {
                    drop(reply.send(serve(&mut keeper, &deniers, request)));
                }
            },
            () = changes.wait() => complain(keeper.reconcile()),
            _ = timer.tick() => {
                rounds = rounds.wrapping_add(1);
                complain(if rounds.is_multiple_of(VERIFY_EVERY) {
                    keeper.verify().map(drop)
                } else {
                    keeper.reconcile()
                });
            }
            () = readable(&mut ring) => drain(&mut ring, &keeper, &mut deniers, &events),
        }
    }
}

fn open(setup: Setup) -> Result<(Keeper, Changes, Ring), KernelError> {
    // Subscribed before the first look, so that nothing can happen in between.
    let changes = Changes::subscribe()?;
    let mut keeper = Keeper::start(setup)?;
    let ring = keeper.ring()?;
    #[expect(
        deprecated,
        reason = "the descriptor lives in the value that is registered"
    )]
    let ring = AsyncFd::with_interest(ring, Interest::READABLE).map_err(KernelError::Start)?;
    Ok((keeper, changes, ring))
}

fn serve(keeper: &mut Keeper, deniers: &Deniers, request: Request) -> Result<Reply, KernelError> {
    match request {
        Request::Apply(batch) => keeper.apply(batch).map(Reply::Applied),
        Request::Sync(want) => keeper.sync(want).map(Reply::Applied),
        Request::Destroy(flows) => destroy::destroy(&flows).map(Reply::Destroyed),
        Request::Status => keeper.status().map(|status| {
            Reply::Status(Box::new(Status {
                denied: deniers.top(NAMED),
                ..status
            }))
        }),
        Request::Verify => keeper.verify().map(Reply::Verified),
        Request::Explain(probe) => keeper.explain(probe).map(Reply::Verdicts),
        Request::Mode(mode) => keeper.set_mode(mode).map(|()| Reply::Done),
        Request::Ports(ports) => keeper.set_ports(ports).map(|()| Reply::Done),
        Request::Interfaces(interfaces) => keeper.set_interfaces(interfaces).map(|()| Reply::Done),
        // The loop takes it before it gets here, because it ends the keeper.
        Request::Unload | Request::Stop => Err(KernelError::Gone),
    }
}

/// The next round tries again; until then the pinned state stands.
fn complain(outcome: Result<(), KernelError>) {
    if let Err(fault) = outcome {
        let cause = std::error::Error::source(&fault).map(ToString::to_string);
        tracing::error!(%fault, cause, "the kernel half could not be brought up to date");
    }
}

async fn readable(ring: &mut Ring) {
    match ring.readable_mut().await {
        Ok(mut ready) => ready.clear_ready(),
        // Only a closing runtime fails here.
        Err(_) => std::future::pending().await,
    }
}

fn drain(
    ring: &mut Ring,
    keeper: &Keeper,
    deniers: &mut Deniers,
    events: &broadcast::Sender<DropEvent>,
) {
    while let Some(bytes) = ring.get_mut().next() {
        if let Some(event) = events::decode(&bytes, |index| keeper.interface_name(index)) {
            deniers.note(&event);
            // Nobody listening is fine: the counters have it.
            let _ = events.send(event);
        }
    }
}
