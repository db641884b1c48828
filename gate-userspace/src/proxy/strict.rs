//! The framing of an HTTP/1 connection, followed byte by byte beside hyper.
//!
//! Threat: hyper reads some odd framing leniently, and somebody else may read it otherwise. Lines that
//! end in a bare LF, a coding before `chunked`, a length beside a coding and a length said twice are
//! refused here, before hyper sees the byte that makes them odd. A call whose head was not followed to
//! its end is not served: where the two readings differ, nobody gets in (RFC 9112, 2.2, 6.1 and 7.1).

use std::mem::take;

use http::Version;
use memchr::memchr;

/// More than hyper keeps of a line: whoever sends a longer one is read differently by the two.
const LINE: usize = 1 << 20;

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// Behind a call that asks for another protocol: what comes is no HTTP if it is granted.
    Upgrade,
}

/// Follows what one caller sends.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    /// Where the byte behind the body stands.
    then: At,
    /// What was read of a line before its end came.
    line: Vec<u8>,
    head: Head,
    /// Heads that were read to their end and not served yet.
    heads: usize,
    /// Whether something passed unread, which is never made up for.
    has_passed: bool,
}

/// What the lines of a head said so far.
#[derive(Debug, Default)]
struct Head {
    /// Known as soon as the request line was read.
    version: Option<Version>,
    is_chunked: bool,
    asks_for_upgrade: bool,
    length: Option<u64>,
}

/// Framing that somebody may read otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("framing that could be read in two ways")]
pub(super) struct Odd;

impl Framing {
    pub(super) fn new() -> Self {
        Self {
            at: At::Head,
            then: At::Head,
            line: Vec::new(),
            head: Head::default(),
            heads: 0,
            has_passed: false,
        }
    }

