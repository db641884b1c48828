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
    let (mut seen, events, stop) = (agent.events(), events.clone(), tasks.last_word());
    tasks.spawn("packet events", async move {
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = seen.recv() => next,
            };
            match next {
                Ok(drop) => events.emit(event(drop, &clock)),
                Err(RecvError::Lagged(missed)) => warn!(missed, "packet events were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

fn event(drop: DropEvent, clock: &Clock) -> Event {
    let shown = |address: std::net::IpAddr| address.to_string();
    let (source, interface) = (drop.source.map(shown), drop.interface);
    if drop.uncovered {
        let place = interface.as_deref().unwrap_or("an unknown interface");
        let from = source.as_deref().unwrap_or("an unknown source");
        let message = format!(
            "only the socket lookup saw {from} on {place} ({}): that interface is not covered, or \
             its port was rewritten on the way",
            drop.reason
        );
        return Event::Alarm {
            at: clock.now(),
            kind: "uncovered".to_owned(),
            message,
        };
    }
    Event::Drop {
        at: clock.now(),
        ring: "packet",
        reason: drop.reason,
        source: source.unwrap_or_default(),
        interface: interface.unwrap_or_default(),
        port: drop.port.unwrap_or(0),
    }
}
