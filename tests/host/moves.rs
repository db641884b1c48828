//! An upstream's name that leads elsewhere later: calls follow it, and the guard goes before them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use harness::client::Call;
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::probe::{Syn, syn};
use harness::scratch::Scratch;
use serde_json::Value;

use crate::site::{Net, PORT, Site, UPSTREAM_PORT, base, net, until};

const PATIENCE: Duration = Duration::from_mins(1);
const NAME: &str = "provider.test";

/// Acceptance 163 and 165 for a name: nobody reaches the provider's port from the moment on in which
/// the gate does, and the port is given back when the name leads elsewhere again.
#[tokio::test]
async fn a_name_that_comes_to_this_host_is_guarded_before_the_first_call() {
    let Some(net) = net(1) else { return };
    let hosts = Hosts::new();
    // An address that nobody here has a way to.
    hosts.say("192.0.2.1");
    let site = site(net, &hosts).await;
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let call = async || {
        let call = Call::chat(&base("r-1"), Some(3)).bearer(&token);
        call.complete(&caller.place, caller.gate4())
            .await
            .unwrap()
            .status
    };
    assert_eq!(call().await, 503);
    // Acceptance 166: on another host, so nothing is guarded for it.
    let leads = upstream(&site.gated).await;
    assert_eq!(
        leads["guard"], "nothing to guard: not on this host",
        "{leads}"
    );
    let provider = caller.port(UPSTREAM_PORT);
    assert_eq!(syn(&caller.place, provider).await, Syn::Answered);

    hosts.say("127.0.0.1");
    until("a call is answered", async || call().await == 200).await;
    assert_eq!(syn(&caller.place, provider).await, Syn::Silent);
    assert!(
        guards(&site.gated)
            .await
            .contains(&u64::from(UPSTREAM_PORT))
    );

    let leads = upstream(&site.gated).await;
    assert_eq!(leads["guard"], "port 9000 is guarded", "{leads}");

    // Nobody knows the name any more: what was known stays, and is guarded.
    hosts.forget();
    let lost = |line: &str| line.contains("its last addresses stay");
    site.gated.log().wait(PATIENCE, lost).await.unwrap();
    assert_eq!(call().await, 200);
    assert_eq!(syn(&caller.place, provider).await, Syn::Silent);

    hosts.say("192.0.2.1");
    until("the port is given back", async || {
        !guards(&site.gated)
            .await
            .contains(&u64::from(UPSTREAM_PORT))
    })
    .await;
    assert_eq!(syn(&caller.place, provider).await, Syn::Answered);
    assert_eq!(call().await, 503);
}

/// Where nothing can be guarded any more, calls stay where they were, unless the operator said that
/// the packet ring may be missing.
#[tokio::test]
async fn a_name_that_comes_to_an_unguarded_host_is_not_followed() {
    for (kernel, is_followed) in [(None, false), (Some("off"), true)] {
        let Some(net) = net(0) else { return };
        let hosts = Hosts::new();
        hosts.say("192.0.2.1");
        // Loopback alone and an upstream elsewhere: no packet ring is needed.
        let mut launch = Launch::on(&net.host)
            .flag("--upstream", format!("http://{NAME}:{UPSTREAM_PORT}"))
            .through(&["unshare", "--mount", "sh", "-c", &hosts.mount()]);
        if let Some(word) = kernel {
            launch = launch.flag("--kernel", word);
        }
        let gated = launch.start().await.unwrap();
        let made = gated.ctl().json("client add here").await.unwrap();
        let token = text(&made, "/token").unwrap();
        let at = (Ipv4Addr::LOCALHOST, PORT).into();
        let call = async || {
            let call = Call::chat("/v1", Some(3)).bearer(&token);
            call.complete(&net.host, at).await.unwrap().status
        };
        assert_eq!(call().await, 503);
        hosts.say("127.0.0.1");
        if is_followed {
            until("a call is answered", async || call().await == 200).await;
        } else {
            let refused = "calls go where they went before";
            until("it is refused", async || {
                assert_eq!(call().await, 503);
                gated.log().text().contains(refused)
            })
            .await;
            assert_eq!(call().await, 503);
            assert!(net.upstream.journal().requests().is_empty());
        }
    }
}

/// What the gate reads in place of `/etc/hosts`.
struct Hosts(Scratch);

impl Hosts {
    fn new() -> Self {
        Self(Scratch::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.join("hosts")
    }

    /// What a shell does to put it there.
    fn mount(&self) -> String {
        let file = self.file();
        format!(
            "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
            file.display()
        )
    }

    /// Written in place: it is mounted.
    fn say(&self, address: &str) {
        fs::write(self.file(), format!("{address} {NAME}\n")).unwrap();
    }

    fn forget(&self) {
        fs::write(self.file(), "\n").unwrap();
    }
}

async fn site(net: Net, hosts: &Hosts) -> Site {
    let launch = net
        .launch_to(&format!("http://{NAME}:{UPSTREAM_PORT}"))
        .through(&["unshare", "--mount", "sh", "-c", &hosts.mount()]);
    let gated = launch.start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Site { gated, net }
}

async fn guards(gated: &Gated) -> Vec<u64> {
    let status = gated.ctl().json("status").await.unwrap();
    let guards = status["rings"]["packet"]["guards"].as_array().cloned();
    let guards = guards.unwrap_or_default().into_iter();
    guards.filter_map(|guard| guard["port"].as_u64()).collect()
}

async fn upstream(gated: &Gated) -> Value {
    let status = gated.ctl().json("status").await.unwrap();
    status["rings"]["request"]["upstreams"][0].clone()
}
