//! Deadlines of the wall clock as coarse ticks of the clock the kernel programs read.
//!
//! That clock stops while the machine sleeps and ignores steps of the wall clock, so a tick is
//! only as good as the moment it was computed: [`Clock::drifted`] says when to compute again.

use std::time::{SystemTime, UNIX_EPOCH};

use gate_common::entry::TICK_SHIFT;
use nix::time::{ClockId, clock_gettime};

/// The distance between the two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Unix milliseconds when the monotonic clock stood at 0.
    origin: i64,
}

impl Clock {
    pub(super) fn read() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let wall = i64::try_from(wall).unwrap_or(i64::MAX);
        Self {
            origin: wall - monotonic(),
        }
    }

    /// Steps below this are noise of two readings that are not simultaneous.
    pub(super) fn drifted(self, later: Self) -> bool {
        (self.origin - later.origin).abs() > 100
    }

    /// 0 means no deadline, so one that lies before the clock's start is tick 1.
    pub(super) fn ticks(self, until: Option<i64>) -> u32 {
        let Some(until) = until else { return 0 };
        let left = u64::try_from(until.saturating_sub(self.origin)).unwrap_or(0);
        let nanoseconds = u128::from(left) * 1_000_000;
        u32::try_from(nanoseconds >> TICK_SHIFT)
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

fn monotonic() -> i64 {
    // The monotonic clock cannot fail; at 0 every deadline would lie ahead by less, never by more.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_deadline_is_zero_and_a_past_one_is_not() {
        let clock = Clock { origin: 1_000_000 };
        assert_eq!(clock.ticks(None), 0);
        assert_eq!(clock.ticks(Some(0)), 1);
        assert_eq!(clock.ticks(Some(1_000_000 + 67_109)), 1000);
        assert_eq!(clock.ticks(Some(i64::MAX)), u32::MAX);
    }
}
