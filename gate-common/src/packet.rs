//! Bytes -> [`Packet`]: the link header, its VLAN tags, IPv4, IPv6 and the fixed part of TCP.
//!
//! Does not judge: a frame that may still be TCP to us but cannot be read to its port comes out
//! as a packet with a defect, because who sent it decides. Reads whole wire words only; every
//! header involved is a multiple of four bytes, and the kernel reader is fast on nothing else.

mod extension;

use crate::address::{V4, V6};
use crate::reason::Reason;

/// VLAN tags followed, of either kind.
pub const VLAN_MAX: usize = 8;
/// IPv6 extension headers followed.
pub const EXTENSIONS_MAX: usize = 16;
/// No header chain may reach past this byte.
pub const HEADERS_MAX: usize = 2048;

/// The only way to packet bytes: `N` words as they lie on the wire, loaded natively.
pub trait Reader {
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]>;
}

/// Flat, and every field always set: a payload that is undefined on one path is what the verifier
/// refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<A> {
    pub source: A,
    pub destination: A,
    /// Host order; 0 where it could not be read.
    pub port: u16,
    /// The TCP flags byte.
    pub flags: u8,
    pub defect: Option<Reason>,
}

impl<A> Packet<A> {
    /// The port was read, and no later fragment can change it.
    #[inline(always)]
    pub const fn names_port(&self) -> bool {
        match self.defect {
            None | Some(Reason::Malformed) => self.port != 0,
            Some(_) => false,
        }
    }

    /// The first packet of a connection: SYN without ACK.
    #[inline(always)]
    pub const fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

const TCP: u8 = 6;
const ETHERTYPE_AT: usize = 12;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Offset and "more fragments", without "don't fragment" and the reserved bit.
const FRAGMENT_BITS: u16 = 0x3fff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Past the link header and its tags.
#[inline(always)]
pub fn link<R: Reader>(reader: &R) -> Result<(Family, usize), Reason> {
    let Some([word]) = reader.words::<1>(ETHERTYPE_AT) else {
        // Too short for an Ethernet header and four bytes more: the stack has nothing to deliver.
        return Err(Reason::NotIp);
    };
    let mut kind = high16(word);
    let mut at = ETHERTYPE_AT + 2;
    let mut tags = 0;
    while kind == VLAN || kind == SERVICE_VLAN {
        if tags == VLAN_MAX {
            return Err(Reason::VlanDepth);
        }
        let Some([word]) = reader.words::<1>(at) else {
            return Err(Reason::Truncated);
        };
        kind = low16(word);
        at += 4;
        tags += 1;
    }
    match kind {
        IPV4 => Ok((Family::V4, at)),
        IPV6 => Ok((Family::V6, at)),
        // Any other protocol, LLC lengths included: the stack does not make TCP of it.
        _ => Err(Reason::NotIp),
    }
}

#[inline(always)]
pub fn ipv4<R: Reader>(reader: &R, at: usize) -> Result<Packet<V4>, Reason> {
    let Some(head) = reader.words::<5>(at) else {
        return Err(Reason::Truncated);
    };
    if byte(head[2], 1) != TCP {
        return Err(Reason::NotTcp);
    }
    let (source, destination) = (V4(head[3]), V4(head[4]));
    let length = (byte(head[0], 0) & 15) as usize * 4;
    let defect = if length < 20 {
        Reason::Malformed
    } else if low16(head[1]) & FRAGMENT_BITS != 0 {
        Reason::Fragment
    } else if low16(head[0]) != 0 && (low16(head[0]) as usize) < length + 20 {
        // Zero stands for more than 64 kB in a packet that the stack itself put together (BIG
        // TCP). From the wire the stack takes no such packet, so nothing is lost by reading on.
        Reason::Malformed
    } else {
        return Ok(tcp(reader, at + length, source, destination));
    };
    Ok(Packet {
        source,
        destination,
        port: 0,
        flags: 0,
        defect: Some(defect),
    })
}

#[inline(always)]
pub fn ipv6<R: Reader>(reader: &R, at: usize) -> Result<Packet<V6>, Reason> {
    let Some(head) = reader.words::<10>(at) else {
        return Err(Reason::Truncated);
    };
    let source = V6([head[2], head[3], head[4], head[5]]);
    let destination = V6([head[6], head[7], head[8], head[9]]);
    match extension::walk(reader, at + 40, byte(head[1], 2)) {
        Ok(at) => Ok(tcp(reader, at, source, destination)),
        Err(Reason::NotTcp) => Err(Reason::NotTcp),
        Err(why) => Ok(Packet {
            source,
            destination,
            port: 0,
            flags: 0,
            defect: Some(why),
        }),
    }
}

#[inline(always)]
fn tcp<R: Reader, A>(reader: &R, at: usize, source: A, destination: A) -> Packet<A> {
    match reader.words::<5>(at) {
        None => Packet {
            source,
            destination,
            port: 0,
            flags: 0,
            defect: Some(Reason::Truncated),
        },
        Some(head) => Packet {
            source,
            destination,
            port: low16(head[0]),
            flags: byte(head[3], 1),
            defect: if byte(head[3], 0) >> 4 < 5 {
                Some(Reason::Malformed)
            } else {
                None
            },
        },
    }
}

#[inline(always)]
const fn low16(word: u32) -> u16 {
    u32::from_be(word) as u16
}

#[inline(always)]
const fn high16(word: u32) -> u16 {
    (u32::from_be(word) >> 16) as u16
}

#[inline(always)]
const fn byte(word: u32, index: u32) -> u8 {
    (u32::from_be(word) >> (24 - 8 * index)) as u8
}

/// Bytes of headers at the start of a frame, the fixed part of TCP included: what may be shown of
/// it. Whatever follows is somebody's data.
#[cfg(any(test, feature = "user"))]
pub fn headers<R: Reader>(reader: &R) -> usize {
    match link(reader) {
        Err(_) => ETHERTYPE_AT + 2,
        Ok((Family::V4, at)) => match reader.words::<2>(at) {
            Some(head) => {
                let end = at + (byte(head[0], 0) & 15) as usize * 4;
                if low16(head[1]) & FRAGMENT_BITS == 0 {
                    end + TCP_FIXED
                } else {
                    end
                }
            }
            None => at,
        },
        Ok((Family::V6, at)) => {
            let next = reader.words::<2>(at).map_or(0, |head| byte(head[1], 2));
            extension::walk(reader, at + 40, next).map_or(at + 40, |end| end + TCP_FIXED)
        }
    }
}

/// Bytes of a TCP header without options.
#[cfg(any(test, feature = "user"))]
pub const TCP_FIXED: usize = 20;

/// Frames in memory, for tests and for userspace that shows what an event carried.
#[cfg(any(test, feature = "user"))]
pub struct Slice<'a>(pub &'a [u8]);

#[cfg(any(test, feature = "user"))]
impl Slice<'_> {
    /// The TCP source port, in host order; `at` is the end of the fixed TCP header.
    pub fn source_port(&self, at: usize) -> Option<u16> {
        self.words::<1>(at.checked_sub(TCP_FIXED)?)
            .map(|[word]| high16(word))
    }
}

#[cfg(any(test, feature = "user"))]
impl Reader for Slice<'_> {
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        // The same bound as in the kernel, so that both halves give up at the same byte.
        if at > HEADERS_MAX + 128 {
            return None;
        }
        let (words, _) = self.0.get(at..at + 4 * N)?.as_chunks::<4>();
        let mut out = [0; N];
        for (to, word) in out.iter_mut().zip(words) {
            *to = u32::from_ne_bytes(*word);
        }
        Some(out)
    }
}
