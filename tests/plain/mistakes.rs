//! What callers commonly do wrong, told to whoever asks.

use gate_userspace::{proxy::counters::Count, source::Source};

use crate::support::{Gate, Upstream};

const CHAT: &str = "/v1/chat/completions";

/// Acceptance 157.
#[test]
fn mistakes_are_told_with_their_source() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    for _ in 0..3 {
        gate.bearer("intercepted", "POST", CHAT);
    }
    gate.bearer("sk-ant-0123456789", "POST", CHAT);
    let told = gate.proxy.mistakes();
    let told = told
        .iter()
        .map(|mistake| (mistake.what, mistake.source.to_string(), mistake.count));
    let want = [
        (Count::Placeholder, "lo".to_owned(), 3),
        (Count::ProviderKey, "lo".to_owned(), 1),
    ];
    assert!(told.eq(want));
}

/// The first of a kind is told as it happens, and so is every replay, with both of its sides.
#[test]
fn who_watches_hears_of_mistakes_and_replays() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let mut watcher = gate.proxy.watch_mistakes();
    let elsewhere = Source::anywhere("10.9.9.9/32").unwrap();
    let token = gate.client(1, |client| client.sources = vec![elsewhere.clone()]);
    gate.bearer("intercepted", "POST", CHAT);
    gate.bearer("intercepted", "POST", CHAT);
    gate.bearer(&token, "POST", CHAT);
    let heard: Vec<_> = std::iter::from_fn(|| watcher.try_recv().ok()).collect();
    let [mistake, replay] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(mistake.mistake.what, Count::Placeholder);
    assert_eq!((mistake.mistake.count, &mistake.replay), (1, &None));
    assert_eq!(replay.mistake.what, Count::WrongSource);
    let replay = replay.replay.as_ref().unwrap();
    assert_eq!(replay.bound, [elsewhere]);
    assert!(token.contains(&replay.token.to_string()));
}
