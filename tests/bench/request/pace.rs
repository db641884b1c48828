//! An open loop: calls begin when their time has come, whether or not earlier ones have ended, and
//! their latency counts from that time. A server that stalls is not spared the calls that would have
//! come meanwhile (coordinated omission).

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use harness::netns::Namespace;
use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cores;
use crate::count::times;

/// Connections that calls find; the more a server lags, the more of them are taken.
const CONNECTIONS: usize = 256;

/// A broken run ends this long after its last call was due.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked, and how often.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a> {
    pub(super) port: u16,
    pub(super) path: &'a str,
    pub(super) tokens: &'a [String],
    /// Calls a second.
    pub(super) rate: u32,
    pub(super) time: Duration,
}

/// Latencies in microseconds.
pub(super) fn run(inside: &Namespace, pace: Pace<'_>) -> anyhow::Result<Histogram<u64>> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            inside.enter(|| {
                let mut core = CpuSet::new();
                core.set(cores::LOAD)?;
                if cores::LOAD < cores::cores() {
                    sched_setaffinity(Pid::from_raw(0), &core)?;
                }
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                // A timer is made where the runtime is.
                let all = async { timeout(pace.time + PATIENCE, all(pace)).await };
                LocalSet::new().block_on(&runtime, all)?
            })
        });
        worker.join().ok().context("the pace maker panicked")?
    })
}

async fn all(pace: Pace<'_>) -> anyhow::Result<Histogram<u64>> {
    let due = Rc::new(Cell::new(0_u32));
    let start = Instant::now() + Duration::from_millis(50);
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let requests: Vec<Vec<u8>> = pace
            .tokens
            .iter()
            .skip(number)
            .step_by(CONNECTIONS)
            .map(|token| request(pace.path, token))
            .collect();
        let due = Rc::clone(&due);
        let (port, rate, time) = (pace.port, pace.rate, pace.time);
        callers.spawn_local(async move {
            let at = SocketAddr::from(([127, 0, 0, 1], port));
            let mut stream = TcpStream::connect(at).await?;
            stream.set_nodelay(true)?;
            let mut seen = times()?;
            let mut buffer = vec![0; 128 << 10];
            for request in requests.iter().cycle() {
                let ticket = due.replace(due.get() + 1);
                let since = Duration::from_secs(1) * ticket / rate;
                if since >= time {
                    break;
                }
                // The runtime's timer knows whole milliseconds: calls come in groups of these.
                let since = Duration::from_millis(u64::try_from(since.as_millis())?);
                sleep_until(start + since).await;
                stream.write_all(request).await?;
                answer(&mut stream, &mut buffer).await?;
                let late = (start + since).elapsed().as_micros();
                seen.saturating_record(u64::try_from(late)?.max(1));
            }
            anyhow::Ok(seen)
        });
    }
    let mut seen = times()?;
    while let Some(one) = callers.join_next().await {
        seen.add(one??)?;
    }
    anyhow::ensure!(!seen.is_empty(), "no call was answered");
    Ok(seen)
}

fn request(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// Reads one answer to its end, which every server here announces.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut held = 0;
    loop {
        let room = buffer.get_mut(held..).context("an answer is too large")?;
        let read = stream.read(room).await?;
        anyhow::ensure!(read > 0, "the connection ended");
        held += read;
        let heard = &buffer[..held];
        let Some(end) = heard.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let shown = std::str::from_utf8(&heard[..end])?;
        anyhow::ensure!(shown.starts_with("HTTP/1.1 200"), "refused: {shown}");
        let length = shown.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>())
        });
        if held >= end + 4 + length.context("no length")?? {
            return Ok(());
        }
    }
}
