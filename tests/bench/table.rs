//! What was measured, as rows that people and programs read.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What was done, so that somebody else can do it too.
    pub(crate) how: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What follows from it, and which goals were met or missed.
    pub(crate) notes: Vec<String>,
}

impl Table {
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}\n  {}", self.title, self.how)?;
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for row in lines() {
            let cells = row.iter().enumerate();
            let padded: Vec<String> = cells
                .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
                .collect();
            writeln!(out, "  {}", padded.join("  ").trim_end())?;
        }
        for note in &self.notes {
            writeln!(out, "  * {note}")?;
        }
        Ok(())
    }

    /// The same in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> = self.head.iter().map(|_| "---".to_owned()).collect();
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.how);
        text += &line(&self.head);
        text += &line(&rule);
        for row in &self.rows {
            text += &line(row);
        }
        text.push('\n');
        let notes: Vec<String> = self
            .notes
            .iter()
            .map(|note| format!("* {note}\n"))
            .collect();
        text + &notes.concat()
    }
}
