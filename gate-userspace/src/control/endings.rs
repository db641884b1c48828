//! How long it took until what was to end had ended.

use std::time::Instant;

use super::{Control, CutCount, Refused, answer::Done};
use crate::histogram::{Bounds, Histogram, Tally, ladder_from};

/// Who wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody asked this gate: from the question, the turns of others included, to the answer.
    Here,
    /// Another host of the fleet wrote it: from reading that on.
    Fleet,
}

/// Times of revocations, closings and whatever else ends tokens at once.
#[derive(Debug)]
pub(super) struct Endings([Histogram; Origin::ALL.len()]);

impl Origin {
    pub const ALL: [Self; 2] = [Self::Here, Self::Fleet];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Fleet => "fleet",
        }
    }
}

impl Endings {
    pub(super) fn note(&self, origin: Origin, since: Instant) {
        self.0[origin as usize].note(since.elapsed());
    }
}

impl Default for Endings {
    fn default() -> Self {
        Self(Origin::ALL.map(|_| Histogram::new(&BOUNDS)))
    }
}

impl Control {
    pub fn endings(&self, origin: Origin) -> Tally {
        self.desk.endings.0[origin as usize].tally()
    }

    /// Stops at once what the writer ends when its turn comes. It is asked first: who asked may
    /// leave, and what was asked for is done to its end.
    pub(super) async fn ending(
        &self,
        ended: impl Future<Output = Result<Done, Refused>>,
        stopped: impl Future<Output = CutCount>,
    ) -> Result<Done, Refused> {
        let since = Instant::now();
        self.timed(async {
            let (ended, stopped) = tokio::join!(biased; ended, stopped);
            let mut done = ended?;
            done.count(stopped);
            Ok(done.took(since))
        })
        .await
    }

    /// Times an ending that is asked for. What was refused ended nothing; what is not written did.
    pub(super) async fn timed<T>(
        &self,
        ending: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        let since = Instant::now();
        let answer = ending.await;
        if matches!(answer, Ok(_) | Err(Refused::NotWritten(_))) {
            self.desk.endings.note(Origin::Here, since);
        }
        answer
    }
}

static BOUNDS: Bounds = ladder_from(100);
