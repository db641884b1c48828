//! How the rings stand, for the admin API: asks the kernel agent and the proxy, changes nothing
//! but what root asks of the packet ring itself.

use std::{path::PathBuf, sync::Arc};

use super::{
    bind, explain,
    facts::{absent, broken, bypasses, facts, interface, mistake, told, upstream},
    master, numbers,
    ring::Ring,
};
use crate::{
    admin::{
        Doorway, Doorways, Inspect, PacketFacts,
        exposition::Exposition,
        wire::{
            ConnectionRing, Explain, InterfaceSet, InterfaceView, RequestRing, RingState,
            RingVerdict, Spread,
        },
    },
    control::Work,
    kernel::{self, Agent},
    proxy::{Proxy, listen::Bound, timing::Timing},
    secret::{KeyId, Keyring},
    settings::{ListenSources, Mode, Settings},
    telemetry::Chain,
};

/// More of them in one answer would hide the rest of it.
const MISTAKES: usize = 10;

pub(super) struct View {
    pub(super) ring: Arc<Ring>,
    pub(super) proxy: Arc<Proxy>,
    /// As bound.
    listen: Vec<String>,
    doors: Vec<(Doorway, ListenSources)>,
    /// Which master keys are held, and the file that they came from.
    keys: Option<(Arc<Keyring>, PathBuf)>,
}

impl Inspect for View {
    fn packet_ring(&self) -> Work<'_, PacketFacts> {
        Box::pin(async move {
            let Some(agent) = self.ring.agent() else {
                return absent(&self.ring);
            };
            match agent.status().await {
                Ok(status) => facts(status, &self.ring.protected()),
                Err(error) => broken(&error, &self.ring.protected()),
            }
        })
    }

    fn connection_ring(&self) -> ConnectionRing {
        ConnectionRing {
            state: RingState::Up,
            listen: self.listen.clone(),
            connections: self.proxy.live.connections(),
            reason: String::new(),
        }
    }

    fn request_ring(&self) -> RequestRing {
        let upstreams = self.proxy.upstreams();
        let (state, reason) = if upstreams.is_empty() {
            let reason =
                "no upstream: every authorised call is answered 503; give `--upstream URL`";
            (RingState::Degraded, reason)
        } else {
            (RingState::Up, "")
        };
        let protected = self.ring.protected();
        let is_standing = self.ring.agent().is_some();
        let view = |found| upstream(found, &protected, is_standing);
        RequestRing {
            state,
            reason: reason.to_owned(),
            upstreams: upstreams.into_iter().map(view).collect(),
            overhead: Spread::of(&self.proxy.counters().timing(Timing::Overhead)),
        }
    }

    fn live_streams(&self) -> usize {
        self.proxy.live.streams()
    }

    fn warnings(&self) -> Vec<String> {
        let upstreams = self.proxy.upstreams();
        let mistakes = self.proxy.mistakes();
        let mistakes = mistakes.iter().take(MISTAKES).map(mistake);
        upstreams
            .iter()
            .flat_map(bypasses)
            .chain(mistakes)
            .collect()
    }

    fn ready(&self) -> Result<(), String> {
        if self.proxy.grants.mode() == Mode::Closed {
            return Err("closed by panic".to_owned());
        }
        if self.proxy.is_draining() {
            Err("draining".to_owned())
        } else {
            Ok(())
        }
    }

    fn add_master_key(&self) -> Result<KeyId, String> {
        let Some((keyring, file)) = &self.keys else {
            return Err("the master key was given by value, not from a file".to_owned());
        };
        let key = master::add(file).map_err(|error| Chain(&error).to_string())?;
        let id = key.id();
        keyring.learn([key]);
        Ok(id)
    }

    fn explain(&self, question: Explain) -> Work<'_, Result<Vec<RingVerdict>, String>> {
        Box::pin(explain::rings(self, question))
    }

    fn verify(&self) -> Work<'_, Result<u64, String>> {
        Box::pin(async move {
            let Some(agent) = self.ring.agent() else {
                return Ok(0);
            };
            let audit = agent.verify().await.map_err(|error| told(&error))?;
            Ok(audit.total() as u64)
        })
    }

    fn set_interface(&self, wanted: InterfaceSet) -> Work<'_, Result<InterfaceView, String>> {
        Box::pin(async move {
            let agent = self.standing()?;
            let hook = match wanted.hook.as_str() {
                "tcx" => kernel::Hook::Tcx,
                "clsact" => kernel::Hook::Clsact,
                "xdp" => kernel::Hook::Xdp,
                "generic" => kernel::Hook::Generic,
                other => return Err(format!("`{other}` is not tcx, clsact, xdp or generic")),
            };
            let rule = kernel::InterfaceRule {
                pattern: wanted.name.clone(),
                hook: Some(hook),
            };
            agent
                .interfaces(self.ring.prefer(rule))
                .await
                .map_err(|error| told(&error))?;
            let status = agent.status().await.map_err(|error| told(&error))?;
            let found = status.interfaces.iter().find(|i| i.name == wanted.name);
            found
                .map(interface)
                .ok_or_else(|| format!("there is no interface `{}`", wanted.name))
        })
    }

    fn unload(&self) -> Work<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let Some(agent) = self.ring.agent() else {
                return Ok(Vec::new());
            };
            let before = agent.status().await.map_err(|error| told(&error))?;
            agent.unload().await.map_err(|error| told(&error))?;
            let interfaces = before.interfaces.into_iter().filter(|i| i.covered);
            Ok(interfaces
                .map(|i| i.name)
                .chain(["sk_lookup".to_owned()])
                .collect())
        })
    }

    fn metrics(&self, out: &mut Exposition) {
        numbers::put(out, self.proxy.counters());
    }
}

