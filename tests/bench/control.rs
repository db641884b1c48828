//! The control path: how fast callers are provisioned and taken away, durably and in the kernel, how
//! soon a revocation has ended what runs, and what a restart costs with many.
//!
//! There is no peer that does the same, so goals stand beside the values and nothing is a ratio.

mod admin;
mod fleet;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context;
use harness::client::Call;
use harness::gated::{Gated, Launch};
use harness::netns::Namespace;
use harness::scratch::Scratch;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::peers::Task;
use crate::table::Table;
use crate::{Effort, cores, stream};
use admin::Admin;

const UPSTREAM: u16 = 9000;

/// Events a second of a stream that runs.
const RATE: u32 = 20;
const GATE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);

/// Rollouts that one call opens or closes.
const BULK: u32 = 10_000;

/// Of those that are told apart by p50 and p99.
const SINGLES: u32 = 500;

/// Ends a broken run: a million rollouts take some minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// Microseconds each.
type Times = Histogram<u64>;

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Table>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (place, folder) = (Namespace::new("bench")?, Scratch::new()?);
    let task = Task {
        place: &place,
        folder: folder.path(),
        upstream: UPSTREAM,
        tls: None,
    };
    let upstream = stream::server::start(task, RATE)?;
    let one = runtime.block_on(async {
        let work = all(&place, effort.tokens);
        tokio::time::timeout(PATIENCE, work).await?
    })?;
    // What follows has the cores for itself.
    drop(upstream);
    let fleet = runtime.block_on(async {
        let work = fleet::measure();
        tokio::time::timeout(PATIENCE, work).await?
    })?;
    Ok(one.into_iter().chain(fleet).collect())
}

async fn all(place: &Namespace, many: usize) -> anyhow::Result<Vec<Table>> {
    let mut gated = Launch::on(place)
        .serving(
            (Ipv4Addr::UNSPECIFIED, GATE.port()).into(),
            (Ipv4Addr::LOCALHOST, UPSTREAM).into(),
        )
        .start()
        .await?;
    gated.ctl().json("client add bench").await?;
    let admin = Admin::at(gated.run_dir().join("admin.sock"));
    let empty = cores::memory(&[gated.pid()])?;
    let (opens, closes) = singles(&admin).await?;
    let (last_byte, answered) = revocations(place, &admin).await?;
    let many = u32::try_from(many)?;
    let (opened, held) = fill(&admin, &gated, many, empty).await?;
    let (ready, again) = restart(&mut gated).await?;
    let emptied = empty_again(&admin, many).await?;
    let rate = |count: u32, took: Duration| format!("{:.0}", f64::from(count) / took.as_secs_f64());
    let row = |what: &str, value: String, goal: &str| vec![what.to_owned(), value, goal.to_owned()];
    let micros = |times: &Times, quantile: f64| times.value_at_quantile(quantile).to_string();
    Ok(vec![Table {
        title: "Control".to_owned(),
        how: format!(
            "One gate with its packet ring on the embedded store, asked at its socket: {SINGLES} rollouts one by one, {many} in \
             calls of {BULK}, each with a source of its own; a rollout with a running stream closed, {SINGLES} times; killed and \
             started again. Everything counts as done when it is durable, in the table and in the kernel."
        ),
        head: ["what", "value", "goal"].map(str::to_owned).to_vec(),
        rows: vec![
            row(
                "open one, p50 / p99, us",
                format!("{} / {}", micros(&opens, 0.5), micros(&opens, 0.99)),
                "",
            ),
            row(
                "close one, p50 / p99, us",
                format!("{} / {}", micros(&closes, 0.5), micros(&closes, 0.99)),
                "",
            ),
            row("open in bulk, a second", rate(many, opened), "20000"),
            row("close in bulk, a second", rate(many, emptied), ""),
            row(
                "revoke to last byte, p50 / p99, us",
                format!("{} / {}", micros(&last_byte, 0.5), micros(&last_byte, 0.99)),
                "p99 10000",
            ),
            row(
                "revoke to answer, p50 / p99, us",
                format!("{} / {}", micros(&answered, 0.5), micros(&answered, 0.99)),
                "",
            ),
            row(
                &format!("restart to ready with {many}, s"),
                format!("{:.1}", ready.as_secs_f64()),
                "5 with a million",
            ),
            row(
                "resident memory per rollout, bytes",
                (held / u64::from(many)).to_string(),
                "600",
            ),
            row(
                "the same after the restart",
                (again.saturating_sub(empty) / u64::from(many)).to_string(),
                "600",
            ),
        ],
        notes: Vec::new(),
    }])
}

