//! A gate host with a provider, and callers on cables of their own, over both address families.
//!
//! Does not provision: each test says who may come.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use harness::client::{Call, Complete};
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::link::{End, cable};
use harness::netns::Namespace;
use harness::probe::{Syn, syn};
use harness::sse::Events;
use harness::upstream::{Provider, Upstream};

pub(crate) const PORT: u16 = 8765;
pub(crate) const UPSTREAM_PORT: u16 = 9000;
pub(crate) const UPSTREAM_KEY: &str = "sk-host-provider-key-0001";

/// The network without a gate.
pub(crate) struct Net {
    pub(crate) upstream: Upstream,
    pub(crate) callers: Vec<Caller>,
    pub(crate) host: Namespace,
}

/// The network with a gate on its host. Fields drop top to bottom.
pub(crate) struct Site {
    pub(crate) gated: Gated,
    pub(crate) net: Net,
}

pub(crate) struct Caller {
    pub(crate) place: Namespace,
    subnet: u8,
}

/// None when namespaces cannot be had, which is reported.
pub(crate) fn net(callers: u8) -> Option<Net> {
    if !harness::need::root() {
        return None;
    }
    let host = Namespace::new("host").unwrap();
    let callers = (1..=callers)
        .map(|subnet| Caller::new(&host, subnet))
        .collect();
    let everywhere = (Ipv4Addr::UNSPECIFIED, UPSTREAM_PORT).into();
    let provider = Provider {
        pace: Duration::from_millis(5),
    };
    let upstream = Upstream::provider(&host, everywhere, provider).unwrap();
    Some(Net {
        upstream,
        callers,
        host,
    })
}

/// A gate for listed sources on every address of the host, with nobody provisioned but client
/// `trainer`, who has no source.
pub(crate) async fn site(callers: u8) -> Option<Site> {
    let net = net(callers)?;
    let gated = net.launch().start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Some(Site { gated, net })
}

impl Net {
    /// A gate that listens everywhere, over both families.
    pub(crate) fn launch(&self) -> Launch {
        self.launch_to(&format!("http://{}", self.upstream_address()))
    }

    /// The same with the upstream at this URL.
    pub(crate) fn launch_to(&self, url: &str) -> Launch {
        Launch::on(&self.host)
            .flag("--listen", SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)))
            .flag("--sources", "listed")
            .flag("--upstream", url)
            .flag("--upstream-key-env", "HOST_UPSTREAM_KEY")
            .env("HOST_UPSTREAM_KEY", UPSTREAM_KEY)
    }

    pub(crate) fn upstream_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.upstream.address().port()).into()
    }
}

impl Site {
    /// A caller on a cable of its own that the running gate has not seen yet.
    pub(crate) fn plug(&mut self) -> &Caller {
        let subnet = u8::try_from(self.net.callers.len() + 1).unwrap();
        let caller = Caller::new(&self.net.host, subnet);
        self.net.callers.push(caller);
        self.net.callers.last().unwrap()
    }

    /// Opens a rollout for the address of `caller` and returns its token.
    pub(crate) async fn open(&self, rollout: &str, caller: &Caller) -> String {
        let (four, six) = (caller.source4(), caller.source6());
        let open =
            format!("rollout open {rollout} --client trainer --source {four} --source {six}");
        text(&self.gated.ctl().json(&open).await.unwrap(), "/token").unwrap()
    }
}

impl Caller {
    fn new(host: &Namespace, subnet: u8) -> Self {
        let place = Namespace::new(&format!("caller {subnet}")).unwrap();
        let caller = Self { place, subnet };
        let device = format!("to-{subnet}");
        let [near, far] = [1, 2].map(|last| {
            [
                format!("{}/24", caller.four(last)),
                format!("{}/64", caller.six(last)),
            ]
        });
        let near = End {
            place: host,
            device: &device,
            addresses: &[&near[0], &near[1]],
        };
        let far = End {
            place: &caller.place,
            device: "eth0",
            addresses: &[&far[0], &far[1]],
        };
        cable(&near, &far).unwrap();
        caller
    }

    pub(crate) fn source4(&self) -> String {
        format!("{}/32", self.four(2))
    }

    pub(crate) fn source6(&self) -> String {
        format!("{}/128", self.six(2))
    }

    /// The whole subnet of the caller.
    pub(crate) fn subnet4(&self) -> String {
        format!("{}/24", self.four(0))
    }

    /// The gate, as seen from here.
    pub(crate) fn gate4(&self) -> SocketAddr {
        (self.four(1), PORT).into()
    }

    pub(crate) fn gate6(&self) -> SocketAddr {
        (self.six(1), PORT).into()
    }

    /// Another port of the gate's host.
    pub(crate) fn port(&self, port: u16) -> SocketAddr {
        (self.four(1), port).into()
    }

    /// What becomes of a SYN to the gate.
    pub(crate) async fn knock(&self) -> Syn {
        syn(&self.place, self.gate4()).await
    }

    /// A short whole answer to a chat call with `token` below the path of `rollout`.
    pub(crate) async fn chat(&self, rollout: &str, token: &str) -> Complete {
        let call = Call::chat(&base(rollout), Some(3)).bearer(token);
        call.complete(&self.place, self.gate4()).await.unwrap()
    }

    /// A running stream without an end, its first event read.
    pub(crate) async fn stream(&self, rollout: &str, token: &str) -> Events {
        let call = Call::chat(&base(rollout), None).bearer(token);
        let answer = call.send(&self.place, self.gate4()).await.unwrap();
        assert_eq!(answer.status, 200);
        let mut events = answer.events();
        assert!(events.next().await.is_some());
        events
    }

    fn four(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 79, self.subnet, last)
    }

    fn six(&self, last: u8) -> Ipv6Addr {
        Ipv6Addr::new(
            0xfd79,
            u16::from(self.subnet),
            0,
            0,
            0,
            0,
            0,
            u16::from(last),
        )
    }
}

/// The base path of a rollout.
pub(crate) fn base(rollout: &str) -> String {
    format!("/rollout/{rollout}/v1")
}

/// Ends a broken run.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            // Nothing tells of what the gate knows by now: it has to be asked again.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "not so: {what}");
}
