//! The packet ring as `control` sees it: standing, or absent with the reason.
//!
//! Only translates. An absent ring takes every change and holds nothing; `status` says why.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use ipnet::IpNet;

use super::protect::{Policy, Protected};
use crate::{
    control::{Applied, Gone, PacketRing, RingError, Work},
    grants::{Delta, Opened, SourceKey},
    ident::Revision,
    kernel::{self, Agent, KernelError},
    settings::{Hook, Interfaces, Kernel, Mode, NamedInterface},
    telemetry::Chain,
};

/// The packet ring of this start.
#[derive(Debug)]
pub struct Ring {
    state: State,
    /// As they are now; a reload changes them.
    protected: ArcSwap<Vec<Protected>>,
    /// In force: the first rule that fits an interface decides.
    rules: Mutex<Vec<kernel::InterfaceRule>>,
}

#[derive(Debug)]
enum State {
    Standing(Agent),
    Absent { reason: String },
}

impl Ring {
    pub(super) fn start(
        kernel: &Kernel,
        mode: Mode,
        protected: Vec<Protected>,
    ) -> Result<Self, KernelError> {
        let agent = Agent::start(setup(kernel, mode, &protected))?;
        let rules = Mutex::new(rules(&kernel.interfaces));
        Ok(Self {
            state: State::Standing(agent),
            protected: ArcSwap::from_pointee(protected),
            rules,
        })
    }

    pub(super) fn absent(reason: String, protected: Vec<Protected>) -> Self {
        Self {
            state: State::Absent { reason },
            protected: ArcSwap::from_pointee(protected),
            rules: Mutex::default(),
        }
    }

    pub fn agent(&self) -> Option<&Agent> {
        match &self.state {
            State::Standing(agent) => Some(agent),
            State::Absent { .. } => None,
        }
    }

    /// Why there is none; empty when it stands.
    pub fn reason(&self) -> &str {
        match &self.state {
            State::Standing(_) => "",
            State::Absent { reason } => reason,
        }
    }

    pub fn protected(&self) -> Arc<Vec<Protected>> {
        self.protected.load_full()
    }

    /// Protects exactly these ports from now on.
    pub(super) async fn protect(&self, ports: Vec<Protected>) -> Result<(), String> {
        if let Some(agent) = self.agent() {
            let done = agent.ports(ports.iter().map(guarded).collect()).await;
            done.map_err(|error| Chain(&error).to_string())?;
        }
        self.protected.store(Arc::new(ports));
        Ok(())
    }

    /// Stands on these interfaces from now on, unless it does already.
    pub(super) async fn choose(&self, interfaces: &Interfaces) -> Result<(), String> {
        let (Some(agent), wanted) = (self.agent(), rules(interfaces)) else {
            return Ok(());
        };
        let changed = {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = *rules != wanted;
            rules.clone_from(&wanted);
            changed
        };
        if !changed {
            return Ok(());
        }
        let wanted = match interfaces {
            Interfaces::Auto => kernel::Interfaces::Auto,
            Interfaces::None => kernel::Interfaces::None,
            Interfaces::Named(_) => kernel::Interfaces::List(wanted),
        };
        let done = agent.interfaces(wanted).await;
        done.map_err(|error| Chain(&error).to_string())
    }

    /// The choice of interfaces with this rule before all others.
    pub(super) fn prefer(&self, rule: kernel::InterfaceRule) -> kernel::Interfaces {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|other| other.pattern != rule.pattern);
        rules.insert(0, rule);
        kernel::Interfaces::List(rules.clone())
    }

    fn ports(&self) -> Vec<u16> {
        self.protected
            .load()
            .iter()
            .map(|protected| protected.port)
            .collect()
    }
}

impl PacketRing for Ring {
    fn apply(
        &self,
        revision: Revision,
        deltas: Vec<Delta>,
    ) -> Work<'_, Result<Applied, RingError>> {
        Box::pin(async move {
            let Some(agent) = self.agent() else {
                return Ok(Applied::default());
            };
            let ops = deltas.into_iter().map(op).collect();
            let applied = agent
                .apply(kernel::Batch {
                    revision: revision.0,
                    ops,
                })
                .await;
            applied.map(counts).map_err(|error| failed(&error))
        })
    }

    fn sync(
        &self,
        revision: Revision,
        openings: BTreeMap<SourceKey, Opened>,
    ) -> Work<'_, Result<Applied, RingError>> {
        Box::pin(async move {
            let Some(agent) = self.agent() else {
                return Ok(Applied::default());
            };
            let openings = openings
                .into_iter()
                .map(|(k, o)| (key(k), opening(&o)))
                .collect();
            let applied = agent
                .sync(kernel::Want {
                    revision: revision.0,
                    openings,
                })
                .await;
            applied.map(counts).map_err(|error| failed(&error))
        })
    }

    fn destroy(&self, gone: Vec<Gone>) -> Work<'_, Result<usize, RingError>> {
        Box::pin(async move {
            let Some(agent) = self.agent() else {
                return Ok(0);
            };
            let nets = gone.iter().flat_map(|gone| minus(gone.key.net, &gone.keep));
            let flows = nets.map(|remote| kernel::Flow {
                remote,
                local_ports: self.ports(),
            });
            agent
                .destroy(flows.collect())
                .await
                .map_err(|error| failed(&error))
        })
    }

    fn set_mode(&self, mode: Mode) -> Work<'_, Result<(), RingError>> {
        Box::pin(async move {
            let Some(agent) = self.agent() else {
                return Ok(());
            };
            agent
                .mode(kernel_mode(mode))
                .await
                .map_err(|error| failed(&error))
        })
    }
}

