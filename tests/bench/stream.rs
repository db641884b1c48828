//! Many event streams at once: what the gate adds to the time between an event's sending and its
//! arrival, what an event costs it, and what a stream that waits holds of its memory.

mod client;
pub(crate) mod server;

use harness::netns::Namespace;
use harness::scratch::Scratch;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Effort;
use crate::cores;
use crate::count::Samples;
use crate::peers::{self, Buffering, Peer, Task};
use crate::table::Table;
use client::Streams;

const UPSTREAM: u16 = 9000;

/// How many times the streams of an effort, and events a second on each. Ten thousand that speak as
/// often as two thousand are more than one core of anybody carries, so they speak less.
const CROWDS: [(usize, u32); 2] = [(1, 20), (5, 2)];

/// Files that a server has open beside its streams, each of which takes two.
const OTHERS: u64 = 500;

#[derive(Default)]
struct Row {
    p50: Samples,
    p99: Samples,
    micros: Samples,
    kib: Samples,
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Table>> {
    let (place, folder) = (Namespace::new("bench")?, Scratch::new()?);
    let task = Task {
        place: &place,
        folder: folder.path(),
        upstream: UPSTREAM,
        tls: None,
    };
    let mut tables = Vec::new();
    for (times, rate) in CROWDS {
        let effort = Effort {
            streams: (effort.streams * times).min(most()?),
            ..effort
        };
        tables.push(crowd(effort, task, rate)?);
    }
    Ok(tables)
}

/// More than this the system does not let one process have.
fn most() -> anyhow::Result<usize> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(usize::try_from(hard.saturating_sub(OTHERS) / 2)?)
}

fn crowd(effort: Effort, task: Task<'_>, rate: u32) -> anyhow::Result<Table> {
    let _upstream = server::start(task, rate)?;
    let (gate, tokens) = peers::gate(task, effort.streams.min(effort.tokens), 9001)?;
    let nginx = peers::nginx_map(task, &tokens, 9002, Buffering::Off)?;
    let haproxy = peers::haproxy(task, &tokens, 9003)?;
    let servers = [&gate, &nginx, &haproxy];
    let mut rows: Vec<Row> = (0..=servers.len()).map(|_| Row::default()).collect();
    for _ in 0..effort.rounds {
        for (at, row) in rows.iter_mut().enumerate() {
            let server = servers.get(at).copied();
            round(effort, task, server, &tokens, row)?;
        }
    }
    Ok(table(effort, rate, &servers, &rows))
}

fn round(
    effort: Effort,
    task: Task<'_>,
    server: Option<&Peer>,
    tokens: &[String],
    row: &mut Row,
) -> anyhow::Result<()> {
    let pids = server.map(Peer::pids).unwrap_or_default();
    let before = cores::memory(&pids)?;
    let port = server.map_or(UPSTREAM, |server| server.port);
    let streams = Streams::open(task.place, port, tokens, effort.streams)?;
    streams.watch(effort.warm_up)?;
    let held = cores::memory(&pids)?.saturating_sub(before);
    let used = cores::used(&pids)?;
    let seen = streams.watch(effort.measure)?;
    let used = cores::used(&pids)?.saturating_sub(used);
    let count = f64::from(u32::try_from(seen.len())?);
    anyhow::ensure!(count > 0.0, "no event came");
    row.p50.add(number(seen.value_at_quantile(0.5))?);
    row.p99.add(number(seen.value_at_quantile(0.99))?);
    if server.is_some() {
        row.micros.add(used.as_secs_f64() * 1e6 / count);
        let streams = f64::from(u32::try_from(effort.streams)?);
        row.kib.add(number(held / 1024)? / streams);
    }
    Ok(())
}

/// Microseconds and KiB of a run fit 32 bits.
fn number(value: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(value)?))
}

fn table(effort: Effort, rate: u32, servers: &[&Peer], rows: &[Row]) -> Table {
    let names = servers
        .iter()
        .map(|server| server.name)
        .chain(["upstream alone"]);
    let shown_as = |value: f64| {
        if value.is_finite() {
            format!("{value:.1}")
        } else {
            "-".to_owned()
        }
    };
    let shown = names.zip(rows).map(|(name, row)| {
        vec![
            name.to_owned(),
            shown_as(row.p50.median()),
            shown_as(row.p99.median()),
            shown_as(row.micros.median()),
            shown_as(row.kib.median()),
        ]
    });
    let mut notes = Vec::new();
    if let [gate, nginx, haproxy, direct] = rows {
        let added = (gate.p99.median() - direct.p99.median()) / 1000.0;
        let word = |met: bool| if met { "met" } else { "missed" };
        notes.push(if added < 0.0 {
            "What gate adds at p99 is undecided: the sender and the receiver alone are as late."
                .to_owned()
        } else {
            let word = word(added <= 1.0);
            format!("gate adds {added:.2} ms at p99; goal, at most 1 ms: {word}.")
        });
        notes.push(format!(
            "CPU per event against nginx: {}; against haproxy: {}.",
            gate.micros.ratio(&nginx.micros),
            gate.micros.ratio(&haproxy.micros),
        ));
        let kib = gate.kib.median();
        notes.push(format!(
            "Memory of a stream; goal, at most 24 KiB: {}.",
            word(kib <= 24.0)
        ));
    }
    Table {
        title: format!("{} event streams", effort.streams),
        how: format!(
            "{rate} events a second on each, {} rounds of {:?} in turn, sender and receiver on one core, one worker of \
             the server on the other; delay from sending to receiving.",
            effort.rounds, effort.measure
        ),
        head: ["server", "p50 us", "p99 us", "CPU us/event", "KiB/stream"]
            .map(str::to_owned)
            .to_vec(),
        rows: shown.collect(),
        notes,
    }
}
