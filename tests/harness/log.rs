//! Everything a process said, line by line, while it is still running.
//!
//! Does not interpret lines, apart from finding a message in either log format. Waiting for a line
//! is how tests learn that something happened: no sleeps.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

/// Shared between the threads that read a process's pipes and the test.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// Number of lines; closed when every pipe is.
    grown: watch::Receiver<usize>,
}

impl Log {
    /// Reads `pipes` to their ends on threads of their own.
    pub fn follow(pipes: Vec<Box<dyn Read + Send>>) -> Self {
        let (announce, grown) = watch::channel(0);
        let (lines, announce) = (Arc::new(Mutex::new(Vec::new())), Arc::new(announce));
        for pipe in pipes {
            let (lines, announce) = (Arc::clone(&lines), Arc::clone(&announce));
            thread::spawn(move || read(pipe, &lines, &announce));
        }
        Self { lines, grown }
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The first line that `wanted` accepts, past or to come. An error quotes the log: the process
    /// closed it, or `patience` ran out.
    pub async fn wait(
        &self,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let mut grown = self.grown.clone();
        let found = async {
            loop {
                let open = grown.has_changed().is_ok();
                grown.mark_unchanged();
                if let Some(line) = self.lines().into_iter().find(|line| wanted(line)) {
                    return Ok(line);
                }
                // Looked at after the last line was in: nothing more can come.
                if !open {
                    return Err("the process ended without it");
                }
                let _closed = grown.changed().await;
            }
        };
        match timeout(patience, found).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(why)) => bail!("{why}; its log:\n{}", self.text()),
            Err(_elapsed) => bail!("not within {patience:?}; its log:\n{}", self.text()),
        }
    }

    /// Waits until the process closed its pipes, so that the log is complete.
    pub async fn complete(&self) {
        let mut grown = self.grown.clone();
        while grown.changed().await.is_ok() {}
    }
}

/// Whether a log line, JSON or text, carries exactly this message.
pub fn says(line: &str, message: &str) -> bool {
    match serde_json::from_str::<Value>(line) {
        Ok(line) => {
            let nested = line.get("fields").unwrap_or(&line);
            nested.get("message").and_then(Value::as_str) == Some(message)
        }
        // Text: the message is a run of whole words.
        Err(_text) => format!(" {line} ").contains(&format!(" {message} ")),
    }
}

fn read(pipe: Box<dyn Read + Send>, lines: &Mutex<Vec<String>>, announce: &watch::Sender<usize>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
        announce.send_replace(lines.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_found_in_both_formats() {
        assert!(says(
            r#"{"level":"INFO","fields":{"message":"ready","revision":3}}"#,
            "ready"
        ));
        assert!(says(r#"{"level":"INFO","message":"ready"}"#, "ready"));
        assert!(says(
            "2026-01-01T00:00:00Z  INFO gated: ready revision=3",
            "ready"
        ));
        assert!(!says("INFO gated: already there", "ready"));
        assert!(!says(r#"{"fields":{"message":"not ready"}}"#, "ready"));
    }

    #[tokio::test]
    async fn line_that_never_comes_is_an_error_that_quotes_the_log() {
        let followed = Log::follow(vec![Box::new(&b"one\ntwo"[..])]);
        let long = Duration::from_mins(1);
        assert_eq!(
            followed.wait(long, |line| line == "two").await.unwrap(),
            "two"
        );
        let missed = followed
            .wait(long, |line| line == "three")
            .await
            .unwrap_err();
        assert!(missed.to_string().contains("one\ntwo"), "{missed}");
    }
}
