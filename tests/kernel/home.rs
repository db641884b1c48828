//! A source is bound by itself to the link of the one sandbox behind it, as its route says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gate_userspace::kernel::{Agent, Batch, Op, Probe, SourceKey, Want};

use crate::lab::{GATE, Lab, ip, key, lab, open, wait};
use crate::ring::{Outcome, connect, listen};

/// Ends a broken run: the agent hears of a change at once.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_address_opens_nothing_on_a_link_that_its_route_does_not_leave_by() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let ops = ["10.0.1.2", "fd00:1::2", "10.0.2.0/24"]
        .map(|net| Op::Open(key(net), open(7)))
        .into();
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(
        homes(&agent),
        [("10.0.1.2/32", "veth1"), ("fd00:1::2/128", "veth1")]
            .map(|(net, at)| (net.to_owned(), at.to_owned()))
            .into()
    );
    for (from, at, verdict) in [
        ("10.0.1.2", "veth1", "allowed"),
        ("10.0.1.2", "veth2", "wrong_interface"),
        ("fd00:1::2", "veth1", "allowed"),
        ("fd00:1::2", "veth2", "wrong_interface"),
        // A network is nobody's own.
        ("10.0.2.2", "veth1", "allowed_net"),
    ] {
        assert_eq!(reason(&agent, from, at), verdict, "{from} at {at}");
    }
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(connect(&lab.a, "fd00:1::1", GATE), Outcome::Connected);
    let ops = vec![Op::Shut(key("10.0.1.2")), Op::Shut(key("fd00:1::2"))];
    wait(agent.apply(Batch { revision: 2, ops })).unwrap();
    assert_eq!(homes(&agent), BTreeMap::new());
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
}

#[test]
fn a_binding_follows_the_sandbox_and_outlives_its_link() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let ops = vec![Op::Open(key("10.0.1.2"), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    // The link goes: the address means nobody on any other.
    lab.host.run(|| ip("link del veth1"));
    until(|| !interfaces(&agent).contains(&"veth1".to_owned()));
    assert_eq!(homes(&agent)["10.0.1.2/32"], "veth1");
    assert_eq!(reason(&agent, "10.0.1.2", "veth2"), "wrong_interface");
    // Another incarnation of the same name is its own again.
    plug(&lab, "veth1");
    until(|| connect(&lab.a, "10.0.1.1", GATE) == Outcome::Connected);
    // It comes back under another name.
    lab.host.run(|| ip("link del veth1"));
    plug(&lab, "tap-new");
    until(|| homes(&agent)["10.0.1.2/32"] == "tap-new");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(reason(&agent, "10.0.1.2", "veth2"), "wrong_interface");
    // Behind a bridge that others share, it is an address and no more.
    lab.host.run(|| {
        ip("link add br0 type bridge");
        ip("addr flush dev tap-new");
        ip("link set tap-new master br0");
        ip("addr add 10.0.1.1/24 dev br0");
        ip("link set br0 up");
    });
    until(|| homes(&agent).is_empty());
    until(|| connect(&lab.a, "10.0.1.1", GATE) == Outcome::Connected);
    assert_eq!(reason(&agent, "10.0.1.2", "veth2"), "allowed");
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
}

#[test]
fn a_source_that_came_before_its_sandbox_is_bound_when_that_comes() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    lab.host.run(|| ip("link del veth1"));
    let agent = lab.start();
    // Many at once, which are looked up by the routing table first.
    let many = (0..300).map(|n| (key(&format!("10.9.{}.{}", n / 100, n % 100)), open(8)));
    let openings = many.chain([(key("10.0.1.2"), open(7))]).collect();
    let want = Want {
        revision: 1,
        openings,
    };
    wait(agent.sync(want)).unwrap();
    assert_eq!(homes(&agent), BTreeMap::new());
    plug(&lab, "veth1");
    until(|| {
        homes(&agent)
            .get("10.0.1.2/32")
            .is_some_and(|at| at == "veth1")
    });
    until(|| connect(&lab.a, "10.0.1.1", GATE) == Outcome::Connected);
    assert_eq!(reason(&agent, "10.0.1.2", "veth2"), "wrong_interface");
    // The same from the pinned tables of a daemon that is gone.
    wait(agent.stop()).unwrap();
    let again = lab.start();
    assert_eq!(reason(&again, "10.0.1.2", "veth2"), "wrong_interface");
    let openings = BTreeMap::from([(key("10.0.1.2"), open(7))]);
    let want = Want {
        revision: 2,
        openings,
    };
    wait(again.sync(want)).unwrap();
    assert_eq!(homes(&again)["10.0.1.2/32"], "veth1");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
    assert_eq!(reason(&again, "10.0.1.2", "veth2"), "wrong_interface");
}

