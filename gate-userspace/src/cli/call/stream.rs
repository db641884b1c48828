//! Server-sent events of the admin API, one JSON document each.
//!
//! Reads what the gate itself writes (`data:` lines, comments as keep-alives), not every dialect.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cli::fault::Fault;

/// One event may not be longer; a stream that never ends a line must not fill the memory.
const LONGEST_EVENT: usize = 1 << 20;

/// An open stream of events.
pub(in crate::cli) struct Events {
    body: Incoming,
    _connection: JoinSet<()>,
    decoder: Decoder,
}

/// Bytes in, events out.
#[derive(Debug, Default)]
struct Decoder {
    buffer: Vec<u8>,
    data: String,
}

impl Events {
    pub(super) fn new(body: Incoming, connection: JoinSet<()>) -> Self {
        Self {
            body,
            _connection: connection,
            decoder: Decoder::default(),
        }
    }

    /// The next event; `None` when the gate ended the stream.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Value>, Fault> {
        loop {
            if let Some(event) = self.decoder.event()? {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.decoder.buffer.extend_from_slice(&bytes);
                    }
                }
                Some(Err(cause)) => {
                    return Err(Fault::unreachable("the stream of events broke off")
                        .because(cause)
                        .hint("has gated stopped? `gatectl status`"));
                }
            }
        }
    }
}

impl Decoder {
    fn event(&mut self) -> Result<Option<Value>, Fault> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.trim_ascii_end());
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.trim_start());
            } else if line.is_empty() && !self.data.is_empty() {
                let data = std::mem::take(&mut self.data);
                return serde_json::from_str(&data)
                    .map(Some)
                    .map_err(|cause| Fault::refused("an event is not JSON").because(cause));
            }
        }
        if self.buffer.len() + self.data.len() > LONGEST_EVENT {
            return Err(Fault::refused("an event is too long"));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_however_the_bytes_are_cut() {
        let text = b": hello\n\ndata: {\"a\":1}\n\nevent: x\r\ndata: {\"a\":\ndata: 2}\r\n\r\n";
        for cut in 1..text.len() {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for part in text.chunks(cut) {
                decoder.buffer.extend_from_slice(part);
                while let Some(event) = decoder.event().unwrap() {
                    seen.push(event["a"].as_u64().unwrap());
                }
            }
            assert_eq!(seen, [1, 2], "cut every {cut} bytes");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut decoder = Decoder {
            buffer: vec![b'x'; LONGEST_EVENT + 1],
            data: String::new(),
        };
        assert!(decoder.event().is_err());
    }
}
