//! What a gate does now and then without being asked: hold new master keys, forget what is old.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::interval;
use tracing::{info, warn};

use super::master;
use crate::{control::Control, drain::Tasks, secret::Keyring, telemetry::Chain};

/// How often the key file is looked at.
const LOOK: Duration = Duration::from_secs(2);

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
