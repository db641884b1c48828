//! How often somebody may do something: a token bucket each, in bounded memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Of whom a bucket is kept. Beyond it those with a full one are forgotten, which costs nothing, and
/// then all of them: a flood from everywhere must not take memory without end.
const MOST: usize = 4096;

pub(super) struct Budget<K> {
    /// How much comes back in a second.
    rate: f64,
    /// How much may be saved up.
    burst: f64,
    of: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Hash + Eq> Budget<K> {
    pub(super) fn new(rate: f64, burst: f64) -> Self {
        Self {
            rate,
            burst,
            of: Mutex::default(),
        }
    }

    /// Takes one, or says how long to wait for it.
    pub(super) fn take(&self, who: K) -> Result<(), Duration> {
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if all.len() >= MOST && !all.contains_key(&who) {
            all.retain(|_, bucket| self.left(bucket, now) < self.burst);
            if all.len() >= MOST {
                all.clear();
            }
        }
        let bucket = all.entry(who).or_insert(Bucket {
            left: self.burst,
            at: now,
        });
        let left = self.left(bucket, now);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / self.rate));
        }
        *bucket = Bucket {
            left: left - 1.0,
            at: now,
        };
        Ok(())
    }

    fn left(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.rate).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_spent_it_waits_and_nobody_else_does() {
        // So slow that a slow test gets nothing back.
        let budget = Budget::new(0.001, 3.0);
        for _ in 0..3 {
            budget.take("a").unwrap();
        }
        let wait = budget.take("a").unwrap_err();
        assert!(wait > Duration::from_mins(10), "{wait:?}");
        budget.take("b").unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let budget = Budget::new(1.0, 1.0);
        for number in 0..10_000_u32 {
            let _refused = budget.take(number);
        }
        assert!(budget.of.lock().unwrap().len() <= MOST);
    }
}
