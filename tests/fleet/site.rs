//! The fleet: a place with the server, cables to three hosts, and a caller and a provider at each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::client::{Call, Complete};
use harness::gatectl::Gatectl;
use harness::gated::{Gated, Launch};
use harness::link::{self, End, cable};
use harness::netns::Namespace;
use harness::postgres::Postgres;
use harness::probe::{Syn, syn};
use harness::raw::{self, Heard};
use harness::sse::Events;
use harness::upstream::{Provider, Upstream};
use serde_json::Value;

const PORT: u16 = 8765;
const UPSTREAM_PORT: u16 = 9000;
const STANDBY_PORT: u16 = 5433;

/// Between two looks at something that is about to be.
const LOOK: Duration = Duration::from_millis(20);

/// Ends a broken run.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fields drop top to bottom.
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Host>,
    pub(crate) postgres: Postgres,
    /// Follows the other one, where a test asks for it.
    pub(crate) standby: Option<Postgres>,
    _database: Namespace,
}

pub(crate) struct Host {
    pub(crate) gated: Gated,
    _upstream: Upstream,
    caller: Namespace,
    place: Namespace,
    number: u8,
}

/// None when this machine has no namespaces or no Postgres, which is reported.
pub(crate) async fn fleet() -> Option<Fleet> {
    fleet_for("3s").await
}

/// A fleet whose hosts serve for this long without word from the store.
pub(crate) async fn fleet_for(staleness: &str) -> Option<Fleet> {
    start(staleness, false).await
}

/// A fleet whose store has a standby, which holds a change before that is answered.
pub(crate) async fn fleet_with_standby(staleness: &str) -> Option<Fleet> {
    start(staleness, true).await
}

async fn start(staleness: &str, with_standby: bool) -> Option<Fleet> {
    if !harness::need::root() {
        return None;
    }
    let database = Namespace::new("database").unwrap();
    let places: Vec<Namespace> = (1..=3).map(|number| host(&database, number)).collect();
    let postgres = Postgres::start(&database).await.unwrap()?;
    let standby = if with_standby {
        let standby = postgres.standby(STANDBY_PORT).await.unwrap();
        postgres.set("synchronous_standby_names", "*").unwrap();
        Some(standby)
    } else {
        None
    };
    let servers: Vec<&Postgres> = std::iter::once(&postgres).chain(&standby).collect();
    let mut hosts = Vec::new();
    for (number, place) in (1..).zip(places) {
        let url = Postgres::url_of(&servers, server(number));
        hosts.push(Host::start(number, place, &url, staleness).await);
    }
    hosts[0].ctl().json("client add trainer").await.unwrap();
    Some(Fleet {
        hosts,
        postgres,
        standby,
        _database: database,
    })
}

fn host(database: &Namespace, number: u8) -> Namespace {
    let place = Namespace::new(&format!("host {number}")).unwrap();
    let (device, server) = (format!("to-{number}"), format!("{}/24", server(number)));
    let near = End {
        place: database,
        device: &device,
        addresses: &[&server],
    };
    let far = End {
        place: &place,
        device: "store",
        addresses: &[&format!("10.80.{number}.2/24")],
    };
    cable(&near, &far).unwrap();
    place
}

/// The server, as a host sees it.
fn server(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 80, number, 1).into()
}

impl Host {
    async fn start(number: u8, place: Namespace, url: &str, staleness: &str) -> Self {
        let caller = Namespace::new(&format!("caller {number}")).unwrap();
        let near = End {
            place: &place,
            device: "sandbox",
            addresses: &[&format!("10.79.{number}.1/24")],
        };
        let far = End {
            place: &caller,
            device: "eth0",
            addresses: &[&format!("10.79.{number}.2/24")],
        };
        cable(&near, &far).unwrap();
        let everywhere = (Ipv4Addr::LOCALHOST, UPSTREAM_PORT).into();
        let provider = Provider {
            pace: Duration::from_millis(5),
        };
        let upstream = Upstream::provider(&place, everywhere, provider).unwrap();
        let launch = Launch::on(&place)
            .serving(
                (Ipv4Addr::UNSPECIFIED, PORT).into(),
                (Ipv4Addr::LOCALHOST, UPSTREAM_PORT).into(),
            )
            .config(&format!(
                "[gate]\nhost = \"h{number}\"\n[admin]\nlisten = \"127.0.0.1:8766\"\n[store]\nurl = \"{url}\"\nstaleness = \"{staleness}\"\nskew = \"1s\"\n"
            ))
            .flag("--upstream-key-env", "FLEET_UPSTREAM_KEY")
            .env("FLEET_UPSTREAM_KEY", "sk-fleet-provider-key-0001");
        Self {
            gated: launch.start().await.unwrap(),
            _upstream: upstream,
            caller,
            place,
            number,
        }
    }

