//! A change of guards, watched by a stranger who never stops knocking: not one packet slips through.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gate_userspace::kernel::{Agent, GuardedPort, Policy, Setup};

use crate::lab::{GATE, GUARDED, Lab, OTHER, lab, wait};
use crate::ring::listen;

const ROUNDS: usize = 10;
/// A fresh SYN this often: shorter than it takes to write the port table.
const KNOCK: Duration = Duration::from_millis(1);

/// Two choices of guards in which both guarded ports stay guarded and change their class.
fn choices() -> [Vec<GuardedPort>; 2] {
    let guard = |port, policy| GuardedPort {
        port,
        address: None,
        policy,
    };
    let few = vec![guard(GATE, Policy::Gate), guard(GUARDED, Policy::Shut)];
    let mut more = few.clone();
    more.push(guard(OTHER, Policy::Gate));
    more.push(guard(OTHER + 1, Policy::Shut));
    [few, more]
}

/// Knocks at both ports while `change` runs, and says how many packets went to a port that the
/// programs took for nobody's business.
fn slipped(lab: &Lab, change: impl FnOnce() -> Agent) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let agent = std::thread::scope(|scope| {
        let stopped = Arc::clone(&stop);
        scope.spawn(move || {
            lab.a.run(move || {
                let to = [GATE, GUARDED].map(|port| SocketAddr::from(([10, 0, 1, 1], port)));
                while !stopped.load(Ordering::Relaxed) {
                    for to in to {
                        let _ = TcpStream::connect_timeout(&to, KNOCK);
                    }
                }
            });
        });
        let agent = change();
        stop.store(true, Ordering::Relaxed);
        agent
    });
    let counters = wait(agent.status()).unwrap().counters;
    assert!(counters["stranger"] > 0, "nobody knocked");
    counters["other_port"]
}

/// Acceptance 165.
#[test]
fn guards_change_without_a_gap() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let agent = lab.start();
    let passed = slipped(&lab, || {
        for ports in choices().into_iter().cycle().take(2 * ROUNDS) {
            wait(agent.ports(ports)).unwrap();
        }
        agent.clone()
    });
    assert_eq!(passed, 0);
}

/// Acceptance 165.
#[test]
fn a_restart_with_other_guards_leaves_no_gap() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    let mut agent = lab.start();
    let passed = slipped(&lab, || {
        for ports in choices().into_iter().cycle().take(2 * ROUNDS) {
            wait(agent.stop()).unwrap();
            let setup = Setup {
                ports,
                ..lab.setup()
            };
            agent = lab.try_start(setup).unwrap();
        }
        agent.clone()
    });
    assert_eq!(passed, 0);
}
