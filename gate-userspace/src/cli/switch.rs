//! `gatectl panic` and `gatectl open`: shut every ring at once, and serve again.
//!
//! Neither asks: shutting is never the wrong answer to doubt, and opening only serves what is
//! provisioned. The gate checks who may open.

use super::{
    call::{Gate, Question},
    fault::Fault,
    print::{Answer, Block, Tone},
};
use crate::admin::wire::{ModeChanged, ModeView};

pub(super) async fn panic(gate: &Gate) -> Result<Answer, Fault> {
    change(gate, "/v1/panic").await
}

pub(super) async fn open(gate: &Gate) -> Result<Answer, Fault> {
    change(gate, "/v1/open").await
}

async fn change(gate: &Gate, path: &str) -> Result<Answer, Fault> {
    let json = gate.ask(Question::post(path)).await?;
    Ok(Answer::of(json, |changed: ModeChanged| {
        let (tone, mode) = match changed.mode {
            ModeView::Closed => (
                Tone::Bad,
                "CLOSED: nothing is served; `gatectl open` ends it",
            ),
            ModeView::Enforce => (Tone::Good, "open to what is provisioned"),
            ModeView::Audit => (
                Tone::Warn,
                "open in audit mode: strangers pass and are counted",
            ),
        };
        let mut view = vec![
            Block::line(tone, mode),
            Block::pairs([
                ("streams cut", changed.streams_cut.to_string()),
                ("connections closed", changed.connections_closed.to_string()),
                ("took", format!("{} us", changed.elapsed_us)),
                ("revision", changed.revision.to_string()),
            ]),
        ];
        for warning in &changed.warnings {
            view.push(Block::line(Tone::Warn, format!("warning: {warning}")));
        }
        view
    }))
}
