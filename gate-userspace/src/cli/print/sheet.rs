//! An answer that comes in pieces: each is written as soon as it is here, and together they are one
//! table or one JSON document.
//!
//! A document that breaks off half way is ended all the same: what was done must stay readable.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Output, Paper, write_out};
use crate::cli::{
    clean::{clean, escape_json},
    fault::Fault,
};

/// Between two columns.
const GAP: usize = 2;

#[derive(Debug)]
pub(in crate::cli) struct Sheet {
    paper: Paper,
    /// Under which key the items stand.
    name: &'static str,
    head: &'static [&'static str],
    /// Of the columns, as the first piece has them; none = nothing is written yet.
    widths: Option<Vec<usize>>,
}

impl Sheet {
    pub(in crate::cli) fn new(
        paper: Paper,
        name: &'static str,
        head: &'static [&'static str],
    ) -> Self {
        Self {
            paper,
            name,
            head,
            widths: None,
        }
    }

    /// Writes some more: each an item, and the row that shows it.
    pub(in crate::cli) fn add(
        &mut self,
        items: &[Value],
        rows: &[Vec<String>],
    ) -> Result<(), Fault> {
        let text = match self.paper.output {
            Output::Table => self.rows(rows),
            Output::Json | Output::Token => self.items(items),
        };
        self.widths.get_or_insert_with(Vec::new);
        write_out(&text)
    }

    /// Ends it with what is true of all of them. Nothing, when nothing was added.
    pub(in crate::cli) fn end(self, key: &str, value: &Value) -> Result<(), Fault> {
        match self.paper.output {
            Output::Json | Output::Token if self.widths.is_some() => {
                write_out(&format!("\n  ],\n  \"{key}\": {value}\n}}\n"))
            }
            Output::Json | Output::Token | Output::Table => Ok(()),
        }
    }

    fn items(&self, items: &[Value]) -> String {
        let mut text = String::new();
        for (index, item) in items.iter().enumerate() {
            text += if index == 0 && self.widths.is_none() {
                "{\n  \""
            } else {
                ",\n"
            };
            if index == 0 && self.widths.is_none() {
                text += self.name;
                text += "\": [\n";
            }
            let item = format!("{item:#}").replace('\n', "\n    ");
            text += "    ";
            text += &item;
        }
        if self.paper.terminal {
            escape_json(&text)
        } else {
            text
        }
    }

    fn rows(&mut self, rows: &[Vec<String>]) -> String {
        let cleaned = |row: &Vec<String>| row.iter().map(|cell| clean(cell).into_owned()).collect();
        let mut lines: Vec<Vec<String>> = rows.iter().map(cleaned).collect();
        if self.widths.is_none() {
            lines.insert(0, self.head.iter().map(|cell| (*cell).to_owned()).collect());
        }
        let widths = self.widths.get_or_insert_with(|| {
            let width = |column| {
                let cells = lines
                    .iter()
                    .filter_map(|line: &Vec<String>| line.get(column));
                cells
                    .map(|cell: &String| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            };
            (0..self.head.len()).map(width).collect()
        });
        let mut text = String::new();
        for line in lines {
            let mut shown = String::new();
            for (cell, width) in line.iter().zip(&*widths) {
                let width = width + GAP;
                write!(shown, "{cell:width$}").expect("a string takes any text");
            }
            text += shown.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_are_one_document_and_one_table() {
        let mut sheet = Sheet::new(paper(Output::Json), "rollouts", &["ROLLOUT", "N"]);
        let mut text = String::new();
        for items in [
            vec![json!({"a": 1}), json!({"a": 2})],
            vec![json!({"b": []})],
        ] {
            text += &sheet.items(&items);
            sheet.widths.get_or_insert_with(Vec::new);
        }
        text += "\n  ],\n  \"revision\": 7\n}\n";
        let whole: Value = serde_json::from_str(&text).unwrap();
        let wanted = json!({"revision": 7, "rollouts": [{"a": 1}, {"a": 2}, {"b": []}]});
        assert_eq!(whole, wanted);
        let mut sheet = Sheet::new(paper(Output::Table), "rollouts", &["ROLLOUT", "N"]);
        let row = |id: &str| vec![id.to_owned(), "1".to_owned()];
        let first = sheet.rows(&[row("r-1\u{1b}")]);
        assert_eq!(first, "ROLLOUT  N\nr-1      1\n");
        assert_eq!(sheet.rows(&[row("r-22")]), "r-22     1\n");
    }

    fn paper(output: Output) -> Paper {
        Paper {
            output,
            terminal: false,
            colour: false,
        }
    }
}
