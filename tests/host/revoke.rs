//! One call shuts all three rings, streams in flight included, and only for whom it is meant.

use std::time::Duration;

use harness::client::{Call, Client};
use harness::probe::Syn;
use harness::sse::Event;
use harness::upstream::{Fate, Seen};
use tokio::time::timeout;

use crate::site::{base, site};

const PATIENCE: Duration = Duration::from_secs(10);

/// Acceptance 69.
#[tokio::test]
async fn closed_rollout_loses_its_stream_its_token_and_its_source() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let mut running = caller.stream("r-1", &token).await;
    let answer = site.gated.ctl().json("rollout close r-1").await.unwrap();
    assert_eq!(answer["streams_cut"], 1, "{answer}");
    let (rest, _end) = running.rest().await;
    assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    assert!(!rest.iter().any(|event| event.data == "[DONE]"), "{rest:?}");
    assert_eq!(caller.knock().await, Syn::Silent);
}

/// Acceptance 171.
#[tokio::test]
async fn neighbour_behind_the_same_address_goes_on() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let (token_a, token_b) = (site.open("a", caller).await, site.open("b", caller).await);
    let (mut of_a, mut of_b) = (
        caller.stream("a", &token_a).await,
        caller.stream("b", &token_b).await,
    );
    site.gated.ctl().json("rollout close a").await.unwrap();
    let (rest, _end) = of_a.rest().await;
    assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    let after = of_a.last_byte();
    loop {
        let event = of_b.next().await.expect("B's stream goes on");
        assert!(!event.is_error(), "{event:?}");
        if event.at > after {
            break;
        }
    }
    assert_eq!(caller.knock().await, Syn::Answered);
    assert_eq!(caller.chat("a", &token_a).await.status, 401);
    assert_eq!(caller.chat("b", &token_b).await.status, 200);
}

/// `client revoke` cascades to its rollouts.
#[tokio::test]
async fn revoked_client_takes_its_rollouts_along() {
    let Some(site) = site(2).await else { return };
    let [first, second] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let (token_a, token_b) = (site.open("a", first).await, site.open("b", second).await);
    let (mut of_a, mut of_b) = (
        first.stream("a", &token_a).await,
        second.stream("b", &token_b).await,
    );
    let answer = site
        .gated
        .ctl()
        .json("client revoke trainer --yes")
        .await
        .unwrap();
    assert_eq!(answer["streams_cut"], 2, "{answer}");
    for events in [&mut of_a, &mut of_b] {
        let (rest, _end) = events.rest().await;
        assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    }
    assert_eq!(
        (first.knock().await, second.knock().await),
        (Syn::Silent, Syn::Silent)
    );
}

/// An idle connection is no way back in.
#[tokio::test]
async fn kept_connection_of_a_closed_rollout_serves_nothing() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let mut kept = Client::open(&caller.place, caller.gate4()).await.unwrap();
    let call = || Call::chat(&base("r-1"), Some(1)).bearer(&token);
    assert_eq!(
        kept.send(call())
            .await
            .unwrap()
            .complete()
            .await
            .unwrap()
            .status,
        200
    );
    site.gated.ctl().json("rollout close r-1").await.unwrap();
    // Closed, or answered with a refusal by a gate whose packet ring lets no more packets in.
    let again = timeout(Duration::from_secs(3), kept.send(call())).await;
    if let Ok(Ok(answer)) = again {
        assert_eq!(answer.status, 401);
    }
    assert_eq!(site.net.upstream.journal().requests().len(), 1);
}

/// Whichever comes first, the call or the revocation: no stream goes on once `close` has answered.
#[tokio::test]
async fn call_that_races_its_revocation_does_not_outlive_it() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    site.open("keeps-the-address-open", caller).await;
    let mut streams = 0;
    for round in 0..25 {
        let rollout = format!("r-{round}");
        let token = site.open(&rollout, caller).await;
        let call = Call::chat(&base(&rollout), None).bearer(&token);
        let close = format!("rollout close {rollout}");
        let ctl = site.gated.ctl();
        let (answer, closed) =
            tokio::join!(call.send(&caller.place, caller.gate4()), ctl.json(&close));
        closed.unwrap();
        let answer = answer.unwrap();
        if answer.status != 200 {
            continue;
        }
        streams += 1;
        let mut events = answer.events();
        let rest = timeout(PATIENCE, events.rest()).await;
        let (rest, _end) = rest.expect("the stream goes on after its rollout was closed");
        assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    }
    let answering = |seen: &[Seen]| seen.iter().any(|seen| seen.fate == Fate::Answering);
    let journal = site.net.upstream.journal();
    journal
        .wait(PATIENCE, |seen| (!answering(seen)).then_some(()))
        .await
        .unwrap();
    // Otherwise the race was always lost by the call, and this test saw nothing.
    assert!(streams > 0);
}

/// Every stream of a client is cut by the one call that revokes it.
#[tokio::test]
async fn hundred_streams_of_a_client_end_with_it() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(caller.stream("r-1", &token).await);
    }
    let answer = site
        .gated
        .ctl()
        .json("client revoke trainer --yes")
        .await
        .unwrap();
    assert_eq!(answer["streams_cut"], 100, "{answer}");
    for mut events in streams {
        let (rest, _end) = timeout(PATIENCE, events.rest()).await.expect("it goes on");
        assert!(rest.last().is_some_and(Event::is_error), "{rest:?}");
    }
}
