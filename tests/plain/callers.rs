//! Callers over TLS and HTTP/2: the same gate, and calls that share a connection.

use std::{fs, time::Duration};

use gate_userspace::{
    proxy::{
        counters::Count,
        live::{Cut, Ended},
    },
    tls::{HTTP11, Roots},
};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Gate, Maker, PROVIDER_KEY, Secure, Upstream, call, piece, respond, rest, shake, text, ticking,
    wait_for_close,
};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const CHAT_B: &str = "/rollout/B/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_the_same_over_tls_in_both_versions() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, _) = secure.gate.two_rollouts();
    let two = secure.h2().await;
    let mut one = secure.h1().await;
    let mut in_one = call("POST", CHAT_A, &a);
    *in_one.uri_mut() = CHAT_A.parse().unwrap();
    in_one
        .headers_mut()
        .insert("host", "localhost".parse().unwrap());
    for answer in [
        two.call(call("POST", CHAT_A, &a)).await.unwrap(),
        one.send_request(in_one).await.unwrap(),
    ] {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["x-gate-source"], "upstream");
        let seen = upstream.last();
        assert_eq!(seen.line(), format!("POST {CHAT_A} HTTP/1.1"));
        assert_eq!(
            seen.all("authorization"),
            [format!("Bearer {PROVIDER_KEY}")]
        );
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.all("x-forwarded-host"), ["localhost"]);
        assert_eq!(seen.all("host").len(), 1);
        assert_eq!(seen.body, b"{}");
    }
    assert!(!upstream.everything().contains(&a));
    // Nothing in common: HTTP/1 is spoken where the caller does not say, and nothing else.
    assert!(secure.connect(&[b"spdy/3"]).await.is_err());
    let silent = secure.connect(&[]).await.unwrap();
    assert_eq!(silent.get_ref().1.alpn_protocol(), None);
}

