//! IP addresses as the wire words that also are the map keys.
//!
//! Not `core::net::IpAddr`: an enum with payload joined across paths is refused by the verifier,
//! and byte arrays as keys cost 2-25 ns to assemble.

/// What the verdict asks of an address of either family.
pub trait Address: Copy + PartialEq {
    /// Bits of a whole address, the prefix length of a single host.
    const BITS: u32;
    /// The kernel refuses this family's loopback source on every device but `lo`, with no switch.
    const LOOPBACK_CANNOT_ARRIVE: bool;

    fn is_loopback(self) -> bool;
    /// 64 bits of it, for the filter.
    fn fold(self) -> u64;
    /// All of it as a key of a table that serves both families.
    fn wide(self) -> [u32; 4];
}

/// Wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct V4(pub u32);

/// Wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct V6(pub [u32; 4]);

/// The words between prefix and address of an IPv4-mapped IPv6 address.
const MAPPED: u32 = 0x0000_ffffu32.to_be();

impl Address for V4 {
    const BITS: u32 = 32;
    // `route_localnet=1` turns the check off.
    const LOOPBACK_CANNOT_ARRIVE: bool = false;

    #[inline(always)]
    fn is_loopback(self) -> bool {
        u32::from_be(self.0) >> 24 == 127
    }

    #[inline(always)]
    fn fold(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    fn wide(self) -> [u32; 4] {
        [0, 0, MAPPED, self.0]
    }
}

impl Address for V6 {
    const BITS: u32 = 128;
    const LOOPBACK_CANNOT_ARRIVE: bool = true;

    #[inline(always)]
    fn is_loopback(self) -> bool {
        let [a, b, c, d] = self.0;
        let top = a | b;
        (top | c == 0 && d == 1u32.to_be()) || (top == 0 && c == MAPPED && V4(d).is_loopback())
    }

    #[inline(always)]
    fn fold(self) -> u64 {
        let [a, b, c, d] = self.0;
        (a as u64 | (b as u64) << 32).wrapping_mul(0xff51_afd7_ed55_8ccd)
            ^ (c as u64 | (d as u64) << 32)
    }

    #[inline(always)]
    fn wide(self) -> [u32; 4] {
        self.0
    }
}

#[cfg(feature = "user")]
impl From<core::net::Ipv4Addr> for V4 {
    fn from(address: core::net::Ipv4Addr) -> Self {
        Self(u32::from_ne_bytes(address.octets()))
    }
}

#[cfg(feature = "user")]
impl From<V4> for core::net::Ipv4Addr {
    fn from(address: V4) -> Self {
        Self::from(address.0.to_ne_bytes())
    }
}

#[cfg(feature = "user")]
impl From<core::net::Ipv6Addr> for V6 {
    fn from(address: core::net::Ipv6Addr) -> Self {
        let bytes = address.octets();
        let word =
            |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Self([word(0), word(4), word(8), word(12)])
    }
}

#[cfg(feature = "user")]
impl From<V6> for core::net::Ipv6Addr {
    fn from(address: V6) -> Self {
        let mut bytes = [0; 16];
        for (to, word) in bytes.chunks_exact_mut(4).zip(address.0) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        Self::from(bytes)
    }
}