impl View {
    pub(super) fn new(bound: &[Bound], ring: Arc<Ring>, proxy: Arc<Proxy>) -> Self {
        let door = |bound: &Bound| {
            let doorway = Doorway {
                at: bind::tcp(bound)?,
                is_tls: bound.listen.tls.is_some(),
            };
            Some((doorway, bound.listen.sources))
        };
        Self {
            ring,
            proxy,
            listen: bound.iter().map(shown).collect(),
            doors: bound.iter().filter_map(door).collect(),
            keys: None,
        }
    }

    /// The master keys can be added to in this file.
    pub(super) fn with_keys(mut self, keyring: Arc<Keyring>, file: Option<PathBuf>) -> Self {
        self.keys = file.map(|file| (keyring, file));
        self
    }

    /// Where sandboxes find the gate.
    pub(super) fn doorways(&self, settings: &Settings) -> Doorways {
        let mut prefixes = settings.routes.iter().map(|route| &route.prefix);
        let prefix = prefixes.find(|prefix| prefix.ends_with("/{rollout}"));
        Doorways {
            listen: self.doors.iter().map(|(door, _)| *door).collect(),
            prefix: prefix.cloned().unwrap_or_default(),
        }
    }

    /// The first port that the gate serves.
    pub(super) fn port(&self) -> Option<u16> {
        self.doors.first().map(|(door, _)| door.at.port())
    }

    /// Whom the listener at this port admits.
    pub(super) fn sources(&self, port: u16) -> Option<ListenSources> {
        self.doors
            .iter()
            .find(|(door, _)| door.at.port() == port)
            .map(|(_, sources)| *sources)
    }

    pub(super) fn standing(&self) -> Result<&Agent, String> {
        self.ring
            .agent()
            .ok_or_else(|| format!("there is no packet ring: {}", self.ring.reason()))
    }
}

/// A listener in the words of `status`.
fn shown(bound: &Bound) -> String {
    let address = bind::address(bound);
    if bound.listen.tls.is_some() {
        format!("https://{address}")
    } else {
        address
    }
}
