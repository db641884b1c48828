//! Frames of HTTP/2 that no honest caller sends (RFC 9113): bounded, and of no concern to others.
//!
//! Written byte by byte, because no client library would.

use std::time::Duration;

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::support::{Maker, Secure, Upstream, call, text};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET https://localhost/` out of HPACK's static table, but for the host.
const HEAD: &[u8] = b"\x82\x87\x84\x41\x09localhost";

/// The n-th part of a flood.
type Make = fn(usize) -> Vec<u8>;

/// `CONNECT`, with the scheme and path that only the extended one has.
const HEAD_OF_CONNECT: &[u8] = b"\x42\x07CONNECT\x87\x84\x41\x09localhost";

/// Ends a broken run: every flood is ended by the gate long before.
const FLOOD: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_are_of_no_concern_to_others() {
    let upstream = Upstream::plain();
    // Who does not read is waited for no longer than this.
    let maker = Maker::before(&upstream).set(|settings| {
        settings.limits.body_idle = Duration::from_millis(500);
        settings.limits.head_timeout = Duration::from_secs(1);
    });
    let secure = Secure::start(maker);
    let (a, _) = secure.gate.two_rollouts();
    let neighbour = secure.h2().await;
    let first = neighbour.call(call("POST", CHAT_A, &a)).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let rows: [(&str, Make); 5] = [
        // CVE-2023-44487.
        ("rapid reset", |number| {
            let stream = odd(number);
            let opened = frame(HEADERS, END_STREAM | END_HEADERS, stream, HEAD);
            [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        }),
        // CVE-2024-27316: heads that never end.
        ("continuation", |number| {
            let part = b"\x40\x01a\x7f\x00".repeat(200);
            if number == 0 {
                frame(HEADERS, END_STREAM, 1, HEAD)
            } else {
                frame(CONTINUATION, 0, 1, &part[..5])
            }
        }),
        ("settings", |_| frame(SETTINGS, 0, 0, &[])),
        ("ping", |_| frame(PING, 0, 0, &[0; 8])),
        // A stream that the caller resets by an error of its own, CVE-2025-8671: a window of zero.
        ("made you reset", |number| {
            let stream = odd(number);
            let opened = frame(HEADERS, END_HEADERS, stream, HEAD);
            [opened, frame(8, 0, stream, &0_u32.to_be_bytes())].concat()
        }),
    ];
    for (flood, make) in rows {
        let mut raw = hello(&secure).await;
        let mut sent = 0;
        // A gate that answers nobody who does not read stops to read, and then gives up.
        let pouring = async {
            while raw.write_all(&make(sent)).await.is_ok() {
                sent += 1;
            }
        };
        let closed = timeout(FLOOD, pouring).await;
        assert!(closed.is_ok(), "{flood} goes on after {sent}");
        let answer = neighbour.call(call("POST", CHAT_A, &a)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{flood} after {sent}");
        assert_eq!(text(answer).await, r#"{"ok":true}"#, "{flood}");
    }
    // Nothing of a flood went upstream, for it had no token.
    assert_eq!(upstream.seen().len(), 1 + rows.len());
    assert!(
        secure.gate.live.streams() <= 128,
        "{}",
        secure.gate.live.streams()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_resets_too_often_is_sent_away() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let mut raw = hello(&secure).await;
    let mut flood = Vec::new();
    for number in 0..1000 {
        let stream = odd(number);
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, HEAD));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let _may_be_closed_on_us = raw.write_all(&flood).await;
    let kinds = kinds_until_the_end(&mut raw).await;
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
}

/// A head is as large as on HTTP/1 and no larger, also when HPACK makes it small on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_unpacks_to_too_much_is_refused() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, _) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let mut large = call("POST", CHAT_A, &a);
    for number in 0..100 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        large
            .headers_mut()
            .insert(name, "y".repeat(1000).parse().unwrap());
    }
    match shared.call(large).await {
        Ok(answer) => assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(refused) => assert!(!refused.is_timeout(), "{refused}"),
    }
    // A call that is good, and the same with one entry of the dynamic table named again and again:
    // a byte each, 4 KiB unpacked.
    let mut good = b"\x83\x87\x04".to_vec();
    text_of(&mut good, CHAT_A);
    good.extend(b"\x41\x09localhost\x00");
    text_of(&mut good, "x-api-key");
    text_of(&mut good, &a);
    let mut raw = hello(&secure).await;
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &good);
    raw.write_all(&head).await.unwrap();
    assert_eq!(first_about(&mut raw, 1).await, HEADERS);
    assert_eq!(upstream.seen().len(), 1);
    let mut bomb = good;
    bomb.extend(b"\x40\x01b\x7f\xd1\x1e");
    bomb.extend([b'z'; 4048]);
    bomb.extend([0xbe; 4000]);
    let mut raw = hello(&secure).await;
    let mut parts = bomb.chunks(1000).peekable();
    let mut sent = frame(HEADERS, END_STREAM, 1, parts.next().unwrap());
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        sent.extend(frame(CONTINUATION, flags, 1, part));
    }
    let _may_be_closed_on_us = raw.write_all(&sent).await;
    // A 431, a reset or a farewell: but nothing for the upstream.
    let kind = first_about(&mut raw, 1).await;
    assert!(matches!(kind, HEADERS | RST_STREAM | GOAWAY), "{kind}");
    let answer = secure
        .h2()
        .await
        .call(call("POST", CHAT_A, &a))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(upstream.seen().len(), 2);
}

