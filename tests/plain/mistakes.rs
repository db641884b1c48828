//! What callers commonly do wrong, told to whoever asks.

use gate_userspace::proxy::counters::Count;

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
