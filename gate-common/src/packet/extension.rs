//! Follows IPv6 extension headers to TCP.
//!
//! Does not check that they come in an order the stack accepts: following one too many only ends
//! in a verdict on a packet that nobody would deliver. The walk is bounded because the verifier
//! pays for every step: 16 headers cost 50k verified instructions, 64 three times that.

use super::{EXTENSIONS_MAX, HEADERS_MAX, Reader, TCP, byte, low16};
use crate::reason::Reason;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Offset and "more fragments" of the fragment header.
const FRAGMENT_BITS: u16 = 0xfff9;

/// Where TCP starts.
#[inline(always)]
pub(super) fn walk<R: Reader>(reader: &R, mut at: usize, mut next: u8) -> Result<usize, Reason> {
    let mut seen = 0;
    loop {
        if next == TCP {
            return Ok(at);
        }
        // ESP, "no next header" and everything unknown: the stack makes no TCP of it.
        if !is_extension(next) {
            return Err(Reason::NotTcp);
        }
        if seen == EXTENSIONS_MAX {
            return Err(Reason::ExtensionDepth);
        }
        seen += 1;
        let Some([head]) = reader.words::<1>(at) else {
            return Err(Reason::Truncated);
        };
        let units = byte(head, 1) as usize;
        let kind = next;
        next = byte(head, 0);
        at += match kind {
            FRAGMENT if low16(head) & FRAGMENT_BITS != 0 => {
                // Reassembly takes the protocol from the first fragment: one that names neither
                // TCP nor a further header never becomes TCP.
                return Err(if next == TCP || is_extension(next) {
                    Reason::Fragment
                } else {
                    Reason::NotTcp
                });
            }
            FRAGMENT => 8,
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        if at > HEADERS_MAX {
            return Err(Reason::ExtensionDepth);
        }
    }
}

#[inline(always)]
const fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}