/// What HTTP/1 refuses for its framing, HTTP/2 refuses for its rules (RFC 9113, section 8.2.2).
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_connection_have_no_place_in_a_stream() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    for literal in [
        &b"\x40\x0aconnection\x05close"[..],
        b"\x40\x11transfer-encoding\x07chunked",
        b"\x40\x07upgrade\x09websocket",
        b"\x40\x0akeep-alive\x012",
        b"\x40\x03X-A\x01b",
    ] {
        let mut raw = hello(&secure).await;
        let block = [HEAD, literal].concat();
        let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
        raw.write_all(&head).await.unwrap();
        let kind = first_about(&mut raw, 1).await;
        assert!(matches!(kind, RST_STREAM | GOAWAY), "{literal:?}: {kind}");
    }
    // An extended CONNECT was never offered (RFC 8441), and a plain one is not served.
    let plain = &b"\x42\x07CONNECT\x41\x09localhost"[..];
    let extended = [HEAD_OF_CONNECT, b"\x40\x09:protocol\x09websocket"].concat();
    for connect in [plain, &extended] {
        let mut raw = hello(&secure).await;
        let head = frame(HEADERS, END_HEADERS, 1, connect);
        raw.write_all(&head).await.unwrap();
        let kind = first_about(&mut raw, 1).await;
        assert!(matches!(kind, HEADERS | RST_STREAM | GOAWAY), "{kind}");
    }
    assert_eq!(upstream.connections(), 0);
}

/// Some callers take a reset for the loss of an answer that has come.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_caller_may_finish_what_it_sends() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let mut raw = hello(&secure).await;
    let post = b"\x83\x87\x84\x41\x09localhost";
    raw.write_all(&frame(HEADERS, END_HEADERS, 1, post))
        .await
        .unwrap();
    assert_eq!(first_about(&mut raw, 1).await, HEADERS);
    let rest = [
        frame(DATA, 0, 1, b"{"),
        frame(DATA, END_STREAM, 1, b"}"),
        frame(PING, 0, 0, &[7; 8]),
    ];
    raw.write_all(&rest.concat()).await.unwrap();
    // The answer to the ping comes after whatever was said of the stream.
    let mut kinds = Vec::new();
    while kinds.last() != Some(&PING) {
        kinds.push(next(&mut raw).await.expect("the connection goes on").0);
    }
    assert!(
        kinds.contains(&DATA) && !kinds.contains(&RST_STREAM),
        "{kinds:?}"
    );
    assert_eq!(upstream.connections(), 0);
}

/// A connection on which HTTP/2 has begun.
async fn hello(secure: &Secure) -> TlsStream<TcpStream> {
    let mut raw = secure.connect(&[b"h2"]).await.unwrap();
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    raw.write_all(&hello).await.unwrap();
    raw
}

/// A text of HPACK, as it is (RFC 7541, section 5.2).
fn text_of(block: &mut Vec<u8>, text: &str) {
    block.push(u8::try_from(text.len()).unwrap());
    assert!(text.len() < 127, "its length would take more bytes");
    block.extend(text.as_bytes());
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The streams that a caller opens.
fn odd(number: usize) -> u32 {
    u32::try_from(number).unwrap() * 2 + 1
}

/// The kind of the next frame, and its stream.
async fn next(raw: &mut TlsStream<TcpStream>) -> Option<(u8, u32)> {
    let mut head = [0; 9];
    raw.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, _, stream @ ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    raw.read_exact(&mut payload).await.ok()?;
    Some((kind, u32::from_be_bytes(stream)))
}

async fn first_about(raw: &mut TlsStream<TcpStream>, stream: u32) -> u8 {
    loop {
        let (kind, about) = next(raw).await.expect("the gate says what it thinks of it");
        if about == stream || kind == GOAWAY {
            return kind;
        }
    }
}

async fn kinds_until_the_end(raw: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((kind, _)) = next(raw).await {
        kinds.push(kind);
    }
    kinds
}
