//! What a gate does now and then without being asked: hold new master keys, forget what is old, and
//! write down what was refused.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::interval;
use tracing::{info, warn};

use super::master;
use crate::{
    control::Control,
    drain::Tasks,
    fault::Type,
    proxy::{Proxy, counters::Count},
    secret::Keyring,
    telemetry::Chain,
};

/// How often the key file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How often refusals are written down.
const REFUSALS: Duration = Duration::from_mins(10);

/// How often what is too old is forgotten.
const SELDOM: Duration = Duration::from_hours(1);

/// Holds what is added to the key file, so that a fleet can be given a newer master key while it
/// serves.
pub(super) fn hold_keys(tasks: &Tasks, keyring: Arc<Keyring>, file: PathBuf) {
    let stop = tasks.last_word();
    tasks.spawn("master keys", async move {
        let modified = || std::fs::metadata(&file).and_then(|data| data.modified()).ok();
        let mut seen = modified();
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            let now = modified();
            if now == seen || now.is_none() {
                continue;
            }
            seen = now;
            match master::read(&file) {
                Ok(keys) => {
                    keyring.learn(keys);
                    info!(path = %file.display(), keys = keyring.known().len(), "holds master keys");
                }
                Err(why) => warn!(error = %Chain(&why), "the master keys stay as they are"),
            }
        }
    });
}

/// Refusals are many and a trail of each would be a way to fill a disk: they are written down by
/// their class, all that came since the last time, where there were any.
pub(super) fn write_refusals(tasks: &Tasks, control: Control, proxy: Arc<Proxy>) {
    let stop = tasks.last_word();
    tasks.spawn("refusals", async move {
        let mut look = interval(REFUSALS);
        let mut told = BTreeMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if !control.may_write() {
                return;
            }
            let now = refusals(&proxy);
            let since = now.iter().filter_map(|(class, count)| {
                let more = count - told.get(class).copied().unwrap_or(0);
                (more > 0).then_some((*class, more))
            });
            match control.note_refusals(since.collect()).await {
                Ok(()) => told = now,
                // Told together with those that come, next time.
                Err(why) => warn!(error = %Chain(&why), "refusals are not in the audit trail yet"),
            }
        }
    });
}

fn refusals(proxy: &Proxy) -> BTreeMap<&'static str, u64> {
    let counters = proxy.counters();
    let answered = Type::ALL
        .into_iter()
        .map(|kind| (kind.as_str(), counters.answered(kind)));
    let unlisted = [Count::Unlisted, Count::Crowded, Count::Handshake];
    let turned_away = unlisted.map(|what| (what.as_str(), counters.count(what)));
    answered.chain(turned_away).collect()
}

/// Audit lines, and what ended, live as long as the settings say. Of a fleet every host that may
/// write does this; doing it twice is doing it once.
pub(super) fn forget(tasks: &Tasks, control: Control, retention: Duration) {
    let stop = tasks.last_word();
    tasks.spawn("retention", async move {
        let mut look = interval(SELDOM);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if !control.may_write() {
                continue;
            }
            let before = control.clock().now().before(retention);
            if let Err(why) = control.forget(before).await {
                warn!(error = %Chain(&why), "what is older than the retention is still there");
            }
        }
    });
}
