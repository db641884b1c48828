//! What of a call is timed, and in which steps.

use crate::histogram::Bounds;

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

const MS: u64 = 1000;
const S: u64 = 1000 * MS;

static OVERHEAD: Bounds = [
    5,
    10,
    20,
    30,
    50,
    75,
    100,
    150,
    250,
    500,
    MS,
    2500,
    5 * MS,
    10 * MS,
    50 * MS,
    250 * MS,
];

static FIRST_BYTE: Bounds = [
    MS,
    2 * MS,
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
];

static WHOLE: Bounds = [
    MS,
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
