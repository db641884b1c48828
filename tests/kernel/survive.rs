//! What outlives the daemon, and what changes around it: leases, guards, tampering, other layouts.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gate_common::entry::{BindKey, Entry, GROUP_MAX};
use gate_userspace::kernel::{
    Agent, Batch, GuardedPort, KernelError, Op, Opening, Policy, Probe, SynBudget, Want, unload,
};

use crate::lab::{GATE, GUARDED, OTHER, key, lab, open, wait};
use crate::ring::{Outcome, connect, listen};

fn reason(agent: &Agent, from: &str, port: u16) -> String {
    let to = Some("10.0.1.1".parse().unwrap());
    let probe = Probe::Connect {
        from: from.parse().unwrap(),
        interface: None,
        to,
        port,
    };
    wait(agent.explain(probe)).unwrap().verdicts[0]
        .reason
        .clone()
}

fn in_milliseconds(from_now: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    i64::try_from(now).unwrap() + from_now
}

fn guard(port: u16, policy: Policy) -> GuardedPort {
    GuardedPort {
        port,
        address: None,
        policy,
    }
}

/// Acceptance 170.
#[test]
fn the_kernel_alone_ends_a_lease() {
    let Some(lab) = lab() else { return };
    let listeners = listen(&lab);
    let agent = lab.start();
    let leased = |from_now| Opening {
        until: Some(in_milliseconds(from_now)),
        ..open(7)
    };
    let ops = vec![
        Op::Open(key("10.0.1.2"), leased(4000)),
        Op::Open(key("10.0.2.2"), leased(3_600_000)),
        Op::Open(key("10.0.3.0/24"), leased(-1000)),
    ];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(reason(&agent, "10.0.3.7", GATE), "expired");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    wait(agent.stop()).unwrap();
    while connect(&lab.a, "10.0.1.1", GATE) == Outcome::Connected {
        // Else the queue of the listener fills and looks like a refusal.
        drop(listeners[0].accept().unwrap());
    }
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Connected);
}

/// Acceptance 164, 165.
#[test]
fn guarded_ports_change_at_run_time_and_old_entries_open_nothing_new() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let listed = Opening {
        guarded_ports: vec![GUARDED],
        ..open(7)
    };
    let ops = vec![
        Op::Open(key("10.0.1.2"), listed),
        Op::Open(key("10.0.2.2"), open(8)),
    ];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    wait(agent.ports(vec![
        guard(GATE, Policy::Gate),
        guard(GUARDED, Policy::Listed),
    ]))
    .unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GUARDED), Outcome::Connected);
    assert_eq!(connect(&lab.b, "10.0.2.1", GUARDED), Outcome::Silence);
    assert_eq!(reason(&agent, "10.0.2.2", GUARDED), "unlisted");
    wait(agent.ports(vec![
        guard(GATE, Policy::Gate),
        guard(OTHER, Policy::Listed),
    ]))
    .unwrap();
    assert_eq!(connect(&lab.b, "10.0.2.1", GUARDED), Outcome::Connected);
    assert_eq!(connect(&lab.a, "10.0.1.1", OTHER), Outcome::Silence);
    // The same across a restart with other guards, before any `sync`.
    wait(agent.stop()).unwrap();
    let mut setup = lab.setup();
    setup.ports = vec![guard(OTHER, Policy::Gate), guard(GATE, Policy::Listed)];
    let again = lab.try_start(setup).unwrap();
    assert_eq!(reason(&again, "10.0.1.2", OTHER), "unlisted");
    drop(again);
}

/// An entry that a former daemon left opens what it named, and no port that took its place since.
#[test]
fn a_pinned_entry_opens_no_port_that_came_after_it() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let listed = Opening {
        guarded_ports: vec![GUARDED],
        ..open(7)
    };
    wait(agent.ports(vec![
        guard(GATE, Policy::Gate),
        guard(GUARDED, Policy::Listed),
    ]))
    .unwrap();
    let ops = vec![Op::Open(key("10.0.1.2"), listed)];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(reason(&agent, "10.0.1.2", GUARDED), "allowed");
    wait(agent.stop()).unwrap();
    // Twice, without a word of who is wanted: the port of the entry's class is long forgotten.
    for port in [OTHER, OTHER + 1] {
        let mut setup = lab.setup();
        setup.ports = vec![guard(port, Policy::Listed)];
        let again = lab.try_start(setup).unwrap();
        assert_eq!(reason(&again, "10.0.1.2", port), "unlisted");
        wait(again.ports(vec![guard(port + 7, Policy::Gate)])).unwrap();
        assert_eq!(reason(&again, "10.0.1.2", port + 7), "unlisted");
        wait(again.stop()).unwrap();
    }
}

