//! The packet ring and the counters in the words of the admin API. Only translates.

use std::{collections::BTreeMap, net::IpAddr};

use gate_common::reason::Reason;

use super::{
    numbers,
    protect::{Policy, Protected, is_own},
    ring::Ring,
};
use crate::{
    admin::{
        PacketFacts,
        wire::{
            DeniedView, GuardView, InterfaceView, PacketRing, PresentedView, RingState,
            UpstreamView,
        },
    },
    kernel::{self, Denied, InterfaceStatus, KernelError, State, Status},
    proxy::{Leads, Mistake, Presents, counters::Count},
    telemetry::Chain,
};

pub(super) fn facts(status: Status, protected: &[Protected]) -> PacketFacts {
    let uncovered = status.interfaces.iter().any(|interface| !interface.covered);
    let state = match status.state {
        State::Guarding if !uncovered => RingState::Up,
        State::Guarding | State::Degraded => RingState::Degraded,
    };
    PacketFacts {
        counted: Some(numbers::counted(&status)),
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
            denied: status.denied.iter().map(denied).collect(),
            reason: status.reason.unwrap_or_default(),
        },
        drift: status.drift as u64,
        drops: drops(status.counters),
        homes: status.homes,
        warnings: status.warnings,
    }
}

fn denied(seen: &Denied) -> DeniedView {
    DeniedView {
        source: seen.source,
        interface: seen.interface.clone().unwrap_or_default(),
        reason: seen.reason.clone(),
        port: seen.port,
        // What it may have inherited is not its own.
        samples: seen.samples - seen.error,
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

pub(super) fn absent(ring: &Ring) -> PacketFacts {
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
            denied: Vec::new(),
            reason: ring.reason().to_owned(),
        },
        drift: 0,
        drops: BTreeMap::new(),
        homes: BTreeMap::new(),
        counted: None,
        warnings,
    }
}

pub(super) fn broken(error: &KernelError, protected: &[Protected]) -> PacketFacts {
    PacketFacts {
        ring: PacketRing {
            state: RingState::Degraded,
            interfaces: Vec::new(),
            guards: protected.iter().map(guard).collect(),
            entries: 0,
            capacity: 0,
            denied: Vec::new(),
            reason: told(error),
        },
        drift: 0,
        drops: BTreeMap::new(),
        homes: BTreeMap::new(),
        counted: None,
        warnings: vec!["the kernel agent does not answer; what it pinned still stands".to_owned()],
    }
}

pub(super) fn interface(status: &InterfaceStatus) -> InterfaceView {
    InterfaceView {
        name: status.name.clone(),
        hook: status.hook.map_or("", hook).to_owned(),
        // The hook says it already where there is only one way to stand on it.
        mode: status
            .mode
            .clone()
            .filter(|mode| mode == "native" || mode == "generic")
            .unwrap_or_default(),
        covered: status.covered,
        reason: status.reason.clone(),
    }
}

fn hook(hook: kernel::Hook) -> &'static str {
    match hook {
        kernel::Hook::Tcx => "tcx",
        kernel::Hook::Clsact => "clsact",
        kernel::Hook::Xdp => "xdp",
        kernel::Hook::Generic => "generic",
    }
}

/// A common mistake, as the operator reads it at night.
pub(super) fn mistake(seen: &Mistake) -> String {
    let what = match seen.what {
        Count::Placeholder => "a placeholder key such as `intercepted` reached the gate",
        Count::ProviderKey => "a provider's key was sent to the gate",
        Count::Mistyped => "a mistyped or cut gate token was presented",
        Count::ForeignGate => "a token of another gate, or of an ended grant, was presented",
        Count::WrongSource => "a bound token was presented from elsewhere: somebody replays it",
        Count::WebPage => {
            "a web page came where an API answer was expected, as from a dead tunnel,"
        }
        Count::Accepted
        | Count::Unlisted
        | Count::Crowded
        | Count::Handshake
        | Count::Passed
        | Count::WouldRefuse
        | Count::Complete
        | Count::UpstreamFailed
        | Count::ClientGone
        | Count::Ended => seen.what.as_str(),
    };
    let times = if seen.count == 1 {
        "once".to_owned()
    } else {
        format!("{} times", seen.count)
    };
    format!("{what} {times} from {}", seen.source)
}

/// Where calls go, and what keeps others from going there past the gate.
pub(super) fn upstream(found: Leads, protected: &[Protected], is_standing: bool) -> UpstreamView {
    let is_here = found.addresses.iter().any(|address| is_own(*address));
    let guarded = |port| {
        let mut shut = protected.iter().filter(|one| one.policy != Policy::Gate);
        shut.any(|one| one.port == port)
    };
    let guard = match found.port {
        None => "nothing to guard: a Unix socket".to_owned(),
        Some(_) if found.addresses.is_empty() => "nothing to guard: no address".to_owned(),
        Some(_) if !is_here => "nothing to guard: not on this host".to_owned(),
        Some(port) if !guarded(port) => format!("OFF: port {port} is not guarded"),
        Some(port) if !is_standing => format!("NO PACKET RING: port {port} is not guarded"),
        Some(port) => format!("port {port} is guarded"),
    };
    UpstreamView {
        name: found.name.to_string(),
        url: found.url,
        addresses: found.addresses.iter().map(ToString::to_string).collect(),
        port: found.port,
        key: Some(match found.presents {
            Presents::Own => PresentedView::Own,
            Presents::Refusal => PresentedView::Missing,
            Presents::NotNeeded => PresentedView::NotNeeded,
            Presents::Callers => PresentedView::Callers,
            Presents::Nothing => PresentedView::Nothing,
        }),
        guard,
    }
}

/// Ways to an upstream that do not pass this host's stack.
pub(super) fn bypasses(found: &Leads) -> Vec<String> {
    let elsewhere = found.addresses.iter().filter(|address| !is_own(**address));
    let told = |address: &IpAddr| {
        let bypass = kernel::bypass(*address)?;
        Some(format!(
            "bypass: upstream `{}` at {address} is on bridge {} with {} more; they reach it without \
             the gate (give it a secret, a Unix socket, or a network of its own)",
            found.name, bypass.bridge, bypass.others
        ))
    };
    elsewhere.filter_map(told).collect()
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
