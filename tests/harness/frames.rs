//! A socket for whole frames, as a sandbox with `CAP_NET_RAW` has one.

use std::io;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

/// Every protocol (`ETH_P_ALL`), in network order.
const ALL: u16 = 0x0003_u16.to_be();

/// On this device of the calling thread's network namespace.
#[expect(unsafe_code, reason = "socket2 knows no packet addresses")]
pub fn socket(device: &str) -> io::Result<Socket> {
    let index = nix::net::if_::if_nametoindex(device)?;
    let index = i32::try_from(index).map_err(io::Error::other)?;
    let socket = Socket::new(
        Domain::PACKET,
        Type::RAW,
        Some(Protocol::from(i32::from(ALL))),
    )?;
    let mut storage = SockAddrStorage::zeroed();
    let family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: `sockaddr_ll` is plain bytes and shorter than the storage it is written to.
    let address = unsafe {
        let link = storage.view_as::<libc::sockaddr_ll>();
        link.sll_family = family;
        link.sll_protocol = ALL;
        link.sll_ifindex = index;
        SockAddr::new(storage, length)
    };
    socket.bind(&address)?;
    Ok(socket)
}
