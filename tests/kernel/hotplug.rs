//! Interfaces that come, go, change their hook or were somebody else's first.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aya::programs::tc::{NlOptions, TcAttachOptions, TcHandle};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use gate_userspace::kernel::{
    Agent, Batch, Hook, InterfaceRule, InterfaceStatus, Interfaces, KernelError, Op, Probe,
    SourceKey,
};

use crate::lab::{GATE, Lab, ip, key, lab, open, wait};
use crate::ring::{Outcome, connect, listen};

fn interface(agent: &Agent, name: &str) -> InterfaceStatus {
    let status = wait(agent.status()).unwrap();
    status
        .interfaces
        .into_iter()
        .find(|one| one.name == name)
        .unwrap()
}

fn choose(hook: Hook) -> Interfaces {
    Interfaces::List(vec![InterfaceRule {
        pattern: "veth*".into(),
        hook: Some(hook),
    }])
}

#[test]
fn every_hook_denies_and_a_live_switch_leaves_no_gap() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    wait(agent.apply(Batch {
        revision: 1,
        ops: vec![Op::Open(key("10.0.2.2"), open(7))],
    }))
    .unwrap();
    for (hook, mode) in [
        (Hook::Generic, "generic"),
        (Hook::Xdp, "native"),
        (Hook::Generic, "generic"),
        (Hook::Clsact, "clsact"),
        (Hook::Tcx, "tcx"),
        (Hook::Clsact, "clsact"),
        (Hook::Xdp, "native"),
        (Hook::Tcx, "tcx"),
    ] {
        wait(agent.interfaces(choose(hook))).unwrap();
        let found = interface(&agent, "veth1");
        assert_eq!(
            (found.hook, found.mode.as_deref()),
            (Some(hook), Some(mode)),
            "{found:?}"
        );
        assert_eq!(
            connect(&lab.a, "10.0.1.1", GATE),
            Outcome::Silence,
            "{hook:?}"
        );
        assert_eq!(
            connect(&lab.b, "10.0.2.1", GATE),
            Outcome::Connected,
            "{hook:?}"
        );
        let links = std::path::PathBuf::from(&lab.pin_dir);
        let count = lab.host.run(move || {
            let layout = std::fs::read_dir(links)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
            std::fs::read_dir(layout.join("links")).unwrap().count()
        });
        assert_eq!(count, 3, "one link an interface, and the socket lookup");
    }
    assert_eq!(wait(agent.status()).unwrap().uncovered_refusals, 0);
}

