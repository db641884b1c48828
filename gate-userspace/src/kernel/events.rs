//! Sampled refusals, from the kernel's ring to whoever listens, with their headers decoded.
//!
//! Bytes of a frame are a stranger's: they are shown, never trusted, and decoding one cannot
//! fail the reader. Decoding goes by the same parser that judged.
#![warn(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt::Write;
use std::net::IpAddr;

use gate_common::address::{V4, V6};
use gate_common::event::{Event, HEAD_WORDS, Lane, TUPLE_WORDS};
use gate_common::packet::{Family, Slice, ipv4, ipv6, link};
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
    /// The first bytes of the frame, hexadecimal.
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
    for byte in head {
        let _ = write!(event.frame, "{byte:02x}");
    }
    let reader = Slice(head);
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
}
