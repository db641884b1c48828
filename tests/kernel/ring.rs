//! The packet ring around a real listener: what connects, what meets silence, what survives.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use gate_userspace::kernel::{
    Agent, Batch, Flow, GuardedPort, KernelError, Mode, Op, Policy, SourceKey, Want, unload,
};

use crate::lab::{GATE, GUARDED, Lab, Namespace, OTHER, ip, key, lab, open, wait};

const PATIENCE: Duration = Duration::from_millis(400);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connected,
    Silence,
    Reset,
}

pub(crate) fn connect(from: &Namespace, to: &str, port: u16) -> Outcome {
    let address = SocketAddr::new(to.parse().unwrap(), port);
    from.run(
        move || match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => Outcome::Connected,
            Err(error) if error.kind() == ErrorKind::TimedOut => Outcome::Silence,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Outcome::Reset,
            Err(error) => panic!("{error}"),
        },
    )
}

/// Listeners on every address of the host, which live as long as the returned value.
pub(crate) fn listen(lab: &Lab) -> Vec<TcpListener> {
    lab.host.run(|| {
        [GATE, GUARDED, OTHER]
            .into_iter()
            .map(|port| TcpListener::bind(format!("[::]:{port}")).unwrap())
            .collect()
    })
}

fn apply(agent: &Agent, ops: Vec<Op>) {
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
}

fn dropped(agent: &Agent, reason: &str) -> u64 {
    wait(agent.status()).unwrap().counters[reason]
}

/// Acceptance 14, 15.
#[test]
fn a_stranger_meets_silence() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    for to in ["10.0.1.1", "fd00:1::1", "10.0.2.1"] {
        let before = dropped(&agent, "stranger");
        assert_eq!(connect(&lab.a, to, GATE), Outcome::Silence, "{to}");
        assert!(dropped(&agent, "stranger") > before, "{to}");
    }
    assert_eq!(wait(agent.status()).unwrap().uncovered_refusals, 0);
}

/// Acceptance 16, 23, 24.
#[test]
fn a_listed_source_connects_until_it_is_removed() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    apply(
        &agent,
        vec![
            Op::Open(key("10.0.1.2"), open(7)),
            Op::Open(key("fd00:1::/64"), open(7)),
        ],
    );
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.a, "fd00:1::1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Silence);
    apply(
        &agent,
        vec![Op::Shut(key("10.0.1.2")), Op::Shut(key("fd00:1::/64"))],
    );
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.a, "fd00:1::1", GATE), Outcome::Silence);
}

/// Acceptance 17, 18.
#[test]
fn the_host_reaches_itself_by_every_address() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let _agent = lab.start();
    for to in ["127.0.0.1", "::1", "10.0.1.1", "fd00:2::1"] {
        assert_eq!(connect(&lab.host, to, GATE), Outcome::Connected, "{to}");
        assert_eq!(connect(&lab.host, to, GUARDED), Outcome::Connected, "{to}");
    }
}

/// Acceptance 20.
#[test]
fn other_ports_are_nobodys_business() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let _agent = lab.start();
    assert_eq!(connect(&lab.a, "10.0.1.1", OTHER), Outcome::Connected);
    assert_eq!(connect(&lab.a, "10.0.1.1", OTHER + 1), Outcome::Reset);
}

/// Acceptance 163.
#[test]
fn a_shut_port_is_for_the_host_alone() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    apply(&agent, vec![Op::Open(key("10.0.1.2"), open(7))]);
    assert_eq!(connect(&lab.a, "10.0.1.1", GUARDED), Outcome::Silence);
    assert_eq!(connect(&lab.b, "10.0.2.1", GUARDED), Outcome::Silence);
    assert_eq!(connect(&lab.host, "127.0.0.1", GUARDED), Outcome::Connected);
}

/// Acceptance 28.
#[test]
fn the_port_stays_shut_without_the_agent_and_is_adopted_again() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    apply(&agent, vec![Op::Open(key("10.0.1.2"), open(7))]);
    wait(agent.stop()).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Silence);
    let again = lab.start();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Silence);
    let want = Want {
        revision: 2,
        openings: [(key("10.0.2.2"), open(8))].into(),
    };
    let applied = wait(again.sync(want)).unwrap();
    assert_eq!((applied.removed, applied.written), (1, 1));
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Connected);
    assert_eq!(wait(again.verify()).unwrap().total(), 0);
    let programs = lab.host.run(|| {
        aya::programs::SchedClassifier::query_tcx("veth1", aya::programs::TcAttachType::Ingress)
            .unwrap()
            .1
            .len()
    });
    assert_eq!(programs, 1);
}

/// Acceptance 172.
#[test]
fn unload_without_an_agent_frees_the_port() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let pin_dir = lab.pin_dir.clone();
    let refused = lab.host.run({
        let pin_dir = pin_dir.clone();
        move || unload(&pin_dir)
    });
    assert!(
        matches!(refused, Err(KernelError::Locked { .. })),
        "{refused:?}"
    );
    wait(agent.stop()).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    let reserved =
        || std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap();
    assert_eq!(lab.host.run(reserved), "7070,8765\n");
    let unloaded = lab.host.run(move || unload(&pin_dir)).unwrap();
    assert!(!unloaded.pins.is_empty());
    assert_eq!(lab.host.run(reserved), "\n");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert!(!lab.pin_dir.exists());
}

