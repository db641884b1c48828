//! What passes through, and what must never come out anywhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::client::Call;
use harness::sse::End;
use harness::upstream::Fate;

use crate::site::{Site, UPSTREAM_KEY, base, net, site};

const PATIENCE: Duration = Duration::from_secs(10);

/// Acceptance 64: what comes out is byte for byte what went in, piece by piece.
#[tokio::test]
async fn stream_is_passed_on_as_it_comes() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let call = |limit| Call::chat(&base("r-1"), limit).bearer(&token);
    let mut endless = call(None)
        .send(&caller.place, caller.gate4())
        .await
        .unwrap()
        .events();
    assert!(
        endless.next().await.is_some(),
        "nothing before the end, which never comes"
    );
    let mut through = call(Some(20))
        .send(&caller.place, caller.gate4())
        .await
        .unwrap()
        .events();
    let (_, end) = through.rest().await;
    let straight = Call::chat("/v1", Some(20)).send(&site.net.host, site.net.upstream_address());
    let mut straight = straight.await.unwrap().events();
    assert_eq!(
        (end, through.raw()),
        (straight.rest().await.1, straight.raw())
    );
}

/// Acceptance 68.
#[tokio::test]
async fn caller_that_leaves_cancels_the_upstream_call() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let events = caller.stream("r-1", &token).await;
    drop(events);
    let left = |seen: &[harness::upstream::Seen]| {
        matches!(seen[0].fate, Fate::CallerLeft(_)).then_some(())
    };
    site.net
        .upstream
        .journal()
        .wait(PATIENCE, left)
        .await
        .unwrap();
}

/// Acceptance 57: base URLs and the gate token, and no provider key.
#[tokio::test]
async fn printed_environment_holds_no_provider_key() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    for format in ["shell", "json", "docker"] {
        let base_url = format!("http://{}", caller.gate4());
        let env = format!("env r-1 --format {format} --base-url {base_url} --token-stdin");
        let printed = site.gated.ctl().run(&env, &token).await.unwrap();
        assert_eq!(printed.status, Some(0), "{format}: {printed:?}");
        assert!(!printed.stdout.contains(UPSTREAM_KEY), "{format}");
        for needed in [
            "OPENAI_BASE_URL",
            "ANTHROPIC_BASE_URL",
            &base("r-1"),
            &token,
        ] {
            assert!(
                printed.stdout.contains(needed),
                "{format}: no {needed}: {}",
                printed.stdout
            );
        }
    }
}

/// Acceptance 58 and 59, with the log at its most talkative.
#[tokio::test]
async fn token_and_key_are_found_nowhere_they_do_not_belong() {
    let Some(net) = net(1) else { return };
    let gated = net.launch().config("[log]\nlevel = \"trace\"\n");
    let gated = gated.start().await.unwrap();
    gated.ctl().json("client add trainer").await.unwrap();
    let mut site = Site { gated, net };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    drop(caller.stream("r-1", &token).await);
    let refusal = caller.chat("other", &token).await;
    assert_eq!(refusal.status, 401);
    let upstream = site.net.upstream.journal().raw();
    assert!(contains(&upstream, UPSTREAM_KEY.as_bytes()));
    site.gated.terminate().await.unwrap();
    let secret = token.rsplit('_').next().unwrap();
    let mut places = vec![
        ("the upstream's bytes".to_owned(), upstream),
        ("the refusal".to_owned(), refusal.body.to_vec()),
        ("the log".to_owned(), site.gated.log().text().into_bytes()),
    ];
    files(&site.gated.state_dir(), &mut places);
    files(&site.gated.run_dir(), &mut places);
    for (place, bytes) in &places {
        assert!(
            !contains(bytes, secret.as_bytes()),
            "the token's secret is in {place}"
        );
    }
    for (place, bytes) in &places[1..] {
        assert!(
            !contains(bytes, UPSTREAM_KEY.as_bytes()),
            "the provider key is in {place}"
        );
    }
}

/// An answer to a whole call ends cleanly.
#[tokio::test]
async fn stream_with_an_end_ends_cleanly() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let call = Call::chat(&base("r-1"), Some(2)).bearer(&token);
    let answer = call.send(&caller.place, caller.gate6()).await.unwrap();
    let (events, end) = answer.events().rest().await;
    assert_eq!(end, End::Clean);
    assert!(
        events.last().is_some_and(|event| event.data == "[DONE]"),
        "{events:?}"
    );
}

fn files(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.is_file() {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}
