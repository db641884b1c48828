//! How long it took until what was to end had ended.

use std::time::Instant;

use tokio::sync::oneshot;

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

/// What is stopped beside the writer.
pub(super) struct Stopped(oneshot::Receiver<CutCount>);

impl Stopped {
    /// The sockets are closed, or who asked has left and the writer does it all.
    pub(super) async fn wait(self) -> CutCount {
        self.0.await.unwrap_or_default()
    }
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
        end: impl AsyncFnOnce(Stopped) -> Result<Done, Refused>,
        stop: impl Future<Output = CutCount>,
    ) -> Result<Done, Refused> {
        let (tell, stopped) = oneshot::channel();
        let stop = async { _ = tell.send(stop.await) };
        self.timed(async {
            let since = Instant::now();
            let (done, ()) = tokio::join!(biased; end(Stopped(stopped)), stop);
            Ok(done?.took(since))
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
