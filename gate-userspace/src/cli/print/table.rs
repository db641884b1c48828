//! The form for people: lines, labelled values and columns, each row one line.
//!
//! Colour only repeats what the words say. Everything but [`Block::Exact`] is cleaned, since names,
//! paths and reasons may be a stranger's.

use comfy_table::{ContentArrangement, Table, presets};

use super::{Block, Paper, Tone};
use crate::cli::clean::clean;

pub(super) fn table(view: &[Block], paper: Paper) -> String {
    let mut text = String::new();
    for block in view {
        match block {
            Block::Line(tone, line) => text.push_str(&painted(*tone, &clean(line), paper.colour)),
            Block::Exact(exact) => {
                text.push_str(exact);
                continue;
            }
            Block::Pairs(pairs) => text.push_str(&pair_rows(pairs)),
            Block::Rows { head, rows } => text.push_str(&grid(head, rows)),
        }
        text.push('\n');
    }
    text
}

fn pair_rows(pairs: &[(String, String)]) -> String {
    let width = pairs
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    let rows: Vec<String> = pairs
        .iter()
        .map(|(label, value)| format!("{:width$}  {}", clean(label), clean(value)))
        .collect();
    rows.join("\n")
}

fn grid(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn painted(tone: Tone, text: &str, colour: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => 32,
        Tone::Warn => 33,
        Tone::Bad => 31,
    };
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
