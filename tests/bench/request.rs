//! Calls that are answered at once: what the gate costs each, beside servers that check a list.
//!
//! A closed loop: `wrk` keeps its connections busy, so latency here is that of a full server. CPU per
//! call says what a call costs whoever is measured, at whatever load.

use std::time::Duration;

use harness::netns::Namespace;
use harness::scratch::Scratch;

use crate::Effort;
use crate::cores;
use crate::count::Samples;
use crate::load;
use crate::peers::{self, Buffering, Peer, Task};
use crate::table::Table;

const UPSTREAM: u16 = 9000;

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
    };
    let _upstream = peers::upstream(task, 1024, 64 << 10)?;
    let (gate, tokens) = peers::gate(task, effort.tokens, 9001)?;
    let nginx = peers::nginx_map(task, &tokens, 9002, Buffering::On)?;
    let haproxy = peers::haproxy(task, &tokens, 9003)?;
    let used = tokens.iter().take(USED).cloned().collect::<Vec<_>>();
    let script = load::script(folder.path(), &used)?;
    let servers = [&gate, &nginx, &haproxy];
    let mut tables = Vec::new();
    for (path, size) in [("/v1/models", "1 KiB"), ("/v1/models/large", "64 KiB")] {
        for connections in [64, 512] {
            let rows = rounds(effort, task, &servers, path, &script, connections)?;
            let title = format!("Calls of {size}, {connections} connections");
            tables.push(table(&title, effort, &servers, &rows));
        }
    }
    Ok(tables)
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
            let url = format!("http://127.0.0.1:{}{path}", server.port);
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
