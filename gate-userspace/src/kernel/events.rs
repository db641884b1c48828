//! Sampled refusals, from the kernel's ring to whoever listens, with their headers decoded.
//!
//! Bytes of a frame are a stranger's: they are shown, never trusted, and decoding one cannot
//! fail the reader. Decoding goes by the same parser that judged.
#![warn(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write;
use std::net::IpAddr;

use gate_common::address::{V4, V6};
use gate_common::event::{Event, HEAD_WORDS, Lane, TUPLE_WORDS};
use gate_common::packet::{Family, Slice, headers, ipv4, ipv6, link};
use gate_common::reason::Reason;
use serde::{Deserialize, Serialize};

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropEvent {
    /// Nanoseconds of the monotonic clock.
    pub at: u64,
    pub reason: String,
    /// `xdp`, `tc` or `lookup`.
    pub hook: String,
    /// `audit` let it pass.
    pub passed: bool,
    /// Only the socket lookup saw it: the interface is not covered, or the port was rewritten.
    pub uncovered: bool,
    pub ifindex: u32,
    pub interface: Option<String>,
    pub source: Option<IpAddr>,
    pub destination: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub port: Option<u16>,
    /// The headers of the frame, hexadecimal; never its data.
    pub frame: String,
}

/// `None`: not an event of this build.
pub(super) fn decode(bytes: &[u8], name: impl FnOnce(u32) -> Option<String>) -> Option<DropEvent> {
    if bytes.len() < size_of::<Event>() {
        return None;
    }
    let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk::<4>()?));
    let at = u64::from_ne_bytes(*bytes.first_chunk::<8>()?);
    let reason = Reason::try_from(word(8)?).ok()?;
    let number = word(12)?;
    let lane = Lane::ALL.into_iter().find(|lane| *lane as u32 == number)?;
    let ifindex = word(16)?;
    let length = (word(20)? as usize).min(HEAD_WORDS * 4);
    let head = bytes.get(24..24 + length)?;
    let hook = match lane {
        Lane::Xdp | Lane::AuditXdp => "xdp",
        Lane::Tc | Lane::AuditTc => "tc",
        Lane::Lookup | Lane::AuditLookup => "lookup",
        Lane::Probe => return None,
    };
    let mut event = DropEvent {
        at,
        reason: reason.name().to_owned(),
        hook: hook.to_owned(),
        passed: lane == lane.audited(),
        uncovered: hook == "lookup" && reason != Reason::Closed,
        ifindex,
        interface: name(ifindex),
        source: None,
        destination: None,
        source_port: None,
        port: None,
        frame: String::new(),
    };
    if hook == "lookup" {
        tuple(&mut event, head);
    } else {
        frame(&mut event, head);
    }
    Some(event)
}

fn tuple(event: &mut DropEvent, head: &[u8]) {
    let mut words = [0; TUPLE_WORDS];
    for (to, from) in words.iter_mut().zip(head.as_chunks::<4>().0) {
        *to = u32::from_ne_bytes(*from);
    }
    let [family, s0, s1, s2, s3, d0, d1, d2, d3, source_port, port] = words;
    let address = |wide: [u32; 4]| {
        let [.., last] = wide;
        if family == 4 {
            IpAddr::V4(V4(last).into())
        } else {
            IpAddr::V6(V6(wide).into())
        }
    };
    event.source = Some(address([s0, s1, s2, s3]));
    event.destination = Some(address([d0, d1, d2, d3]));
    event.source_port = u16::try_from(source_port).ok();
    event.port = u16::try_from(port).ok();
}

fn frame(event: &mut DropEvent, head: &[u8]) {
    let reader = Slice(head);
    let end = headers(&reader);
    // What follows the headers may be a request with a token in it.
    for byte in head.get(..end).unwrap_or(head) {
        let _ = write!(event.frame, "{byte:02x}");
    }
    let port = |port: u16| (port != 0).then_some(port);
    match link(&reader) {
        Ok((Family::V4, at)) => {
            if let Ok(packet) = ipv4(&reader, at) {
                event.source = Some(IpAddr::V4(packet.source.into()));
                event.destination = Some(IpAddr::V4(packet.destination.into()));
                event.port = port(packet.port);
            }
        }
        Ok((Family::V6, at)) => {
            if let Ok(packet) = ipv6(&reader, at) {
                event.source = Some(IpAddr::V6(packet.source.into()));
                event.destination = Some(IpAddr::V6(packet.destination.into()));
                event.port = port(packet.port);
            }
        }
        Err(_) => {}
    }
    event.source_port = event.port.and_then(|_| reader.source_port(end));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lane: Lane, frame: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(5u64.to_ne_bytes());
        let length = u32::try_from(frame.len()).unwrap();
        for word in [Reason::Stranger as u32, lane as u32, 7, length] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(frame);
        bytes.resize(size_of::<Event>(), 0);
        bytes
    }

    #[test]
    fn data_behind_the_headers_is_never_shown() {
        let mut frame = vec![0xff; 12];
        frame.extend([
            8, 0, 0x45, 0, 0, 60, 0, 7, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 9, 0, 1,
        ]);
        frame.extend([0x9c, 0x40, 0x11, 0x5c, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10]);
        frame.extend([0, 0, 0, 0, 0, 0]);
        let headers = frame.len();
        frame.extend(b"Bearer gate_secret");
        let decoded = decode(&event(Lane::Tc, &frame), |_| Some("veth7".into())).unwrap();
        assert_eq!(decoded.frame.len(), headers * 2);
        assert_eq!(decoded.source, Some("10.0.0.9".parse().unwrap()));
        assert_eq!(
            (decoded.source_port, decoded.port),
            (Some(40000), Some(4444))
        );
    }

    #[test]
    fn no_byte_string_breaks_the_reader() {
        let whole = event(Lane::AuditLookup, &[4; 128]);
        for length in 0..=whole.len() {
            let decoded = decode(whole.get(..length).unwrap(), |_| None);
            assert_eq!(decoded.is_some(), length == whole.len(), "{length}");
        }
        assert!(decode(&event(Lane::Probe, &[]), |_| None).is_none());
        assert!(decode(&[0xff; size_of::<Event>()], |_| None).is_none());
    }
}
