//! What a fleet asks of one Postgres: polls, heartbeats, changes, and the rush after each.
//!
//! The hosts are tasks that use the gate's own store, many to one of its pools, because thousands of
//! pools would measure the connections instead. Starts a throw-away server unless it is given one.
//! The numbers of docs/scale.md come from here: `cargo run --release -p gate-tests --bin gate-scale`.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use gate_userspace::client::{Client, Reach};
use gate_userspace::clock::Stamp;
use gate_userspace::ident::{ClientId, Revision};
use gate_userspace::store::{Change, Commit, Note, Postgres, Store, Write};
use harness::netns::Namespace;
use harness::postgres::Postgres as Server;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Pools of three connections each.
const POOLS: usize = 8;
const HOSTS: usize = 10_000;
/// Of each measurement.
const SPAN: Duration = Duration::from_secs(3);
const CHANGES: u32 = 20;

#[expect(clippy::print_stdout, reason = "a program says its results on stdout")]
fn say(what: &str, result: &str) {
    println!("{what:44} {result}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let given = std::env::args().nth(1);
    let place = Namespace::here();
    let (url, _server) = if let Some(url) = given {
        (url, None)
    } else {
        let server = Server::start(&place).await?;
        let server = server.context("Postgres is not installed")?;
        (server.url(IpAddr::V4(Ipv4Addr::LOCALHOST)), Some(server))
    };
    let pools: Vec<Store> = (0..POOLS)
        .map(|_| Ok(Store::Postgres(Postgres::new(&url, Some(SPAN))?)))
        .collect::<anyhow::Result<_>>()?;
    say("connections", &(POOLS * 3).to_string());
    // Brings the schema there.
    let start = pools[0].snapshot().await?.revision;
    let asked = rate(&pools, move |store, _| async move {
        store.news(Revision(u64::MAX >> 1)).await.map(drop)
    });
    say(
        "polls without news, per second",
        &format!("{:.0}", asked.await?),
    );
    let tells = rate(&pools, move |store, number| async move {
        let host = format!("h{}", number % HOSTS).parse();
        store
            .tell(&host.expect("a host name"), Revision(1), &[])
            .await
    });
    say("heartbeats, per second", &format!("{:.0}", tells.await?));
    let mut revision = start;
    let mut took = Histogram::<u64>::new(3)?;
    for number in 1..=CHANGES {
        let since = Instant::now();
        revision = pools[0].commit(change(number)?).await?;
        took.record(micros(since))?;
    }
    say(
        "one change, p50",
        &format!("{} us", took.value_at_quantile(0.5)),
    );
    rush(&pools, revision).await
}

/// How often a second all pools together do something, one caller for each connection.
async fn rate<W, F>(pools: &[Store], work: W) -> anyhow::Result<f64>
where
    W: Fn(Store, usize) -> F + Copy + Send + 'static,
    F: Future<Output = Result<(), gate_userspace::store::StoreError>> + Send + 'static,
{
    let (since, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for store in pools.iter().flat_map(|store| std::iter::repeat_n(store, 3)) {
        let (store, done) = (store.clone(), Arc::clone(&done));
        callers.spawn(async move {
            while since.elapsed() < SPAN {
                let number = done.fetch_add(1, Ordering::Relaxed);
                work(store.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let count = u32::try_from(done.load(Ordering::Relaxed))?;
    Ok(f64::from(count) / since.elapsed().as_secs_f64())
}

/// Every host hears of one change at once and asks for it.
async fn rush(pools: &[Store], revision: Revision) -> anyhow::Result<()> {
    let since = Instant::now();
    let before = Revision(revision.0 - 1);
    let mut hosts = JoinSet::new();
    for number in 0..HOSTS {
        let store = pools[number % pools.len()].clone();
        hosts.spawn(async move {
            // A pool that others wait for longer than its patience is tried again, as gated does.
            while let Err(why) = store.news(before).await {
                if !why.is_outage() {
                    return Err(why);
                }
            }
            Ok(micros(since))
        });
    }
    let mut heard = Histogram::<u64>::new(3)?;
    while let Some(host) = hosts.join_next().await {
        heard.record(host??)?;
    }
    let millis = |quantile| heard.value_at_quantile(quantile) / 1000;
    let text = format!(
        "p50 {} ms, p99 {} ms, all {} ms",
        millis(0.5),
        millis(0.99),
        millis(1.0)
    );
    say(&format!("{HOSTS} hosts fetch one change at once"), &text);
    let each = heard.max() / HOSTS as u64;
    say(
        "that is, for each host",
        &format!("{each} us of the server"),
    );
    Ok(())
}

fn change(number: u32) -> anyhow::Result<Commit> {
    let id = NonZeroU32::new(number).context("counted from one")?;
    let client = Client {
        id: ClientId(id),
        name: format!("c{number}").parse()?,
        sources: Vec::new(),
        ports: Vec::new(),
        scope: None,
        upstream: None,
        key: None,
        reach: Reach::Own,
        enabled: true,
        expires: None,
        rps: 0,
        concurrency: 0,
        created: Stamp(1),
        tokens: Vec::new(),
    };
    Ok(Commit {
        at: Stamp(1),
        host: "here".parse()?,
        actor: "scale".to_owned(),
        basis: Revision(u64::MAX >> 1),
        changes: vec![Change {
            write: Write::AddClient(Box::new(client)),
            note: Note {
                kind: "client.add",
                subject: String::new(),
                client: String::new(),
                detail: serde_json::json!({}),
            },
        }],
    })
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
