//! Every change of who may come in takes this path: store, table, packet ring, answer. What ends goes
//! the other way, so that no ending waits for the store.
//!
//! One task does the changing, one change at a time, so that a caller who hangs up in the middle
//! leaves nothing half done. Knows neither HTTP nor the kernel; who asks has parsed the question.

mod desk;
mod rings;
mod ask;
mod answer;
mod refused;
mod event;
mod endings;
mod start;
mod writer;
mod unwritten;
mod mint;
mod client;
mod rollout;
mod renew;
mod lease;
mod lapse;
mod expire;
mod mode;
mod brake;
mod operators;
mod keys;
mod reseal;
mod master;
mod import;
mod keep;
mod follow;
mod hosts;
mod uses;

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use answer::{Added, Done, HostDone, HostState, Lease, Minted, Opening, Rotation};
pub use ask::{Actor, Adopted, Closing, NewClient, NewRollout, Owner, SourceEdit, WantedToken};
pub use endings::Origin;
pub use event::{Event, Events};
pub use hosts::Host;
pub use import::{Import, Imported};
pub use keep::StoreHeard;
pub use keys::{KeyCheck, Opens};
pub use refused::Refused;
pub use renew::Turnover;
pub use reseal::Resealed;
pub use rings::{Applied, CutCount, Gone, PacketRing, RingError, Streams, Why, Work};
pub use start::{Parts, StartError, start};

pub use crate::store::{Filter, Line};

use crate::{
    client::Client,
    clock::Clock,
    grants::{Grants, RolloutGrant},
    ident::{ClientName, Revision, RolloutId, UpstreamName},
    secret::{KeyId, UpstreamKey},
    store::StoreError,
};
use desk::Desk;
use writer::Writer;

/// How long a lease may be over before it is ended, at most: the wall clock may jump ahead.
const LOOK: Duration = Duration::from_millis(500);

/// A handle for those who ask.
#[derive(Clone)]
pub struct Control {
    desk: Arc<Desk>,
    jobs: mpsc::Sender<Job>,
}

/// The task that does the changing; whoever starts the gate runs it.
pub struct Worker {
    writer: Writer,
    jobs: mpsc::Receiver<Job>,
}

type Job = Box<dyn for<'a> FnOnce(&'a mut Writer) -> Work<'a, ()> + Send>;

macro_rules! change {
    ($control:ident, $writer:ident => $call:expr) => {
        $control
            .change(move |$writer| Box::pin(async move { $call.await }))
            .await
    };
}

impl Control {
    pub async fn add_client(&self, actor: Actor, ask: NewClient) -> Result<Added, Refused> {
        change!(self, writer => writer.add_client(actor, ask))
    }

    pub async fn edit_sources(
        &self,
        actor: Actor,
        name: ClientName,
        edit: SourceEdit,
    ) -> Result<(Arc<Client>, Done), Refused> {
        let is_ending = !edit.remove.is_empty();
        let edited = async { change!(self, writer => writer.edit_sources(actor, &name, edit)) };
        if is_ending {
            self.timed(edited).await
        } else {
            edited.await
        }
    }

    pub async fn revoke(&self, actor: Actor, name: ClientName) -> Result<Done, Refused> {
        let stop = self.desk.stop_client(name.clone());
        let revoke = async |stopped| change!(self, writer => writer.revoke(actor, &name, stopped));
        self.ending(revoke, stop).await
    }

    pub async fn disable(&self, actor: Actor, name: ClientName) -> Result<Done, Refused> {
        self.timed(async { change!(self, writer => writer.disable(actor, &name)) })
            .await
    }

    pub async fn enable(&self, actor: Actor, name: ClientName) -> Result<Revision, Refused> {
        change!(self, writer => writer.enable(actor, &name))
    }

    pub async fn set_key(
        &self,
        actor: Actor,
        name: ClientName,
        key: UpstreamKey,
    ) -> Result<Revision, Refused> {
        change!(self, writer => writer.set_key(actor, &name, &key))
    }

    /// One step of bringing stored keys under the master key in use; others change things between
    /// two steps.
    pub async fn reseal(&self, actor: Actor) -> Result<Resealed, Refused> {
        change!(self, writer => writer.reseal(actor))
    }

    /// Seals with this master key from now on, on every host.
    pub async fn set_master(&self, actor: Actor, id: KeyId) -> Result<Revision, Refused> {
        change!(self, writer => writer.set_master(actor, id))
    }

    /// Takes up clients of another system, or only says what it would do.
    pub async fn import(
        &self,
        actor: Actor,
        imports: Vec<Import>,
        dry_run: bool,
    ) -> Result<Vec<Imported>, Refused> {
        change!(self, writer => writer.import(actor, imports, dry_run))
    }

    pub async fn open_rollouts(
        &self,
        actor: Actor,
        asks: Vec<NewRollout>,
    ) -> Result<Vec<Opening>, Refused> {
        change!(self, writer => writer.open_rollouts(actor, asks))
    }

    pub async fn drain(&self, actor: Actor, id: RolloutId) -> Result<Revision, Refused> {
        change!(self, writer => writer.drain(actor, &id))
    }

