//! When each token was last admitted, for those who look for keys that nobody needs any more.
//!
//! The request path leaves a mark and goes on. Whoever writes the marks down asks for them now and
//! then; what nobody asked for is lost when the process ends.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{Grant, Grants};
use crate::{clock::Stamp, ident::TokenId};

impl Grants {
    /// Notes that a call was admitted. The list is only touched once per token and reading of it.
    pub(crate) fn note_use(&self, grant: &Arc<Grant>, now: Stamp) {
        if grant.touch(now) && !grant.is_noted.swap(true, Ordering::Relaxed) {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.push(Arc::clone(grant));
        }
    }

    /// The tokens that were used since the last time this was asked, and when.
    pub fn take_uses(&self) -> Vec<(TokenId, Stamp)> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = std::mem::take(&mut *used);
        let told = used.into_iter().filter_map(|grant| {
            // First, so that a use from here on is noted again.
            grant.is_noted.store(false, Ordering::Relaxed);
            Some((grant.token, grant.last_use()?))
        });
        told.collect()
    }

    /// What was written down before. Tokens that are gone are passed over.
    pub fn remember_uses(&self, uses: impl IntoIterator<Item = (TokenId, Stamp)>) {
        for (token, at) in uses {
            if let Some(grant) = self.find_id(token) {
                grant.remember_use(at);
            }
        }
    }
}
