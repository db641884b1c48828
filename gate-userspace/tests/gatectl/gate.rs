//! A scripted gate: an admin API on a Unix socket that answers what it is told to.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;
use tempfile::TempDir;

/// One question, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Request line and headers, lower case.
    pub(crate) head: String,
    /// `Null` without a body.
    pub(crate) body: Value,
    /// Arguments of the process that asked, as every user can read them.
    pub(crate) caller: String,
}

/// What is written back, whole.
pub(crate) struct Reply(Vec<u8>);

pub(crate) struct Gate {
    place: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    release: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {length}"
        );
        Self(format!("{head}\r\n\r\n{body}").into_bytes())
    }

    /// An event stream that ends.
    pub(crate) fn stream(body: &str) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close";
        Self(format!("{head}\r\n\r\n{body}").into_bytes())
    }
}

impl Gate {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        Self::listen(answer, None)
    }

    /// As [`Self::start`], but no answer is written before [`Self::release`].
    pub(crate) fn holding(answer: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        let (release, held) = mpsc::channel();
        let mut gate = Self::listen(answer, Some(held));
        gate.release = Some(release);
        gate
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.place.path())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn release(&self) {
        let _nobody_waits = self.release.as_ref().unwrap().send(());
    }

    fn listen(
        answer: impl Fn(&Asked) -> Reply + Send + 'static,
        held: Option<mpsc::Receiver<()>>,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket(place.path())).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (its_asked, its_stop) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if its_stop.load(Ordering::Acquire) {
                    return;
                }
                let mut stream = stream.unwrap();
                // `doctor` connects once only to see who listens.
                let Some(question) = read(&mut stream) else {
                    continue;
                };
                let reply = answer(&question);
                its_asked.lock().unwrap().push(question);
                if let Some(held) = &held {
                    let _the_test_ended = held.recv();
                }
                // A caller that ran into its own limit is gone.
                let _unread = stream.write_all(&reply.0);
            }
        });
        Self {
            place,
            asked,
            stop,
            release: None,
            thread: Some(thread),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.release.take());
        let _wakes_the_listener = UnixStream::connect(self.socket());
        if let Some(thread) = self.thread.take() {
            let failed = thread.join().is_err();
            assert!(
                !failed || std::thread::panicking(),
                "the scripted gate panicked"
            );
        }
    }
}

fn socket(place: &Path) -> PathBuf {
    place.join("admin.sock")
}

fn read(stream: &mut UnixStream) -> Option<Asked> {
    let caller = caller(stream);
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        read_some(stream, &mut bytes)?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let lower = head.to_ascii_lowercase();
    let length: usize = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        read_some(stream, &mut bytes)?;
    }
    let body = &bytes[head_end + 4..];
    let mut words = head.split(' ').map(str::to_owned);
    Some(Asked {
        method: words.next().unwrap(),
        target: words.next().unwrap(),
        head: lower,
        body: if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).unwrap()
        },
        caller,
    })
}

fn read_some(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&part[..count]);
    Some(())
}

fn caller(stream: &UnixStream) -> String {
    let peer = getsockopt(stream, PeerCredentials).unwrap();
    let arguments = fs::read(format!("/proc/{}/cmdline", peer.pid())).unwrap_or_default();
    String::from_utf8(arguments).unwrap().replace('\0', " ")
}
