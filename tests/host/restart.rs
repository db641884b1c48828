//! The gate dies and comes back.

use std::time::Duration;

use harness::probe::{Syn, syn};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::attached::left;
use crate::site::site;

/// Acceptance 28 and 160.
#[tokio::test]
async fn killed_gate_stays_shut_to_strangers_and_is_taken_up_again() {
    let Some(mut site) = site(2).await else {
        return;
    };
    let token = site.open("r-1", &site.net.callers[0]).await;
    let before = left(&site.net.host);
    assert!(!before.is_empty());
    site.gated.kill().unwrap();
    assert_eq!(site.net.callers[1].knock().await, Syn::Silent);
    // The listed caller is let through to a host on which nobody listens.
    assert_eq!(site.net.callers[0].knock().await, Syn::Refused);
    site.gated.restart().await.unwrap();
    assert_eq!(site.net.callers[1].knock().await, Syn::Silent);
    assert_eq!(site.net.callers[0].chat("r-1", &token).await.status, 200);
    assert_eq!(left(&site.net.host), before);
}

/// A stranger who knocks all the while never gets an answer, not even a refusal.
#[tokio::test]
async fn port_is_never_open_while_the_gate_dies_and_comes_back() {
    let Some(mut site) = site(1).await else {
        return;
    };
    let (place, gate) = (
        site.net.callers[0].place.clone(),
        site.net.callers[0].gate4(),
    );
    let knocking = async {
        let (mut clock, mut knocks) = (interval(Duration::from_millis(5)), JoinSet::new());
        loop {
            tokio::select! {
                _tick = clock.tick() => {
                    let place = place.clone();
                    knocks.spawn(async move { syn(&place, gate).await });
                }
                Some(answer) = knocks.join_next() => {
                    assert_eq!(answer.unwrap(), Syn::Silent);
                }
            }
        }
    };
    let restarts = async {
        for _ in 0..4 {
            site.gated.kill().unwrap();
            site.gated.restart().await.unwrap();
        }
        site.gated.terminate().await.unwrap();
        site.gated.restart().await.unwrap();
    };
    tokio::select! {
        () = restarts => {}
        () = knocking => {}
    }
}