    pub async fn close(&self, actor: Actor, closing: Closing) -> Result<Done, Refused> {
        let stop = self.desk.stop_rollouts(closing.clone());
        let close = async |stopped| change!(self, writer => writer.close(actor, closing, stopped));
        self.ending(close, stop).await
    }

    pub async fn renew(&self, actor: Actor, owner: Owner, ttl: Duration) -> Result<Lease, Refused> {
        change!(self, writer => writer.renew(actor, &owner, ttl))
    }

    pub async fn rotate(
        &self,
        actor: Actor,
        owner: Owner,
        turnover: Turnover,
    ) -> Result<Rotation, Refused> {
        change!(self, writer => writer.rotate(actor, &owner, turnover))
    }

    /// Ends what is over, without waiting for the next look. How many changes that made.
    pub async fn sweep(&self) -> Result<usize, Refused> {
        self.emergency(|writer| Box::pin(async { Ok(writer.sweep().await) }))
            .await
    }

    pub async fn panic(&self, actor: Actor) -> Result<Done, Refused> {
        let brake = self.desk.brake();
        let shut =
            |stopped| self.emergency(move |writer| Box::pin(writer.panic(actor, brake, stopped)));
        self.ending(shut, async { self.desk.shut().await.1 }).await
    }

    pub async fn open(&self, actor: Actor) -> Result<Done, Refused> {
        self.emergency(move |writer| {
            if writer.closed_here || (writer.is_loaded && writer.desk.store.may_write()) {
                Box::pin(writer.open(actor))
            } else if writer.is_loaded {
                Box::pin(async { Err(Refused::HostRole) })
            } else {
                Box::pin(async { Err(Refused::Store(StoreError::Slow)) })
            }
        })
        .await
    }

    /// What is live, for those who list it.
    pub fn grants(&self) -> &Arc<Grants> {
        &self.desk.grants
    }

    pub fn client_named(&self, name: &ClientName) -> Result<Arc<Client>, Refused> {
        self.desk.client_named(name)
    }

    pub fn rollout_named(&self, id: &RolloutId) -> Result<Arc<RolloutGrant>, Refused> {
        self.desk.rollout_named(id)
    }

    pub fn events(&self) -> &Events {
        &self.desk.events
    }

    pub fn clock(&self) -> &Clock {
        &self.desk.clock
    }

    pub async fn audit(&self, filter: Filter) -> Result<Vec<Line>, Refused> {
        Ok(self.desk.store.audit(filter).await?)
    }

    pub fn check_keys(&self) -> Vec<KeyCheck> {
        self.desk.check_keys()
    }

    /// The configuration was read again: these names may be asked for from now on. What names
    /// another one already is left to the request ring, which says so.
    pub fn set_upstreams(&self, names: BTreeSet<UpstreamName>) {
        self.desk.upstreams.store(Arc::new(names));
    }

    /// Hands a job to the writer. Once it is taken it is finished, whether or not anybody waits.
    async fn change<T: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Writer) -> Work<'a, Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        // Before the first word of the store nobody can say what there is.
        self.emergency(move |writer| {
            if !writer.desk.store.may_write() {
                Box::pin(async { Err(Refused::HostRole) })
            } else if writer.is_loaded {
                job(writer)
            } else {
                Box::pin(async { Err(Refused::Store(StoreError::Slow)) })
            }
        })
        .await
    }

    async fn emergency<T: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Writer) -> Work<'a, Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            Box::pin(async move {
                // Who asked may have left; what was asked for is done all the same.
                _ = answer.send(job(writer).await);
            })
        });
        let sent = self.jobs.send(job).await;
        sent.map_err(|_gone| Refused::Stopping)?;
        answered.await.map_err(|_gone| Refused::Stopping)?
    }
}

impl Worker {
    /// Does what is asked, follows what others change and ends what is over, until it is told to
    /// stop or nobody can ask.
    pub async fn run(mut self, stop: CancellationToken) {
        let desk = Arc::clone(&self.writer.desk);
        tokio::select! {
            () = desk.store.listen() => {}
            () = desk.lapses() => {}
            () = self.work(stop) => {}
        }
        if let Err(why) = desk.store.leave(desk.grants.host()).await {
            tracing::warn!(error = %why, "the others do not know that this host has stopped");
        }
    }

    async fn work(&mut self, stop: CancellationToken) {
        let desk = Arc::clone(&self.writer.desk);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.writer.idle() => {
                    self.writer.sweep().await;
                    self.writer.mend().await;
                    self.writer.catch_up().await;
                }
                () = desk.store.rung() => self.writer.follow_on().await,
                job = self.jobs.recv() => match job {
                    Some(job) => {
                        self.writer.prepare().await;
                        job(&mut self.writer).await;
                        self.writer.follow_up().await;
                    }
                    None => return,
                },
            }
        }
    }
}

impl Writer {
    /// Resolves when there may be something to do that nobody asked for.
    fn idle(&self) -> impl Future<Output = ()> + use<> {
        let due = self
            .desk
            .leases()
            .next()
            .map(|at| at.until(self.now()).min(LOOK));
        let retry = self.retry.map(|at| at - tokio::time::Instant::now());
        let mend = (!self.owed().is_empty()).then_some(LOOK);
        let wait = due.into_iter().chain(retry).chain(mend).min();
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod fakes;
#[cfg(test)]
mod tests;
