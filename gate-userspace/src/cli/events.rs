//! `gatectl events`: who is knocking and what changes, as it happens.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    call::Gate,
    fault::Fault,
    parse::EventsArgs,
    print::{self, Answer, Block, Paper, Tone},
};
use crate::admin::wire::Event;

/// Without `--follow`: long enough for a stranger's repeated SYN.
const MOMENT: Duration = Duration::from_secs(2);

pub(super) async fn run(gate: &Gate, paper: Paper, args: &EventsArgs) -> Result<Answer, Fault> {
    let mut events = gate.follow("/v1/events").await?;
    if args.follow {
        while let Some(event) = events.next().await? {
            print::streamed(&event, &row(&event), paper)?;
        }
        return Err(Fault::unreachable("the gate ended the stream of events")
            .hint("has gated stopped? `gatectl status`"));
    }
    let until = Instant::now() + args.span.unwrap_or(MOMENT);
    let mut seen = Vec::new();
    while let Ok(event) = timeout_at(until, events.next()).await {
        match event? {
            Some(event) => seen.push(event),
            None => break,
        }
    }
    let mut view: Vec<Block> = seen
        .iter()
        .map(|event| Block::line(Tone::Plain, row(event)))
        .collect();
    if view.is_empty() {
        view.push(Block::line(
            Tone::Plain,
            "nothing happened; `gatectl events --follow` goes on watching",
        ));
    }
    Ok(Answer::new(json!({ "events": seen }), view))
}

pub(super) fn row(event: &Value) -> String {
    match serde::Deserialize::deserialize(event) {
        Ok(Event::Drop {
            at,
            ring,
            reason,
            source,
            interface,
            port,
        }) => {
            let via = if interface.is_empty() {
                String::new()
            } else {
                format!(" via {interface}")
            };
            format!("{at}  drop    {reason:16} {source}{via} to port {port} ({ring} ring)")
        }
        Ok(Event::Alarm { at, kind, message }) => format!("{at}  ALARM   {kind:16} {message}"),
        Ok(Event::Change {
            at,
            revision,
            kind,
            subject,
            actor,
        }) => format!("{at}  change  {kind:16} {subject} by {actor}, revision {revision}"),
        Ok(Event::Lagged { missed }) => format!("{missed} events were missed: this reader is slow"),
        Err(_from_a_newer_gate) => event.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_row_with_who_and_why() {
        let drop = json!({"event": "drop", "at": "2026-01-02T03:04:05.000Z", "ring": "packet",
            "reason": "stranger", "source": "10.0.0.7", "interface": "veth7", "port": 8765});
        assert_eq!(
            row(&drop),
            "2026-01-02T03:04:05.000Z  drop    stranger         10.0.0.7 via veth7 to port 8765 (packet ring)"
        );
        let newer = json!({"event": "moon_phase"});
        assert_eq!(row(&newer), newer.to_string());
    }
}
