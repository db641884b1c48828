//! What a gate does now and then without being asked: hold new master keys, forget what is old, and
//! write down what was refused.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::interval;
use tracing::{info, warn};

use super::master;
use crate::{
    admin::Api,
    control::Control,
    drain::Tasks,
    fault::Type,
    proxy::{Proxy, counters::Count},
    secret::Keyring,
    telemetry::Chain,
    watched::Watched,
};

/// How often the key file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How often refusals are written down.
const REFUSALS: Duration = Duration::from_mins(10);

/// How often what is too old is forgotten.
const SELDOM: Duration = Duration::from_hours(1);

/// Holds what is added to the key file, so that a fleet can be given a newer master key while it
/// serves.
pub(super) fn hold_keys(tasks: &Tasks, keyring: Arc<Keyring>, mut file: Watched) {
    let stop = tasks.last_word();
    tasks.spawn("master keys", async move {
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if !file.has_changed() {
                continue;
            }
            match master::read(file.path()) {
                Ok(keys) => {
                    keyring.learn(keys);
                    info!(path = %file.path().display(), keys = keyring.known().len(), "holds master keys");
                }
                Err(why) => warn!(error = %Chain(&why), "the master keys stay as they are"),
            }
        }
    });
}

/// Refusals are many, and a line for each would be a way to fill a disk: they are written down by
/// their class, all that came since the last time, where there were any.
pub(super) fn write_refusals(tasks: &Tasks, api: Api, proxy: Arc<Proxy>) {
    let stop = tasks.last_word();
    tasks.spawn("refusals", async move {
        let mut look = interval(REFUSALS);
        let mut told = Refusals::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if !api.control.may_write() {
                return;
            }
            let packets = api.inspect.packet_ring().await.drops;
            let now = refusals(&proxy, packets);
            match api.control.note_refusals(since(&told, &now)).await {
                Ok(()) => told = now,
                // Told together with those that come, next time.
                Err(why) => warn!(error = %Chain(&why), "refusals are not in the audit trail yet"),
            }
        }
    });
}

/// How often, by class.
type Refusals = BTreeMap<String, u64>;

/// Of all rings: answers by their type, connections by what was wrong with them, packets by reason.
fn refusals(proxy: &Proxy, packets: Refusals) -> Refusals {
    let counters = proxy.counters();
    let answered = Type::ALL
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), counters.answered(kind)));
    let unlisted = [Count::Unlisted, Count::Crowded, Count::Handshake];
    let turned_away = unlisted.map(|what| (what.as_str().to_owned(), counters.count(what)));
    let packets = packets
        .into_iter()
        .map(|(reason, count)| (format!("packet_{reason}"), count));
    answered.chain(turned_away).chain(packets).collect()
}

/// What was added. A counter of the kernel begins anew when its table does.
fn since(told: &Refusals, now: &Refusals) -> Refusals {
    let more = now.iter().map(|(class, count)| {
        let before = told.get(class).copied().filter(|before| before <= count);
        (class.clone(), count - before.unwrap_or(0))
    });
    more.filter(|(_, more)| *more > 0).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_told_also_when_a_counter_began_anew() {
        let counts = |pairs: &[(&str, u64)]| -> Refusals {
            let pairs = pairs
                .iter()
                .map(|(class, count)| ((*class).to_owned(), *count));
            pairs.collect()
        };
        let told = counts(&[
            ("UNAUTHORIZED", 3),
            ("packet_stranger", 100),
            ("FORBIDDEN", 1),
        ]);
        let now = counts(&[
            ("UNAUTHORIZED", 5),
            ("packet_stranger", 7),
            ("FORBIDDEN", 1),
            ("packet_fragment", 2),
        ]);
        let more = [
            ("UNAUTHORIZED", 2),
            ("packet_fragment", 2),
            ("packet_stranger", 7),
        ];
        assert_eq!(since(&told, &now), counts(&more));
        assert_eq!(since(&now, &now), Refusals::new());
    }
}
