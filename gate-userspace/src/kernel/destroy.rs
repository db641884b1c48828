//! Ends connections that the proxy does not own: `SOCK_DESTROY` over `NETLINK_SOCK_DIAG`.
//!
//! Covers every state from the first SYN on, so a handshake half done does not slip through, and
//! looks again once, because a connection may move from one state to the next meanwhile. The
//! messages are written by hand: they are one fixed structure.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

use super::fault::KernelError;
use super::message::Flow;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;
/// `inet_diag_sockid` within a request (after family, protocol, extensions and states) and within
/// an answer (after family, state, timer and retransmissions).
const REQUEST_ID_AT: usize = 8;
const ANSWER_ID_AT: usize = 4;
const ID: usize = 48;

/// Established, both half-open states, and every state of closing but `TIME_WAIT`, `CLOSE`, `LISTEN`.
const STATES: u32 =
    1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12;

/// One socket, as the kernel names it.
struct Found {
    family: u8,
    id: [u8; ID],
}

/// How many connections ended.
pub(super) fn destroy(flows: &[Flow]) -> Result<usize, KernelError> {
    let run = || -> io::Result<usize> {
        let mut ended = 0;
        for _ in 0..2 {
            for family in [libc::AF_INET, libc::AF_INET6] {
                let family = u8::try_from(family).map_err(io::Error::other)?;
                for socket in scan(family, flows)? {
                    ended += usize::from(end(&socket)?);
                }
            }
        }
        Ok(ended)
    };
    if flows.is_empty() {
        return Ok(0);
    }
    run().map_err(|cause| KernelError::Netlink {
        what: "sockets",
        cause,
    })
}

fn scan(family: u8, flows: &[Flow]) -> io::Result<Vec<Found>> {
    let mut body = request(family, &[0; ID]);
    body[4..8].copy_from_slice(&STATES.to_ne_bytes());
    let mut found = Vec::new();
    exchange(
        SOCK_DIAG_BY_FAMILY,
        NLM_F_REQUEST | NLM_F_DUMP,
        &body,
        |answer| {
            let Some(id) = answer.get(ANSWER_ID_AT..ANSWER_ID_AT + ID) else {
                return;
            };
            let Ok(id) = <[u8; ID]>::try_from(id) else {
                return;
            };
            let local_port = u16::from_be_bytes([id[0], id[1]]);
            let Some(remote) = address(family, &id[20..36]) else {
                return;
            };
            let wanted = flows
                .iter()
                .any(|flow| flow.local_ports.contains(&local_port) && holds(flow.remote, remote));
            if wanted {
                found.push(Found { family, id });
            }
        },
    )?;
    Ok(found)
}

fn end(socket: &Found) -> io::Result<bool> {
    let body = request(socket.family, &socket.id);
    match exchange(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, &body, |_| {}) {
        Ok(()) => Ok(true),
        // It ended by itself meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn request(family: u8, id: &[u8; ID]) -> [u8; REQUEST_ID_AT + ID] {
    let mut body = [0; REQUEST_ID_AT + ID];
    body[0] = family;
    body[1] = 6; // IPPROTO_TCP
    body[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    body[REQUEST_ID_AT..].copy_from_slice(id);
    body
}

fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    if i32::from(family) == libc::AF_INET {
        Some(IpAddr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?))
    } else {
        let v6 = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
        Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
    }
}

fn holds(net: IpNet, address: IpAddr) -> bool {
    net.contains(&address)
}

/// Sends one request and hands every answer to `each`, until the kernel says done.
fn exchange(kind: u16, flags: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    socket.send(&message, 0)?;
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while let Some((length, kind)) = head(rest) {
            let answer = rest.get(HEADER..length).unwrap_or_default();
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = answer
                        .first_chunk::<4>()
                        .map_or(0, |code| i32::from_ne_bytes(*code));
                    return if code == 0 {
                        Ok(())
                    } else {
                        Err(io::Error::from_raw_os_error(-code))
                    };
                }
                _ => each(answer),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn head(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
    let kind = u16::from_ne_bytes([*bytes.get(4)?, *bytes.get(5)?]);
    (length >= HEADER && length <= bytes.len()).then_some((length, kind))
}