/// Another token's streams are not touched, although they share the connection.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_ends_one_of_the_calls_on_a_connection() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let mut of_a = shared
        .call(call("POST", CHAT_A, &a))
        .await
        .unwrap()
        .into_body();
    let mut of_b = shared
        .call(call("POST", CHAT_B, &b))
        .await
        .unwrap()
        .into_body();
    assert!(piece(&mut of_a).await.unwrap().starts_with("data:"));
    assert!(piece(&mut of_b).await.unwrap().starts_with("data:"));
    let ended = secure.gate.end("A").await;
    let (streams, connections) = (1, 0);
    assert_eq!(
        ended,
        Ended {
            streams,
            connections
        }
    );
    let last = rest(&mut of_a).await;
    let (_, last) = last.trim_end().rsplit_once("data: ").unwrap();
    assert!(
        last.starts_with("{\"error\":{") && last.contains("REVOKED"),
        "{last}"
    );
    upstream.wait_for_closed(1);
    assert!(piece(&mut of_b).await.unwrap().starts_with("data:"));
    let again = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(again.headers()["x-gate-error"], "UNAUTHORIZED");
    assert_eq!(secure.gate.live.streams(), 1);
    assert_eq!(secure.gate.live.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_is_told_that_its_rollout_ended() {
    let upstream = Upstream::start(|_, to| wait_for_close(to));
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let waiting = shared.call(call("POST", CHAT_A, &a));
    let other = shared.call(call("POST", CHAT_B, &b));
    let closing = async {
        upstream.wait_for(2);
        secure.gate.end("A").await;
    };
    let answered = async {
        tokio::select! {
            answer = waiting => answer.unwrap(),
            _answered = other => panic!("nobody ended that one"),
        }
    };
    // In this order: the calls are on their way before they are waited for.
    let (answer, ()) = tokio::join!(answered, closing);
    assert_eq!(answer.status().as_u16(), 499);
    assert_eq!(text(answer).await, r#"{"error":"Rollout cancelled"}"#);
}

/// Acceptance 68: resetting a stream cancels its upstream call, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_one_call_keeps_the_others() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let of_a = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    let mut of_b = shared
        .call(call("POST", CHAT_B, &b))
        .await
        .unwrap()
        .into_body();
    drop(of_a);
    // The reset has to leave this side first.
    assert!(piece(&mut of_b).await.is_some());
    upstream.wait_for_closed(1);
    for _ in 0..3 {
        assert!(piece(&mut of_b).await.unwrap().starts_with("data:"));
    }
    assert_eq!(secure.gate.live.streams(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_ends_every_call_and_connection() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let (shared, idle) = (secure.h2().await, secure.h2().await);
    let mut of_a = shared
        .call(call("POST", CHAT_A, &a))
        .await
        .unwrap()
        .into_body();
    let mut of_b = shared
        .call(call("POST", CHAT_B, &b))
        .await
        .unwrap()
        .into_body();
    let ended = secure.gate.live.cut_all(Cut::Panic).await;
    assert_eq!((ended.streams, ended.connections), (2, 2));
    for body in [&mut of_a, &mut of_b] {
        let said = rest(body).await;
        assert!(said.contains("SERVICE_UNAVAILABLE"), "{said}");
    }
    shared.ended().await;
    idle.ended().await;
    assert_eq!(secure.gate.live.connections(), 0);
}

/// Without it hyper would send a body where HTTP/2 forbids one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_head_has_no_body() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let shared = secure.h2().await;
    let refused = shared
        .call(call("HEAD", CHAT_A, "gate_wrong"))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(
        refused.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
    assert_eq!(text(refused).await, "");
    let refused = shared
        .call(call("GET", CHAT_A, "gate_wrong"))
        .await
        .unwrap();
    assert_eq!(text(refused).await, r#"{"error":"Unauthorized"}"#);
}

/// A caller that does not take its answer loses it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_its_call_only() {
    let upstream = Upstream::start(|seen, to| {
        if seen.line().contains("/rollout/A/") {
            respond(to, 200, "application/octet-stream", &vec![7; 8 << 20]);
        } else {
            respond(to, 200, "application/json", b"{}");
        }
    });
    let maker = Maker::before(&upstream)
        .set(|settings| settings.limits.body_idle = Duration::from_millis(300));
    let secure = Secure::start(maker);
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    // Its window is never opened again: nobody reads the body.
    let slow = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    upstream.wait_for_closed(1);
    let answer = shared.call(call("POST", CHAT_B, &b)).await.unwrap();
    assert_eq!(text(answer).await, "{}");
    let cut = http_body_util::BodyExt::collect(slow.into_body()).await;
    assert!(cut.is_err(), "a part was taken for the whole");
}

/// Acceptance 159, in part: HTTP/2 callers are told to go elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn drain_answers_503_and_lets_streams_end() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let mut of_a = shared
        .call(call("POST", CHAT_A, &a))
        .await
        .unwrap()
        .into_body();
    secure.gate.proxy.begin_drain();
    let refused = shared.call(call("POST", CHAT_B, &b)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(piece(&mut of_a).await.unwrap().starts_with("data:"));
    secure.gate.workers().drain(Duration::from_millis(50)).await;
    let said = rest(&mut of_a).await;
    assert!(
        said.contains("SERVICE_UNAVAILABLE") && !said.contains("[DONE]"),
        "{said}"
    );
    shared.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_where_tls_is_spoken_is_told_so() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let mut stream = TcpStream::connect(secure.gate.address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("https://"), "{answer}");
    assert_eq!(secure.gate.proxy.counters().count(Count::Handshake), 1);
    let mut noise = TcpStream::connect(secure.gate.address).await.unwrap();
    noise.write_all(&[0x16, 3, 1, 0xff, 0xff]).await.unwrap();
    let mut rest = Vec::new();
    let _closed_or_reset = noise.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    // And the other way round.
    let gate = Gate::before(&upstream);
    let roots = Roots::File(secure.authority.root());
    let refused = shake(gate.address, &roots, &[HTTP11]).await;
    assert!(refused.is_err());
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let upstream = Upstream::plain();
    let maker = Maker::before(&upstream)
        .set(|settings| settings.limits.head_timeout = Duration::from_millis(200));
    let secure = Secure::start(maker);
    for first in [&b""[..], &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(secure.gate.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        let _closed_or_reset = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }
    // Nor does one that shakes hands and then says nothing.
    let mut silent = secure.connect(&[b"h2"]).await.unwrap();
    let mut rest = Vec::new();
    let _closed_or_reset = silent.read_to_end(&mut rest).await;
    assert_eq!(secure.gate.proxy.counters().count(Count::Handshake), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, _) = secure.gate.two_rollouts();
    let shown = async || {
        let stream = secure.connect(&[HTTP11]).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].to_vec()
    };
    let (shared, first) = (secure.h2().await, shown().await);
    let files = secure.server.files();
    // Half of a renewal.
    let renewed = secure.authority.files(&["localhost"]).unwrap();
    assert_eq!(renewed.certificate, files.certificate);
    let key = fs::read(&files.key).unwrap();
    fs::write(&files.key, "").unwrap();
    secure.server.reload().unwrap_err();
    assert_eq!(shown().await, first);
    fs::write(&files.key, key).unwrap();
    secure.server.reload().unwrap();
    assert_ne!(shown().await, first);
    let answer = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
