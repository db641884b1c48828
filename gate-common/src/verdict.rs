//! [`judge`]: the only decision about a packet; [`decide`]: its half after parsing, for the socket lookup.
//!
//! Does not read bytes and does not count. The order of the checks is the contract: other ports
//! and other hosts pass before anything can refuse them, a closed gate refuses before anything
//! can allow, and a lie about the source refuses before the source is looked up.

use crate::address::{Address, V4, V6};
use crate::entry::{Entry, FREE, OWN};
use crate::packet::{Family, Packet, Reader, ipv4, ipv6, link};
use crate::reason::Reason;

/// Networks that are asked about one source, innermost first.
pub const NESTING_MAX: usize = 4;

/// Where the packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// XDP and tc: a frame that arrived on a device other than `lo`.
    Frame,
    /// The socket lookup: it takes every packet as ours and knows no interface worth binding to.
    Lookup,
    /// The socket lookup, for a packet that arrived on `lo`.
    Loopback,
}

/// Lookups by address of one family.
pub trait Sources<A> {
    /// Port classes that hold at this address; 0 where it is not this host's.
    fn local(&self, address: A) -> u32;
    /// `false` = surely not in `exact`.
    fn maybe_known(&self, address: A) -> bool;
    fn exact(&self, address: A) -> Option<Entry>;
    /// The innermost network of at most `bits` bits that holds the address.
    fn net(&self, address: A, bits: u32) -> Option<Entry>;
    /// Takes a new connection from the source's budget; `false` = the budget is empty.
    fn draw(&self, address: A) -> bool;
}

/// Maps in the kernel, plain collections in tests.
pub trait Tables: Sources<V4> + Sources<V6> {
    /// Class of a port, below 32.
    fn port(&self, port: u16) -> u32;
    /// Classes that hold at every address of this host.
    fn anywhere(&self) -> u32;
    /// Classes that no entry opens.
    fn shut(&self) -> u32;
    fn closed(&self) -> bool;
    fn is_past(&self, until: u32) -> bool;
    /// The entry of a group on the interface this packet came from.
    fn bound(&self, group: u32) -> Option<Entry>;
    /// Notes that this interface used an address of that client.
    fn accuse(&self, tag: u32);
}

/// The only decision. Each family keeps its own arm to the end: joining them costs copies and
/// undefined halves.
#[inline(always)]
pub fn judge<R: Reader, T: Tables>(reader: &R, tables: &T) -> Reason {
    match link(reader) {
        Ok((Family::V4, at)) => match ipv4(reader, at) {
            Ok(packet) => decide(&packet, tables, Hook::Frame),
            Err(why) => why,
        },
        Ok((Family::V6, at)) => match ipv6(reader, at) {
            Ok(packet) => decide(&packet, tables, Hook::Frame),
            Err(why) => why,
        },
        Err(why) => why,
    }
}

#[inline(always)]
pub fn decide<A: Address, T: Tables + Sources<A>>(
    packet: &Packet<A>,
    tables: &T,
    hook: Hook,
) -> Reason {
    let named = packet.names_port();
    let class = if named {
        tables.port(packet.port) & 31
    } else {
        FREE
    };
    if named && class == FREE {
        return Reason::OtherPort;
    }
    // A port that cannot be read may be any of them.
    let wanted = if named { 1 << class } else { u32::MAX };
    let here = tables.local(packet.destination);
    let here = match hook {
        Hook::Frame if !packet.destination.is_loopback() => here,
        Hook::Frame | Hook::Lookup | Hook::Loopback => here | tables.anywhere(),
    };
    if here == 0 {
        return Reason::NotHere;
    }
    if here & wanted == 0 {
        return Reason::OtherPort;
    }
    if tables.closed() {
        return Reason::Closed;
    }
    if hook == Hook::Loopback {
        return Reason::Local;
    }
    let refusal = match packet.defect {
        None => Reason::Stranger,
        // What nobody could read to its port is still the business of a source that may connect:
        // the socket lookup judges the port once the stack knows it.
        Some(Reason::Fragment) => Reason::Fragment,
        Some(Reason::ExtensionDepth) => Reason::ExtensionDepth,
        Some(Reason::Truncated) => Reason::Truncated,
        Some(why) => return why,
    };
    if packet.source.is_loopback() {
        return match hook {
            // The host's own ::1, on its way to another of the host's addresses.
            Hook::Lookup if A::LOOPBACK_CANNOT_ARRIVE => Reason::Local,
            Hook::Frame | Hook::Lookup | Hook::Loopback => Reason::Spoofed,
        };
    }
    let shut = named && wanted & tables.shut() != 0;
    admit(packet, tables, hook, shut, wanted, refusal)
}