#[test]
fn a_guard_of_one_address_leaves_the_others_alone() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut setup = lab.setup();
    let address = Some("10.0.1.1".parse().unwrap());
    setup.ports = vec![GuardedPort {
        port: GUARDED,
        address,
        policy: Policy::Shut,
    }];
    let _agent = lab.try_start(setup).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GUARDED), Outcome::Silence);
    assert_eq!(connect(&lab.a, "10.0.2.1", GUARDED), Outcome::Connected);
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
}

#[test]
fn a_source_that_connects_too_often_waits() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut setup = lab.setup();
    setup.syn_budget = SynBudget { rate: 1, burst: 3 };
    let agent = lab.try_start(setup).unwrap();
    wait(agent.apply(Batch {
        revision: 1,
        ops: vec![Op::Open(key("10.0.1.2"), open(7))],
    }))
    .unwrap();
    let outcomes: Vec<_> = (0..5).map(|_| connect(&lab.a, "10.0.1.1", GATE)).collect();
    assert_eq!(
        outcomes[..3],
        [Outcome::Connected, Outcome::Connected, Outcome::Connected]
    );
    assert_eq!(outcomes[3], Outcome::Silence);
    assert!(wait(agent.status()).unwrap().counters["syn_budget"] > 0);
}

#[test]
fn a_refusal_is_an_event_with_its_headers() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let mut events = agent.events();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    let event = wait(events.recv()).unwrap();
    assert_eq!(event.reason, "stranger");
    assert_eq!(event.interface.as_deref(), Some("veth1"));
    assert_eq!(event.source, Some("10.0.1.2".parse().unwrap()));
    assert_eq!(event.port, Some(GATE));
    assert!(!event.uncovered && !event.passed);
}

#[test]
fn an_uncovered_interface_is_refused_by_the_socket_lookup_and_named() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut setup = lab.setup();
    setup.interfaces = gate_userspace::kernel::Interfaces::None;
    let agent = lab.try_start(setup).unwrap();
    let mut events = agent.events();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Reset);
    let event = wait(events.recv()).unwrap();
    assert!(event.uncovered, "{event:?}");
    assert_eq!(event.source, Some("10.0.1.2".parse().unwrap()));
    assert!(event.ifindex > 1);
    let status = wait(agent.status()).unwrap();
    assert_eq!(status.uncovered, ["veth1", "veth2"]);
    assert!(status.uncovered_refusals > 0);
}

#[test]
fn tampering_is_drift_and_is_repaired() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let openings = [key("10.0.1.2"), key("10.0.8.0/24")].map(|key| (key, open(7)));
    wait(agent.sync(Want {
        revision: 1,
        openings: openings.into(),
    }))
    .unwrap();
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
    let pin_dir = lab.pin_dir.clone();
    lab.host.run(move || {
        let layout = std::fs::read_dir(pin_dir)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let data = aya::maps::MapData::from_pin(layout.join("maps/GATE_EXACT4")).unwrap();
        let map = aya::maps::Map::HashMap(data);
        let mut exact: aya::maps::HashMap<_, u32, Entry> = map.try_into().unwrap();
        let forged = Entry {
            tag: 9,
            ports: 2,
            ..Default::default()
        };
        exact
            .insert(u32::from_ne_bytes([9, 9, 9, 9]), forged, 0)
            .unwrap();
        exact.remove(&u32::from_ne_bytes([10, 0, 1, 2])).unwrap();
        let data = aya::maps::MapData::from_pin(layout.join("maps/GATE_FILTER")).unwrap();
        let mut filter: aya::maps::Array<_, u64> = aya::maps::Map::Array(data).try_into().unwrap();
        for word in 0..filter.len() {
            filter.set(word, 0, 0).unwrap();
        }
        for link in std::fs::read_dir(layout.join("links")).unwrap() {
            std::fs::remove_file(link.unwrap().path()).unwrap();
        }
    });
    let audit = wait(agent.verify()).unwrap();
    assert!(audit.entries > 2, "{audit:?}");
    let status = wait(agent.status()).unwrap();
    assert_eq!(status.drift, audit.total());
    // The agent's own round may have found the links first; either counts them once.
    let others = audit.total() - audit.links;
    assert_eq!(status.repairs, others as u64 + 3, "{audit:?}");
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
    assert_eq!(reason(&agent, "9.9.9.9", GATE), "stranger");
    assert_eq!(reason(&agent, "10.0.1.2", GATE), "allowed");
}

