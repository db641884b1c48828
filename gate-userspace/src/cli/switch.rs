//! `gatectl panic` and `gatectl open`: shut every ring at once, and serve again.
//!
//! Neither asks: shutting is never the wrong answer to doubt, and opening only serves what is
//! provisioned. The gate checks who may open.

use super::{
    call::{Gate, Question},
    ended,
    exit::Exit,
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
    let mut exit = Exit::Ok;
    let answer = Answer::of(json, |changed: ModeChanged| {
        exit = ended::exit(&changed.warnings);
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
        view.extend(ended::warned(&changed.warnings));
        view
    });
    Ok(answer.exit(exit))
}
