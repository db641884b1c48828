//! What the host's stack never sees cannot be refused there, so it is named.

use std::net::Ipv4Addr;

use harness::gated::Launch;
use harness::link::{End, bridge, cable};
use harness::netns::Namespace;

const UPSTREAM: &str = "http://10.88.0.2:9000";

/// Acceptance 169.
#[tokio::test]
async fn sandbox_on_the_bridge_of_the_upstream_is_named() {
    if !harness::need::root() {
        return;
    }
    let host = Namespace::new("host").unwrap();
    let containers: Vec<Namespace> = (2..=3).map(|last| contain(&host, last)).collect();
    let shared = End {
        place: &host,
        device: "br0",
        addresses: &["10.88.0.1/24"],
    };
    bridge(&shared, &["to-2"]).unwrap();
    let launch = Launch::on(&host)
        .flag("--listen", format!("{}:8765", Ipv4Addr::UNSPECIFIED))
        .flag("--sources", "listed")
        .flag("--upstream", UPSTREAM);
    let gated = launch.start().await.unwrap();
    let warnings = async || {
        let status = gated.ctl().json("status").await.unwrap();
        status["warnings"].to_string()
    };
    // Alone on its bridge.
    assert!(!warnings().await.contains("bypass"), "{}", warnings().await);
    harness::link::master(&host, "to-3", "br0").unwrap();
    let told = warnings().await;
    let named = ["bypass", "`default`", "10.88.0.2", "br0"];
    assert!(named.iter().all(|part| told.contains(part)), "{told}");
    let doctor = gated.ctl().run("doctor", "").await.unwrap();
    assert!(doctor.stdout.contains("bypass: upstream"), "{doctor:?}");
    drop(containers);
}

fn contain(host: &Namespace, last: u8) -> Namespace {
    let place = Namespace::new(&format!("container {last}")).unwrap();
    let near = End {
        place: host,
        device: &format!("to-{last}"),
        addresses: &[],
    };
    let far = End {
        place: &place,
        device: "eth0",
        addresses: &[&format!("10.88.0.{last}/24")],
    };
    cable(&near, &far).unwrap();
    place
}