#[test]
fn another_layout_guards_until_the_first_sync_and_then_gives_way() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    wait(agent.apply(Batch {
        revision: 1,
        ops: vec![Op::Open(key("10.0.1.2"), open(7))],
    }))
    .unwrap();
    wait(agent.stop()).unwrap();
    let pin_dir = lab.pin_dir.clone();
    lab.host.run(move || {
        let layout = std::fs::read_dir(&pin_dir)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        std::fs::rename(layout, pin_dir.join("v0000000000000001")).unwrap();
    });
    // A start that fails leaves the other layout at work.
    let mut setup = lab.setup();
    setup.ports = vec![guard(GATE, Policy::Gate), guard(GATE, Policy::Shut)];
    let refused = lab.try_start(setup);
    assert!(
        matches!(refused, Err(KernelError::PortConflict(GATE))),
        "{refused:?}"
    );
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Silence);
    let agent = lab.start();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Silence);
    let want = Want {
        revision: 2,
        openings: [(key("10.0.2.2"), open(8))].into(),
    };
    wait(agent.sync(want)).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Connected);
    let pin_dir = lab.pin_dir.clone();
    assert_eq!(
        lab.host
            .run(move || std::fs::read_dir(pin_dir).unwrap().count()),
        1
    );
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
}

/// The directory of the only layout there is.
fn layout(pin_dir: &Path) -> PathBuf {
    let mut layouts = std::fs::read_dir(pin_dir).unwrap();
    layouts.next().unwrap().unwrap().path()
}

/// Makes the pinned layout a newer one than this build knows.
fn renumber(layout: &Path) {
    let data = aya::maps::MapData::from_pin(layout.join("maps/GATE_CONFIG")).unwrap();
    let mut config: aya::maps::Array<_, gate_common::entry::Config> =
        aya::maps::Map::Array(data).try_into().unwrap();
    let newer = gate_common::entry::Config {
        abi: gate_common::entry::ABI + 1,
        ..config.get(&0, 0).unwrap()
    };
    config.set(0, newer, 0).unwrap();
}

/// Every pin below, links and maps.
fn pins(pin_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(pin_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pins(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn a_newer_layout_is_refused_and_goes_on_guarding() {
    for name in ["the same", "v0000000000000001"] {
        let Some(lab) = lab() else { return };
        let _listeners = listen(&lab);
        let agent = lab.start();
        wait(agent.stop()).unwrap();
        let pin_dir = lab.pin_dir.clone();
        let before = lab.host.run(move || {
            let layout = layout(&pin_dir);
            renumber(&layout);
            if name != "the same" {
                std::fs::rename(layout, pin_dir.join(name)).unwrap();
            }
            pins(&pin_dir)
        });
        let refused = lab.try_start(lab.setup());
        assert!(
            matches!(refused, Err(KernelError::Newer { .. })),
            "{name}: {refused:?}"
        );
        let pin_dir = lab.pin_dir.clone();
        let kept = lab.host.run({
            let pin_dir = pin_dir.clone();
            move || unload(&pin_dir)
        });
        assert!(
            matches!(kept, Err(KernelError::Newer { .. })),
            "{name}: {kept:?}"
        );
        assert_eq!(lab.host.run(move || pins(&pin_dir)), before, "{name}");
        assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    }
}

#[test]
fn a_binding_left_behind_with_the_last_number_costs_nobody_his_own() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    wait(agent.stop()).unwrap();
    let pin_dir = lab.pin_dir.clone();
    lab.host.run(move || {
        let data = aya::maps::MapData::from_pin(layout(&pin_dir).join("maps/GATE_BIND")).unwrap();
        let mut bind: aya::maps::HashMap<_, BindKey, Entry> =
            aya::maps::Map::HashMap(data).try_into().unwrap();
        let left = BindKey {
            link: 9999,
            group: GROUP_MAX,
        };
        bind.insert(left, Entry::default(), 0).unwrap();
    });
    let agent = lab.start();
    let bound = gate_userspace::kernel::SourceKey {
        interface: Some("veth1".into()),
        ..key("10.0.1.2")
    };
    let ops = vec![Op::Open(bound.clone(), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    // Bound no more, it is judged by its address alone.
    let ops = vec![Op::Shut(bound), Op::Open(key("10.0.1.2"), open(7))];
    wait(agent.apply(Batch { revision: 2, ops })).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
}
