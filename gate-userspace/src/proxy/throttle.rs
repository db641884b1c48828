//! The budget of failed authentications per source.
//!
//! Never refuses a valid token: one bad neighbour behind a NAT or a tunnel locks nobody out. It is
//! asked only after a failure, so a good call costs nothing here.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use crate::{clock::Stamp, fault::Denied, settings::FailedAuth, source::Peer};

/// Sources kept at once. Beyond it those with a full budget are forgotten, which costs nothing; who
/// still finds no place shares one budget with all others who do not.
const SOURCES: usize = 16_384;

/// Milliseconds between two looks at all sources.
const SWEEP: i64 = 1000;

pub(crate) struct Throttle {
    budget: FailedAuth,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    of: HashMap<Peer, Bucket>,
    /// Of those who have no place in `of`.
    rest: Bucket,
    swept_at: i64,
}

/// Full when `full_at` is not after now; every failure moves it by the price of one.
#[derive(Clone, Copy, Default)]
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
        let bucket = buckets.of(site(peer), now);
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

impl Buckets {
    fn of(&mut self, site: Peer, now: Stamp) -> &mut Bucket {
        let is_full = self.of.len() >= SOURCES;
        if is_full && now.0 - self.swept_at >= SWEEP {
            self.swept_at = now.0;
            self.of.retain(|_, bucket| bucket.full_at > now.0);
        }
        let is_full = self.of.len() >= SOURCES;
        match self.of.entry(site) {
            Entry::Occupied(bucket) => bucket.into_mut(),
            Entry::Vacant(_) if is_full => &mut self.rest,
            Entry::Vacant(place) => place.insert(Bucket::default()),
        }
    }
}

/// Whoever has one IPv6 address has its /64.
fn site(peer: Peer) -> Peer {
    match peer {
        Peer::Address(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            Peer::Address(network.into())
        }
        Peer::Address(IpAddr::V4(_)) | Peer::Loopback => peer,
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

    #[test]
    fn one_network_has_one_budget() {
        let throttle = Throttle::new(once_a_minute());
        let failed = |text| throttle.failed(Denied::NoCredential, peer(text), Stamp(0));
        assert_eq!(failed("2001:db8:0:1::1"), Denied::NoCredential);
        assert!(matches!(
            failed("2001:db8:0:1:ff::2"),
            Denied::Throttled { .. }
        ));
        assert_eq!(failed("2001:db8:0:2::1"), Denied::NoCredential);
    }

    #[test]
    fn who_finds_no_place_shares_a_budget() {
        let throttle = Throttle::new(once_a_minute());
        let failed = |number: usize, at| {
            let address = u32::try_from(number).unwrap() + 0x0a00_0000;
            let peer = Peer::of(IpAddr::from(address.to_be_bytes()));
            throttle.failed(Denied::NoCredential, peer, Stamp(at))
        };
        for number in 0..=SOURCES {
            assert_eq!(failed(number, 0), Denied::NoCredential, "{number}");
        }
        assert!(matches!(failed(SOURCES + 1, 0), Denied::Throttled { .. }));
        assert_eq!(throttle.buckets.lock().unwrap().of.len(), SOURCES);
        assert_eq!(failed(SOURCES + 2, 60_000), Denied::NoCredential);
        assert_eq!(throttle.buckets.lock().unwrap().of.len(), 1);
    }

    fn once_a_minute() -> FailedAuth {
        FailedAuth {
            count: 1,
            per: Duration::from_mins(1),
        }
    }

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().unwrap())
    }
}
