//! A connection that calls share lives as long as one of the tokens that used it.

use gate_userspace::{grants::Effects, proxy::live::Ended};

use crate::support::{Gate, Maker, Secure, Shared, Upstream, call, piece, rest, text, ticking};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const CHAT_B: &str = "/rollout/B/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_with_the_last_of_its_tokens() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    served(&shared, CHAT_A, &a).await;
    served(&shared, CHAT_B, &b).await;
    let of_a = secure.gate.end("A").await;
    assert_eq!((of_a.streams, of_a.connections), (0, 0));
    served(&shared, CHAT_B, &b).await;
    // A refused call is no claim: it does not keep the connection.
    let refused = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    assert_eq!(refused.status(), 401);
    let of_b = secure.gate.end("B").await;
    assert_eq!((of_b.streams, of_b.connections), (0, 1));
    assert_eq!(secure.gate.live.connections(), 0);
    shared.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_where_its_source_is_taken_away() {
    let upstream = Upstream::plain();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let (narrowed, other) = (secure.h2().await, secure.h2().await);
    served(&narrowed, CHAT_A, &a).await;
    served(&other, CHAT_B, &b).await;
    let elsewhere = secure.gate.source("10.9.9.9");
    let effects = secure
        .gate
        .change("A", |rollout| rollout.sources = vec![elsewhere]);
    let ended = narrow(&secure.gate, &effects).await;
    assert_eq!((ended.streams, ended.connections), (0, 1));
    narrowed.ended().await;
    served(&other, CHAT_B, &b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_last_stream_is_told_before_it_ends() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, _) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let answer = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    let mut body = answer.into_body();
    assert!(piece(&mut body).await.unwrap().starts_with("data:"));
    let ended = secure.gate.end("A").await;
    assert_eq!((ended.streams, ended.connections), (1, 1));
    let said = rest(&mut body).await;
    assert!(
        said.contains("REVOKED") && !said.contains("[DONE]"),
        "{said}"
    );
    shared.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_another_token_is_not_cut() {
    let upstream = ticking();
    let secure = Secure::start(Maker::before(&upstream));
    let (a, b) = secure.gate.two_rollouts();
    let shared = secure.h2().await;
    let mut of_b = shared
        .call(call("POST", CHAT_B, &b))
        .await
        .unwrap()
        .into_body();
    assert!(piece(&mut of_b).await.is_some());
    let answer = shared.call(call("POST", CHAT_A, &a)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let ended = secure.gate.end("A").await;
    assert_eq!((ended.streams, ended.connections), (1, 0));
    for _ in 0..3 {
        assert!(piece(&mut of_b).await.unwrap().starts_with("data:"));
    }
}

async fn served(shared: &Shared, path: &str, token: &str) {
    let answer = shared.call(call("POST", path, token)).await.unwrap();
    assert_eq!(answer.status(), 200);
    text(answer).await;
}

async fn narrow(gate: &Gate, effects: &Effects) -> Ended {
    gate.live
        .narrow(&effects.narrowed, gate.grants.host())
        .await
}
