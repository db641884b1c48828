//! The only writer of standard output: an [`Answer`] as a table, a JSON document, or a bare token.
//!
//! Does not fetch or decide. Meaning is never carried by colour alone, foreign text cannot act on a
//! terminal, and a reader that goes away early has seen enough.

mod table;
mod sheet;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

pub(super) use sheet::Sheet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    clean::{clean, escape_json},
    exit::Exit,
    fault::Fault,
};

/// What a command found out.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) json: Value,
    pub(super) view: Vec<Block>,
    pub(super) exit: Exit,
    /// It was written piece by piece.
    is_written: bool,
}

/// One piece of the form for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A statement, coloured by its tone where there is colour.
    Line(Tone, String),
    /// Label and value, one per row.
    Pairs(Vec<(String, String)>),
    Rows {
        head: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// For programs: these very characters, cleaned for nobody.
    Exact(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

/// What `--output` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One JSON document with stable keys
    Json,
    /// The new token and nothing else (commands that mint one)
    Token,
}

/// How standard output looks like from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paper {
    pub(super) output: Output,
    pub(super) terminal: bool,
    pub(super) colour: bool,
}

impl Answer {
    pub(super) fn new(json: Value, view: Vec<Block>) -> Self {
        Self {
            json,
            view,
            exit: Exit::Ok,
            is_written: false,
        }
    }

    /// Nothing is left to write.
    pub(super) fn written() -> Self {
        Self {
            is_written: true,
            ..Self::new(Value::Null, Vec::new())
        }
    }

    /// An answer of the gate. One of another shape, from a newer gate, is shown as it came.
    pub(super) fn of<T: DeserializeOwned>(json: Value, view: impl FnOnce(T) -> Vec<Block>) -> Self {
        let view = match T::deserialize(&json) {
            Ok(typed) => view(typed),
            Err(_other_shape) => vec![Block::Exact(escape_json(&format!("{json:#}\n")))],
        };
        Self::new(json, view)
    }

    #[must_use]
    pub(super) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl Block {
    pub(super) fn pairs<const N: usize>(pairs: [(&str, String); N]) -> Self {
        Self::Pairs(
            pairs
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(label, value)| (label.to_owned(), value))
                .collect(),
        )
    }

    pub(super) fn line(tone: Tone, text: impl Into<String>) -> Self {
        Self::Line(tone, text.into())
    }
}

/// An answer that a decision depends on: another shape is a fault, not a guess.
pub(super) fn read<T: DeserializeOwned>(json: &Value) -> Result<T, Fault> {
    T::deserialize(json).map_err(|cause| {
        Fault::refused("the answer of the gate is not understood")
            .because(cause)
            .hint("compare `gatectl --version` with `gated --version`")
    })
}

/// Writes the answer as asked.
pub(super) fn answer(answer: &Answer, paper: Paper) -> Result<(), Fault> {
    if answer.is_written {
        return Ok(());
    }
    let text = match paper.output {
        Output::Table => table::table(&answer.view, paper),
        Output::Json => json(&answer.json, paper),
        Output::Token => bare_token(&answer.json)?,
    };
    write_out(&text)
}

/// Writes one event of a stream that goes on: a row, or one JSON document a line.
pub(super) fn streamed(event: &Value, row: &str, paper: Paper) -> Result<(), Fault> {
    let text = match paper.output {
        Output::Table => format!("{}\n", clean(row)),
        Output::Json | Output::Token => {
            let line = event.to_string();
            let line = if paper.terminal {
                escape_json(&line)
            } else {
                line
            };
            format!("{line}\n")
        }
    };
    write_out(&text)
}

/// Writes generated text, such as the help, the man page or a completion script.
pub(super) fn document(text: &str) -> Result<(), Fault> {
    write_out(text)
}

/// Whether somebody looks at standard output directly.
pub(super) fn to_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The terminal as one screen, which is given back when this goes.
pub(super) struct Screen(ratatui::DefaultTerminal);

impl Screen {
    pub(super) fn open() -> Result<Self, Fault> {
        ratatui::try_init().map(Self).map_err(undrawn)
    }

    pub(super) fn draw(&mut self, view: impl FnOnce(&mut ratatui::Frame<'_>)) -> Result<(), Fault> {
        self.0.draw(view).map(drop).map_err(undrawn)
    }

    /// Whether whoever looks has had enough: `q`, Escape or Ctrl-C.
    pub(super) fn is_left() -> Result<bool, Fault> {
        while event::poll(Duration::ZERO).map_err(undrawn)? {
            if let Event::Key(key) = event::read().map_err(undrawn)? {
                let is_break =
                    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                if is_break || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn undrawn(cause: io::Error) -> Fault {
    Fault::refused("cannot draw on this terminal")
        .because(cause)
        .hint("`gatectl status` prints the same once")
}

fn json(value: &Value, paper: Paper) -> String {
    let text = format!("{value:#}\n");
    if paper.terminal {
        escape_json(&text)
    } else {
        text
    }
}

/// The one token. Several are named: they were made already, and are shown only this once.
fn bare_token(value: &Value) -> Result<String, Fault> {
    if let Some(token) = value.get("token").and_then(Value::as_str) {
        return Ok(format!("{token}\n"));
    }
    let tokens = value.get("tokens").and_then(Value::as_object);
    let tokens: Vec<(&String, &str)> = tokens
        .into_iter()
        .flatten()
        .filter_map(|(kind, token)| Some((kind, token.as_str()?)))
        .collect();
    match tokens.as_slice() {
        [] => Err(Fault::refused("the answer of the gate holds no token")),
        [(_, only)] => Ok(format!("{only}\n")),
        several => Ok(several
            .iter()
            .map(|(kind, token)| [kind.as_str(), " ", token, "\n"].concat())
            .collect()),
    }
}

fn write_out(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|cause| {
            Fault::refused("cannot write to standard output")
                .because(cause)
                .hint("the change, if any, has been made; `gatectl status` shows it")
        })
}

#[cfg(test)]
mod tests;