/// Ports that were reserved before gate came stay so.
#[test]
fn unload_gives_back_only_what_gate_reserved() {
    let Some(lab) = lab() else { return };
    let path = "/proc/sys/net/ipv4/ip_local_reserved_ports";
    lab.host
        .run(move || std::fs::write(path, format!("{GATE},9000\n")).unwrap());
    let reserved = || lab.host.run(move || std::fs::read_to_string(path).unwrap());
    // The second start finds its own ports reserved already.
    for _ in 0..2 {
        let agent = lab.start();
        assert_eq!(reserved(), "7070,8765,9000\n");
        wait(agent.stop()).unwrap();
    }
    let agent = lab.start();
    let guard = |port| GuardedPort {
        port,
        address: None,
        policy: Policy::Gate,
    };
    wait(agent.ports(vec![guard(OTHER)])).unwrap();
    assert_eq!(reserved(), "2222,8765,9000\n");
    wait(agent.stop()).unwrap();
    let pin_dir = lab.pin_dir.clone();
    lab.host.run(move || unload(&pin_dir)).unwrap();
    assert_eq!(reserved(), "8765,9000\n");
}

#[test]
fn two_agents_exclude_each_other() {
    let Some(lab) = lab() else { return };
    let _agent = lab.start();
    let second = lab.try_start(lab.setup());
    assert!(
        matches!(second, Err(KernelError::Locked { .. })),
        "{second:?}"
    );
}

#[test]
fn a_new_interface_is_guarded_by_itself() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    lab.host
        .run(|| ip("link add veth9 type veth peer name veth9p"));
    let covered = || {
        let status = wait(agent.status()).unwrap();
        status
            .interfaces
            .iter()
            .filter(|one| one.name.starts_with("veth9") && one.covered)
            .count()
    };
    while covered() < 2 {
        std::thread::yield_now();
    }
    lab.host.run(|| ip("link del veth9"));
    while covered() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_bound_source_counts_only_on_its_interface() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let bound = |interface: &str| SourceKey {
        interface: Some(interface.into()),
        ..key("10.0.1.2")
    };
    apply(&agent, vec![Op::Open(bound("veth1"), open(7))]);
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    apply(
        &agent,
        vec![Op::Shut(bound("veth1")), Op::Open(bound("veth2"), open(7))],
    );
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    let status = wait(agent.status()).unwrap();
    assert!(status.counters["wrong_interface"] > 0);
    assert_eq!(
        (status.spoofs[0].interface.as_str(), status.spoofs[0].victim),
        ("veth1", 7)
    );
}

/// Acceptance 173.
#[test]
fn closed_shuts_everyone_out_and_opens_again() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    apply(&agent, vec![Op::Open(key("10.0.1.2"), open(7))]);
    wait(agent.mode(Mode::Closed)).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.host, "127.0.0.1", GATE), Outcome::Reset);
    wait(agent.mode(Mode::Enforce)).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    wait(agent.mode(Mode::Audit)).unwrap();
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Connected);
    assert!(wait(agent.status()).unwrap().would_drop["stranger"] > 0);
}

#[test]
fn audit_opens_no_port_that_is_shut_to_everyone() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut setup = lab.setup();
    setup.mode = Mode::Audit;
    let agent = lab.try_start(setup).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.a, "10.0.1.1", GUARDED), Outcome::Silence);
    assert_eq!(connect(&lab.a, "fd00:1::1", GUARDED), Outcome::Silence);
    let status = wait(agent.status()).unwrap();
    assert!(status.counters["guarded"] > 0);
    assert_eq!(status.would_drop["guarded"], 0);
}

#[test]
fn destroy_ends_established_connections_of_one_remote_only() {
    let Some(lab) = lab() else { return };
    let listeners = listen(&lab);
    let agent = lab.start();
    apply(&agent, vec![Op::Open(key("10.0.0.0/8"), open(7))]);
    let mut streams = Vec::new();
    for (sandbox, to) in [(&lab.a, "10.0.1.1"), (&lab.b, "10.0.2.1")] {
        let to = SocketAddr::new(to.parse().unwrap(), GATE);
        streams.push(sandbox.run(move || TcpStream::connect(to).unwrap()));
    }
    let mut accepted: Vec<TcpStream> = (0..2).map(|_| listeners[0].accept().unwrap().0).collect();
    let flow = Flow {
        remote: key("10.0.1.2").net,
        local_ports: vec![GATE],
    };
    assert_eq!(wait(agent.destroy(vec![flow])).unwrap(), 1);
    assert_eq!(
        streams[0].read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    accepted[1].write_all(b"x").unwrap();
    let mut byte = [0];
    streams[1].read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x");
}
