//! What does not queue behind the writer, which may be waiting for a store that is away.
//!
//! The emergency brake shuts the rings at once, and until the writer has heard of it nothing that it
//! does opens them; so it has one way into another mode, which is here. Tokens that are to end are
//! dead at once; the writer takes them out of the table, and their sources from the packet ring.

use std::sync::{Arc, atomic::Ordering};

use super::{Closing, CutCount, Desk, RingError, Why};
use crate::{
    client::Credential,
    grants::RolloutGrant,
    ident::{ClientName, TokenId},
    settings::Mode,
};

/// One of those who brake.
pub(super) struct Brake(Arc<Desk>);

impl Desk {
    /// Nothing opens until this is dropped.
    pub(super) fn brake(self: &Arc<Self>) -> Brake {
        self.brakes.fetch_add(1, Ordering::SeqCst);
        Brake(Arc::clone(self))
    }

    /// Puts this mode in force: what closes goes from the table outwards, what opens the other way.
    pub(super) async fn enter(&self, mode: Mode) -> Result<(), RingError> {
        if mode == Mode::Closed {
            return self.shut().await.0;
        }
        let opened = self.ring.set_mode(mode).await;
        self.grants.set_mode(mode);
        // Asked after it was opened: who brakes later shuts it again by itself.
        if self.brakes.load(Ordering::SeqCst) > 0 {
            return self.shut().await.0;
        }
        opened
    }

    /// Shuts every ring, from the table outwards. Doing it twice is doing it once.
    pub(super) async fn shut(&self) -> (Result<(), RingError>, CutCount) {
        self.grants.set_mode(Mode::Closed);
        let ring = self.ring.set_mode(Mode::Closed).await;
        (ring, self.streams.cut_all(Why::Panic).await)
    }
}

/// Ahead of the writer, and only what it will not refuse to end.
impl Desk {
    pub(super) async fn stop_client(&self, name: ClientName) -> CutCount {
        let client = self.client_named(&name);
        let client = client.ok().filter(|client| self.not_shared(client).is_ok());
        let tokens = client.map_or_else(Vec::new, |client| {
            let mut tokens = ids(&client.tokens);
            tokens.extend(of_rollouts(&self.grants.rollouts_of(client.id)));
            tokens
        });
        self.stop(tokens, Why::Revoked).await
    }

    /// All of them or, when one is not there, none.
    pub(super) async fn stop_rollouts(&self, closing: Closing) -> CutCount {
        let rollouts = match &closing {
            Closing::Ids(ids) => ids.iter().map(|id| self.rollout_named(id)).collect(),
            Closing::AllOf(name) => self
                .client_named(name)
                .map(|client| self.grants.rollouts_of(client.id)),
        };
        let rollouts: Vec<_> = rollouts.unwrap_or_default();
        self.stop(of_rollouts(&rollouts), Why::Closed).await
    }

    async fn stop(&self, tokens: Vec<TokenId>, why: Why) -> CutCount {
        if tokens.is_empty() || !self.store.may_write() {
            return CutCount::default();
        }
        self.grants.kill_all(&tokens);
        self.streams.cut(tokens, why).await
    }
}

fn of_rollouts(rollouts: &[Arc<RolloutGrant>]) -> Vec<TokenId> {
    let rollouts = rollouts.iter().map(|rollout| rollout.record());
    rollouts.flat_map(|record| ids(&record.tokens)).collect()
}

fn ids(tokens: &[Credential]) -> Vec<TokenId> {
    tokens.iter().map(|token| token.id).collect()
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.0.brakes.fetch_sub(1, Ordering::SeqCst);
    }
}
