//! What of a call is timed, and in which steps.

use crate::histogram::{Bounds, ladder_from};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timing {
    /// What the gate adds: from the head of a call to its request being ready for the upstream. A
    /// body that has to be read first is waited for, so there it counts from the body's end.
    Overhead,
    /// From there to the head of the upstream's answer: to connect, to send, to think.
    FirstByte,
    /// From the head of a call to the end of its answer, of those that an upstream answered.
    Whole,
}

impl Timing {
    pub const ALL: [Self; 3] = [Self::Overhead, Self::FirstByte, Self::Whole];

    pub(crate) const fn bounds(self) -> &'static Bounds {
        match self {
            Self::Overhead => &OVERHEAD,
            Self::FirstByte => &FIRST_BYTE,
            Self::Whole => &WHOLE,
        }
    }
}

/// Finer than the ladder: most of it lies below its first step.
static OVERHEAD: Bounds = [
    5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 250_000,
];

static FIRST_BYTE: Bounds = ladder_from(1000);

static WHOLE: Bounds = ladder_from(2500);