async fn singles(admin: &Admin) -> anyhow::Result<(Times, Times)> {
    let (mut opens, mut closes) = (Times::new(3)?, Times::new(3)?);
    for number in 0..SINGLES {
        let since = Instant::now();
        admin
            .ask("POST", "/v1/rollouts", rollout("one", number))
            .await?;
        opens.record(micros(since))?;
        let since = Instant::now();
        let path = format!("/v1/rollouts/one-{number}");
        admin.ask("DELETE", &path, Value::Null).await?;
        closes.record(micros(since))?;
    }
    Ok((opens, closes))
}

/// Until the stream's end was read, and until the gate said that it is so everywhere.
async fn revocations(place: &Namespace, admin: &Admin) -> anyhow::Result<(Times, Times)> {
    let (mut last_byte, mut answered) = (Times::new(3)?, Times::new(3)?);
    for number in 0..SINGLES {
        let id = format!("live-{number}");
        let open = json!({"rollout": id, "client": "bench", "sources": ["lo"]});
        let opened = admin.ask("POST", "/v1/rollouts", open).await?;
        let token = opened["token"].as_str().context("a token")?;
        let call = Call::chat(&format!("/rollout/{id}/v1"), None).bearer(token);
        let mut events = call.send(place, GATE).await?.events();
        events.next().await.context("the stream runs")?;
        let since = Instant::now();
        let path = format!("/v1/rollouts/{id}");
        let closing = admin.ask("DELETE", &path, Value::Null);
        let reading = async {
            events.rest().await;
            micros(since)
        };
        let closing = async { (closing.await, micros(since)) };
        let ((closed, told), ended) = tokio::join!(closing, reading);
        closed?;
        answered.record(told)?;
        last_byte.record(ended)?;
    }
    Ok((last_byte, answered))
}

/// How long it took, and what it holds.
async fn fill(
    admin: &Admin,
    gated: &Gated,
    many: u32,
    before: u64,
) -> anyhow::Result<(Duration, u64)> {
    let since = Instant::now();
    for first in (0..many).step_by(usize::try_from(BULK)?) {
        let rollouts: Vec<Value> = (first..many.min(first + BULK))
            .map(|number| rollout("many", number))
            .collect();
        let ask = json!({ "rollouts": rollouts });
        admin.ask("POST", "/v1/rollouts", ask).await?;
    }
    let took = since.elapsed();
    Ok((took, cores::memory(&[gated.pid()])?.saturating_sub(before)))
}

async fn restart(gated: &mut Gated) -> anyhow::Result<(Duration, u64)> {
    gated.kill()?;
    let since = Instant::now();
    gated.restart().await?;
    Ok((since.elapsed(), cores::memory(&[gated.pid()])?))
}

async fn empty_again(admin: &Admin, many: u32) -> anyhow::Result<Duration> {
    let since = Instant::now();
    for first in (0..many).step_by(usize::try_from(BULK)?) {
        let ids: Vec<String> = (first..many.min(first + BULK))
            .map(|number| format!("many-{number}"))
            .collect();
        admin
            .ask("DELETE", "/v1/rollouts", json!({ "ids": ids }))
            .await?;
    }
    Ok(since.elapsed())
}

/// One with an address of its own, so that the kernel has an entry to write.
fn rollout(kind: &str, number: u32) -> Value {
    let address = Ipv4Addr::from(0x0a00_0000 | number);
    json!({"rollout": format!("{kind}-{number}"), "client": "bench",
        "sources": [format!("{address}/32")]})
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
