//! Calls that are answered at once: what the gate costs each, beside servers that check a list.
//!
//! A closed loop: `wrk` keeps its connections busy, so latency there is that of a full server. CPU
//! per call says what a call costs whoever is measured, at whatever load. Latency at a load that all
//! of them carry comes from an open loop.

mod pace;

use std::time::Duration;

use harness::authority::Authority;
use harness::netns::Namespace;
use harness::scratch::Scratch;

use crate::Effort;
use crate::cores;
use crate::count::Samples;
use crate::load;
use crate::peers::{self, Buffering, Peer, Task};
use crate::table::Table;
use pace::Pace;

const UPSTREAM: u16 = 9000;

const SMALL: &str = "/v1/models";
const LARGE: &str = "/v1/models/large";

/// Tokens that the load uses, out of all.
const USED: usize = 1000;

#[derive(Default)]
struct Row {
    per_second: Samples,
    micros: Samples,
    p50: Samples,
    p99: Samples,
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Table>> {
    let (place, folder) = (Namespace::new("bench")?, Scratch::new()?);
    let task = Task {
        place: &place,
        folder: folder.path(),
        upstream: UPSTREAM,
        tls: None,
    };
    let _upstream = peers::upstream(task, 1024, 64 << 10)?;
    let mut tables = in_the_clear(effort, task)?;
    tables.extend(over_tls(effort, task)?);
    Ok(tables)
}

fn in_the_clear(effort: Effort, task: Task<'_>) -> anyhow::Result<Vec<Table>> {
    let (gate, tokens) = peers::gate(task, effort.tokens, 9001)?;
    let nginx = peers::nginx_map(task, &tokens, 9002, Buffering::On)?;
    let haproxy = peers::haproxy(task, &tokens, 9003)?;
    let used = tokens.iter().take(USED).cloned().collect::<Vec<_>>();
    let script = load::script(task.folder, &used)?;
    let servers = [&gate, &nginx, &haproxy];
    let mut tables = Vec::new();
    let mut slowest = f64::INFINITY;
    for (path, size) in [(SMALL, "1 KiB"), (LARGE, "64 KiB")] {
        for connections in [64, 512] {
            let rows = rounds(effort, task, &servers, path, &script, connections)?;
            let title = format!("Calls of {size}, {connections} connections");
            tables.push(table(&title, effort, &servers, &rows));
            if path == SMALL {
                let rates = rows.iter().map(|row| row.per_second.median());
                slowest = rates.fold(slowest, f64::min);
            }
        }
    }
    tables.push(paced(effort, task, &servers, &used, slowest / 2.0)?);
    Ok(tables)
}

fn over_tls(effort: Effort, task: Task<'_>) -> anyhow::Result<Vec<Table>> {
    let authority = Authority::new()?;
    let files = authority.files(&["localhost", "127.0.0.1"])?;
    let task = Task {
        tls: Some(&files),
        ..task
    };
    let (gate, tokens) = peers::gate(task, effort.tokens, 9011)?;
    let nginx = peers::nginx_map(task, &tokens, 9012, Buffering::On)?;
    let haproxy = peers::haproxy(task, &tokens, 9013)?;
    let used = tokens.iter().take(USED).cloned().collect::<Vec<_>>();
    let script = load::script(task.folder, &used)?;
    let servers = [&gate, &nginx, &haproxy];
    let mut tables = Vec::new();
    for (path, size) in [(SMALL, "1 KiB"), (LARGE, "64 KiB")] {
        let rows = rounds(effort, task, &servers, path, &script, 64)?;
        let title = format!("Calls of {size} over TLS, 64 connections");
        tables.push(table(&title, effort, &servers, &rows));
    }
    Ok(tables)
}

/// Latency from the moment at which a call was due, at the same rate for all.
fn paced(
    effort: Effort,
    task: Task<'_>,
    servers: &[&Peer],
    tokens: &[String],
    rate: f64,
) -> anyhow::Result<Table> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tens of thousands"
    )]
    let rate = rate.max(100.0) as u32;
    let mut rows: Vec<Row> = (0..=servers.len()).map(|_| Row::default()).collect();
    for _ in 0..effort.rounds {
        let ports = servers.iter().map(|server| server.port).chain([UPSTREAM]);
        for (port, row) in ports.zip(&mut rows) {
            let pace = Pace {
                port,
                path: SMALL,
                tokens,
                rate,
                time: effort.measure,
            };
            let seen = pace::run(task.place, pace)?;
            row.p50.add(micros(seen.value_at_quantile(0.5)));
            row.p99.add(micros(seen.value_at_quantile(0.99)));
        }
    }
    let names = servers
        .iter()
        .map(|server| server.name)
        .chain(["upstream alone"]);
    let shown = names.zip(&rows).map(|(name, row)| {
        let whole = |samples: &Samples| format!("{:.0}", samples.median());
        vec![name.to_owned(), whole(&row.p50), whole(&row.p99)]
    });
    let shown = shown.collect();
    let mut notes = Vec::new();
    if let [gate, nginx, haproxy, _direct] = &rows[..] {
        notes.push(format!(
            "p50 against nginx: {}, against haproxy: {}; p99 against nginx: {}, against haproxy: {}. Goal: no more than the \
             better of the two.",
            gate.p50.ratio(&nginx.p50),
            gate.p50.ratio(&haproxy.p50),
            gate.p99.ratio(&nginx.p99),
            gate.p99.ratio(&haproxy.p99),
        ));
    }
    Ok(Table {
        title: format!("Calls of 1 KiB at {rate} a second"),
        how: format!(
            "An open loop, half of what the slowest server did above: a call's latency counts from the moment at which it was \
             due, which is a whole millisecond, however late the server is. {} rounds of {:?} in turn.",
            effort.rounds, effort.measure
        ),
        head: ["server", "p50 us", "p99 us"].map(str::to_owned).to_vec(),
        rows: shown,
        notes,
    })
}