/// Whether a former start left links in the kernel.
pub(super) fn is_pinned(pin_dir: &Path) -> bool {
    let layouts = std::fs::read_dir(pin_dir).into_iter().flatten().flatten();
    let mut links = layouts.map(|layout| layout.path().join("links"));
    links.any(|links| std::fs::read_dir(links).is_ok_and(|mut found| found.next().is_some()))
}

fn setup(kernel: &Kernel, mode: Mode, protected: &[Protected]) -> kernel::Setup {
    let (rate, burst) = kernel.syn_budget;
    let interfaces = match &kernel.interfaces {
        Interfaces::Auto => kernel::Interfaces::Auto,
        Interfaces::None => kernel::Interfaces::None,
        Interfaces::Named(_) => kernel::Interfaces::List(rules(&kernel.interfaces)),
    };
    kernel::Setup {
        pin_dir: kernel.pin_dir.clone(),
        mode: kernel_mode(mode),
        ports: protected.iter().map(guarded).collect(),
        interfaces,
        syn_budget: kernel::SynBudget { rate, burst },
        event_budget: kernel.event_budget,
    }
}

fn rules(interfaces: &Interfaces) -> Vec<kernel::InterfaceRule> {
    match interfaces {
        Interfaces::Auto => vec![kernel::InterfaceRule {
            pattern: "*".to_owned(),
            hook: None,
        }],
        Interfaces::None => Vec::new(),
        Interfaces::Named(named) => {
            let rule = |named: &NamedInterface| kernel::InterfaceRule {
                pattern: named.pattern.clone(),
                hook: named.hook.map(hook),
            };
            named.iter().map(rule).collect()
        }
    }
}

fn guarded(protected: &Protected) -> kernel::GuardedPort {
    let policy = match protected.policy {
        Policy::Gate => kernel::Policy::Gate,
        Policy::Listed => kernel::Policy::Listed,
        Policy::Shut => kernel::Policy::Shut,
    };
    kernel::GuardedPort {
        port: protected.port,
        address: protected.address,
        policy,
    }
}

fn kernel_mode(mode: Mode) -> kernel::Mode {
    match mode {
        Mode::Enforce => kernel::Mode::Enforce,
        Mode::Audit => kernel::Mode::Audit,
        Mode::Closed => kernel::Mode::Closed,
    }
}

fn hook(hook: Hook) -> kernel::Hook {
    match hook {
        Hook::Tcx => kernel::Hook::Tcx,
        Hook::Clsact => kernel::Hook::Clsact,
        Hook::Xdp => kernel::Hook::Xdp,
        Hook::Generic => kernel::Hook::Generic,
    }
}

fn op(delta: Delta) -> kernel::Op {
    match delta {
        Delta::Shut(source) => kernel::Op::Shut(key(source)),
        Delta::Open(source, opened) => kernel::Op::Open(key(source), opening(&opened)),
    }
}

fn key(key: SourceKey) -> kernel::SourceKey {
    kernel::SourceKey {
        net: key.net,
        interface: key.interface.map(String::from),
    }
}

fn opening(opened: &Opened) -> kernel::Opening {
    kernel::Opening {
        client: opened.client.0.get(),
        until: opened.until.map(|until| until.0),
        gate: true,
        guarded_ports: opened.ports.iter().copied().collect(),
    }
}

fn counts(applied: kernel::Applied) -> Applied {
    Applied {
        removed: applied.removed,
        written: applied.written,
    }
}

fn failed(error: &KernelError) -> RingError {
    if let KernelError::Full { table, .. } = error {
        let found = gate_common::layout::TABLES
            .iter()
            .find(|known| known.name == *table);
        return RingError::Full {
            capacity: found.map_or(0, |table| table.entries),
        };
    }
    RingError::Failed(Chain(error).to_string())
}

/// The networks that cover `net` without any of `keep`.
fn minus(net: IpNet, keep: &[IpNet]) -> Vec<IpNet> {
    if keep.iter().any(|kept| kept.contains(&net)) {
        return Vec::new();
    }
    if !keep.iter().any(|kept| net.contains(kept)) {
        return vec![net];
    }
    let halves = net.subnets(net.prefix_len() + 1);
    halves.map_or_else(
        |_| Vec::new(),
        |halves| halves.flat_map(|h| minus(h, keep)).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_cut_out_and_nothing_else() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let rest = minus(net("10.0.0.0/30"), &[net("10.0.0.1/32")]);
        assert_eq!(rest, [net("10.0.0.0/32"), net("10.0.0.2/31")]);
        assert_eq!(minus(net("10.0.0.0/24"), &[net("10.0.0.0/8")]), []);
        assert_eq!(
            minus(net("10.0.0.0/24"), &[net("10.0.1.0/24")]),
            [net("10.0.0.0/24")]
        );
    }
}
