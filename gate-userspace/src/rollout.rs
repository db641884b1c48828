//! One sandboxed run of a client, and the one function that moves it through its phases.
//!
//! No IO and no clock: events go in, a phase and effects come out.

use crate::{
    client::Credential,
    clock::Stamp,
    ident::{ClientId, RolloutId, RolloutSerial, UpstreamName},
    scope::Scope,
    secret::Sealed,
    source::Source,
};

/// A rollout, as the store keeps it and the grants table reads it.
#[derive(Clone, Debug)]
pub struct Rollout {
    pub serial: RolloutSerial,
    pub id: RolloutId,
    pub client: ClientId,
    /// None = the client's; some *replace* the client's for this rollout.
    pub sources: Vec<Source>,
    pub scope: Option<Scope>,
    pub upstream: Option<UpstreamName>,
    pub key: Option<Sealed>,
    pub phase: Phase,
    pub expires: Option<Stamp>,
    pub created: Stamp,
    pub tokens: Vec<Credential>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Calls are accepted.
    Open,
    /// Running calls go on, new ones are answered 409.
    Draining,
    /// Nothing is accepted; the row is history.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Drain,
    /// `rollout close`, `client revoke`, `client disable` or the end of a lease.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    RefuseNew,
    KillTokens,
    CutStreams,
    RemoveSources,
}

/// The life of a rollout. All pairs are spelled out, so a new event must be decided.
pub fn step(phase: Phase, event: Event) -> (Phase, &'static [Effect]) {
    use Effect::{CutStreams, KillTokens, RefuseNew, RemoveSources};
    match (phase, event) {
        (Phase::Open, Event::Drain) => (Phase::Draining, &[RefuseNew]),
        (Phase::Draining, Event::Drain) => (Phase::Draining, &[]),
        (Phase::Open | Phase::Draining, Event::Close) => {
            (Phase::Closed, &[KillTokens, CutStreams, RemoveSources])
        }
        (Phase::Closed, Event::Drain | Event::Close) => (Phase::Closed, &[]),
    }
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Closed => "closed",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Draining, Self::Closed]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

/// The name a rollout's key is sealed for.
pub fn rollout_owner(serial: RolloutSerial) -> String {
    format!("rollout/{}", serial.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_rollout_stays_closed() {
        for event in [Event::Drain, Event::Close] {
            assert_eq!(step(Phase::Closed, event), (Phase::Closed, &[][..]));
        }
    }

    #[test]
    fn closing_kills_tokens_before_streams_before_sources() {
        let order = [
            Effect::KillTokens,
            Effect::CutStreams,
            Effect::RemoveSources,
        ];
        assert_eq!(step(Phase::Open, Event::Close), (Phase::Closed, &order[..]));
        assert_eq!(
            step(Phase::Draining, Event::Close),
            (Phase::Closed, &order[..])
        );
    }
}
