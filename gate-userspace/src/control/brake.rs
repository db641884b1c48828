//! The emergency brake, and the one way into another mode.
//!
//! Whoever brakes does not queue behind the writer, which may be waiting for a store that is away:
//! the rings are shut at once, and the writer hears of it when its turn comes. Until then nothing that
//! the writer does opens them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{CutCount, Desk, RingError, Why};
use crate::settings::Mode;

/// Every ring is shut. The brake is let go with it.
pub(super) struct Shut {
    pub(super) since: Instant,
    pub(super) cut: CutCount,
    /// Whether the packet ring did what it was asked to.
    pub(super) ring: Result<(), RingError>,
    _brake: Brake,
}

/// One of those who brake.
struct Brake(Arc<Desk>);

impl Desk {
    pub(super) async fn brake(self: &Arc<Self>) -> Shut {
        let since = Instant::now();
        self.brakes.fetch_add(1, Ordering::SeqCst);
        let brake = Brake(Arc::clone(self));
        let (ring, cut) = self.shut().await;
        Shut {
            since,
            cut,
            ring,
            _brake: brake,
        }
    }

    /// Puts this mode in force: what closes goes from the table outwards, what opens the other way.
    pub(super) async fn enter(&self, mode: Mode) -> Result<(), RingError> {
        if mode == Mode::Closed {
            return self.shut().await.0;
        }
        let opened = self.ring.set_mode(mode).await;
        self.grants.set_mode(mode);
        // Asked after it was opened: who brakes later shuts it again by itself.
        if self.brakes.load(Ordering::SeqCst) > 0 {
            return self.shut().await.0;
        }
        opened
    }

    async fn shut(&self) -> (Result<(), RingError>, CutCount) {
        self.grants.set_mode(Mode::Closed);
        let ring = self.ring.set_mode(Mode::Closed).await;
        (ring, self.streams.cut_all(Why::Panic).await)
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.0.brakes.fetch_sub(1, Ordering::SeqCst);
    }
}
