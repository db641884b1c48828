//! A scripted upstream: keeps every byte it got, and answers as its script says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs
            .filter(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }
}

type Script = dyn Fn(&Seen, &mut TcpStream) + Send + Sync;

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    opened: Mutex<usize>,
    closed: Mutex<usize>,
    changed: Condvar,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
}

impl Upstream {
    /// Answers every request with 200 and `{"ok":true}`.
    pub(crate) fn plain() -> Self {
        Self::start(|_, to| respond(to, 200, "application/json", br#"{"ok":true}"#))
    }

    pub(crate) fn start(script: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&log));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, log) = (Arc::clone(&script), Arc::clone(&kept));
                *log.opened.lock().unwrap() += 1;
                thread::spawn(move || {
                    serve(&stream, &*script, &log);
                    *log.closed.lock().unwrap() += 1;
                    log.changed.notify_all();
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream saw a request")
    }

    /// Everything that ever arrived here, as text.
    pub(crate) fn everything(&self) -> String {
        let seen = self.seen();
        let each = seen
            .iter()
            .map(|seen| format!("{}{}", seen.head, String::from_utf8_lossy(&seen.body)));
        each.collect()
    }

    /// How many connections were ever made to here.
    pub(crate) fn connections(&self) -> usize {
        *self.log.opened.lock().unwrap()
    }

    /// Waits until so many requests have arrived.
    pub(crate) fn wait_for(&self, requests: usize) {
        let seen = self.log.seen.lock().unwrap();
        let wait = self
            .log
            .changed
            .wait_timeout_while(seen, Duration::from_secs(10), |seen| seen.len() < requests);
        assert!(
            !wait.unwrap().1.timed_out(),
            "the upstream saw too few requests"
        );
    }

    /// Waits until so many connections to here have ended.
    pub(crate) fn wait_for_closed(&self, connections: usize) {
        let closed = self.log.closed.lock().unwrap();
        let wait = self
            .log
            .changed
            .wait_timeout_while(closed, Duration::from_secs(10), |closed| {
                *closed < connections
            });
        assert!(
            !wait.unwrap().1.timed_out(),
            "the upstream's connection stays open"
        );
    }
}

fn serve(stream: &TcpStream, script: &Script, log: &Log) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream.try_clone().unwrap();
    while let Some(seen) = read(&mut reader) {
        log.seen.lock().unwrap().push(seen.clone());
        log.changed.notify_all();
        script(&seen, &mut writer);
        if seen.all("connection").iter().any(|value| value == "close") {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let mut seen = Seen {
        head: String::from_utf8_lossy(&head).into_owned(),
        body: Vec::new(),
    };
    if let Some(length) = seen.all("content-length").first() {
        seen.body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut seen.body).ok()?;
    } else if !seen.all("transfer-encoding").is_empty() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            chunk.truncate(size);
            seen.body.extend(chunk);
        }
    }
    Some(seen)
}

/// A whole answer.
pub(crate) fn respond(to: &mut TcpStream, status: u16, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _gone = to.write_all(&[head.as_bytes(), body].concat());
}

/// The head of a chunked answer.
pub(crate) fn begin(to: &mut TcpStream, kind: &str) {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    let _gone = to.write_all(head.as_bytes());
}

pub(crate) fn chunk(to: &mut TcpStream, data: &str) {
    let _gone = to.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes());
}

pub(crate) fn finish(to: &mut TcpStream) {
    let _gone = to.write_all(b"0\r\n\r\n");
}

/// Blocks until the gate closes this connection.
pub(crate) fn wait_for_close(to: &mut TcpStream) {
    while matches!(to.read(&mut [0; 64]), Ok(read) if read > 0) {}
}

/// A stream of events without an end.
pub(crate) fn ticking() -> Upstream {
    Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        let event = "data: {\"a\":1}\n\n";
        let event = format!("{:x}\r\n{event}\r\n", event.len());
        while to.write_all(event.as_bytes()).is_ok() {
            // The pace of a model: this is a server's thread, nobody waits for it.
            thread::sleep(Duration::from_millis(5));
        }
    })
}
