//! Which ports a start protects, case by case.

use clap::Parser;

use super::*;
use crate::config::{Flags, load};

#[test]
fn loopback_alone_needs_no_protection() {
    assert_eq!(protected(&[]).unwrap(), []);
    assert_eq!(
        protected(&["--upstream", "http://192.0.2.1:9000"]).unwrap(),
        []
    );
}

/// Acceptance 163, the part before the kernel: an upstream here is protected by itself.
#[test]
fn an_upstream_on_this_host_is_shut_to_others() {
    let ports = protected(&["--upstream", "http://127.0.0.1:9000"]).unwrap();
    assert_eq!(
        policies(&ports),
        [(8765, Policy::Gate), (9000, Policy::Shut)]
    );
    let ports = protected(&["--upstream", "http://10.0.0.1:9000"]).unwrap();
    assert_eq!(
        policies(&ports),
        [(8765, Policy::Gate), (9000, Policy::Shut)]
    );
}

/// Acceptance 166.
#[test]
fn an_upstream_elsewhere_guards_nothing() {
    let flags = [
        "--listen",
        "0.0.0.0:8765",
        "--sources",
        "listed",
        "--upstream",
        "http://u:9000",
    ];
    assert_eq!(
        policies(&protected(&flags).unwrap()),
        [(8765, Policy::Gate)]
    );
}

/// One address on this host is enough, and a Unix socket has none (acceptance 166).
#[test]
fn a_name_is_guarded_for_any_of_its_addresses() {
    let shut = |url| policies(&protected(&["--upstream", url]).unwrap());
    assert_eq!(
        shut("https://here"),
        [(443, Policy::Shut), (8765, Policy::Gate)]
    );
    assert_eq!(shut("https://elsewhere"), []);
    assert_eq!(shut("unix:/run/llm.sock"), []);
}

#[test]
fn a_guard_can_be_declined_and_added() {
    let flags = ["--upstream", "http://127.0.0.1:9000", "--guard", "9000=off"];
    assert_eq!(protected(&flags).unwrap(), []);
    let ports = protected(&["--guard", "7070=listed"]).unwrap();
    assert_eq!(
        policies(&ports),
        [(7070, Policy::Listed), (8765, Policy::Gate)]
    );
}

/// A listener that admits any source is not shut to the unlisted in the kernel.
#[test]
fn a_listener_for_any_source_is_left_open() {
    let flags = ["--listen", "0.0.0.0:8765", "--sources", "any"];
    assert_eq!(protected(&flags).unwrap(), []);
    let ports = protected(&[&flags[..], &["--upstream", "http://127.0.0.1:9000"]].concat());
    assert_eq!(policies(&ports.unwrap()), [(9000, Policy::Shut)]);
}

#[test]
fn one_port_has_one_policy() {
    let flags = [
        "--listen",
        "127.0.0.1:9000",
        "--upstream",
        "http://10.0.0.1:9000",
    ];
    let error = protected(&flags).unwrap_err();
    assert!(
        matches!(error, StartError::TwoPolicies { port: 9000, .. }),
        "{error}"
    );
}

#[test]
fn an_upstream_that_is_the_gate_itself_is_refused() {
    let error = protected(&["--upstream", "http://127.0.0.1:8765"]).unwrap_err();
    assert!(matches!(error, StartError::Itself { .. }));
}

fn protected(flags: &[&str]) -> Result<Vec<Protected>, StartError> {
    let config = load(&Flags::parse_from(["gated"].iter().chain(flags))).unwrap();
    let own = |address: IpAddr| address.is_loopback() || address == IpAddr::from([10, 0, 0, 1]);
    let names = Names::ask(config.settings.hosts(), |name| match name {
        "here" => vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([10, 0, 0, 1])],
        _ => Vec::new(),
    });
    ports(&config.settings, &own, &names)
}

fn policies(ports: &[Protected]) -> Vec<(u16, Policy)> {
    ports
        .iter()
        .map(|protected| (protected.port, protected.policy))
        .collect()
}
