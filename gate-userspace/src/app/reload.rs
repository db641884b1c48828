//! Takes up what changed without a restart: routes, upstreams, guards, interfaces, certificates, and
//! where the names of upstreams lead.
//!
//! New ports are guarded before the first call can go there, and old ones released after the last
//! could. A configuration that cannot be read, or asks for what takes a restart, changes nothing;
//! neither does a name that leads to a port of this host which cannot be guarded.

mod moves;

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::interval,
};
use tracing::{error, info, warn};

use super::{
    certificates::Certificates,
    lookup,
    protect::{self, Protected},
    ring::Ring,
};
use crate::{
    config::{self, Flags, Shown},
    control::Control,
    drain::Tasks,
    names::Names,
    proxy::Proxy,
    settings::{KernelNeed, Settings},
    telemetry::Chain,
    watched::Watched,
};
use moves::Moves;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a reload works on.
pub(super) struct Reload {
    pub(super) control: Control,
    pub(super) flags: Flags,
    /// The file that was read at the start.
    pub(super) file: Option<Watched>,
    /// What was said at the start.
    pub(super) shown: Shown,
    pub(super) standing: Arc<Settings>,
    pub(super) names: Names,
    pub(super) ring: Arc<Ring>,
    pub(super) proxy: Arc<Proxy>,
}

pub(super) fn watch(tasks: &Tasks, mut reload: Reload) {
    let stop = tasks.last_word();
    let (asked, to_ask) = watch::channel(reload.asked());
    let (answer, mut answers) = mpsc::channel(1);
    lookup::watch(tasks, reload.proxy.names_wanted(), to_ask, answer);
    // Before the gate is ready: until somebody listens, the signal ends the process.
    let hangup = signal(SignalKind::hangup());
    tasks.spawn("reload", async move {
        let Ok(mut hangup) = hangup else {
            error!("SIGHUP cannot be heard: the configuration is not reloaded by it");
            return;
        };
        let mut file = reload.file.take();
        let mut look = interval(LOOK);
        let mut moves = Moves::default();
        let certificates = Certificates::of(&reload.standing);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(found) = answers.recv() => {
                    moves.take_up(&mut reload, found).await;
                    continue;
                }
                _ = hangup.recv() => certificates.read(),
                _ = look.tick() => {
                    certificates.look();
                    if !file.as_mut().is_some_and(Watched::has_changed) {
                        continue;
                    }
                }
            }
            reload.take_up().await;
            asked.send_replace(reload.asked());
        }
    });
}

impl Reload {
    async fn take_up(&mut self) {
        let (mut settings, shown) = match config::load(&self.flags) {
            Ok(config) => (config.settings, config.shown),
            Err(refused) => {
                let hint = refused.hint();
                error!(error = %Chain(&refused), hint, "reload refused: the old settings stay");
                return;
            }
        };
        let restarts = shown.restarts(&self.shown);
        if !restarts.is_empty() {
            let settings = restarts.join(" ");
            warn!(settings, "changed, and takes a restart: what stood stays");
        }
        settings.listen.clone_from(&self.standing.listen);
        settings
            .admin_remote
            .clone_from(&self.standing.admin_remote);
        let names = self.know(&settings).await;
        let wanted = protect::ports(&settings, &protect::is_own, &names);
        let done = match wanted {
            Ok(wanted) => self.exchange(&settings, &names, wanted).await,
            Err(error) => Err(Chain(&error).to_string()),
        };
        match done {
            Ok(()) => {
                self.standing = Arc::new(settings);
                self.names = names;
                info!("reloaded");
            }
            Err(error) => error!(error, "reload refused: the old settings stay"),
        }
    }

    /// What the names in these settings mean, as far as it is not known already.
    async fn know(&self, settings: &Settings) -> Names {
        let mut names = Names::ask(settings.hosts(), |name| self.names.of(name));
        let missing = names.names().filter(|name| names.of(name).is_empty());
        let missing: Vec<String> = missing.map(str::to_owned).collect();
        for name in missing {
            match lookup::ask(&name).await {
                Ok(addresses) => {
                    names.learn(&name, addresses);
                }
                Err(cause) => warn!(name, %cause, "the name of an upstream means nothing yet"),
            }
        }
        names
    }

    async fn exchange(
        &self,
        settings: &Settings,
        names: &Names,
        wanted: Vec<Protected>,
    ) -> Result<(), String> {
        let before = self.ring.protected();
        self.can_guard(settings, &before, &wanted)?;
        let both = union(&before, &wanted);
        self.ring.protect(both).await?;
        self.ring.choose(&settings.kernel.interfaces).await?;
        let names_of_upstreams = settings
            .upstreams
            .iter()
            .map(|upstream| upstream.name.clone());
        self.control.set_upstreams(names_of_upstreams.collect());
        self.proxy.reload(settings, names);
        self.ring.protect(wanted).await
    }

    /// Whether other ports can be guarded, where a start with them would insist on it.
    fn can_guard(
        &self,
        settings: &Settings,
        before: &[Protected],
        wanted: &[Protected],
    ) -> Result<(), String> {
        let must = match settings.kernel.need {
            KernelNeed::Auto | KernelNeed::Require => true,
            KernelNeed::Prefer | KernelNeed::Off => false,
        };
        if must && self.ring.agent().is_none() && before != wanted {
            let reason = self.ring.reason();
            return Err(format!(
                "other guarded ports take a restart: there is no packet ring ({reason})"
            ));
        }
        Ok(())
    }

    fn asked(&self) -> std::collections::BTreeSet<String> {
        self.names.names().map(str::to_owned).collect()
    }
}

/// Everything that is or will be guarded; where both name a port, the former policy stays until the last step.
fn union(before: &[Protected], wanted: &[Protected]) -> Vec<Protected> {
    let is_new = |new: &&Protected| !before.iter().any(|old| old.port == new.port);
    let new = wanted.iter().filter(is_new);
    before.iter().chain(new).cloned().collect()
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
