//! Takes up a changed configuration without a restart: routes, upstreams, guards, interfaces.
//!
//! New ports are guarded before the first call can go there, and old ones released after the last
//! could. A configuration that cannot be read, or asks for what takes a restart, changes nothing.

use std::{path::PathBuf, sync::Arc, time::Duration, time::SystemTime};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::interval,
};
use tracing::{error, info, warn};

use super::{
    protect::{self, Protected},
    ring::Ring,
};
use crate::{
    config::{self, Flags},
    control::Control,
    drain::Tasks,
    proxy::Proxy,
    settings::{Listen, Settings},
    telemetry::Chain,
};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a reload works on.
pub(super) struct Reload {
    pub(super) control: Control,
    pub(super) flags: Flags,
    pub(super) listen: Vec<Listen>,
    pub(super) ring: Arc<Ring>,
    pub(super) proxy: Arc<Proxy>,
}

pub(super) fn watch(tasks: &Tasks, reload: Reload) {
    let stop = tasks.last_word();
    tasks.spawn("reload", async move {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            error!("SIGHUP cannot be heard: the configuration is not reloaded by it");
            return;
        };
        let file = reload.flags.config.clone();
        let mut seen = modified(file.as_ref());
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => {}
                _ = look.tick() => {
                    let now = modified(file.as_ref());
                    if now == seen || now.is_none() {
                        continue;
                    }
                    seen = now;
                }
            }
            reload.take_up().await;
        }
    });
}

impl Reload {
    async fn take_up(&self) {
        let mut settings = match config::load(&self.flags) {
            Ok(config) => config.settings,
            Err(refused) => {
                let hint = refused.hint();
                error!(error = %Chain(&refused), hint, "reload refused: the old settings stay");
                return;
            }
        };
        if addresses(&settings.listen) != addresses(&self.listen) {
            warn!("other listen addresses take a restart: the old ones stay");
        }
        settings.listen.clone_from(&self.listen);
        let wanted = protect::ports(&settings, &protect::is_own, &config::resolve);
        let done = match wanted {
            Ok(wanted) => self.exchange(&settings, wanted).await,
            Err(error) => Err(Chain(&error).to_string()),
        };
        match done {
            Ok(()) => info!("reloaded"),
            Err(error) => error!(error, "reload refused: the old settings stay"),
        }
    }

    async fn exchange(&self, settings: &Settings, wanted: Vec<Protected>) -> Result<(), String> {
        let before = self.ring.protected();
        if self.ring.agent().is_none() && *before != wanted {
            return Err("other guarded ports take a restart: there is no packet ring".to_owned());
        }
        let both = union(&before, &wanted);
        self.ring.protect(both).await?;
        self.ring.choose(&settings.kernel.interfaces).await?;
        let names = settings
            .upstreams
            .iter()
            .map(|upstream| upstream.name.clone());
        self.control.set_upstreams(names.collect());
        self.proxy.reload(settings);
        self.ring.protect(wanted).await
    }
}

/// Everything that is or will be guarded; where both name a port, the former policy stays until the last step.
fn union(before: &[Protected], wanted: &[Protected]) -> Vec<Protected> {
    let is_new = |new: &&Protected| !before.iter().any(|old| old.port == new.port);
    let new = wanted.iter().filter(is_new);
    before.iter().chain(new).cloned().collect()
}

fn addresses(listen: &[Listen]) -> Vec<String> {
    listen.iter().map(|listen| listen.at.to_string()).collect()
}

fn modified(file: Option<&PathBuf>) -> Option<SystemTime> {
    std::fs::metadata(file?).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::super::protect::Policy;
    use super::*;

    /// Acceptance 165, the order: the new port is there before the old one goes.
    #[test]
    fn both_ports_are_guarded_in_between() {
        let port = |port| Protected {
            port,
            address: None,
            policy: Policy::Shut,
            why: String::new(),
        };
        let ports: Vec<u16> = union(&[port(1), port(2)], &[port(2), port(3)])
            .iter()
            .map(|protected| protected.port)
            .collect();
        assert_eq!(ports, [1, 2, 3]);
    }
}
