//! Acceptance 159: a gate that is told to end turns new calls away and lets running ones end.

use std::time::Duration;

use harness::client::{Call, Client};
use harness::gated::{Gated, Signal};
use harness::log::says;
use harness::probe::Syn;
use harness::sse::{End, Event, Events};

use crate::site::{Net, Site, base, net};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn draining_gate_answers_503_until_its_streams_have_ended() {
    let Some(mut site) = draining_after("2m").await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let mut kept = Client::open(&caller.place, caller.gate4()).await.unwrap();
    let running = Call::chat(&base("r-1"), Some(2000)).bearer(&token);
    let running = running.send(&caller.place, caller.gate4()).await.unwrap();
    let mut events = running.events();
    assert!(events.next().await.is_some());
    end(&site.gated).await;
    // On a new connection and on one from before.
    let refused = caller.chat("r-1", &token).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["x-gate-error"], "SERVICE_UNAVAILABLE");
    let again = kept.send(Call::chat(&base("r-1"), Some(1)).bearer(&token));
    assert_eq!(again.await.unwrap().status, 503);
    let ready = Call::get("/readyz").complete(&caller.place, caller.gate4());
    assert_eq!(ready.await.unwrap().status, 503);
    let alive = Call::get("/livez").complete(&caller.place, caller.gate4());
    assert_eq!(alive.await.unwrap().status, 200);
    let (rest, how) = events.rest().await;
    assert_eq!(rest.last().unwrap().data, "[DONE]");
    assert_eq!(how, End::Clean);
    // Long before the bound: nothing is left to wait for.
    assert_eq!(site.gated.ended().await.unwrap(), Some(0));
    shut(&site).await;
}

#[tokio::test]
async fn streams_that_outlive_the_drain_are_told_so() {
    let Some(mut site) = draining_after("300ms").await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let mut running = caller.stream("r-1", &token).await;
    end(&site.gated).await;
    told(&mut running).await;
    assert_eq!(site.gated.ended().await.unwrap(), Some(0));
    shut(&site).await;
}

#[tokio::test]
async fn second_signal_ends_the_drain() {
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        let Some(mut site) = draining_after("2m").await else {
            return;
        };
        let caller = &site.net.callers[0];
        let token = site.open("r-1", caller).await;
        let mut running = caller.stream("r-1", &token).await;
        end(&site.gated).await;
        assert!(running.next().await.is_some_and(|event| !event.is_error()));
        site.gated.signal(second).unwrap();
        told(&mut running).await;
        assert_eq!(site.gated.ended().await.unwrap(), Some(0));
        shut(&site).await;
    }
}

/// A gate whose drain lasts at most so long.
async fn draining_after(limit: &str) -> Option<Site> {
    let net: Net = net(2)?;
    let launch = net.launch();
    let launch = launch.config(&format!("[limits]\ndrain = \"{limit}\"\n"));
    let gated = launch.start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    Some(Site { gated, net })
}

async fn end(gated: &Gated) {
    gated.signal(Signal::SIGTERM).unwrap();
    let draining = |line: &str| says(line, "draining: new calls are answered 503");
    gated.log().wait(PATIENCE, draining).await.unwrap();
}

/// The stream ends with an error in its dialect, and never as if it were whole.
async fn told(running: &mut Events) {
    let (rest, _how) = running.rest().await;
    let last = rest.last().unwrap();
    assert!(
        last.is_error() && last.data.contains("SERVICE_UNAVAILABLE"),
        "{last:?}"
    );
    assert!(!rest.iter().any(|event: &Event| event.data == "[DONE]"));
}

/// The packet ring outlives the daemon: strangers get silence, the listed caller finds nobody.
async fn shut(site: &Site) {
    assert_eq!(site.net.callers[0].knock().await, Syn::Refused);
    assert_eq!(site.net.callers[1].knock().await, Syn::Silent);
}
