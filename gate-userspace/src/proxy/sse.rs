//! Looks at an event stream as it passes: is an event open, and was the last one seen?
//!
//! Changes nothing and keeps only the beginning of a line. Any dialect's last event counts, because
//! interception servers answer in another dialect than the path says.

use bytes::Bytes;

use crate::{
    fault::Type,
    profile::{envelope, family},
};

/// Enough for `data: {"type":"response.incomplete"` and its kin.
const KEPT: usize = 48;

/// How the streams of a path are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Responses,
    Messages,
    /// `log` events, then `complete` or `error`.
    Apollo,
    /// Any other event stream: its end is its own business.
    Other,
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about the last bytes"
)]
pub(crate) struct Scanner {
    line: [u8; KEPT],
    kept: usize,
    /// Bytes since the last line end.
    is_in_line: bool,
    /// Lines since the last blank one.
    is_in_event: bool,
    after_cr: bool,
    is_last: bool,
}

impl Dialect {
    pub(crate) fn of(path: &str, is_apollo: bool) -> Self {
        if is_apollo && path.ends_with("/stream") {
            Self::Apollo
        } else if path.ends_with("/chat/completions") || path.ends_with("/completions") {
            Self::Chat
        } else if path.ends_with("/responses") {
            Self::Responses
        } else if path.ends_with("/messages") {
            Self::Messages
        } else {
            Self::Other
        }
    }

    /// Whether a stream without a last event is a broken one.
    pub(crate) fn has_last_event(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Messages | Self::Apollo => true,
            Self::Other => false,
        }
    }

    /// What says that the stream still lives. A comment without a blank line: a completed empty event
    /// breaks clients that read every event as JSON.
    pub(crate) fn keepalive(self) -> &'static str {
        match self {
            Self::Messages => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Self::Chat | Self::Responses | Self::Apollo | Self::Other => ": keepalive\n",
        }
    }

    /// The error event of this dialect. `message` is ours and holds nothing to escape.
    pub(crate) fn error(self, kind: Type, message: &str) -> Bytes {
        let code = kind.as_str();
        match self {
            Self::Chat | Self::Other => format!(
                "data: {{\"error\":{{\"message\":\"{message}\",\"type\":\"{code}\",\"code\":\"{code}\"}}}}\n\n"
            ),
            Self::Responses => format!(
                "event: error\ndata: {{\"type\":\"error\",\"code\":\"{code}\",\"message\":\"{message}\",\"param\":null,\
                 \"error\":{{\"message\":\"{message}\",\"type\":\"{code}\",\"code\":\"{code}\"}}}}\n\n"
            ),
            Self::Apollo => format!("event: error\ndata: {}\n\n", envelope(kind, message, None)),
            Self::Messages => format!(
                "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{}\",\"message\":\"{message}\",\
                 \"code\":\"{code}\"}}}}\n\n",
                family(kind)
            ),
        }
        .into()
    }
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            line: [0; KEPT],
            kept: 0,
            is_in_line: false,
            is_in_event: false,
            after_cr: false,
            is_last: false,
        }
    }

    pub(crate) fn look(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            let Some((ending, rest)) = rest.split_first() else {
                return;
            };
            // CR LF is one line end, also across two reads.
            let is_pair = *ending == b'\n' && self.after_cr && line.is_empty();
            if !is_pair {
                self.keep(line);
                self.end_line();
            }
            self.after_cr = *ending == b'\r';
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.keep(bytes);
            self.after_cr = false;
        }
    }

    /// Whether the stream may end here, after its last event.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_last || (self.is_in_line && self.is_last_line())
    }

    /// What closes an event that is still open, so that what follows is an event of its own.
    pub(crate) fn closing(&self) -> &'static str {
        match (self.is_in_line, self.is_in_event) {
            (true, _) => "\n\n",
            // Behind a CR, one LF would only be the rest of its line end.
            (false, true) if self.after_cr => "\n\n",
            (false, true) => "\n",
            (false, false) => "",
        }
    }

    fn keep(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        self.is_in_line = true;
        if let Some(free) = self.line.get_mut(self.kept..) {
            let take = free.len().min(line.len());
            for (to, from) in free.iter_mut().zip(line) {
                *to = *from;
            }
            self.kept += take;
        }
    }

    fn end_line(&mut self) {
        if self.is_in_line {
            self.is_last |= self.is_last_line();
        }
        self.is_in_event = self.is_in_line;
        self.is_in_line = false;
        self.kept = 0;
    }

    fn is_last_line(&self) -> bool {
        let line = self.line.get(..self.kept).unwrap_or_default();
        if let Some(event) = field(line, b"event:") {
            return matches!(
                event.trim_ascii(),
                b"message_stop"
                    | b"response.completed"
                    | b"response.failed"
                    | b"response.incomplete"
                    | b"error"
                    | b"complete"
            );
        }
        let Some(data) = field(line, b"data:") else {
            return false;
        };
        let data: &[u8] = data.trim_ascii();
        data == b"[DONE]"
            || [
                b"{\"type\":\"message_stop\"".as_slice(),
                b"{\"type\":\"response.completed\"",
                b"{\"type\":\"response.failed\"",
                b"{\"type\":\"response.incomplete\"",
                b"{\"error\":",
            ]
            .iter()
            .any(|last| starts(data, last))
    }
}

/// Spaces do not count: some servers write them between the parts of an object.
fn starts(data: &[u8], with: &[u8]) -> bool {
    let mut data = data.iter().filter(|byte| **byte != b' ');
    with.iter().all(|want| data.next() == Some(want))
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(name)
}

#[cfg(test)]
mod tests;
