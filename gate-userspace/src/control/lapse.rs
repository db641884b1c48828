//! Ends what runs under a lease that is over, while the writer waits for a store that is away.
//!
//! Knows deadlines only. Admission and the kernel look at those by themselves; a running stream does
//! not, so it is told here. The writer takes the grant out of the table when its turn comes, and finds
//! nothing running.

use std::sync::{MutexGuard, PoisonError};

use super::{
    Desk, LOOK, Why,
    expire::is_over,
    lease::{Leased, Leases},
};
use crate::{client::Credential, clock::Stamp, ident::TokenId};

impl Desk {
    /// Until dropped.
    pub(super) async fn lapses(&self) {
        let mut told = Stamp(i64::MIN);
        loop {
            let now = self.clock.now();
            // A clock that went back: those deadlines lie ahead once more.
            told = told.min(now);
            let lapsed = self.leases().between(told, now);
            let tokens: Vec<_> = lapsed
                .into_iter()
                .flat_map(|one| self.over(one, now))
                .collect();
            if !tokens.is_empty() {
                self.streams.cut(tokens, Why::LeaseOver).await;
            }
            told = now;
            let next = self.leases().after(now);
            let wait = next.map_or(LOOK, |next| next.until(self.clock.now()).min(LOOK));
            tokio::time::sleep(wait).await;
        }
    }

    /// The tokens that ended with this lease. They are looked up, for it may have been renewed.
    fn over(&self, leased: Leased, now: Stamp) -> Vec<TokenId> {
        match leased {
            Leased::Rollout(serial) => {
                let grant = self.grants.rollout_of_serial(serial);
                let record = grant.map(|grant| grant.record());
                record.map_or_else(Vec::new, |record| {
                    over(is_over(record.expires, now), &record.tokens, now)
                })
            }
            Leased::Client(id) => {
                let Some(grant) = self.grants.client(id) else {
                    return Vec::new();
                };
                let record = grant.record();
                let is_whole = is_over(record.expires, now);
                let mut tokens = over(is_whole, &record.tokens, now);
                if is_whole {
                    for rollout in self.grants.rollouts_of(id) {
                        tokens.extend(over(true, &rollout.record().tokens, now));
                    }
                }
                tokens
            }
        }
    }

    pub(super) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn over(is_whole: bool, tokens: &[Credential], now: Stamp) -> Vec<TokenId> {
    let over = tokens
        .iter()
        .filter(|token| is_whole || is_over(token.expires, now));
    over.map(|token| token.id).collect()
}