/// What cannot be pinned outlives the daemon all the same, is taken up by the next, and goes when told.
#[test]
fn a_filter_on_clsact_is_kept_taken_up_found_missing_and_removed() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut setup = lab.setup();
    setup.interfaces = choose(Hook::Clsact);
    let agent = lab.try_start(setup.clone()).unwrap();
    // Somebody else's filter stands beside it.
    let foreign = lab.host.run(|| -> Result<_, ProgramError> {
        let mut object = aya::Ebpf::load(gate_userspace::kernel::object::bytes()).unwrap();
        let program: &mut SchedClassifier = object.program_mut("gate_tc").unwrap().try_into()?;
        program.load()?;
        let options = TcAttachOptions::Netlink(NlOptions {
            priority: 1,
            handle: TcHandle::new(0, 2),
            classid: None,
        });
        program.attach_with_options("veth1", TcAttachType::Ingress, options)?;
        Ok(object)
    });
    let _foreign = foreign.unwrap();
    let filters = |lab: &Lab| {
        lab.host.run(|| {
            let shown = "filter show dev veth1 ingress";
            let shown = Command::new("tc").args(shown.split(' ')).output().unwrap();
            String::from_utf8(shown.stdout).unwrap()
        })
    };
    let (ours, theirs) = ("handle 0x6761", "handle 0x2 ");
    assert!(
        filters(&lab).contains(ours) && filters(&lab).contains(theirs),
        "{}",
        filters(&lab)
    );
    let ops = vec![Op::Open(key("10.0.2.2"), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    wait(agent.stop()).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    assert_eq!(connect(&lab.b, "10.0.2.1", GATE), Outcome::Connected);
    let agent = lab.try_start(setup).unwrap();
    let found = interface(&agent, "veth1");
    assert_eq!(
        (found.hook, found.mode.as_deref()),
        (Some(Hook::Clsact), Some("clsact"))
    );
    assert_eq!(filters(&lab).matches(ours).count(), 1, "{}", filters(&lab));
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    let before = wait(agent.verify()).unwrap();
    assert_eq!(before.total(), 0, "{before:?}");
    let repairs = || wait(agent.status()).unwrap().repairs;
    let repairs_before = repairs();
    // Taken off behind its back.
    lab.host.run(|| {
        let deleted = "filter del dev veth1 ingress prio 1 handle 0x6761 bpf";
        let deleted = Command::new("tc")
            .args(deleted.split(' '))
            .status()
            .unwrap();
        assert!(deleted.success());
    });
    // The agent's own round may have come first; either counts it once.
    wait(agent.verify()).unwrap();
    assert_eq!(repairs() - repairs_before, 1);
    assert!(filters(&lab).contains(ours));
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    // A newcomer on the index of a device that went has no filter yet.
    lab.host.run(|| {
        ip("link add s0 index 77 type veth peer name s0p");
    });
    wait(agent.interfaces(choose(Hook::Clsact))).unwrap();
    wait(agent.unload()).unwrap();
    assert!(!filters(&lab).contains(ours));
    assert!(filters(&lab).contains(theirs), "somebody else's");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
}

#[test]
fn a_preview_attaches_nothing_and_says_what_a_start_would() {
    let Some(lab) = lab() else { return };
    let seen = lab
        .host
        .run(|| gate_userspace::kernel::preview(&Interfaces::Auto).unwrap());
    let programs = lab.host.run(|| {
        let ingress = TcAttachType::Ingress;
        SchedClassifier::query_tcx("veth1", ingress)
            .unwrap()
            .1
            .len()
    });
    assert_eq!(programs, 0);
    let agent = lab.start();
    for line in seen {
        assert_eq!(interface(&agent, &line.name).hook, line.hook, "{line:?}");
    }
    let pin_dir = lab.pin_dir.clone();
    let mode = lab
        .host
        .run(move || std::fs::metadata(pin_dir).unwrap().permissions().mode());
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_foreign_xdp_program_is_named_and_never_clobbered() {
    let Some(lab) = lab() else { return };
    let foreign = lab.host.run(|| -> Result<_, ProgramError> {
        let mut object = aya::Ebpf::load(gate_userspace::kernel::object::bytes()).unwrap();
        let program: &mut Xdp = object.program_mut("gate_xdp").unwrap().try_into()?;
        program.load()?;
        program.attach("veth1", XdpMode::Driver)?;
        Ok(object)
    });
    let _foreign = foreign.unwrap();
    let mut setup = lab.setup();
    setup.interfaces = choose(Hook::Xdp);
    let refused = lab.try_start(setup);
    let Err(KernelError::Foreign {
        interface: name,
        program,
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(name, "veth1");
    assert!(program.contains("gate_xdp"), "{program}");
    // Nothing half-attached: not even the directory.
    assert!(!lab.host.run({
        let pin_dir = lab.pin_dir.clone();
        move || pin_dir.exists()
    }));
    let agent = lab.start();
    assert_eq!(interface(&agent, "veth1").hook, Some(Hook::Tcx));
}

#[test]
fn a_bridge_is_guarded_by_its_ports() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    lab.host.run(|| {
        ip("link add br0 type bridge");
        ip("addr flush dev veth1");
        ip("addr add 10.0.1.1/24 dev br0");
        ip("link set br0 up");
        ip("link set veth1 master br0");
    });
    lab.host.run(|| ip("neigh flush all"));
    let found = interface(&agent, "br0");
    assert!(found.covered && found.hook.is_none(), "{found:?}");
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
    wait(agent.apply(Batch {
        revision: 1,
        ops: vec![Op::Open(key("10.0.1.2"), open(7))],
    }))
    .unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Connected);
}

#[test]
fn virtual_devices_of_every_kind_are_guarded() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    lab.host.run(|| {
        ip("link add link veth1 name mac0 type macvlan mode bridge");
        ip("link add vx0 type vxlan id 7 dev veth1 dstport 4789");
        ip("link add ifb0 type ifb");
        ip("tuntap add dev tap0 mode tap");
        ip("tuntap add dev tun0 mode tun");
    });
    let covered = || {
        let status = wait(agent.status()).unwrap();
        let of = |name: &str| {
            status
                .interfaces
                .iter()
                .find(|one| one.name == name)
                .cloned()
        };
        ["mac0", "vx0", "ifb0", "tap0", "tun0"].map(of)
    };
    while covered()
        .iter()
        .any(|one| !one.as_ref().is_some_and(|one| one.covered))
    {
        std::thread::yield_now();
    }
    let [mac, vxlan, ifb, tap, tun] = covered().map(|one| one.unwrap().hook);
    assert_eq!([mac, vxlan, ifb, tap], [Some(Hook::Tcx); 4]);
    // Without Ethernet frames there is nothing to parse: the socket lookup guards it.
    assert_eq!(tun, None);
}

#[test]
fn a_newcomer_on_an_old_index_is_not_blessed() {
    let Some(lab) = lab() else { return };
    let agent = lab.start();
    let reason = |interface: &str| {
        let probe = Probe::Connect {
            from: "10.0.5.2".parse().unwrap(),
            interface: Some(interface.into()),
            to: Some("10.0.1.1".parse().unwrap()),
            port: GATE,
        };
        wait(agent.explain(probe)).map(|verdicts| verdicts.verdicts[1].reason.clone())
    };
    let bound = SourceKey {
        interface: Some("s0".into()),
        ..key("10.0.5.2")
    };
    let ops = vec![Op::Open(bound, open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    lab.host
        .run(|| ip("link add s0 index 77 type veth peer name s0p"));
    while reason("s0").ok().as_deref() != Some("allowed") {
        std::thread::yield_now();
    }
    assert_eq!(reason("veth1").unwrap(), "wrong_interface");
    lab.host.run(|| {
        ip("link del s0");
        ip("link add s1 index 77 type veth peer name s1p");
    });
    while !wait(agent.status())
        .unwrap()
        .interfaces
        .iter()
        .any(|one| one.name == "s1" && one.covered)
    {
        std::thread::yield_now();
    }
    assert_eq!(reason("s1").unwrap(), "wrong_interface");
    // Asking accuses nobody.
    assert!(wait(agent.status()).unwrap().spoofs.is_empty());
    lab.host.run(|| {
        ip("link del s1");
        ip("link add s0 type veth peer name s0p");
    });
    while reason("s0").ok().as_deref() != Some("allowed") {
        std::thread::yield_now();
    }
}

/// Acceptance 25, 161.
#[test]
fn sandboxes_come_and_go_without_a_gap_and_leave_nothing() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU32::new(0));
    let prober = {
        let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
        let (probe, path) = (crate::lab::Namespace::new(), Arc::new(()));
        let _ = path;
        let netns = probe.path();
        churn(&lab, &netns, 1);
        std::thread::spawn(move || {
            probe.run(move || {
                while !done.load(Ordering::Relaxed) {
                    let to = std::net::SocketAddr::from(([10, 0, 1, 1], GATE));
                    let tried = std::net::TcpStream::connect_timeout(&to, Duration::from_millis(5));
                    if tried.is_ok() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        })
    };
    let rounds = if std::env::var_os("GATE_LONG").is_some() {
        500
    } else {
        60
    };
    for _ in 0..rounds {
        lab.host.run(|| {
            ip("link add s0 type veth peer name s0p");
            ip("addr add 10.99.0.1/24 dev s0");
            ip("link set s0 up");
            ip("link del s0");
        });
    }
    done.store(true, Ordering::Relaxed);
    prober.join().unwrap();
    assert_eq!(answered.load(Ordering::Relaxed), 0);
    let settled = || {
        let status = wait(agent.status()).unwrap();
        status
            .interfaces
            .iter()
            .all(|one| !one.name.starts_with("s0"))
            && status.interfaces.iter().all(|one| one.covered)
    };
    while !settled() {
        std::thread::yield_now();
    }
    let audit = wait(agent.verify()).unwrap();
    assert_eq!(audit.total(), 0, "{audit:?}");
}

/// A sandbox of its own for the prober.
fn churn(lab: &Lab, netns: &str, number: u32) {
    let netns = netns.to_owned();
    lab.host.run(move || {
        ip(&format!(
            "link add p{number} type veth peer name eth0 netns {netns}"
        ));
        ip(&format!("addr add 10.0.9{number}.1/24 dev p{number}"));
        ip(&format!("link set p{number} up"));
    });
}