    pub(crate) fn ctl(&self) -> Gatectl {
        self.gated.ctl()
    }

    /// An operator beside the gate, whose token was made on any host of the fleet.
    pub(crate) fn operator(&self, token: &str) -> Gatectl {
        let url = "http://127.0.0.1:8766";
        Gatectl::over(&self.place, url).env("GATE_ADMIN_TOKEN", token)
    }

    pub(crate) fn name(&self) -> String {
        format!("h{}", self.number)
    }

    /// The caller of this host, as a source.
    pub(crate) fn source(&self) -> String {
        format!("10.79.{}.2/32", self.number)
    }

    fn gate(&self) -> SocketAddr {
        (Ipv4Addr::new(10, 79, self.number, 1), PORT).into()
    }

    /// The way to the store, cut or mended.
    pub(crate) fn connect(&self, is_up: bool) {
        link::set(&self.place, "store", is_up).unwrap();
    }

    /// What becomes of a SYN of this host's caller.
    pub(crate) async fn knock(&self) -> Syn {
        syn(&self.caller, self.gate()).await
    }

    pub(crate) async fn chat(&self, rollout: &str, token: &str) -> Complete {
        let call = Call::chat(&base(rollout), Some(3)).bearer(token);
        call.complete(&self.caller, self.gate()).await.unwrap()
    }

    /// The status of an answer; none when the connection ended before there was one.
    pub(crate) async fn status(&self, rollout: &str, token: &str) -> Option<u16> {
        let call = Call::chat(&base(rollout), Some(3)).bearer(token);
        let answer = call.complete(&self.caller, self.gate()).await;
        answer.ok().map(|answer| answer.status.as_u16())
    }

    /// A running stream without an end, its first event read.
    pub(crate) async fn stream(&self, rollout: &str, token: &str) -> Events {
        let call = Call::chat(&base(rollout), None).bearer(token);
        let answer = call.send(&self.caller, self.gate()).await.unwrap();
        assert_eq!(answer.status, 200);
        let mut events = answer.events();
        assert!(events.next().await.is_some());
        events
    }

    /// Asks for a stream without an end and listens until the gate ends the connection.
    pub(crate) async fn listen(&self, rollout: &str, token: &str) -> Heard {
        let body =
            r#"{"model":"scripted","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
        let call = format!(
            "POST {}/chat/completions HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            base(rollout),
            body.len()
        );
        let heard = raw::exchange(&self.caller, self.gate(), call.as_bytes()).await;
        heard.unwrap()
    }

    /// Waits until this host is at `revision`.
    pub(crate) async fn reaches(&self, revision: &Value) {
        let wanted = revision.as_u64().unwrap();
        until(async || {
            let status = self.ctl().json("status").await.unwrap();
            status["revision"].as_u64().unwrap() >= wanted
        })
        .await;
    }

    /// The ids of the rollouts that live here.
    pub(crate) async fn rollouts(&self) -> Vec<String> {
        let list = self.ctl().json("rollout list").await.unwrap();
        let rollouts = list["rollouts"].as_array().unwrap().iter();
        rollouts
            .map(|rollout| rollout["rollout"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Waits until it is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            // Each look starts a gatectl or opens a connection: not as fast as it can.
            tokio::time::sleep(LOOK).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, looking).await;
    done.expect("it never came to be");
}

fn base(rollout: &str) -> String {
    format!("/rollout/{rollout}/v1")
}
