//! Asks the resolver what the names of upstreams mean, again and again, beside everything else.
//!
//! Decides nothing: what an answer changes, and in which order, is `reload`'s.

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::lookup_host,
    select,
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::drain::Tasks;

/// How old an answer may be. The system's resolver keeps its own cache, by the records' lifetimes.
const EVERY: Duration = Duration::from_secs(15);

/// The least time between two rounds, however much somebody wants one.
const REST: Duration = Duration::from_secs(1);

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the resolver said about one name.
pub(super) type Answer = (String, io::Result<Vec<IpAddr>>);

/// Asks about the names in `asked` on a timer, and whenever somebody wants it.
pub(super) fn watch(
    tasks: &Tasks,
    wanted: Arc<Notify>,
    asked: watch::Receiver<BTreeSet<String>>,
    answers: mpsc::Sender<Vec<Answer>>,
) {
    let stop = tasks.last_word();
    tasks.spawn("names", async move {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first answer was given before the start.
        every.tick().await;
        loop {
            select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
                () = wanted.notified() => {}
            }
            let names = asked.borrow().clone();
            let round = async {
                let found = join_all(names.into_iter().map(answer)).await;
                answers.send(found).await.is_ok()
            };
            select! {
                () = stop.cancelled() => return,
                is_heard = round => if !is_heard { return },
            }
            sleep(REST).await;
        }
    });
}

async fn answer(name: String) -> Answer {
    let found = ask(&name).await;
    (name, found)
}

/// The addresses of a name, each once.
pub(super) async fn ask(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = timeout(PATIENCE, lookup_host((name, 0))).await;
    let found = found.map_err(|_late| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for at in found {
        if !addresses.contains(&at.ip()) {
            addresses.push(at.ip());
        }
    }
    Ok(addresses)
}
