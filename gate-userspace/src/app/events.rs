//! Carries what the rings saw to those who watch, and to the log when somebody must act.

use tokio::sync::broadcast::error::RecvError;
use tracing::warn;

use super::{facts::mistake, ring::Ring};
use crate::{
    clock::Clock,
    control::{Event, Events},
    drain::Tasks,
    kernel::DropEvent,
    proxy::{Noticed, Proxy, Replay},
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

/// As [`follow`], for what callers do wrong.
pub(super) fn follow_mistakes(tasks: &Tasks, proxy: &Proxy, events: &Events) {
    let (mut seen, events, stop) = (proxy.watch_mistakes(), events.clone(), tasks.last_word());
    tasks.spawn("mistakes", async move {
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = seen.recv() => next,
            };
            match next {
                Ok(noticed) => events.emit(alarm(&noticed)),
                Err(RecvError::Lagged(missed)) => warn!(missed, "callers' mistakes were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

fn alarm(noticed: &Noticed) -> Event {
    let seen = &noticed.mistake;
    let message = match &noticed.replay {
        Some(replay) => replayed(replay, &seen.source.to_string()),
        None => mistake(seen),
    };
    Event::Alarm {
        at: seen.last,
        kind: seen.what.as_str().to_owned(),
        message,
    }
}

/// Names both sides.
fn replayed(replay: &Replay, from: &str) -> String {
    let Replay {
        token,
        client,
        rollout,
        bound,
    } = replay;
    let bound: Vec<String> = bound.iter().map(ToString::to_string).collect();
    let bound = bound.join(" ");
    let whose = match rollout {
        Some(rollout) => format!("rollout {rollout} of client {client}"),
        None => format!("client {client}"),
    };
    format!("token {token} of {whose} belongs to {bound} and was presented from {from}")
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
