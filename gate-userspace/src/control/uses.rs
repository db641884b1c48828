//! Writes down when tokens were last used, long after the calls went on.
//!
//! Not a change: it has no revision and nobody waits for it. What a crash loses is a few seconds of
//! when a token was last used.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Control, StoreError};
use crate::{clock::Stamp, ident::TokenId};

/// Between two writings.
const OFTEN: Duration = Duration::from_secs(10);

impl Control {
    /// Until told to stop, and once more then.
    pub async fn write_uses(self, stop: CancellationToken) {
        // What a store that was away did not take.
        let mut unwritten = BTreeMap::new();
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(OFTEN) => false,
            };
            if let Err(why) = self.write_uses_once(&mut unwritten).await {
                tracing::debug!(error = %why, "when tokens were last used is written down later");
            }
            if is_last {
                return;
            }
        }
    }

    pub(super) async fn write_uses_once(
        &self,
        unwritten: &mut BTreeMap<TokenId, Stamp>,
    ) -> Result<(), StoreError> {
        unwritten.extend(self.grants().take_uses());
        if unwritten.is_empty() {
            return Ok(());
        }
        let uses = unwritten.iter().map(|(token, at)| (*token, *at)).collect();
        self.desk.store.note_uses(uses).await?;
        unwritten.clear();
        Ok(())
    }

    /// Hears what other hosts wrote down of these tokens, if the store can be reached.
    pub async fn learn_uses(&self, tokens: Vec<TokenId>) {
        match self.desk.store.uses_elsewhere(tokens).await {
            Ok(uses) => self.grants().remember_uses(uses),
            Err(why) => {
                tracing::debug!(error = %why, "what other hosts know of a token's use is not known");
            }
        }
    }
}
