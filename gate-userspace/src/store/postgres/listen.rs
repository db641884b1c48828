//! The wake-up: a connection of its own that hears of others' changes as they are committed.
//!
//! Whatever goes wrong here costs latency, never a change: the feed is read on a timer too.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Postgres, patiently};
use crate::store::StoreError;

pub(super) const CHANNEL: &str = "gate_changes";

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two looks whether anybody speaks at the other end: a server that hangs is silent too.
const LOOK: Duration = Duration::from_secs(5);

impl Postgres {
    pub(in crate::store) async fn listen(&self) {
        loop {
            let heard = self.hear().await;
            self.is_listening.store(false, Ordering::Release);
            if let Err(why) = heard {
                tracing::debug!(error = %why, "others' changes are polled for");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Until the connection ends, or leads to a server that is the right one no more.
    async fn hear(&self) -> Result<(), StoreError> {
        let dialed = patiently(async { Ok(self.dialer.dial().await?) });
        let (client, mut driver) = dialed.await?;
        let mut moves = self.dialer.history.moves();
        let text = format!("LISTEN {CHANNEL}");
        patiently(async { Ok(client.batch_execute(&text).await?) }).await?;
        self.is_listening.store(true, Ordering::Release);
        // What was committed before this is heard of by looking.
        self.dialer.bell.notify_one();
        loop {
            tokio::select! {
                _ended = &mut driver => return Ok(()),
                _moved = moves.changed() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {
                    // Twice is as good as once.
                    patiently(async { Ok(client.batch_execute(&text).await?) }).await?;
                }
            }
        }
    }
}
