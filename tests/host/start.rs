//! What gated starts as, and what it refuses to start as.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use harness::client::Call;
use harness::gated::{Launch, Refused};
use harness::link::beside;
use harness::netns::Namespace;
use harness::probe::{Syn, syn};

use crate::attached::left;
use crate::site::{net, site};

const NOTHING: [String; 0] = [];

fn assert_refused(refused: &Refused, case: &str) {
    assert_eq!(refused.status, Some(78), "{case}: {}", refused.log);
    assert!(refused.log.contains("hint:"), "{case}: {}", refused.log);
}

/// Acceptance 1.
#[tokio::test]
async fn nothing_configured_starts_on_loopback_and_lets_nobody_in() {
    let Some(net) = net(0) else { return };
    let gated = Launch::on(&net.host).start().await.unwrap();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 8765));
    let call = || Call::chat("/v1", Some(1));
    let answer = call().complete(&net.host, loopback).await.unwrap();
    assert_eq!(answer.status, 401);
    let answer = call()
        .bearer("intercepted")
        .complete(&net.host, loopback)
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    drop(gated);
}

/// Acceptance 2, 3 and 13.
#[tokio::test]
async fn public_bind_without_sources_is_refused_with_nothing_attached() {
    let Some(net) = net(1) else { return };
    for address in [
        "0.0.0.0",
        "[::]",
        "10.79.1.1",
        "[fd79:1::1]",
        "[::ffff:10.79.1.1]",
    ] {
        let launch = Launch::on(&net.host).flag("--listen", format!("{address}:8765"));
        assert_refused(&launch.refused().await.unwrap(), address);
        assert_eq!(left(&net.host), NOTHING, "{address}");
        assert_eq!(net.callers[0].knock().await, Syn::Refused, "{address}");
    }
}

/// Acceptance 7, 8 and 9.
#[tokio::test]
async fn weak_shared_secret_is_refused() {
    let Some(net) = net(0) else { return };
    let placeholders = [
        "changeme",
        "CHANGEME",
        "your_api_key_here",
        "placeholder",
        "none",
        "***",
    ];
    let weak = [
        "123456789012345",
        "                    ",
        "       short        ",
    ];
    for secret in placeholders.into_iter().chain(weak) {
        let refused = Launch::on(&net.host)
            .env("INTERCEPTION_SECRET", secret)
            .refused()
            .await;
        let refused = refused.unwrap();
        assert_refused(&refused, secret);
        let said = refused.log.to_lowercase();
        assert_eq!(
            said.contains("placeholder"),
            placeholders.contains(&secret),
            "{secret}: {said}"
        );
    }
    let strong = Launch::on(&net.host).env("INTERCEPTION_SECRET", "k3Vd81xQpLr9sTz0");
    strong.start().await.unwrap();
}

/// Acceptance 10.
#[tokio::test]
async fn public_bind_with_listed_sources_shuts_everyone_out_until_provisioned() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    assert_eq!(caller.knock().await, Syn::Silent);
    let token = site.open("r-1", caller).await;
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
}

/// Whom to believe must be readable before the first call, not found out with it.
#[tokio::test]
async fn unreadable_authority_of_an_upstream_is_refused() {
    let Some(net) = net(0) else { return };
    let upstream = "[[upstream]]\nurl = \"https://llm.example\"\nca_file = \"/nowhere/ca.pem\"\n";
    let refused = Launch::on(&net.host).config(upstream).refused().await;
    let refused = refused.unwrap();
    assert_refused(&refused, "ca_file");
    assert!(refused.log.contains("/nowhere/ca.pem"), "{}", refused.log);
}

/// Acceptance 11.
#[tokio::test]
async fn busy_port_is_one_clear_error() {
    let Some(net) = net(0) else { return };
    let _taken = net
        .host
        .enter(|| TcpListener::bind("127.0.0.1:8765").unwrap());
    let refused = Launch::on(&net.host).refused().await.unwrap();
    assert!(
        refused.status.is_some_and(|status| status != 0),
        "{}",
        refused.log
    );
    assert!(refused.log.contains("in use"), "{}", refused.log);
    assert_eq!(left(&net.host), NOTHING);
}

