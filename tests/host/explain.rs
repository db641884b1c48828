//! What `explain` says of a caller, next to what happens to it.

use harness::probe::Syn;

use crate::site::site;

#[tokio::test]
async fn explanation_of_the_packet_ring_agrees_with_what_happens() {
    let Some(site) = site(2).await else { return };
    let [listed, stranger] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    site.open("r-1", listed).await;
    let before = site.gated.ctl().drops().await.unwrap();
    for (caller, verdict) in [(listed, "pass"), (stranger, "drop")] {
        for source in [caller.source4(), caller.source6()] {
            let address = source.split('/').next().unwrap();
            let answer = site
                .gated
                .ctl()
                .json(&format!("explain --from {address}"))
                .await
                .unwrap();
            let packet = &answer["rings"][0];
            assert_eq!(
                (&packet["ring"], &packet["verdict"]),
                (&"packet".into(), &verdict.into())
            );
            assert_ne!(packet["reason"], "", "{address}: {answer}");
        }
    }
    assert_eq!(
        site.gated.ctl().drops().await.unwrap(),
        before,
        "asking is not knocking"
    );
    assert_eq!(
        (listed.knock().await, stranger.knock().await),
        (Syn::Answered, Syn::Silent)
    );
}

#[tokio::test]
async fn explanation_of_the_request_ring_agrees_with_what_happens() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let source = caller.source4();
    let address = source.split('/').next().unwrap();
    for (rollout, status, verdict) in [("r-1", 200, "pass"), ("r-2", 401, "refuse")] {
        let path = format!("/rollout/{rollout}/v1/chat/completions");
        let explain = format!("explain --from {address} --method POST --path {path} --token-stdin");
        let outcome = site
            .gated
            .ctl()
            .run(&format!("{explain} --output json"), &token)
            .await;
        let answer = outcome.unwrap().json().unwrap();
        let request = answer["rings"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&request["ring"], &request["verdict"]),
            (&"request".into(), &verdict.into())
        );
        assert_eq!(caller.chat(rollout, &token).await.status, status);
    }
}
