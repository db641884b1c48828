//! Carries what the packet ring saw to those who watch, and to the log when somebody must act.

use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

use super::ring::Ring;
use crate::{
    clock::Clock,
    control::{Event, Events},
    drain::Tasks,
    kernel::DropEvent,
};

pub(super) fn follow(tasks: &Tasks, ring: &Ring, events: &Events, clock: Clock) {
    let Some(agent) = ring.agent() else { return };
    let (mut seen, events) = (agent.events(), events.clone());
    tasks.spawn("packet events", async move {
        loop {
            match seen.recv().await {
                Ok(drop) => events.emit(event(&drop, &clock)),
                Err(RecvError::Lagged(missed)) => warn!(missed, "packet events were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

fn event(drop: &DropEvent, clock: &Clock) -> Event {
    Event::Drop {
        at: clock.now(),
        ring: "packet",
        reason: drop.reason.clone(),
        source: drop.source.to_string(),
        interface: drop.interface.clone(),
        port: drop.port,
    }
}
