//! Every task has an owner: the one place that spawns, and waits for what it spawned.
//!
//! Does not decide when to stop: `app` does, and says so once through [`Tasks::stop`].

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, debug_span};

/// The background tasks of the shell; the request path has its own workers.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task until it ends by itself, which it does soon after [`Self::last_word`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns"
    )]
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(
            self.tracker
                .track_future(future.instrument(debug_span!("task", name))),
        );
    }

    /// Cancelled when the tasks are told to stop.
    pub fn last_word(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells all tasks to stop and waits for them, but not longer than `patience`.
    ///
    /// Whether all of them ended in time.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }
}
