//! An event stream as a strict client reads it, with the time each event was there.
//!
//! Does not hide how a stream ends: a clean end and a broken connection are different answers,
//! and the raw bytes stay, for comparing with what the upstream sent.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::Driver;

pub struct Events {
    body: Incoming,
    raw: Vec<u8>,
    /// Where the next event starts in `raw`.
    read: usize,
    last_byte: Instant,
    end: Option<End>,
    _driver: Arc<Driver>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub name: Option<String>,
    pub data: String,
    pub at: Instant,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The body was complete.
    Clean,
    /// The connection was.
    Broken(String),
}

impl Events {
    pub(crate) fn new(body: Incoming, driver: Arc<Driver>) -> Self {
        let (raw, last_byte) = (Vec::new(), Instant::now());
        Self {
            body,
            raw,
            read: 0,
            last_byte,
            end: None,
            _driver: driver,
        }
    }

    /// The next event; comments and keep-alives are not events. None at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, length)) = block(&self.raw[self.read..]) {
                let event = parse(&block, self.last_byte);
                self.read += length;
                if event.is_some() {
                    return event;
                }
            }
            if self.end.is_some() {
                return None;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.raw
                        .extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    self.last_byte = Instant::now();
                }
                Some(Err(cause)) => self.end = Some(End::Broken(cause.to_string())),
                None => self.end = Some(End::Clean),
            }
        }
    }

    /// Reads to the end.
    pub async fn rest(&mut self) -> (Vec<Event>, End) {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        (
            events,
            self.end
                .clone()
                .expect("`next` returns none only at the end"),
        )
    }

    /// Everything received so far.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// When the last byte came.
    pub fn last_byte(&self) -> Instant {
        self.last_byte
    }
}

impl Event {
    /// The data as JSON, `null` when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Whether it tells of a failure, in any dialect.
    pub fn is_error(&self) -> bool {
        self.name.as_deref() == Some("error") || self.json().get("error").is_some()
    }
}

/// The first complete block and its length with the blank line, once that is here.
fn block(bytes: &[u8]) -> Option<(String, usize)> {
    let ends = ["\n\n", "\r\n\r\n"].into_iter().filter_map(|blank| {
        let at = bytes
            .windows(blank.len())
            .position(|window| window == blank.as_bytes())?;
        Some((at, at + blank.len()))
    });
    let (text, whole) = ends.min()?;
    Some((String::from_utf8_lossy(&bytes[..text]).into_owned(), whole))
}

/// None for a block of comments only.
fn parse(block: &str, at: Instant) -> Option<Event> {
    let (mut name, mut data) = (None, Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value.to_owned()),
            "data" => data.push(value),
            _comment_or_unknown => {}
        }
    }
    (name.is_some() || !data.is_empty()).then(|| Event {
        name,
        data: data.join("\n"),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_split_at_blank_lines_of_either_kind() {
        let rows: [(&[u8], Option<_>); 4] = [
            (b"data: a\n\ndata: b\n\n", Some(("data: a", 9))),
            (b"data: a\r\n\r\nrest\n\n", Some(("data: a", 11))),
            (b"data: a\n", None),
            (b"", None),
        ];
        for (bytes, expected) in rows {
            let found = block(bytes);
            let found = found
                .as_ref()
                .map(|(text, length)| (text.as_str(), *length));
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn comment_is_no_event_and_data_lines_are_joined() {
        let now = Instant::now();
        assert_eq!(parse(": keepalive", now), None);
        let event = parse("event: error\ndata: {\ndata:}", now).unwrap();
        assert_eq!(
            (event.name.as_deref(), event.data.as_str()),
            (Some("error"), "{\n}")
        );
        assert!(event.is_error());
    }
}
