//! The load: `wrk`, which keeps its connections busy, with one of many tokens per call.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use harness::netns::Namespace;

use crate::cores;

/// What wrk saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) calls: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Makes the script that gives every call the next of these tokens.
pub(crate) fn script(folder: &Path, tokens: &[String]) -> anyhow::Result<String> {
    let path = folder.join("calls.lua");
    let list: Vec<String> = tokens
        .iter()
        .map(|token| format!("\"Bearer {token}\""))
        .collect();
    let text = format!(
        "local tokens = {{{}}}\nlocal at = 0\n\
         function request()\n  at = at % #tokens + 1\n  \
         return wrk.format(\"GET\", nil, {{[\"Authorization\"] = tokens[at]}})\nend\n\
         function done(summary, latency)\n  \
         local errors = summary.errors\n  \
         local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout\n  \
         print(string.format(\"GATE %d %d %d %d %d\", summary.requests, summary.duration, \
         latency:percentile(50), latency:percentile(99), failed))\nend\n",
        list.join(",")
    );
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// Calls `url` for so long.
pub(crate) fn run(
    place: &Namespace,
    url: &str,
    script: &str,
    connections: usize,
    time: Duration,
    core: usize,
) -> anyhow::Result<Seen> {
    let mut command: Command = place.command("wrk");
    command
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1))])
        .args(["--script", script, url]);
    cores::pin(&mut command, core);
    let output = command.output().context("run wrk")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("GATE "));
    let line = line.with_context(|| format!("wrk said: {said}"))?;
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [calls, micros, p50, p99, failed] = numbers[..] else {
        anyhow::bail!("wrk said: {line}");
    };
    anyhow::ensure!(failed == 0.0, "{failed} of {calls} calls of {url} failed");
    Ok(Seen {
        calls,
        per_second: calls * 1e6 / micros,
        p50: Duration::from_secs_f64(p50 / 1e6),
        p99: Duration::from_secs_f64(p99 / 1e6),
    })
}
