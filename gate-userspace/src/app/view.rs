//! How the rings stand, for the admin API: asks the kernel agent and the proxy, changes nothing
//! but what root asks of the packet ring itself.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use gate_common::reason::Reason;

use super::{
    bind, explain,
    protect::{Policy, Protected},
    ring::Ring,
};
use crate::{
    admin::{
        Doorways, Inspect, PacketFacts,
        wire::{
            ConnectionRing, Explain, GuardView, InterfaceSet, InterfaceView, PacketRing,
            RequestRing, RingState, RingVerdict,
        },
    },
    control::Work,
    fault::Type,
    kernel::{self, Agent, InterfaceStatus, KernelError, State, Status},
    proxy::{
        Proxy,
        counters::{Count, Counters},
        listen::Bound,
    },
    settings::{ListenSources, Settings},
    telemetry::Chain,
};

pub(super) struct View {
    pub(super) ring: Arc<Ring>,
    pub(super) proxy: Arc<Proxy>,
    /// As bound.
    listen: Vec<String>,
    doors: Vec<(SocketAddr, ListenSources)>,
    has_upstream: bool,
}

impl Inspect for View {
    fn packet_ring(&self) -> Work<'_, PacketFacts> {
        Box::pin(async move {
            let Some(agent) = self.ring.agent() else {
                return absent(&self.ring);
            };
            match agent.status().await {
                Ok(status) => facts(status, self.ring.protected()),
                Err(error) => broken(&error, self.ring.protected()),
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
        if self.has_upstream {
            return RequestRing {
                state: RingState::Up,
                reason: String::new(),
            };
        }
        RequestRing {
            state: RingState::Degraded,
            reason: "no upstream: every authorised call is answered 503; give `--upstream URL`"
                .into(),
        }
    }

    fn live_streams(&self) -> usize {
        self.proxy.live.streams()
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn ready(&self) -> Result<(), String> {
        if self.proxy.is_draining() {
            Err("draining".to_owned())
        } else {
            Ok(())
        }
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
                "xdp" => kernel::Hook::Xdp,
                "generic" => kernel::Hook::Generic,
                other => return Err(format!("`{other}` is not tcx, xdp or generic")),
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

    fn metrics(&self) -> String {
        metrics(self.proxy.counters())
    }
}

impl View {
    pub(super) fn new(
        settings: &Settings,
        bound: &[Bound],
        ring: Arc<Ring>,
        proxy: Arc<Proxy>,
    ) -> Self {
        let door = |bound: &Bound| Some((bind::tcp(bound)?, bound.listen.sources));
        Self {
            ring,
            proxy,
            listen: bound.iter().map(bind::address).collect(),
            doors: bound.iter().filter_map(door).collect(),
            has_upstream: !settings.upstreams.is_empty(),
        }
    }

    /// Where sandboxes find the gate.
    pub(super) fn doorways(&self, settings: &Settings) -> Doorways {
        let mut prefixes = settings.routes.iter().map(|route| &route.prefix);
        let prefix = prefixes.find(|prefix| prefix.ends_with("/{rollout}"));
        Doorways {
            listen: self.doors.iter().map(|(at, _)| *at).collect(),
            prefix: prefix.cloned().unwrap_or_default(),
        }
    }

    /// The first port that the gate serves.
    pub(super) fn port(&self) -> Option<u16> {
        self.doors.first().map(|(at, _)| at.port())
    }

    /// Whom the listener at this port admits.
    pub(super) fn sources(&self, port: u16) -> Option<ListenSources> {
        self.doors
            .iter()
            .find(|(at, _)| at.port() == port)
            .map(|(_, sources)| *sources)
    }

    pub(super) fn standing(&self) -> Result<&Agent, String> {
        self.ring
            .agent()
            .ok_or_else(|| format!("there is no packet ring: {}", self.ring.reason()))
    }
}

fn facts(status: Status, protected: &[Protected]) -> PacketFacts {
    let uncovered = status.interfaces.iter().any(|interface| !interface.covered);
    let state = match status.state {
        State::Guarding if !uncovered => RingState::Up,
        State::Guarding | State::Degraded => RingState::Degraded,
    };
    PacketFacts {
        ring: PacketRing {
            state,
            interfaces: status.interfaces.iter().map(interface).collect(),
            guards: protected.iter().map(guard).collect(),
            entries: status.tables.iter().map(|table| table.entries).sum(),
            capacity: status
                .tables
                .iter()
                .map(|table| table.room)
                .max()
                .unwrap_or(0),
            reason: status.reason.unwrap_or_default(),
        },
        drift: status.drift as u64,
        drops: drops(status.counters),
        warnings: status.warnings,
    }
}

/// Only refusals: what passed is not a drop.
fn drops(counters: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let refused = |name: &str| Reason::ALL.iter().any(|r| r.name() == name && !r.passes());
    counters
        .into_iter()
        .filter(|(name, count)| *count > 0 && refused(name))
        .collect()
}

fn absent(ring: &Ring) -> PacketFacts {
    let needed = !ring.protected().is_empty();
    let warnings = if needed {
        vec![format!(
            "no packet ring ({}): strangers reach the sockets and are refused there",
            ring.reason()
        )]
    } else {
        Vec::new()
    };
    PacketFacts {
        ring: PacketRing {
            state: if needed {
                RingState::Degraded
            } else {
                RingState::Off
            },
            interfaces: Vec::new(),
            guards: ring.protected().iter().map(guard).collect(),
            entries: 0,
            capacity: 0,
            reason: ring.reason().to_owned(),
        },
        drift: 0,
        drops: BTreeMap::new(),
        warnings,
    }
}

fn broken(error: &KernelError, protected: &[Protected]) -> PacketFacts {
    PacketFacts {
        ring: PacketRing {
            state: RingState::Degraded,
            interfaces: Vec::new(),
            guards: protected.iter().map(guard).collect(),
            entries: 0,
            capacity: 0,
            reason: told(error),
        },
        drift: 0,
        drops: BTreeMap::new(),
        warnings: vec!["the kernel agent does not answer; what it pinned still stands".to_owned()],
    }
}

pub(super) fn interface(status: &InterfaceStatus) -> InterfaceView {
    InterfaceView {
        name: status.name.clone(),
        hook: status.hook.map_or("", hook).to_owned(),
        mode: status.mode.clone().unwrap_or_default(),
        covered: status.covered,
        reason: status.reason.clone(),
    }
}

fn hook(hook: kernel::Hook) -> &'static str {
    match hook {
        kernel::Hook::Tcx => "tcx",
        kernel::Hook::Xdp => "xdp",
        kernel::Hook::Generic => "generic",
    }
}

/// Prometheus text format.
fn metrics(counters: &Counters) -> String {
    let mut text = String::from("# TYPE gate_refusals_total counter\n");
    for kind in Type::ALL {
        let count = counters.answered(kind);
        let line = format!(
            "gate_refusals_total{{type=\"{}\"}} {count}\n",
            kind.as_str()
        );
        text.push_str(&line);
    }
    text.push_str("# TYPE gate_proxy_total counter\n");
    for what in Count::ALL {
        let count = counters.count(what);
        text.push_str(&format!(
            "gate_proxy_total{{what=\"{}\"}} {count}\n",
            what.as_str()
        ));
    }
    text
}

fn guard(protected: &Protected) -> GuardView {
    GuardView {
        port: protected.port,
        address: protected
            .address
            .map_or_else(|| "any".to_owned(), |address| address.to_string()),
        policy: match protected.policy {
            Policy::Gate => "own",
            Policy::Listed => "listed",
            Policy::Shut => "none",
        }
        .to_owned(),
    }
}

pub(super) fn told(error: &KernelError) -> String {
    Chain(error).to_string()
}
