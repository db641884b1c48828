//! The head of a request, its path read strictly.
//!
//! Threat: a path that the gate and an upstream read differently reaches another rollout with a
//! token that is good for one's own. So a path that any upstream could still move by decoding or
//! normalising is refused; what stays is forwarded byte for byte.

use http::{HeaderMap, Method, Request, Uri, Version, header, request};

use crate::fault::Fault;

/// How often a path may be encoded: nobody needs more than two, and each costs a pass.
const DECODINGS: usize = 4;

/// A head that no upstream can read differently.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    _made_here: (),
}

/// Takes a request apart, if its path is one that everybody reads alike.
pub(crate) fn read<B>(request: Request<B>) -> Result<(Head, B), Fault> {
    let (parts, body) = request.into_parts();
    let request::Parts {
        method,
        uri,
        version,
        headers,
        ..
    } = parts;
    if method == Method::CONNECT {
        return Err(Fault::BadRequest("CONNECT is not served here"));
    }
    if method == Method::TRACE || method.as_str() == "TRACK" {
        // It would show the caller what the upstream got, the provider's key included.
        return Err(Fault::BadRequest("TRACE is not served here"));
    }
    strict(uri.path())?;
    authority(&uri, &headers)?;
    let head = Head {
        method,
        uri,
        version,
        headers,
        _made_here: (),
    };
    Ok((head, body))
}

impl Head {
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}

/// One host, said once: an absolute target must not contradict `Host`.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::BadRequest("more than one Host header"));
    }
    match (uri.authority(), host) {
        (Some(target), Some(host)) if target.as_str().as_bytes() != host.as_bytes() => {
            Err(Fault::BadRequest("the target and Host differ"))
        }
        _ => Ok(()),
    }
}

/// Refuses a path with dot segments, also those that appear only after decoding, and with control
/// bytes.
fn strict(path: &str) -> Result<(), Fault> {
    if !path.starts_with('/') {
        return Err(Fault::BadRequest("the path does not start with a slash"));
    }
    // Nearly every path is free of anything that could be decoded or moved.
    let is_dull = path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b':'));
    if is_dull {
        return Ok(());
    }
    once(path)?;
    if path.contains("%25") {
        again(path.as_bytes())?;
    }
    Ok(())
}

/// What stands behind the gate may be a chain, of which every link decodes once more.
fn again(path: &[u8]) -> Result<(), Fault> {
    let mut path = decoded(path);
    for _ in 0..DECODINGS {
        let next = decoded(&path);
        let mut segment = Segment::default();
        for byte in &next {
            match byte {
                b'/' | b'\\' => segment.end()?,
                other => segment.push(*other),
            }
        }
        segment.end()?;
        if next == path {
            return Ok(());
        }
        path = next;
    }
    Err(Fault::BadRequest("a path encoded over and over"))
}

/// Decoded once; what is no escape stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let escape = behind.split_first_chunk().filter(|_| *byte == b'%');
        let both = escape.and_then(|([high, low], tail)| Some((digit(high)?, digit(low)?, tail)));
        if let Some((high, low, tail)) = both {
            out.push(u8::try_from(high << 4 | low).expect("two hex digits fit a byte"));
            rest = tail;
        } else {
            out.push(*byte);
        }
    }
    out
}

/// The path as one decoding reads it.
fn once(path: &str) -> Result<(), Fault> {
    let mut segment = Segment::default();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' {
            let hex = [bytes.next(), bytes.next()]
                .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(high), Some(low)] = hex else {
                return Err(Fault::BadRequest("a percent sign without two digits"));
            };
            u8::try_from(high << 4 | low).expect("two hex digits fit a byte")
        } else {
            byte
        };
        match decoded {
            0..=0x1f | 0x7f => return Err(Fault::BadRequest("a control byte in the path")),
            b'/' | b'\\' => segment.end()?,
            _ => segment.push(decoded),
        }
    }
    segment.end()
}

/// What was read of a segment: only dots so far?
#[derive(Default)]
struct Segment {
    dots: usize,
    other: bool,
    /// Some servers cut a segment at `;` before they look for dots.
    parameter: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.parameter => {}
            b'.' => self.dots += 1,
            b';' => self.parameter = true,
            _ => self.other = true,
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        if !self.other && matches!(self.dots, 1 | 2) {
            return Err(Fault::BadRequest("a dot segment in the path"));
        }
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Acceptance 56.
    #[test]
    fn a_path_that_could_move_is_refused() {
        for path in [
            "/rollout/A/../B/v1",
            "/rollout/A/%2e%2e/B",
            "/rollout/A/.%2E/B",
            "/a/./b",
            "/..",
            "/a/..",
            "/a%2f..%2fb",
            "/a%2F%2e%2e%5cb",
            "/a\\..\\b",
            "/a/..;x=1/b",
            "/a/%252e%252e/b",
            "/a%252f..%252fb",
            "/a/%25252e./b",
            "/a/..%253bx/b",
            "/a%25252525252525252541",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%2",
            "/a%",
            "/a%zz",
            "",
            "*",
            "a/b",
        ] {
            assert!(strict(path).is_err(), "{path}");
        }
        for path in [
            "/",
            "/v1/models/org%2Fmodel",
            "/v1/models/gpt-4.1",
            "/v1/a..b",
            "/v1/...",
            "/v1/.well",
            "/v1/models/a;b",
            "/v1/x%20y",
            "/v1/100%25",
            "/v1/models/org%252Fmodel",
            "/v1/%C3%A4",
        ] {
            assert!(strict(path).is_ok(), "{path}");
        }
    }

    proptest! {
        /// Whatever passes has no dot segment in any reading.
        #[test]
        fn what_passes_cannot_move(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "a", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", ";x", "%41", "%3b",
                ]),
                0..12,
            ),
        ) {
            let path = format!("/{}", parts.concat());
            if strict(&path).is_ok() {
                let decoded = path
                    .replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/")
                    .replace("%5c", "/").replace('\\', "/").replace("%3b", ";");
                for segment in decoded.split('/') {
                    let name = segment.split(';').next().unwrap();
                    prop_assert!(name != "." && name != "..", "{path}");
                }
            }
        }
    }
}