/// Acceptance 172.
#[tokio::test]
async fn unload_without_a_daemon_leaves_nothing_and_sigterm_leaves_it_shut() {
    let Some(mut site) = site(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    site.gated.terminate().await.unwrap();
    assert_eq!(caller.knock().await, Syn::Silent);
    let unload = site.gated.ctl().run("unload --yes", "").await.unwrap();
    assert_eq!(unload.status, Some(0), "{}{}", unload.stdout, unload.stderr);
    assert_eq!(left(&site.net.host), NOTHING);
    assert_eq!(syn(&caller.place, caller.gate4()).await, Syn::Refused);
}

#[tokio::test]
async fn missing_capability_is_one_clear_error_with_nothing_attached() {
    let Some(net) = net(1) else { return };
    if harness::need::program("setpriv").is_none() {
        return;
    }
    let without = [
        "setpriv",
        "--bounding-set",
        "-bpf,-sys_admin,-perfmon",
        "--",
    ];
    let refused = net.launch().through(&without).refused().await.unwrap();
    assert_refused(&refused, "no CAP_BPF");
    assert!(
        refused.log.to_lowercase().contains("cap_bpf"),
        "{}",
        refused.log
    );
    assert_eq!(left(&net.host), NOTHING);
    assert_eq!(net.callers[0].knock().await, Syn::Refused);
}

#[tokio::test]
async fn second_gate_on_the_same_pins_is_refused_and_disturbs_nothing() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let before = left(&site.net.host);
    let second = Launch::on(&site.net.host).flag("--listen", "0.0.0.0:8766");
    let refused = second.flag("--sources", "listed").refused().await.unwrap();
    assert!(
        refused.status.is_some_and(|status| status != 0),
        "{}",
        refused.log
    );
    assert!(refused.log.contains("hint:"), "{}", refused.log);
    assert_eq!(left(&site.net.host), before);
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
}

/// Containers share the bpffs of their host, and each has an interface of the same number.
#[tokio::test]
async fn pins_of_another_network_are_refused_while_that_lives() {
    if !harness::need::root() {
        return;
    }
    let (first, caller) = beside("first", "10.78.1.1/24", &["10.78.1.2/24"]).unwrap();
    let (second, _other) = beside("second", "10.78.2.1/24", &["10.78.2.2/24"]).unwrap();
    let mut gated = open_on(&first).start().await.unwrap();
    gated.terminate().await.unwrap();
    let pinned = left(&first);
    let refused = in_network(&first, &second).refused().await.unwrap();
    assert_refused(&refused, "living");
    let told = "guards another network namespace";
    assert!(refused.log.contains(told), "{}", refused.log);
    assert_eq!(left(&first), pinned);
    let gate = SocketAddr::from((Ipv4Addr::new(10, 78, 1, 1), 8765));
    assert_eq!(syn(&caller, gate).await, Syn::Silent, "still shut");
}

#[tokio::test]
async fn pins_of_a_network_that_is_gone_are_taken_over() {
    if !harness::need::root() {
        return;
    }
    let bpffs = Namespace::new("bpffs").unwrap();
    for address in [1, 2] {
        let near = format!("10.78.{address}.1/24");
        let far = format!("10.78.{address}.2/24");
        let (network, caller) = beside("network", &near, &[&far]).unwrap();
        let mut gated = in_network(&bpffs, &network).start().await.unwrap();
        let gate = SocketAddr::from((Ipv4Addr::new(10, 78, address, 1), 8765));
        assert_eq!(syn(&caller, gate).await, Syn::Silent, "{address}");
        gated.kill().unwrap();
    }
}

fn open_on(place: &Namespace) -> Launch {
    let launch = Launch::on(place).flag("--listen", "0.0.0.0:8765");
    launch
        .flag("--sources", "listed")
        .flag("--kernel", "require")
}

/// With the mounts of one place and the network of another.
fn in_network(place: &Namespace, network: &Namespace) -> Launch {
    let network = format!("--net={}", network.handle().display());
    open_on(place).through(&["nsenter", &network])
}
