//! The receiver: reads all streams on one thread and notes how old each event is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use harness::netns::Namespace;
use hdrhistogram::Histogram;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use super::server::now;
use crate::cores;
use crate::count::times;

const MARK: &[u8] = b"\"sent\":";
const DIGITS: usize = 20;

/// Streams that are open, and a thread that reads them.
pub(crate) struct Streams {
    seen: Arc<Mutex<Histogram<u64>>>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Streams {
    /// Opens `count` streams through `port` and returns when all have begun.
    pub(crate) fn open(
        place: &Namespace,
        port: u16,
        tokens: &[String],
        count: usize,
    ) -> anyhow::Result<Self> {
        let seen = Arc::new(Mutex::new(times()?));
        let is_over = Arc::new(AtomicBool::new(false));
        let (begun, begins) = mpsc::channel();
        let requests: Vec<String> = (0..count)
            .zip(tokens.iter().cycle())
            .map(|(_, token)| request(token))
            .collect();
        let reader = {
            let (place, seen, is_over) = (place.clone(), Arc::clone(&seen), Arc::clone(&is_over));
            thread::spawn(move || {
                place.enter(|| read(port, requests, &seen, &is_over, &begun));
            })
        };
        let streams = Self {
            seen,
            is_over,
            reader: Some(reader),
        };
        for _ in 0..count {
            let first = begins.recv_timeout(Duration::from_mins(1));
            first.context("a stream does not begin")??;
        }
        Ok(streams)
    }

    /// The ages of all events that come in this time, in microseconds.
    pub(crate) fn watch(&self, time: Duration) -> anyhow::Result<Histogram<u64>> {
        let fresh = times()?;
        let take = |with| {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *seen, with)
        };
        drop(take(fresh));
        // The time of the measurement itself.
        thread::sleep(time);
        Ok(take(times()?))
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _panicked_and_said_so = reader.join();
        }
    }
}

fn request(token: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-length: 2\r\n\r\n{{}}"
    )
}

type Begun = mpsc::Sender<anyhow::Result<()>>;

fn read(
    port: u16,
    requests: Vec<String>,
    seen: &Arc<Mutex<Histogram<u64>>>,
    is_over: &AtomicBool,
    begun: &Begun,
) {
    let mut core = CpuSet::new();
    if core.set(cores::LOAD).is_ok() {
        // Elsewhere it would only be less comparable.
        let _best_effort = sched_setaffinity(Pid::from_raw(0), &core);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    LocalSet::new().block_on(&runtime, async {
        for request in requests {
            let (seen, begun) = (Arc::clone(seen), begun.clone());
            spawn_local(async move {
                if let Err(why) = one(port, &request, &seen, &begun).await {
                    // Nobody asks any more when all have begun.
                    let _unheard = begun.send(Err(why));
                }
            });
        }
        while !is_over.load(Ordering::Relaxed) {
            // The end is told by another thread, and need not be noticed at once.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

async fn one(
    port: u16,
    request: &str,
    seen: &Mutex<Histogram<u64>>,
    begun: &Begun,
) -> anyhow::Result<()> {
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 2048];
    let mut held = 0;
    let mut is_new = true;
    loop {
        let read = stream.read(&mut buffer[held..]).await?;
        anyhow::ensure!(read > 0, "the stream ended");
        held += read;
        if is_new {
            anyhow::ensure!(buffer.starts_with(b"HTTP/1.1 200"), "the call was refused");
            is_new = false;
            let _unheard = begun.send(Ok(()));
        }
        let mut rest = &buffer[..held];
        while let Some(at) = rest.windows(MARK.len()).position(|part| part == MARK) {
            let Some(digits) = rest.get(at + MARK.len()..at + MARK.len() + DIGITS) else {
                break;
            };
            let sent: u64 = std::str::from_utf8(digits)?.parse()?;
            let age = now().saturating_sub(sent) / 1000;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.saturating_record(age.max(1));
            rest = &rest[at + MARK.len() + DIGITS..];
        }
        // What may be half an event stays; anything longer was read.
        let keep = rest.len().min(MARK.len() + DIGITS);
        let from = held - keep;
        buffer.copy_within(from..held, 0);
        held = keep;
    }
}