/// By the source's own entry, else by the networks around it.
#[inline(always)]
fn admit<A: Address, T: Tables + Sources<A>>(
    packet: &Packet<A>,
    tables: &T,
    hook: Hook,
    shut: bool,
    wanted: u32,
    mut refusal: Reason,
) -> Reason {
    let source = packet.source;
    // A frame that nobody can read keeps that as its reason.
    let stranger = matches!(refusal, Reason::Stranger);
    if tables.maybe_known(source)
        && let Some(entry) = tables.exact(source)
    {
        if entry.tag == OWN {
            return match hook {
                Hook::Frame => Reason::Spoofed,
                Hook::Lookup | Hook::Loopback => Reason::Local,
            };
        }
        if !shut {
            match consider(entry, tables, hook, wanted) {
                Answer::Open => return connect(packet, tables, hook, Reason::Allowed),
                Answer::Elsewhere => return Reason::WrongInterface,
                Answer::Unlisted if stranger => refusal = Reason::Unlisted,
                Answer::Expired if stranger => refusal = Reason::Expired,
                Answer::Unlisted | Answer::Expired => {}
            }
        }
    }
    if shut {
        return Reason::Guarded;
    }
    let mut bits = A::BITS;
    let mut level = 0;
    while level < NESTING_MAX {
        let Some(entry) = tables.net(source, bits) else {
            break;
        };
        match consider(entry, tables, hook, wanted) {
            Answer::Open => return connect(packet, tables, hook, Reason::AllowedNet),
            Answer::Elsewhere => return Reason::WrongInterface,
            Answer::Unlisted if stranger => refusal = Reason::Unlisted,
            Answer::Expired if stranger => refusal = Reason::Expired,
            Answer::Unlisted | Answer::Expired => {}
        }
        if entry.prefix() == 0 {
            break;
        }
        bits = entry.prefix() - 1;
        level += 1;
    }
    refusal
}

/// What one entry says to a packet.
enum Answer {
    Open,
    /// Bound to another interface, which ends the search: a wider network must not bless a lie.
    Elsewhere,
    Unlisted,
    Expired,
}

#[inline(always)]
fn consider<T: Tables>(entry: Entry, tables: &T, hook: Hook, wanted: u32) -> Answer {
    let (ports, until) = match hook {
        Hook::Lookup | Hook::Loopback => (entry.reach, entry.reach_until),
        Hook::Frame => {
            if entry.group() == 0 {
                (entry.ports, entry.until)
            } else if let Some(bound) = tables.bound(entry.group()) {
                (bound.ports, bound.until)
            } else if entry.bound_only() {
                tables.accuse(entry.tag);
                return Answer::Elsewhere;
            } else {
                (entry.ports, entry.until)
            }
        }
    };
    if ports & wanted == 0 {
        Answer::Unlisted
    } else if until != 0 && tables.is_past(until) {
        Answer::Expired
    } else {
        Answer::Open
    }
}

/// An allowed source still pays for every connection it opens. Seen once: by the frame hook.
#[inline(always)]
fn connect<A: Address, T: Tables + Sources<A>>(
    packet: &Packet<A>,
    tables: &T,
    hook: Hook,
    allowed: Reason,
) -> Reason {
    if hook == Hook::Frame && packet.opens() && !tables.draw(packet.source) {
        Reason::SynBudget
    } else {
        allowed
    }
}

#[cfg(test)]
mod tests;
