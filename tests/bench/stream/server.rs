//! The sender: every request becomes a stream of events that say when they were sent.

use std::env;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::cores;
use crate::peers::{Peer, Task};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
transfer-encoding: chunked\r\n\r\n";

/// This program once more, as the upstream.
pub(crate) fn start(task: Task<'_>, rate: u32) -> anyhow::Result<Peer> {
    let mut command = task.place.command(env::current_exe()?);
    command.arg("sse").arg(task.upstream.to_string());
    command.arg(rate.to_string());
    Peer::serving("sender", task.upstream, command, cores::LOAD, task.place)
}

/// Serves until it is ended.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    let [port, rate] = words else {
        anyhow::bail!("which port, and how many events a second?")
    };
    let (port, rate): (u16, u32) = (port.parse()?, rate.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        for number in 0_u32.. {
            let (stream, _) = listener.accept().await?;
            spawn_local(async move {
                // Who leaves ends its stream; nobody else has to know.
                let _left = send(stream, number, rate).await;
            });
        }
        Ok(())
    })
}

async fn send(mut stream: TcpStream, number: u32, rate: u32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; 4096];
    if stream.read(&mut head).await? == 0 {
        return Ok(());
    }
    stream.write_all(HEAD).await?;
    let period = Duration::from_secs(1) / rate;
    // Spread over the period, as streams that began at different times are.
    let first = Instant::now() + period * (number % 64) / 64;
    let mut clock = interval_at(first, period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let event = format!("data: {{\"sent\":{:020}}}\n\n", now());
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
}

/// Nanoseconds of a clock that all processes of this machine share.
pub(super) fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| {
        Duration::from(now)
            .as_nanos()
            .try_into()
            .unwrap_or(u64::MAX)
    })
}
