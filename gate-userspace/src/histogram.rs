//! How long things took, counted in fixed buckets: noting a time allocates nothing and takes no lock.
//!
//! Where many threads note often, each has a histogram of its own, and who reads adds them up.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Buckets with an upper bound; one more takes the rest.
pub const BUCKETS: usize = 16;

/// Up to and including how many microseconds each bucket counts, growing.
pub type Bounds = [u64; BUCKETS];

const MS: u64 = 1000;
const S: u64 = 1000 * MS;

/// Steps that are told apart where times differ by orders of magnitude.
const LADDER: [u64; 20] = [
    100,
    250,
    500,
    MS,
    2500,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2500 * MS,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
    300 * S,
    1800 * S,
];

/// The steps of the ladder that begin with this one; it must be among its first five.
pub const fn ladder_from(micros: u64) -> Bounds {
    let mut first = 0;
    while LADDER[first] != micros {
        first += 1;
    }
    let mut bounds = [0; BUCKETS];
    let mut place = 0;
    while place < BUCKETS {
        bounds[place] = LADDER[first + place];
        place += 1;
    }
    bounds
}

#[derive(Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    counts: [AtomicU64; BUCKETS + 1],
    nanos: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    bounds: &'static Bounds,
    counts: [u64; BUCKETS + 1],
    nanos: u64,
}

impl Histogram {
    pub const fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; BUCKETS + 1],
            nanos: AtomicU64::new(0),
        }
    }

    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = self.bounds.partition_point(|bound| bound * 1000 < nanos);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn tally(&self) -> Tally {
        Tally {
            bounds: self.bounds,
            counts: self
                .counts
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}

impl Tally {
    /// Of no time at all.
    pub const fn empty(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            counts: [0; BUCKETS + 1],
            nanos: 0,
        }
    }

    /// Both together, where they have the same bounds.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
        self
    }

    /// Every bound, and how many times were no longer. What is beyond the last is in [`Self::count`].
    pub fn steps(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = self.bounds.iter().zip(self.counts);
        bounds.scan(0, |below, (bound, count)| {
            *below += count;
            Some((Duration::from_micros(*bound), *below))
        })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The bound under which this many of a thousand times lie; the last one where they lie beyond.
    /// None of nothing.
    pub fn within(&self, of_thousand: u64) -> Option<Duration> {
        let count = self.count();
        let wanted = (count * of_thousand).div_ceil(1000);
        let found = self.steps().find(|(_, below)| *below >= wanted);
        let bound = found
            .or_else(|| self.steps().last())
            .map(|(bound, _)| bound);
        bound.filter(|_| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 100, 1000];

    fn noted(micros: impl IntoIterator<Item = u64>) -> Tally {
        let histogram = Histogram::new(&BOUNDS);
        for micros in micros {
            histogram.note(Duration::from_micros(micros));
        }
        histogram.tally()
    }

    #[test]
    fn bound_belongs_to_its_bucket_and_what_follows_to_the_next() {
        let histogram = Histogram::new(&BOUNDS);
        histogram.note(Duration::from_micros(10));
        histogram.note(Duration::from_nanos(10_001));
        let steps: Vec<_> = histogram.tally().steps().collect();
        assert_eq!(steps[8], (Duration::from_micros(9), 0));
        assert_eq!(steps[9], (Duration::from_micros(10), 1));
        assert_eq!(steps[10], (Duration::from_micros(20), 2));
        assert_eq!(histogram.tally().sum(), Duration::from_nanos(20_001));
    }

    #[test]
    fn what_is_beyond_the_last_bound_is_counted_all_the_same() {
        let tally = noted([5, 5000]);
        assert_eq!(tally.steps().last(), Some((Duration::from_millis(1), 1)));
        assert_eq!(tally.count(), 2);
        let histogram = Histogram::new(&BOUNDS);
        histogram.note(Duration::MAX);
        assert_eq!(histogram.tally().count(), 1);
    }

    #[test]
    fn two_are_added_bucket_by_bucket() {
        let both = noted([1, 50]).with(&noted([1, 60]));
        assert_eq!(both, noted([1, 1, 50, 60]));
        assert_eq!(Tally::empty(&BOUNDS).with(&both), both);
    }

    #[test]
    fn share_lies_under_the_bound_of_its_bucket() {
        let tally = noted(1..=100);
        let micros = |of_thousand| tally.within(of_thousand).unwrap().as_micros();
        assert_eq!((micros(0), micros(100), micros(101)), (1, 10, 20));
        assert_eq!((micros(500), micros(990), micros(1000)), (50, 100, 100));
        assert_eq!(noted([5000]).within(500), Some(Duration::from_millis(1)));
        assert_eq!(noted([]).within(500), None);
    }
}
