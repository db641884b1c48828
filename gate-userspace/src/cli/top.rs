//! `gatectl top`: the rings, what they refuse and what changes, on one screen that goes on.

mod seen;
mod view;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::interval;

use super::{
    call::{Gate, Question},
    fault::Fault,
    print::{self, Answer, Output, Paper, Screen},
};
use seen::Seen;

/// Between two questions to the gate.
const LOOK: Duration = Duration::from_secs(1);

/// Between two looks at the keyboard.
const KEYS: Duration = Duration::from_millis(100);

pub(super) async fn run(gate: &Gate, paper: Paper) -> Result<Answer, Fault> {
    if !paper.terminal || paper.output != Output::Table {
        return Err(Fault::usage("`top` draws on a terminal, and nowhere else")
            .hint("for scripts: `gatectl status --output json`, `gatectl events --follow`"));
    }
    let mut events = gate.follow("/v1/events").await?;
    let mut seen = Seen::default();
    look(gate, &mut seen).await?;
    let mut screen = Screen::open()?;
    let (mut clock, mut keys) = (interval(LOOK), interval(KEYS));
    loop {
        screen.draw(|frame| view::draw(frame, &seen))?;
        tokio::select! {
            _ = clock.tick() => look(gate, &mut seen).await?,
            event = events.next() => if let Some(event) = event? {
                seen.note(&event);
            } else {
                drop(screen);
                return Err(Fault::unreachable("the gate ended the stream of events")
                    .hint("has gated stopped? `gatectl status`"));
            },
            _ = keys.tick() => if Screen::is_left()? {
                return Ok(Answer::new(Value::Null, Vec::new()));
            },
        }
    }
}

async fn look(gate: &Gate, seen: &mut Seen) -> Result<(), Fault> {
    let json = gate.ask(Question::get("/v1/status")).await?;
    seen.take(print::read(&json)?, Instant::now());
    Ok(())
}
