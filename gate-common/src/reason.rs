//! Why a packet passed or was dropped: the one list behind counters, events, metrics, `explain` and documents.
//!
//! The numbers are stable: pinned counters outlive the daemon that reads them, so a reason is
//! never renumbered, only added.

/// Room for reasons in one lane of the counters; the numbers below stay under it.
pub const REASONS: u32 = 32;

/// The judgement on one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Reason {
    /// Neither IPv4 nor IPv6, for instance ARP.
    NotIp = 0,
    /// IP, but it cannot be TCP to this host.
    NotTcp = 1,
    /// TCP to a port that gate does not guard at that address.
    OtherPort = 2,
    /// TCP to an address that is not this host's.
    NotHere = 3,
    /// The source's own entry opens the port.
    Allowed = 4,
    /// A network that holds the source opens the port.
    AllowedNet = 5,
    /// The host talks to itself.
    Local = 6,
    /// Nobody listed the source.
    Stranger = 16,
    /// The source's lease is over.
    Expired = 17,
    /// The source is listed, but not for this port.
    Unlisted = 18,
    /// The port is shut to everyone but the host itself.
    Guarded = 19,
    /// A TCP fragment from a source that may not connect.
    Fragment = 20,
    /// The frame ends before the port could be read.
    Truncated = 21,
    /// A header contradicts itself.
    Malformed = 22,
    /// More VLAN tags than the parser follows.
    VlanDepth = 23,
    /// More IPv6 extension headers than the parser follows.
    ExtensionDepth = 24,
    /// A loopback source, or one of the host's own addresses, arrived from outside.
    Spoofed = 25,
    /// The source is bound to another interface.
    WrongInterface = 26,
    /// The source opens connections faster than its budget.
    SynBudget = 27,
    /// Gate is closed: nobody gets in.
    Closed = 28,
}

impl Reason {
    /// All of them, in number order.
    pub const ALL: [Self; 20] = [
        Self::NotIp,
        Self::NotTcp,
        Self::OtherPort,
        Self::NotHere,
        Self::Allowed,
        Self::AllowedNet,
        Self::Local,
        Self::Stranger,
        Self::Expired,
        Self::Unlisted,
        Self::Guarded,
        Self::Fragment,
        Self::Truncated,
        Self::Malformed,
        Self::VlanDepth,
        Self::ExtensionDepth,
        Self::Spoofed,
        Self::WrongInterface,
        Self::SynBudget,
        Self::Closed,
    ];

    /// The packet goes on to the stack.
    #[inline(always)]
    pub const fn passes(self) -> bool {
        match self {
            Self::NotIp
            | Self::NotTcp
            | Self::OtherPort
            | Self::NotHere
            | Self::Allowed
            | Self::AllowedNet
            | Self::Local => true,
            Self::Stranger
            | Self::Expired
            | Self::Unlisted
            | Self::Guarded
            | Self::Fragment
            | Self::Truncated
            | Self::Malformed
            | Self::VlanDepth
            | Self::ExtensionDepth
            | Self::Spoofed
            | Self::WrongInterface
            | Self::SynBudget
            | Self::Closed => false,
        }
    }

    /// `audit` lets it through: the refusal only says that the source is not listed (yet).
    /// A port shut to everyone, an empty budget, a lie about the source, a broken frame and a
    /// closed gate are refused as always.
    #[inline(always)]
    pub const fn relaxed_by_audit(self) -> bool {
        match self {
            Self::Stranger | Self::Expired | Self::Unlisted | Self::Fragment => true,
            Self::NotIp
            | Self::NotTcp
            | Self::OtherPort
            | Self::NotHere
            | Self::Allowed
            | Self::AllowedNet
            | Self::Local
            | Self::Guarded
            | Self::Truncated
            | Self::Malformed
            | Self::VlanDepth
            | Self::ExtensionDepth
            | Self::Spoofed
            | Self::WrongInterface
            | Self::SynBudget
            | Self::Closed => false,
        }
    }

    /// The name in counters, events, metrics and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::OtherPort => "other_port",
            Self::NotHere => "not_here",
            Self::Allowed => "allowed",
            Self::AllowedNet => "allowed_net",
            Self::Local => "local",
            Self::Stranger => "stranger",
            Self::Expired => "expired",
            Self::Unlisted => "unlisted",
            Self::Guarded => "guarded",
            Self::Fragment => "fragment",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::VlanDepth => "vlan_depth",
            Self::ExtensionDepth => "extension_depth",
            Self::Spoofed => "spoofed",
            Self::WrongInterface => "wrong_interface",
            Self::SynBudget => "syn_budget",
            Self::Closed => "closed",
        }
    }

    /// One line for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotIp => "not an IP packet",
            Self::NotTcp => "not TCP to this host",
            Self::OtherPort => "not a port that gate guards",
            Self::NotHere => "not an address of this host",
            Self::Allowed => "the source is listed",
            Self::AllowedNet => "the source lies in a listed network",
            Self::Local => "the host talks to itself",
            Self::Stranger => "nobody listed the source",
            Self::Expired => "the source's lease is over",
            Self::Unlisted => "the source is not listed for this port",
            Self::Guarded => "the port is shut to everyone but the host itself",
            Self::Fragment => "a TCP fragment from a source that may not connect",
            Self::Truncated => "the frame ends before its port",
            Self::Malformed => "a header contradicts itself",
            Self::VlanDepth => "too many VLAN tags",
            Self::ExtensionDepth => "too many IPv6 extension headers",
            Self::Spoofed => "a loopback source or the host's own address, from outside",
            Self::WrongInterface => "the source is bound to another interface",
            Self::SynBudget => "the source opens connections faster than its budget",
            Self::Closed => "gate is closed",
        }
    }
}

/// The number names no reason that this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownReason(pub u32);

impl TryFrom<u32> for Reason {
    type Error = UnknownReason;

    fn try_from(number: u32) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u32 == number)
            .ok_or(UnknownReason(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_and_leave_room_for_the_lost_events_slot() {
        for pair in Reason::ALL.windows(2) {
            assert!((pair[0] as u32) < pair[1] as u32, "{pair:?}");
        }
        assert!(
            Reason::ALL
                .iter()
                .all(|reason| (*reason as u32) < REASONS - 1)
        );
    }

    #[test]
    fn a_number_comes_back_as_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::try_from(reason as u32), Ok(reason));
        }
        assert_eq!(Reason::try_from(7), Err(UnknownReason(7)));
    }

    #[test]
    fn audit_relaxes_only_that_a_source_is_not_listed() {
        let relaxed = Reason::ALL
            .into_iter()
            .filter(|reason| reason.relaxed_by_audit());
        assert!(relaxed.eq([
            Reason::Stranger,
            Reason::Expired,
            Reason::Unlisted,
            Reason::Fragment
        ]));
    }
}
