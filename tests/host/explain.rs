//! What `explain` says of a caller, next to what happens to it.

use harness::probe::Syn;
use serde_json::Value;

use crate::site::{Caller, Site, site};

/// Rings with their verdicts, in order, and the exit code.
async fn explain(site: &Site, source: &str, more: &str, token: &str) -> (Vec<String>, Option<i32>) {
    let address = source.split('/').next().unwrap();
    let (address, more) = match more.strip_prefix('%') {
        Some(interface) => (format!("{address}%{interface}"), ""),
        None => (address.to_owned(), more),
    };
    let command = format!("explain --from {address} {more} --output json");
    let outcome = site.gated.ctl().run(&command, token).await.unwrap();
    let answer: Value = serde_json::from_str(&outcome.stdout).expect(&outcome.stderr);
    let rings = answer["rings"].as_array().unwrap().iter();
    let said = |ring: &Value| {
        let word = |key: &str| ring[key].as_str().unwrap().to_owned();
        assert!(!word("reason").is_empty(), "{answer}");
        format!("{} {}", word("ring"), word("verdict"))
    };
    (rings.map(said).collect(), outcome.status)
}

#[tokio::test]
async fn explanation_of_the_packet_ring_agrees_with_what_happens() {
    let Some(site) = site(2).await else { return };
    let [listed, stranger] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    site.open("r-1", listed).await;
    let before = site.gated.ctl().drops().await.unwrap();
    let sources = |caller: &Caller| [caller.source4(), caller.source6()];
    for source in sources(listed) {
        let (rings, status) = explain(&site, &source, "", "").await;
        assert_eq!(
            (rings[0].as_str(), status),
            ("packet pass", Some(0)),
            "{source}"
        );
    }
    for source in sources(stranger) {
        let (rings, status) = explain(&site, &source, "", "").await;
        assert_eq!(
            (&rings[..], status),
            (&["packet drop".to_owned()][..], Some(1)),
            "{source}"
        );
    }
    let after = site.gated.ctl().drops().await.unwrap();
    assert_eq!(after, before, "asking is not knocking");
    assert_eq!(
        (listed.knock().await, stranger.knock().await),
        (Syn::Answered, Syn::Silent)
    );
}

/// An address behind a cable of its own is bound to it, without a word of the operator.
#[tokio::test]
async fn address_of_a_neighbour_opens_nothing_and_is_not_called_spoofable() {
    let Some(site) = site(2).await else { return };
    let [listed, neighbour] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    site.open("r-1", listed).await;
    for source in [listed.source4(), listed.source6()] {
        let (rings, status) = explain(&site, &source, "%to-2", "").await;
        assert_eq!(
            (&rings[..], status),
            (&["packet drop".to_owned()][..], Some(1)),
            "{source}"
        );
    }
    let told = async || {
        let status = site.gated.ctl().json("status").await.unwrap();
        status["warnings"].to_string()
    };
    assert!(!told().await.contains("spoofable"), "{}", told().await);
    let subnet = neighbour.subnet4();
    let open = format!("rollout open r-2 --client trainer --source {subnet}");
    site.gated.ctl().json(&open).await.unwrap();
    let warnings = told().await;
    assert!(
        warnings.contains(&format!(
            "spoofable by a neighbour on the same link: {subnet} ("
        )),
        "{warnings}"
    );
}

#[tokio::test]
async fn explanation_of_the_request_ring_agrees_with_what_happens() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    for (rollout, answer, verdict, exit) in [
        ("r-1", 200, "request pass", 0),
        ("r-2", 401, "request refuse", 1),
    ] {
        let path = format!("/rollout/{rollout}/v1/chat/completions");
        let more = format!("--method POST --path {path} --token-stdin");
        let (rings, status) = explain(&site, &caller.source4(), &more, &token).await;
        assert_eq!(
            rings,
            ["packet pass", "connection pass", verdict],
            "{rollout}"
        );
        assert_eq!(status, Some(exit), "{rollout}");
        assert_eq!(
            caller.chat(rollout, &token).await.status,
            answer,
            "{rollout}"
        );
    }
}