    /// Reads on. After an error there is nothing more to read.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Odd> {
        while !bytes.is_empty() {
            match self.at {
                At::Upgrade => {
                    self.has_passed = true;
                    return Ok(());
                }
                At::Body(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.at = if left == 0 { self.then } else { At::Body(left) };
                }
                At::Chunk(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.at = if left == 0 {
                        At::ChunkEnd
                    } else {
                        At::Chunk(left)
                    };
                }
                At::Head | At::ChunkSize | At::ChunkEnd | At::Trailer => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.line.extend_from_slice(bytes);
                        return if self.line.len() > LINE {
                            Err(Odd)
                        } else {
                            Ok(())
                        };
                    };
                    let (line, rest) = bytes.split_at(end + 1);
                    bytes = rest;
                    if self.line.len() + line.len() > LINE {
                        return Err(Odd);
                    }
                    if self.line.is_empty() {
                        self.read(line)?;
                    } else {
                        let mut whole = take(&mut self.line);
                        whole.extend_from_slice(line);
                        self.read(&whole)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the head of the call that begins was read to its end. Asked once for each call.
    pub(super) fn take_head(&mut self) -> bool {
        let is_there = self.heads > 0;
        self.heads = self.heads.saturating_sub(1);
        is_there
    }

    /// The other protocol was not granted: HTTP goes on, unless something was sent in advance.
    pub(super) fn stay(&mut self) {
        if self.has_passed {
            return;
        }
        self.then = At::Head;
        if self.at == At::Upgrade {
            self.at = At::Head;
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Odd> {
        let line = line.strip_suffix(b"\r\n").ok_or(Odd)?;
        self.at = match self.at {
            At::Head if line.is_empty() && self.head.version.is_some() => {
                self.heads += 1;
                let head = take(&mut self.head);
                self.then = if head.asks_for_upgrade {
                    At::Upgrade
                } else {
                    At::Head
                };
                head.body()?.unwrap_or(self.then)
            }
            At::Head => {
                self.head.read(line)?;
                At::Head
            }
            At::ChunkSize => match size(line).ok_or(Odd)? {
                0 => At::Trailer,
                size => At::Chunk(size),
            },
            At::ChunkEnd if line.is_empty() => At::ChunkSize,
            At::ChunkEnd => return Err(Odd),
            At::Trailer if line.is_empty() => self.then,
            At::Trailer => At::Trailer,
            at @ (At::Body(_) | At::Chunk(_) | At::Upgrade) => at,
        };
        Ok(())
    }
}

impl Head {
    fn read(&mut self, line: &[u8]) -> Result<(), Odd> {
        if self.version.is_none() {
            let version = if line.ends_with(b"HTTP/1.0") {
                Version::HTTP_10
            } else {
                Version::HTTP_11
            };
            // Empty lines before a request are skipped (RFC 9112, 2.2).
            self.version = (!line.is_empty()).then_some(version);
            return Ok(());
        }
        // Most lines are told apart by their first byte.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U')) {
            return Ok(());
        }
        // What is no field, hyper refuses.
        let Some(colon) = memchr(b':', line) else {
            return Ok(());
        };
        let (name, value) = line.split_at(colon);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let value = || value.get(1..).unwrap_or_default().trim_ascii();
        if is(b"content-length") {
            if self.length.is_some() {
                return Err(Odd);
            }
            self.length = Some(number(value(), 10).ok_or(Odd)?);
        } else if is(b"transfer-encoding") {
            if self.is_chunked || !value().eq_ignore_ascii_case(b"chunked") {
                return Err(Odd);
            }
            self.is_chunked = true;
        } else if is(b"upgrade") && !value().eq_ignore_ascii_case(b"h2c") {
            // HTTP/2 without TLS is never granted.
            self.asks_for_upgrade = true;
        }
        Ok(())
    }

    /// What follows the head, if anything does.
    fn body(&self) -> Result<Option<At>, Odd> {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Odd),
            (true, None) if self.version == Some(Version::HTTP_10) => Err(Odd),
            (true, None) => Ok(Some(At::ChunkSize)),
            (false, None | Some(0)) => Ok(None),
            (false, Some(length)) => Ok(Some(At::Body(length))),
        }
    }
}

/// The size in the line before a chunk, its extensions aside.
fn size(line: &[u8]) -> Option<u64> {
    let end = memchr(b';', line).unwrap_or(line.len());
    number(line.get(..end)?, 16)
}

/// Digits and nothing else: no sign, no blank.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        sum.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// What stands behind the next `left` bytes, and how many of them are still to come.
fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    let rest = bytes.get(here..).unwrap_or_default();
    (rest, left - here as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &[u8] = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\n\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\
        POST / HTTP/1.1\r\nTRANSFER-encoding:\tChunked \r\n\r\n5;a=\"b\"\r\n\r\n\n\n0\r\n0\r\nx: y\r\n\r\nPUT / HTTP/1.0\r\ncontent-length:0\r\n\r\n";

    #[test]
    fn odd_framing_is_told_apart() {
        for odd in [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: \x0bchunked\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\na",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1 \r\na\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\n",
        ] {
            assert_eq!(Framing::new().follow(odd.as_bytes()), Err(Odd), "{odd:?}");
        }
    }

    #[test]
    fn each_head_serves_one_call() {
        let mut framing = Framing::new();
        assert!(!framing.take_head());
        framing.follow(b"GET / HTTP/1.1\r\nhost: a\r\n").unwrap();
        assert!(!framing.take_head());
        framing.follow(b"\r\n").unwrap();
        assert!(framing.take_head());
        assert!(!framing.take_head());
    }

    #[test]
    fn behind_an_upgrade_nothing_is_read_until_it_is_refused() {
        let asks = b"GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n";
        let next = b"GET / HTTP/1.1\r\n\r\n";
        let mut framing = Framing::new();
        framing.follow(asks).unwrap();
        assert!(framing.take_head());
        framing.stay();
        framing.follow(next).unwrap();
        assert!(framing.take_head());
        // Here something was sent before the answer.
        framing.follow(asks).unwrap();
        framing.follow(b"\x81\n").unwrap();
        assert!(framing.take_head());
        framing.stay();
        framing.follow(next).unwrap();
        assert!(!framing.take_head());
    }

    /// Asking for another protocol excuses nothing in front of it.
    #[test]
    fn the_body_of_a_call_that_asks_for_an_upgrade_is_read() {
        let asks = b"POST / HTTP/1.1\r\nupgrade: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut framing = Framing::new();
        framing.follow(asks).unwrap();
        assert_eq!(framing.follow(b"1\na"), Err(Odd));
        let mut framing = Framing::new();
        framing.follow(asks).unwrap();
        framing.follow(b"1\r\na\r\n0\r\n\r\n\n").unwrap();
        assert!(framing.has_passed);
        // Refused before its body came: HTTP goes on behind it.
        let mut framing = Framing::new();
        framing.follow(asks).unwrap();
        framing.stay();
        let body = b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        framing.follow(body).unwrap();
        assert_eq!((framing.at, framing.heads), (At::Head, 2));
    }

    proptest! {
        /// Wherever the network cuts, the same is read.
        #[test]
        fn cuts_do_not_matter(cuts in prop::collection::vec(0..GOOD.len(), 0..40)) {
            let mut cuts = cuts;
            cuts.extend([0, GOOD.len()]);
            cuts.sort_unstable();
            let mut framing = Framing::new();
            for cut in cuts.windows(2) {
                framing.follow(&GOOD[cut[0]..cut[1]]).unwrap();
            }
            prop_assert_eq!((framing.at, framing.heads), (At::Head, 4));
        }
    }
}
