//! Wall-clock time as a value: who needs the time takes it as an argument.
//!
//! Leases are deadlines on this clock; the packet ring converts them to kernel ticks when it writes them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 (UTC).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);

/// Where the time comes from: made once in `app`, or set by hand in a test.
#[derive(Clone, Debug)]
pub struct Clock(Hands);

#[derive(Clone, Debug)]
enum Hands {
    System,
    Set(Arc<AtomicI64>),
}

impl Clock {
    pub fn system() -> Self {
        Self(Hands::System)
    }

    /// A clock that stands still until [`Self::advance`].
    pub fn stopped(at: Stamp) -> Self {
        Self(Hands::Set(Arc::new(AtomicI64::new(at.0))))
    }

    pub fn now(&self) -> Stamp {
        match &self.0 {
            Hands::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Stamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Hands::Set(at) => Stamp(at.load(Ordering::Acquire)),
        }
    }

    /// Moves a stopped clock; the system's goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Hands::Set(at) = &self.0 {
            at.fetch_add(millis(by), Ordering::AcqRel);
        }
    }
}

impl Stamp {
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time left until this moment, zero once it has come.
    pub fn until(self, now: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(now.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_millis(u64::try_from(self.0).unwrap_or(0));
        write!(
            f,
            "{}",
            humantime::format_rfc3339_millis(UNIX_EPOCH + since)
        )
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
