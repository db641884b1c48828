//! For whom a connection that many calls share stays open: the tokens of its calls, until they end.
//!
//! On HTTP/1 a connection is held under the token of its last call, and ends with it. Here each
//! token has a line beside the connection's own, so that an order finds it when no call of it runs.
//! A token that ends while others are left takes nothing with it but its calls.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use super::live::{Hold, Line, Live, Of};
use crate::{
    grants::{Grant, RolloutGrant},
    ident::{RolloutSerial, TokenId},
};

pub(crate) struct Claims {
    live: Arc<Live>,
    connection: Arc<Line>,
    held: RefCell<HashMap<Key, Hold>>,
}

/// A client's token acts for the rollout that a call names, and may have others beside it.
type Key = (TokenId, Option<RolloutSerial>);

impl Claims {
    pub(super) fn on(live: &Arc<Live>, connection: &Arc<Line>) -> Self {
        Self {
            live: Arc::clone(live),
            connection: Arc::clone(connection),
            held: RefCell::default(),
        }
    }

    /// Keeps the connection open for these tokens, from before their grant is asked whether it
    /// lives. Whether it was not yet.
    pub(super) fn add(
        &self,
        grant: &Arc<Grant>,
        others: &[TokenId],
        covered: Option<&Arc<RolloutGrant>>,
    ) -> bool {
        let mut held = self.held.borrow_mut();
        let before = held.len();
        let claim = held.entry(key(grant, covered)).or_insert_with(|| {
            let of = Of::Claim(Arc::clone(&self.connection));
            self.live.open(self.connection.peer(), of)
        });
        claim.under(grant, others, covered);
        held.len() > before
    }

    /// The call that brought it was refused.
    pub(super) fn withdraw(&self, grant: &Grant, covered: Option<&Arc<RolloutGrant>>) {
        self.held.borrow_mut().remove(&key(grant, covered));
    }

    /// Resolves when tokens used this connection and all of them have ended. Whoever ended them
    /// waits for one of [`Self::part`] and [`Self::let_go`].
    pub(super) async fn ended(&self) {
        self.connection
            .woken(|| {
                let mut held = self.held.borrow_mut();
                if held.is_empty() {
                    return None;
                }
                let is_left = held.values().any(|hold| hold.line().is_ordered().is_none());
                if is_left {
                    held.retain(|_, hold| hold.line().is_ordered().is_none());
                }
                (!is_left).then_some(())
            })
            .await;
    }

    /// The connection is about to end with them, and counts as ended by whoever ended the last.
    pub(super) fn part(&self) {
        if let Some(last) = self.held.borrow().values().next() {
            last.line().ends_connection();
        }
    }

    /// The connection goes on without them.
    pub(super) fn let_go(&self) {
        self.held.borrow_mut().clear();
    }
}

fn key(grant: &Grant, covered: Option<&Arc<RolloutGrant>>) -> Key {
    (grant.token, covered.map(|rollout| rollout.serial))
}
