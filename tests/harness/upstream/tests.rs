//! The scripted provider does what it is told and remembers what it saw.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::{Fate, Provider, Reply, Upstream};
use crate::client::{Call, Client};
use crate::netns::Namespace;
use crate::raw;
use crate::sse::End;

const PATIENCE: Duration = Duration::from_secs(10);

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn provider() -> Upstream {
    let provider = Provider {
        pace: Duration::from_millis(1),
    };
    Upstream::provider(&Namespace::here(), anywhere(), provider).unwrap()
}

#[tokio::test]
async fn stream_has_as_many_tokens_as_asked_in_every_dialect() {
    let upstream = provider();
    let rows = [
        ("/v1/chat/completions", "max_tokens", 6, "[DONE]"),
        (
            "/rollout/r/v1/responses",
            "max_output_tokens",
            8,
            "response.completed",
        ),
        ("/v1/messages", "max_tokens", 8, "message_stop"),
    ];
    for (path, limit, events, last) in rows {
        let call = Call::post(path, &json!({"stream": true, limit: 3}));
        let answer = call
            .send(&Namespace::here(), upstream.address())
            .await
            .unwrap();
        let (seen, end) = answer.events().rest().await;
        assert_eq!((seen.len(), end), (events, End::Clean), "{path}: {seen:?}");
        assert!(seen.last().unwrap().data.contains(last), "{path}");
        assert!(
            !seen.iter().any(super::super::sse::Event::is_error),
            "{path}"
        );
    }
}

#[tokio::test]
async fn caller_that_leaves_is_noticed() {
    let upstream = provider();
    let answer = Call::chat("/v1", None)
        .send(&Namespace::here(), upstream.address())
        .await;
    let mut events = answer.unwrap().events();
    assert!(events.next().await.is_some());
    assert_eq!(upstream.journal().requests()[0].fate, Fate::Answering);
    drop(events);
    let left = |seen: &[super::Seen]| matches!(seen[0].fate, Fate::CallerLeft(_)).then_some(());
    upstream.journal().wait(PATIENCE, left).await.unwrap();
}

#[tokio::test]
async fn caller_that_leaves_before_the_head_is_noticed() {
    let (_keep, held) = Reply::json(200, &json!({})).held();
    let mut held = Some(held);
    let script = move |_: &super::Seen| held.take().expect("one request");
    let upstream = Upstream::start(&Namespace::here(), anywhere(), script).unwrap();
    let here = Namespace::here();
    let call = Call::get("/slow").send(&here, upstream.address());
    let asked = upstream
        .journal()
        .wait(PATIENCE, |seen| (!seen.is_empty()).then_some(()));
    tokio::select! {
        answer = call => panic!("{:?}", answer.map(|answer| answer.status)),
        asked = asked => asked.unwrap(),
    }
    let left = |seen: &[super::Seen]| matches!(seen[0].fate, Fate::CallerLeft(_)).then_some(());
    upstream.journal().wait(PATIENCE, left).await.unwrap();
}

#[tokio::test]
async fn test_controls_every_event_and_the_break() {
    let (steps, reply) = Reply::events();
    let mut reply = Some(reply);
    let script = move |_: &super::Seen| reply.take().expect("one request");
    let upstream = Upstream::start(&Namespace::here(), anywhere(), script).unwrap();
    assert!(steps.send("data: 1\n\n"));
    let answer = Call::get("/stream")
        .send(&Namespace::here(), upstream.address())
        .await;
    let mut events = answer.unwrap().events();
    assert_eq!(events.next().await.unwrap().data, "1");
    assert!(steps.send("data: 2\n\n"));
    assert_eq!(events.next().await.unwrap().data, "2");
    steps.cut();
    let (rest, end) = events.rest().await;
    assert!(
        rest.is_empty() && matches!(end, End::Broken(_)),
        "{rest:?} {end:?}"
    );
    assert_eq!(upstream.journal().requests()[0].fate, Fate::Broken);
}

#[tokio::test]
async fn bytes_are_kept_as_they_came() {
    let upstream = provider();
    let sent =
        b"POST /x/echo?q=%2f HTTP/1.1\r\nHOST: a\r\nX-Odd:  \xffb\r\nContent-Length: 2\r\n\r\nhi";
    let heard = raw::exchange(&Namespace::here(), upstream.address(), sent)
        .await
        .unwrap();
    assert_eq!(
        (heard.status(), heard.close),
        (Some(200), raw::Close::Open),
        "{}",
        heard.text()
    );
    assert_eq!(upstream.journal().raw(), sent);
    let seen = &upstream.journal().requests()[0];
    assert_eq!(
        (seen.path(), seen.target.as_str()),
        ("/x/echo", "/x/echo?q=%2f")
    );
    assert_eq!(seen.headers[1], ("x-odd".to_owned(), b"\xffb".to_vec()));
    assert_eq!(&seen.body[..], b"hi");
}

#[tokio::test]
async fn one_connection_carries_several_calls() {
    let upstream = provider();
    let mut client = Client::open(&Namespace::here(), upstream.address())
        .await
        .unwrap();
    for status in [404, 503] {
        let call = Call::get(&format!("/status/{status}"));
        let answer = client.send(call).await.unwrap().complete().await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(upstream.journal().connections(), 1);
    let seen = upstream.journal().requests();
    assert!(
        seen.iter()
            .all(|seen| seen.connection == 0 && seen.fate == Fate::Finished)
    );
}
