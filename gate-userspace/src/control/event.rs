//! What happened, for those who watch. Nobody waits for a watcher: a slow one misses some.

use tokio::sync::broadcast;

use crate::{clock::Stamp, ident::Revision};

const KEPT: usize = 1024;

#[derive(Clone, Debug)]
pub enum Event {
    /// A ring refused somebody; packets are sampled.
    Drop {
        at: Stamp,
        ring: &'static str,
        reason: String,
        source: String,
        interface: String,
        port: u16,
    },
    /// Somebody should look.
    Alarm {
        at: Stamp,
        kind: String,
        message: String,
    },
    /// A change was carried out.
    Change {
        at: Stamp,
        revision: Revision,
        kind: &'static str,
        subject: String,
        actor: String,
    },
}

#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Events {
    pub fn emit(&self, event: Event) {
        // An error only says that nobody watches.
        _ = self.0.send(event);
    }

    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }
}
