//! Bodies of 100 MiB pass in flat memory, however slow the other side reads.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::authority::{Authority, Until};
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::netns::Namespace;
use harness::upstream::{Reply, Upstream, Wire};

const LARGE: usize = 100 << 20;
const PIECE: usize = 64 << 10;

/// What may lie between two sides of which one does not read: buffers of sockets and of the gate.
const BETWEEN: usize = 24 << 20;

/// What the gate itself may need for it.
const GROWTH: usize = 16 << 20;

/// Nothing longer than this is waited for in vain.
const PATIENCE: Duration = Duration::from_mins(1);

/// Each side stops reading, so the other has to stop sending; then it goes on, and nothing is lost.
#[tokio::test]
async fn large_bodies_pass_both_ways_in_flat_memory() {
    let Some(host) = host() else { return };
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, 9000).into();
    let listener = host.enter(|| TcpListener::bind(at)).unwrap();
    let (go, goes) = mpsc::channel();
    let upstream = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        skip_head(&mut reader);
        goes.recv_timeout(PATIENCE).unwrap();
        let read = count(&mut reader, LARGE);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        (read, fill(&mut stream, LARGE), stream)
    });
    let (gated, token) = gate(&host, &format!("url = \"http://{at}\"")).await;
    let before = resident(&gated);
    let mut caller = host.enter(|| TcpStream::connect(GATE)).unwrap();
    caller
        .write_all(head("POST", &token, LARGE).as_bytes())
        .unwrap();
    let held = fill(&mut caller, LARGE);
    assert!((1..BETWEEN).contains(&held), "{held} bytes went to nobody");
    go.send(()).unwrap();
    finish(&mut caller, LARGE - held);
    let (read, held, mut stream) = upstream.join().unwrap();
    assert_eq!(read, LARGE);
    assert!(
        (1..BETWEEN).contains(&held),
        "{held} bytes came from nobody"
    );
    let rest = thread::spawn(move || finish(&mut stream, LARGE - held));
    let mut reader = BufReader::new(caller);
    skip_head(&mut reader);
    assert_eq!(count(&mut reader, LARGE), LARGE);
    rest.join().unwrap();
    flat(&gated, before);
}

/// Over TLS and HTTP/2, where what lies in between is bounded by windows.
#[tokio::test]
async fn large_bodies_pass_over_http2_in_flat_memory() {
    let Some(host) = host() else { return };
    let ca = Authority::new().unwrap();
    let config = ca
        .server(&["127.0.0.1"], Until::LongFromNow, &["h2"])
        .unwrap();
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, 9000).into();
    let script = |_: &_| {
        let (steps, reply) = Reply::told("application/octet-stream");
        let piece = bytes::Bytes::from(vec![7; PIECE]);
        (0..LARGE / PIECE).for_each(|_| {
            steps.send(piece.clone());
        });
        reply
    };
    let upstream = Upstream::over(Wire::tls(config), &host, at, script).unwrap();
    let lines = format!("url = \"https://{at}\"\n{}\nhttp2 = true", ca.line());
    let (gated, token) = gate(&host, &lines).await;
    let before = resident(&gated);
    // Several that do not read, of which none may hold up the one that does.
    let ask = || {
        let mut caller = host.enter(|| TcpStream::connect(GATE)).unwrap();
        caller.write_all(head("GET", &token, 0).as_bytes()).unwrap();
        let mut reader = BufReader::new(caller);
        skip_head(&mut reader);
        reader
    };
    let lazy: Vec<_> = (0..3).map(|_| ask()).collect();
    assert_eq!(count(&mut ask(), LARGE), LARGE);
    flat(&gated, before);
    for mut reader in lazy {
        assert_eq!(count(&mut reader, LARGE), LARGE);
    }
    flat(&gated, before);
    let mut caller = host.enter(|| TcpStream::connect(GATE)).unwrap();
    caller
        .write_all(head("POST", &token, LARGE).as_bytes())
        .unwrap();
    finish(&mut caller, LARGE);
    skip_head(&mut BufReader::new(caller));
    let seen = upstream.journal().requests();
    assert_eq!(seen.last().map(|seen| seen.body.len()), Some(LARGE));
    flat(&gated, before);
}

const GATE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8765);

fn host() -> Option<Namespace> {
    harness::need::root().then(|| Namespace::new("host").unwrap())
}

async fn gate(host: &Namespace, lines: &str) -> (Gated, String) {
    let config = format!("[[upstream]]\nguard = \"off\"\ncredential = \"none\"\n{lines}\n");
    let launch = Launch::on(host).flag("--kernel", "off").config(&config);
    let gated = launch.start().await.unwrap();
    let made = gated.ctl().json("client add a --scope *:/*").await.unwrap();
    (gated, text(&made, "/token").unwrap())
}

fn head(method: &str, token: &str, length: usize) -> String {
    let length = match length {
        0 => String::new(),
        length => format!("content-length: {length}\r\n"),
    };
    format!("{method} /v1/files HTTP/1.1\r\nhost: localhost\r\nx-api-key: {token}\r\n{length}\r\n")
}

/// Writes until nobody takes any more, or all of it: how much that was.
fn fill(to: &mut TcpStream, length: usize) -> usize {
    to.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let piece = vec![7; PIECE];
    let mut sent = 0;
    while sent < length {
        match to.write(&piece[..PIECE.min(length - sent)]) {
            Ok(written) => sent += written,
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(why) => panic!("after {sent} bytes: {why}"),
        }
    }
    sent
}

fn finish(to: &mut TcpStream, length: usize) {
    to.set_write_timeout(Some(PATIENCE)).unwrap();
    let piece = vec![7; PIECE];
    let mut left = length;
    while left > 0 {
        let take = PIECE.min(left);
        to.write_all(&piece[..take]).unwrap();
        left -= take;
    }
}

fn skip_head(from: &mut BufReader<TcpStream>) {
    from.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut status = String::new();
    from.read_line(&mut status).unwrap();
    assert!(!status.contains(" 4") && !status.contains(" 5"), "{status}");
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        from.read_line(&mut line).unwrap();
    }
}

/// How many of the expected bytes come, chunk framing left out.
fn count(from: &mut impl BufRead, most: usize) -> usize {
    let (mut sevens, mut piece) = (0, vec![0; PIECE]);
    while sevens < most {
        let read = from.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        sevens += piece[..read]
            .iter()
            .map(|byte| usize::from(*byte == 7))
            .sum::<usize>();
    }
    sevens
}

/// The most that the gate ever had in memory.
fn resident(gated: &Gated) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gated.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}

fn flat(gated: &Gated, before: usize) {
    let grown = resident(gated).saturating_sub(before);
    assert!(grown < GROWTH, "the gate grew by {grown} bytes");
}
