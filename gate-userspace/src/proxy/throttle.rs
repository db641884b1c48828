//! The budget of failed authentications per source.
//!
//! Never refuses a valid token: one bad neighbour behind a NAT or a tunnel locks nobody out. It is
//! asked only after a failure, so a good call costs nothing here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{clock::Stamp, fault::Denied, settings::FailedAuth, source::Peer};

/// Sources kept at once. Beyond it those with a full budget are forgotten, which costs nothing.
const SOURCES: usize = 16_384;

pub(crate) struct Throttle {
    budget: FailedAuth,
    buckets: Mutex<HashMap<Peer, Bucket>>,
}

/// Full when `empty_at` is not after now; every failure moves it by the price of one.
#[derive(Clone, Copy)]
struct Bucket {
    /// When the budget is full again.
    full_at: i64,
}

impl Throttle {
    pub(crate) fn new(budget: FailedAuth) -> Self {
        Self {
            budget,
            buckets: Mutex::default(),
        }
    }

    /// Books a failure: what it is answered with, itself or the throttle.
    pub(crate) fn failed(&self, denied: Denied, peer: Peer, now: Stamp) -> Denied {
        let Some(price) = self.price() else {
            return denied;
        };
        let capacity = price.saturating_mul(i64::from(self.budget.count));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SOURCES {
            buckets.retain(|_, bucket| bucket.full_at > now.0);
        }
        let bucket = buckets.entry(peer).or_insert(Bucket { full_at: now.0 });
        let next = bucket.full_at.max(now.0).saturating_add(price);
        if next - now.0 > capacity {
            let wait = next - now.0 - capacity;
            let retry_after = u32::try_from((wait + 999) / 1000).unwrap_or(u32::MAX);
            return Denied::Throttled { retry_after };
        }
        bucket.full_at = next;
        denied
    }

    /// Milliseconds that one failure costs; none = no throttle.
    fn price(&self) -> Option<i64> {
        let per = i64::try_from(self.budget.per.as_millis()).unwrap_or(i64::MAX);
        (self.budget.count > 0).then(|| (per / i64::from(self.budget.count)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Acceptance 91.
    #[test]
    fn failures_beyond_the_budget_are_throttled_per_source() {
        let throttle = Throttle::new(FailedAuth {
            count: 20,
            per: Duration::from_mins(1),
        });
        let (one, other) = (peer("10.0.0.1"), peer("10.0.0.2"));
        for _ in 0..20 {
            assert_eq!(
                throttle.failed(Denied::NoCredential, one, Stamp(0)),
                Denied::NoCredential
            );
        }
        assert_eq!(
            throttle.failed(Denied::NoCredential, one, Stamp(0)),
            Denied::Throttled { retry_after: 3 }
        );
        assert_eq!(
            throttle.failed(Denied::NoCredential, other, Stamp(0)),
            Denied::NoCredential
        );
        assert_eq!(
            throttle.failed(Denied::NoCredential, one, Stamp(3000)),
            Denied::NoCredential
        );
    }

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().unwrap())
    }
}
