//! A revocation across hosts: three gates on one Postgres, asked at one for a stream on another.
//!
//! Every host has a place of its own, with a cable to the server's and one to a caller's, as where
//! they are machines. The server waits for its disk, unlike that of the tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::Context;
use harness::client::Call;
use harness::gated::{Gated, Launch};
use harness::link::{End, cable};
use harness::netns::Namespace;
use harness::postgres::Postgres;
use harness::scratch::Scratch;
use harness::sse::Events;
use serde_json::json;
use tokio::task::JoinSet;

use super::{RATE, Times, UPSTREAM, admin::Admin};
use crate::peers::{Peer, Task};
use crate::stream;
use crate::table::Table;

const HOSTS: u8 = 3;
const PORT: u16 = 9001;

/// Streams that run on the other host at once; they are ended one by one.
const RUNNING: u32 = 50;

/// How often that is done.
const ROUNDS: u32 = 5;

/// In the words of the admin API: far more than it takes, so that none is behind.
const WAIT: &str = "wait_seconds=30";

/// Fields drop top to bottom.
struct Site {
    gates: Vec<Gated>,
    _upstream: Peer,
    _folder: Scratch,
    _postgres: Postgres,
    callers: Vec<Namespace>,
    _hosts: Vec<Namespace>,
    _database: Namespace,
}

#[derive(Clone, Copy)]
enum Asked {
    /// The host that carries the stream.
    There,
    /// Another one.
    Elsewhere,
}

struct Measured {
    last_byte: Times,
    answered: Times,
}

/// None = no Postgres here, which is reported.
pub(super) async fn measure() -> anyhow::Result<Option<Table>> {
    let Some(site) = Site::start().await? else {
        return Ok(None);
    };
    let mut rows = Vec::new();
    let kinds = [
        (Asked::There, "asked there", ""),
        (Asked::Elsewhere, "asked at another host", "p99 100000"),
    ];
    for (asked, what, goal) in kinds {
        let measured = site.revocations(asked).await?;
        for (name, times) in [
            ("last byte", &measured.last_byte),
            ("answer of all hosts", &measured.answered),
        ] {
            let at = |quantile| times.value_at_quantile(quantile);
            rows.push(vec![
                format!("revoke to {name}, {what}, p50 / p99, us"),
                format!("{} / {}", at(0.5), at(0.99)),
                goal.to_owned(),
            ]);
        }
    }
    let count = ROUNDS * RUNNING;
    Ok(Some(Table {
        title: "Control of a fleet".to_owned(),
        how: format!(
            "{HOSTS} gates with their packet rings, each in a network namespace, on one Postgres that waits for its disk, \
             all on this machine; {RUNNING} streams run on the second host, and {count} rollouts are closed one by one, at \
             the socket of that host or of the first, waiting for every host to acknowledge."
        ),
        head: ["what", "value", "goal"].map(str::to_owned).to_vec(),
        rows,
        notes: Vec::new(),
    }))
}

impl Site {
    async fn start() -> anyhow::Result<Option<Self>> {
        let database = Namespace::new("database")?;
        let (mut hosts, mut callers) = (Vec::new(), Vec::new());
        for number in 1..=HOSTS {
            let (host, caller) = place(&database, number)?;
            hosts.push(host);
            callers.push(caller);
        }
        let Some(postgres) = Postgres::start(&database).await? else {
            return Ok(None);
        };
        postgres.set("fsync", "on")?;
        let folder = Scratch::new()?;
        let carrier = hosts.get(1).context("a second host")?;
        let upstream = stream::server::start(
            Task {
                place: carrier,
                folder: folder.path(),
                upstream: UPSTREAM,
                tls: None,
            },
            RATE,
        )?;
        let mut gates = Vec::new();
        for (number, host) in (1..).zip(&hosts) {
            let url = postgres.url(Ipv4Addr::new(10, 80, number, 1).into());
            let text = format!("[gate]\nhost = \"h{number}\"\n[store]\nurl = \"{url}\"\n");
            let launch = Launch::on(host).serving(
                (Ipv4Addr::UNSPECIFIED, PORT).into(),
                (Ipv4Addr::LOCALHOST, UPSTREAM).into(),
            );
            gates.push(launch.config(&text).start().await?);
        }
        let first = gates.first().context("a first host")?;
        first.ctl().json("client add bench").await?;
        Ok(Some(Self {
            gates,
            _upstream: upstream,
            _folder: folder,
            _postgres: postgres,
            callers,
            _hosts: hosts,
            _database: database,
        }))
    }