/// Latencies of a run fit 32 bits.
fn micros(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}

/// A row for each server, and one for the upstream alone.
fn rounds(
    effort: Effort,
    task: Task<'_>,
    servers: &[&Peer],
    path: &str,
    script: &str,
    connections: usize,
) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = (0..=servers.len()).map(|_| Row::default()).collect();
    let (direct, others) = rows
        .split_last_mut()
        .expect("there is one for the upstream");
    for _ in 0..effort.rounds {
        for (server, row) in servers.iter().zip(&mut *others) {
            let scheme = if task.tls.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://127.0.0.1:{}{path}", server.port);
            let load = |time: Duration| {
                load::run(task.place, &url, script, connections, time, cores::LOAD)
            };
            load(effort.warm_up)?;
            let pids = server.pids();
            let before = cores::used(&pids)?;
            let seen = load(effort.measure)?;
            let used = cores::used(&pids)?.saturating_sub(before);
            row.per_second.add(seen.per_second);
            row.micros.add(used.as_secs_f64() * 1e6 / seen.calls);
            row.p50.add(seen.p50.as_secs_f64() * 1e6);
            row.p99.add(seen.p99.as_secs_f64() * 1e6);
        }
        let url = format!("http://127.0.0.1:{UPSTREAM}{path}");
        // The load on the other core: what it could do if nobody stood between.
        let seen = load::run(
            task.place,
            &url,
            script,
            connections,
            effort.measure,
            cores::MEASURED,
        )?;
        direct.per_second.add(seen.per_second);
        direct.p50.add(seen.p50.as_secs_f64() * 1e6);
        direct.p99.add(seen.p99.as_secs_f64() * 1e6);
    }
    Ok(rows)
}

fn table(title: &str, effort: Effort, servers: &[&Peer], rows: &[Row]) -> Table {
    let names = servers
        .iter()
        .map(|server| server.name)
        .chain(["upstream alone"]);
    let Effort { rounds, tokens, .. } = effort;
    let how = format!(
        "{rounds} rounds of {:?} in turn, wrk and nginx as the upstream on one core, one worker of the server on the \
         other; each server knows {tokens} tokens. gate: digest, rollout, source, limits, access log, metrics.",
        effort.measure
    );
    let shown = names.zip(rows).map(|(name, row)| {
        let whole = |samples: &Samples| {
            let median = samples.median();
            if median.is_finite() {
                format!("{median:.0}")
            } else {
                "-".to_owned()
            }
        };
        let micros = row.micros.median();
        vec![
            name.to_owned(),
            whole(&row.per_second),
            if micros.is_finite() {
                format!("{micros:.1}")
            } else {
                "-".to_owned()
            },
            whole(&row.p50),
            whole(&row.p99),
        ]
    });
    let mut notes = Vec::new();
    if let [gate, nginx, haproxy, direct] = rows {
        let ratio = nginx.micros.median() / gate.micros.median();
        let word = if ratio >= 1.0 { "met" } else { "missed" };
        notes.push(format!(
            "CPU per call, gate against nginx: {}; against haproxy: {}. Goal, at most nginx's: {word}.",
            gate.micros.ratio(&nginx.micros),
            gate.micros.ratio(&haproxy.micros),
        ));
        notes.push(format!(
            "p50 against nginx: {}; p99 against nginx: {}.",
            gate.p50.ratio(&nginx.p50),
            gate.p99.ratio(&nginx.p99),
        ));
        let room = direct.per_second.median() / gate.per_second.median();
        notes.push(format!(
            "The load and the upstream alone do {room:.1} times what they do through gate{}.",
            if room < 1.3 {
                ", so they may be the bottleneck"
            } else {
                ""
            }
        ));
    }
    Table {
        title: title.to_owned(),
        how,
        head: ["server", "calls/s", "CPU us/call", "p50 us", "p99 us"]
            .map(str::to_owned)
            .to_vec(),
        rows: shown.collect(),
        notes,
    }
}
