//! A daemon that dies without a word, at rest and at every moment of a start or an upgrade.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gate_userspace::kernel::{Agent, Want};

use crate::lab::{GATE, Lab, key, lab, open, setup, wait};
use crate::ring::{Outcome, connect, listen};

/// Where the child pins; says that this process is the child.
const CHILD: &str = "GATE_KILL_CHILD";

fn want(revision: u64) -> Want {
    Want {
        revision,
        openings: [(key("10.0.1.2"), open(7))].into(),
    }
}

/// Starts an agent, opens one source, says so, and waits to die.
#[test]
fn child_of_the_tests_below() {
    let Some(pin_dir) = std::env::var_os(CHILD) else {
        return;
    };
    let agent = Agent::start(setup(pin_dir.into())).unwrap();
    wait(agent.sync(want(1))).unwrap();
    println!("\nstanding");
    loop {
        std::thread::park();
    }
}

fn spawn(pin_dir: PathBuf) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child_of_the_tests_below", "--nocapture"])
        .env(CHILD, pin_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn standing(child: &mut Child) {
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(
        output
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "standing")
    );
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

fn holds(lab: &Lab, moment: &str) {
    assert_eq!(
        connect(&lab.b, "10.0.2.1", GATE),
        Outcome::Silence,
        "{moment}"
    );
    assert_eq!(
        connect(&lab.a, "10.0.1.1", GATE),
        Outcome::Connected,
        "{moment}"
    );
}

/// Acceptance 28.
#[test]
fn a_killed_daemon_leaves_the_port_shut_to_strangers_and_open_to_leases() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let pin_dir = lab.pin_dir.clone();
    lab.host.run(move || {
        let mut child = spawn(pin_dir);
        standing(&mut child);
        kill(child);
    });
    holds(&lab, "killed");
    let agent = lab.start();
    holds(&lab, "adopted");
    wait(agent.sync(Want {
        revision: 2,
        ..Want::default()
    }))
    .unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", GATE), Outcome::Silence);
}

/// Every restart is killed a little later than the one before; every other one finds the pins of
/// another layout.
#[test]
fn a_start_or_an_upgrade_killed_at_any_moment_leaves_no_gap() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    wait(agent.sync(want(1))).unwrap();
    wait(agent.stop()).unwrap();
    for step in 0..24u64 {
        let pin_dir = lab.pin_dir.clone();
        lab.host.run(move || {
            let own = std::fs::read_dir(&pin_dir).unwrap().count() == 1;
            if step % 2 == 1 && own {
                let layout = std::fs::read_dir(&pin_dir)
                    .unwrap()
                    .next()
                    .unwrap()
                    .unwrap()
                    .path();
                std::fs::rename(layout, pin_dir.join(format!("v{step:016}"))).unwrap();
            }
            let child = spawn(pin_dir);
            // Not a wait for anything: the moment of death is what varies.
            std::thread::sleep(Duration::from_millis(step * 20));
            kill(child);
        });
        holds(&lab, &format!("killed {} ms after the start", step * 20));
    }
    let agent = lab.start();
    wait(agent.sync(want(3))).unwrap();
    holds(&lab, "at last");
    assert_eq!(wait(agent.verify()).unwrap().total(), 0);
}