    async fn revocations(&self, asked: Asked) -> anyhow::Result<Measured> {
        let mut measured = Measured {
            last_byte: Times::new(3)?,
            answered: Times::new(3)?,
        };
        let admin = self.admin(match asked {
            Asked::There => 1,
            Asked::Elsewhere => 0,
        })?;
        for round in 0..ROUNDS {
            self.round(&admin, round, &mut measured).await?;
        }
        Ok(measured)
    }

    fn admin(&self, host: usize) -> anyhow::Result<Admin> {
        let gate = self.gates.get(host).context("a host")?;
        Ok(Admin::at(gate.run_dir().join("admin.sock")))
    }

    async fn round(
        &self,
        admin: &Admin,
        round: u32,
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        let there = self.admin(1)?;
        let ids: Vec<String> = (0..RUNNING).map(|n| format!("r-{round}-{n}")).collect();
        let mut ends = JoinSet::new();
        for (number, id) in ids.iter().enumerate() {
            let mut events = self.running(admin, &there, id).await?;
            ends.spawn(async move {
                while events.next().await.is_some() {}
                (number, Instant::now())
            });
        }
        let mut revoked = Vec::new();
        for id in &ids {
            let since = Instant::now();
            let path = format!("/v1/rollouts/{id}?{WAIT}");
            let ended = admin.ask("DELETE", &path, serde_json::Value::Null).await?;
            measured.answered.record(micros(since, Instant::now()))?;
            let hosts = ended["hosts"].as_array().context("hosts")?;
            let done = hosts.iter().filter(|host| host["state"] == "done").count();
            anyhow::ensure!(done == usize::from(HOSTS), "not everywhere: {ended}");
            revoked.push(since);
        }
        while let Some(end) = ends.join_next().await {
            let (number, end) = end?;
            let since = *revoked.get(number).context("it was revoked")?;
            measured.last_byte.record(micros(since, end))?;
        }
        Ok(())
    }

    /// A stream on the second host, its first event read.
    async fn running(&self, admin: &Admin, there: &Admin, id: &str) -> anyhow::Result<Events> {
        let open = json!({"rollout": id, "client": "bench", "host": "h2",
            "sources": ["10.79.2.2/32"]});
        let opened = admin.ask("POST", "/v1/rollouts", open).await?;
        let token = opened["token"].as_str().context("a token")?;
        let revision = opened["revision"].as_u64();
        let status = || there.ask("GET", "/v1/status", serde_json::Value::Null);
        while status().await?["revision"].as_u64() < revision {}
        let gate = SocketAddr::from((Ipv4Addr::new(10, 79, 2, 1), PORT));
        let call = Call::chat(&format!("/rollout/{id}/v1"), None).bearer(token);
        let caller = self.callers.get(1).context("its caller")?;
        let mut events = call.send(caller, gate).await?.events();
        events.next().await.context("the stream runs")?;
        Ok(events)
    }
}

/// A host on a cable to the server, and a caller on one to the host.
fn place(database: &Namespace, number: u8) -> anyhow::Result<(Namespace, Namespace)> {
    let host = Namespace::new(&format!("host {number}"))?;
    let caller = Namespace::new(&format!("caller {number}"))?;
    let address = |net: u8, end: u8| format!("10.{net}.{number}.{end}/24");
    for (near, far, device, net) in [
        (database, &host, "store", 80),
        (&host, &caller, "sandbox", 79),
    ] {
        let near = End {
            place: near,
            device: &format!("to-{device}-{number}"),
            addresses: &[&address(net, 1)],
        };
        let far = End {
            place: far,
            device,
            addresses: &[&address(net, 2)],
        };
        cable(&near, &far)?;
    }
    Ok((host, caller))
}

fn micros(since: Instant, until: Instant) -> u64 {
    let took = until.saturating_duration_since(since);
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
