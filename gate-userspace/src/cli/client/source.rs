//! `gatectl client source`: one place more, or one less, for a client.

use http::StatusCode;

use super::{path, unknown};
use crate::{
    admin::wire,
    cli::{
        call::{Gate, Question},
        ended,
        exit::Exit,
        fault::Fault,
        parse::{SourceArg, SourceChange, SourceCommand},
        print::{Answer, Block},
        words,
    },
};

#[derive(Clone, Copy)]
enum Direction {
    Add,
    Remove,
}

pub(super) async fn run(gate: &Gate, command: SourceCommand) -> Result<Answer, Fault> {
    match command {
        SourceCommand::Add(one) => change(gate, one, Direction::Add).await,
        SourceCommand::Remove(one) => change(gate, one, Direction::Remove).await,
    }
}

async fn change(gate: &Gate, change: SourceChange, direction: Direction) -> Result<Answer, Fault> {
    let here = change.sources.iter().map(SourceArg::to_string).collect();
    let anywhere = words::all(&change.sources_anywhere);
    let mut body = wire::SourcesPatch {
        host: change.host,
        ..wire::SourcesPatch::default()
    };
    match direction {
        Direction::Add => (body.add_sources, body.add_sources_anywhere) = (here, anywhere),
        Direction::Remove => (body.remove_sources, body.remove_sources_anywhere) = (here, anywhere),
    }
    let name = change.name;
    let json = gate
        .ask(Question::patch(path(&name)).json(&body))
        .await
        .map_err(|fault| unknown(fault, &name))
        .map_err(|fault| match direction {
            Direction::Remove if fault.is_answer(StatusCode::CONFLICT) => {
                fault.or_hint(format!("to end the client: `gatectl client revoke {name}`"))
            }
            Direction::Add | Direction::Remove => fault,
        })?;
    let mut exit = Exit::Ok;
    let answer = Answer::of(json, |changed: wire::SourcesChanged| {
        exit = ended::exit(&changed.warnings);
        let mut view = vec![Block::pairs([
            ("client", changed.client.to_string()),
            ("sources", words::sources(&changed.sources)),
            ("entries removed", changed.entries_removed.to_string()),
            ("connections closed", changed.connections_closed.to_string()),
            ("streams cut", changed.streams_cut.to_string()),
            ("took", format!("{} us", changed.elapsed_us)),
            ("revision", changed.revision.to_string()),
        ])];
        view.extend(ended::warned(&changed.warnings));
        view
    });
    Ok(answer.exit(exit))
}
