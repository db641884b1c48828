//! How one line is spelled, in either format of the log: as its other lines are.

use std::{fmt, io::Write as _, time::Duration};

use super::Form;
use crate::clock::Stamp;

/// A line that is being written. Writing to memory does not fail.
pub(super) struct Line<'a> {
    text: &'a mut Vec<u8>,
    form: Form,
}

impl<'a> Line<'a> {
    /// Overwrites what was in the buffer.
    pub(super) fn begin(text: &'a mut Vec<u8>, form: Form, now: Stamp) -> Self {
        text.clear();
        let _in_memory = match form {
            Form::Text => write!(text, "{now}  INFO request"),
            Form::Json => write!(
                text,
                r#"{{"timestamp":"{now}","level":"INFO","message":"request""#
            ),
        };
        Self { text, form }
    }

    fn key(&mut self, key: &str) {
        let (before, after): (&[u8], &[u8]) = match self.form {
            Form::Text => (b" ", b"="),
            Form::Json => (b",\"", b"\":"),
        };
        self.text.extend_from_slice(before);
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(after);
    }

    /// A text, in quotes and with its odd characters escaped. Hardly any has one.
    pub(super) fn text(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else {
            return;
        };
        self.key(key);
        let is_odd = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
        if value.as_bytes().iter().any(is_odd) {
            let _in_memory = serde_json::to_writer(&mut *self.text, value);
        } else {
            self.text.push(b'"');
            self.text.extend_from_slice(value.as_bytes());
            self.text.push(b'"');
        }
    }

    /// What is shown in characters that need no escape: an id, an address.
    pub(super) fn shown(&mut self, key: &str, value: Option<impl fmt::Display>) {
        let Some(value) = value else {
            return;
        };
        self.key(key);
        let _in_memory = match self.form {
            Form::Text => write!(self.text, "{value}"),
            Form::Json => write!(self.text, "\"{value}\""),
        };
    }

    pub(super) fn truth(&mut self, key: &str, value: bool) {
        self.key(key);
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.text.extend_from_slice(word);
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.digits(value);
    }

    pub(super) fn millis(&mut self, key: &str, time: Duration) {
        // Of a call that lasts longer than 500,000 years the rest is not told.
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        self.text.push(b'.');
        let rest = micros % 1000;
        for _ in [100, 10].into_iter().filter(|place| rest < *place) {
            self.text.push(b'0');
        }
        self.digits(rest);
    }

    fn digits(&mut self, value: u64) {
        let mut buffer = itoa::Buffer::new();
        self.text.extend_from_slice(buffer.format(value).as_bytes());
    }

    pub(super) fn end(self) {
        let end: &[u8] = match self.form {
            Form::Text => b"\n",
            Form::Json => b",\"target\":\"access\"}\n",
        };
        self.text.extend_from_slice(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form) -> String {
        let mut text = b"what was before".to_vec();
        let mut line = Line::begin(&mut text, form, Stamp(1_000));
        line.text("client", Some("a\"b\n"));
        line.text("rollout", None);
        line.shown("source", Some("192.0.2.1"));
        line.number("status", 200);
        line.millis("first_ms", Duration::from_micros(7));
        line.truth("odd", false);
        line.millis("total_ms", Duration::from_micros(12_034));
        line.end();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(Form::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let wanted = serde_json::json!({
            "timestamp": "1970-01-01T00:00:01.000Z",
            "level": "INFO",
            "message": "request",
            "client": "a\"b\n",
            "source": "192.0.2.1",
            "status": 200,
            "first_ms": 0.007,
            "odd": false,
            "total_ms": 12.034,
            "target": "access",
        });
        assert_eq!(line, wanted);
    }

    #[test]
    fn no_value_breaks_a_line_of_text() {
        let wanted = "1970-01-01T00:00:01.000Z  INFO request client=\"a\\\"b\\n\" \
                      source=192.0.2.1 status=200 first_ms=0.007 odd=false total_ms=12.034\n";
        assert_eq!(written(Form::Text), wanted);
    }
}
