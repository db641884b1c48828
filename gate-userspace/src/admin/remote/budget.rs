//! How often an address may call: a token bucket each, where a wrong token costs as much as many calls.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Calls a second, and how many may have been saved up.
const RATE: f64 = 200.0;
const BURST: f64 = 1000.0;

/// Twenty at once, then four a second.
const MISTAKE: f64 = 50.0;

/// Addresses that are remembered; those with a full bucket are forgotten first.
const ADDRESSES: usize = 4096;

#[derive(Default)]
pub(super) struct Budget(Mutex<HashMap<IpAddr, Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Budget {
    /// Takes one call, or says how long to wait for it.
    pub(super) fn call(&self, from: IpAddr) -> Result<(), Duration> {
        self.with(from, |left| {
            if *left < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - *left) / RATE));
            }
            *left -= 1.0;
            Ok(())
        })
    }

    /// On top of its call.
    pub(super) fn mistake(&self, from: IpAddr) {
        self.with(from, |left| *left = (*left - MISTAKE).max(-MISTAKE));
    }

    fn with<T>(&self, from: IpAddr, change: impl FnOnce(&mut f64) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if all.len() >= ADDRESSES && !all.contains_key(&from) {
            all.retain(|_, bucket| bucket.now(now) < BURST);
            // A flood from everywhere: nobody is remembered, rather than memory without end.
            if all.len() >= ADDRESSES {
                all.clear();
            }
        }
        let bucket = all.entry(from).or_insert(Bucket {
            left: BURST,
            at: now,
        });
        *bucket = Bucket {
            left: bucket.now(now),
            at: now,
        };
        change(&mut bucket.left)
    }
}

impl Bucket {
    fn now(self, now: Instant) -> f64 {
        let since = now.duration_since(self.at).as_secs_f64();
        (self.left + since * RATE).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_token_costs_its_address_as_much_as_many_calls() {
        let budget = Budget::default();
        let [wrong, right] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let mut tries = 0;
        while budget.call(wrong).is_ok() {
            budget.mistake(wrong);
            tries += 1;
            assert!(tries < 100, "nothing was charged");
        }
        assert!(tries >= 20, "{tries}");
        for _ in 0..900 {
            budget.call(right).unwrap();
        }
    }

    #[test]
    fn memory_is_bounded() {
        let budget = Budget::default();
        for number in 0..10_000_u32 {
            let _refused = budget.call(IpAddr::from(number.to_be_bytes()));
        }
        assert!(budget.0.lock().unwrap().len() <= ADDRESSES);
    }
}
