//! Samples of the same thing, and how much of a difference is noise.

use std::fmt;

use hdrhistogram::{CreationError, Histogram};

/// Longest time that is told apart, in microseconds: a minute.
const LONGEST: u64 = 60_000_000;

/// Times in microseconds. Of bounds that are said: one that grows by itself takes a value beyond them
/// for its least one when it is asked to saturate.
pub(crate) fn times() -> Result<Histogram<u64>, CreationError> {
    Histogram::new_with_bounds(1, LONGEST, 3)
}

/// What the rounds of one row gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// This against another that was measured in the same rounds.
    pub(crate) fn ratio(&self, other: &Self) -> Ratio {
        let each: Vec<f64> = self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect();
        let of = |pick: fn(f64, f64) -> f64| each.iter().copied().reduce(pick);
        Ratio {
            median: Self(each.clone()).median(),
            low: of(f64::min).unwrap_or(f64::NAN),
            high: of(f64::max).unwrap_or(f64::NAN),
        }
    }
}

/// Round by round, so that what slowed both down drops out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    /// Whether the rounds lie further apart than their middle lies from 1.
    fn is_undecided(self) -> bool {
        self.high - self.low > (self.median - 1.0).abs()
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.median.is_finite() {
            return f.write_str("-");
        }
        write!(f, "{:.2}", self.median)?;
        if self.low < self.high {
            write!(f, " ({:.2}-{:.2})", self.low, self.high)?;
        }
        if self.is_undecided() && self.low < self.high {
            f.write_str(" undecided")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_all_bounds_is_the_longest_and_not_the_least() {
        let mut times = times().unwrap();
        times.saturating_record(5_000);
        times.saturating_record(u64::MAX);
        assert!(times.value_at_quantile(0.4) >= 4_995);
        assert!(times.max() >= LONGEST);
    }

    #[test]
    fn a_ratio_is_undecided_when_its_spread_is_larger_than_its_distance_from_one() {
        let samples = |values: &[f64]| Samples(values.to_vec());
        let one = samples(&[10.0, 10.0, 10.0]);
        let clear = samples(&[20.0, 21.0, 19.0]).ratio(&one);
        assert_eq!(clear.to_string(), "2.00 (1.90-2.10)");
        let noise = samples(&[10.0, 11.0, 9.0]).ratio(&one);
        assert_eq!(noise.to_string(), "1.00 (0.90-1.10) undecided");
        assert_eq!(samples(&[]).ratio(&one).to_string(), "-");
    }
}
