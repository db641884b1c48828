//! The one field of a body that the gate reads: the top-level `api_key` of a JSON object.
//!
//! Changes nothing else: everything around the value stays byte for byte. A field that stands twice
//! is refused, because two parsers would take different ones. Never shows what it holds.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::fault::Fault;

const NAME: &str = "api_key";

/// A JSON object, and where its key stands.
pub(crate) struct Field {
    whole: Bytes,
    /// Behind the opening brace.
    inside: usize,
    is_empty: bool,
    member: Option<Member>,
}

struct Member {
    all: Range<usize>,
    value: Range<usize>,
    comma_before: Option<usize>,
    comma_behind: Option<usize>,
    text: Option<Zeroizing<String>>,
}

impl Field {
    /// None when this is no JSON object: then there is no key in it.
    pub(crate) fn read(whole: &Bytes) -> Result<Option<Self>, Fault> {
        let is_object = whole.trim_ascii_start().starts_with(b"{");
        if !is_object || serde_json::from_slice::<serde::de::IgnoredAny>(whole).is_err() {
            return Ok(None);
        }
        let mut walk = Walk {
            bytes: whole,
            at: 0,
        };
        walk.past(b'{');
        let inside = walk.at;
        let is_empty = walk.peek() == Some(b'}');
        let mut found = None;
        let mut comma_before = None;
        while walk.peek() == Some(b'"') {
            let key = walk.string();
            walk.past(b':');
            let value = walk.value();
            let comma_behind = (walk.peek() == Some(b',')).then_some(walk.at);
            if is_name(whole, &key) {
                let member = Member {
                    all: key.start..value.end,
                    text: text(whole, &value),
                    value,
                    comma_before,
                    comma_behind,
                };
                if found.replace(member).is_some() {
                    return Err(Fault::BadRequest("the body holds its key twice"));
                }
            }
            comma_before = comma_behind;
            walk.past(b',');
        }
        Ok(Some(Self {
            whole: whole.clone(),
            inside,
            is_empty,
            member: found,
        }))
    }

    /// The key, if it is a text that is not blank.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        let text = self.member.as_ref()?.text.as_ref()?.trim();
        (!text.is_empty()).then_some(Cow::Borrowed(text))
    }

    /// The body with another key in it, or with none.
    pub(crate) fn with(&self, key: Option<&str>) -> Bytes {
        let (cut, put) = match (&self.member, key) {
            (Some(member), Some(key)) => (member.value.clone(), quoted(key)),
            (Some(member), None) => (member.without(), Zeroizing::new(String::new())),
            (None, Some(key)) => {
                let comma = if self.is_empty { "" } else { "," };
                let member = format!("\"{NAME}\":{}{comma}", *quoted(key));
                (self.inside..self.inside, Zeroizing::new(member))
            }
            (None, None) => return self.whole.clone(),
        };
        let before = self.whole.get(..cut.start).unwrap_or_default();
        let behind = self.whole.get(cut.end..).unwrap_or_default();
        [before, put.as_bytes(), behind].concat().into()
    }
}

impl Member {
    /// What to cut so that the object stays one: the member and one comma.
    fn without(&self) -> Range<usize> {
        match (self.comma_before, self.comma_behind) {
            (_, Some(behind)) => self.all.start..behind + 1,
            (Some(before), None) => before..self.all.end,
            (None, None) => self.all.clone(),
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(..)")
    }
}

/// The key of a query; several are none.
pub(crate) fn in_query(query: &str) -> Option<Cow<'_, str>> {
    let mut values = query
        .split('&')
        .filter_map(|pair| decoded(pair.split_once('=')?.0).eq(NAME).then_some(pair))
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = values.next()?;
    let text = decoded(value);
    (values.next().is_none() && !text.trim().is_empty()).then_some(Cow::Owned(text))
}

/// The query with another key in place of the caller's, or without.
pub(crate) fn query_with(query: &str, key: Option<&str>) -> String {
    let mut pairs: Vec<Cow<'_, str>> = Vec::new();
    for pair in query.split('&') {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if decoded(name) != NAME {
            pairs.push(pair.into());
        } else if let Some(key) = key {
            pairs.push(format!("{NAME}={}", encoded(key)).into());
        }
    }
    pairs.join("&")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: Option<u8>| char::from(digit?).to_digit(16);
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(high), Some(low)) => {
                    u8::try_from(high << 4 | low).expect("two hex digits fit a byte")
                }
                _ => b'%',
            },
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every text");
        }
    }
    encoded
}

fn is_name(whole: &[u8], key: &Range<usize>) -> bool {
    let text = whole.get(key.clone()).unwrap_or_default();
    serde_json::from_slice::<Cow<'_, str>>(text).is_ok_and(|name| name == NAME)
}

fn text(whole: &[u8], value: &Range<usize>) -> Option<Zeroizing<String>> {
    let text = whole.get(value.clone())?;
    serde_json::from_slice(text).ok().map(Zeroizing::new)
}

fn quoted(key: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(key).to_string())
}

/// Walks a text that is known to be JSON.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        let skip = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += skip;
        rest.get(skip).copied()
    }

    fn past(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        let mut is_escaped = false;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => break,
                _ => {}
            }
        }
        start..self.at
    }

    fn value(&mut self) -> Range<usize> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => return self.string(),
            Some(b'{' | b'[') => self.nested(),
            _ => {
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                let ends = |byte: &u8| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        start..self.at
    }

    fn nested(&mut self) {
        let mut depth = 0usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