#[test]
fn a_question_without_an_interface_is_asked_where_the_address_lives() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let at = |from: &str| {
        let probe = Probe::Connect {
            from: from.parse().unwrap(),
            interface: None,
            to: None,
            port: GATE,
        };
        let facing = wait(agent.explain(probe)).unwrap().interface;
        facing.map(|interface| interface.name)
    };
    assert_eq!(at("10.0.1.2").as_deref(), Some("veth1"));
    assert_eq!(at("fd00:2::2").as_deref(), Some("veth2"));
    assert_eq!(at("192.0.2.1"), None);
    assert_eq!(at("127.0.0.1"), None);
}

/// The operator's word and the route may differ: both links are good then, and no third.
#[test]
fn a_named_interface_stands_beside_the_routes() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let named = SourceKey {
        interface: Some("veth2".to_owned()),
        ..key("10.0.1.2")
    };
    let ops = vec![
        Op::Open(key("10.0.1.2"), open(7)),
        Op::Open(named.clone(), open(9)),
    ];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    lab.host
        .run(|| ip("link add veth3 type veth peer name far"));
    until(|| interfaces(&agent).contains(&"veth3".to_owned()));
    let at = |name| reason(&agent, "10.0.1.2", name);
    assert_eq!(
        ["veth1", "veth2", "veth3"].map(at),
        ["allowed", "allowed", "wrong_interface"]
    );
    let ops = vec![Op::Shut(key("10.0.1.2"))];
    wait(agent.apply(Batch { revision: 2, ops })).unwrap();
    assert_eq!(["veth1", "veth2"].map(at), ["wrong_interface", "allowed"]);
    let ops = vec![Op::Shut(named)];
    wait(agent.apply(Batch { revision: 3, ops })).unwrap();
    assert_eq!(["veth1", "veth2"].map(at), ["stranger", "stranger"]);
}

/// Sandbox A again, behind a link of this name.
fn plug(lab: &Lab, name: &'static str) {
    let path = lab.a.path();
    lab.host.run(move || {
        ip(&format!(
            "link add {name} type veth peer name eth0 netns {path}"
        ));
        ip(&format!("addr add 10.0.1.1/24 dev {name}"));
        ip(&format!("link set {name} up"));
    });
    lab.a.run(|| {
        ip("addr add 10.0.1.2/24 dev eth0");
        ip("link set eth0 up");
    });
}

fn homes(agent: &Agent) -> BTreeMap<String, String> {
    let homes = wait(agent.status()).unwrap().homes.into_iter();
    homes.map(|(net, at)| (net.to_string(), at)).collect()
}

fn interfaces(agent: &Agent) -> Vec<String> {
    let held = wait(agent.status()).unwrap().interfaces.into_iter();
    let held = held.filter(|interface| interface.hook.is_some());
    held.map(|interface| interface.name).collect()
}

/// What both frame programs say of a SYN that arrives there.
fn reason(agent: &Agent, from: &str, at: &str) -> String {
    let to = if from.contains(':') {
        "fd00:2::1"
    } else {
        "10.0.2.1"
    };
    let probe = Probe::Connect {
        from: from.parse().unwrap(),
        interface: Some(at.to_owned()),
        to: Some(to.parse().unwrap()),
        port: GATE,
    };
    let said = wait(agent.explain(probe)).unwrap().verdicts;
    assert_eq!(said[0].reason, said[1].reason, "{said:?}");
    said[1].reason.clone()
}

fn until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it never came to be");
        // The agent works in a thread of its own, and has two cores with us.
        std::thread::sleep(Duration::from_millis(20));
    }
}
